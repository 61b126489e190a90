"""Latency of Keras models as the phone's runtime sees them: converted and run by the LiteRT interpreter, here."""

import keras
import numpy as np

from tfcompress.deploy.convert import convert
from tfcompress.judge.benchmark import benchmark
from tfcompress.mechanics.graph import input_triples

RUNS = 50
SECONDS = 0.2


def latencies(models: list[keras.Model], x: list[np.ndarray] | None, mode: str, seed: int = 0) -> list[float]:
    """Median latency of each model, one call of batch 1, one thread; measured in turns.

    Args:
        models: Models with the same inputs.
        x: Samples for calibration, one array per input; None draws some.
        mode: Mode of `tfc.convert`.
        seed: Seed of drawn samples.

    Returns:
        Microseconds on this machine.
    """
    triples = input_triples(models[0])
    if x is None:
        x = [_drawn(shape, dtype, seed) for _, shape, dtype in triples]
    data = {name: values[:32] for (name, _, _), values in zip(triples, x, strict=True)}
    files = {str(k): convert(model, mode, data) for k, model in enumerate(models)}
    report = benchmark(
        files, runs=RUNS, min_seconds=SECONDS, warmup_seconds=0.1, pause_seconds=0.0, memory=False, verbose=0
    )
    found = {row["name"]: row["latency"]["p50_us"] for row in report.results}
    return [found[name] for name in files]


def _drawn(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    sizes = (16, *(1 if n is None else n for n in shape))
    return rng.integers(0, 2, sizes).astype(dtype) if "int" in dtype else rng.random(sizes).astype(dtype)
