"""Measures the latency of Keras models: converts them and runs the files in the LiteRT interpreter of this machine."""

import keras
import numpy as np

from tfcompress.benchmarking.benchmark import benchmark
from tfcompress.conversion.convert import convert
from tfcompress.graph.keras_private import input_triples
from tfcompress.tflite.artifact import Artifact

RUNS = 50
SECONDS = 0.2


def convert_for_latency(model: keras.Model, x: list[np.ndarray] | None, mode: str, seed: int = 0) -> Artifact:
    """Converts a model so that its latency can be measured.

    Args:
        model: The model.
        x: Samples for calibration, one array per input; None for random ones.
        mode: Mode of `tfc.convert`.
        seed: Seed of random samples.

    Returns:
        The file.
    """
    triples = input_triples(model)
    if x is None:
        x = [_drawn(shape, dtype, seed) for _, shape, dtype in triples]
    return convert(model, mode, {name: values[:32] for (name, _, _), values in zip(triples, x, strict=True)})


def latencies(files: list[Artifact]) -> list[float]:
    """Returns the median latency of each file in microseconds on this machine, one call of batch 1, one thread.

    They are measured in turns, so that other processes slow all of them down alike and their ratios hold.
    """
    named = {str(k): file for k, file in enumerate(files)}
    report = benchmark(
        named, runs=RUNS, min_seconds=SECONDS, warmup_seconds=0.1, pause_seconds=0.0, memory=False, verbose=0
    )
    found = {row["name"]: row["latency"]["p50_us"] for row in report.results}
    return [found[name] for name in named]


def _drawn(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    sizes = (16, *(1 if n is None else n for n in shape))
    return rng.integers(0, 2, sizes).astype(dtype) if "int" in dtype else rng.random(sizes).astype(dtype)
