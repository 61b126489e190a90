"""Times artifacts side by side on this machine, as LiteRT's `benchmark_model` times one.

All models are loaded and warmed up, then run in turn in blocks (A B C, B C A, ...), so that a
machine that slows down slows all of them. Peak memory is measured in a separate process per model.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfcompress.benchmarking.bench_report import BenchReport
from tfcompress.benchmarking.bench_schema import SCHEMA_NAME
from tfcompress.benchmarking.environment import host_facts
from tfcompress.benchmarking.memory import PeakMemory, peak_memory
from tfcompress.benchmarking.named_artifacts import Artifacts, lineup
from tfcompress.benchmarking.rapl import PowerMeter
from tfcompress.benchmarking.timing import LoopRule, Stopwatch, statistics
from tfcompress.text.log import Progress
from tfcompress.text.progress import Pace
from tfcompress.tflite.artifact import Artifact, Samples
from tfcompress.tflite.kernels.widths import UnsupportedWidth
from tfcompress.tflite.runner import Runner, check_inputs
from tfcompress.validation import checks

MOST_RUNS = 10**9
LONGEST_SECONDS = 7 * 24 * 3600.0  # a week
MODES: dict[str, dict[str, Any]] = {
    "quick": {"runs": 50, "min_seconds": 1.0},
    "standard": {"runs": 128, "min_seconds": 10.0},
    "thorough": {"runs": 1024, "min_seconds": 60.0},
}


def benchmark(
    artifacts: Artifacts,
    runs: int = 50,
    min_seconds: float = 1.0,
    max_seconds: float = 150.0,
    warmup_runs: int = 10,
    warmup_seconds: float = 0.5,
    threads: int = 1,
    xnnpack: bool = True,
    blocks: int = 5,
    pause_seconds: float = 0.05,
    data: Samples | None = None,
    memory: bool = True,
    seed: int = 0,
    verbose: int = 1,
) -> BenchReport:
    """Measures latency, start-up, processor time, energy and peak memory of one or several artifacts.

    Each model runs while `(run < runs or now < min_seconds) and now <= max_seconds`, where `now` is
    the time its own runs took: the rule of LiteRT's `benchmark_model`, whose defaults are the
    first three arguments. The timed region is the run alone; copying the input in is timed apart.
    Figures of the longer modes are in `MODES`: `benchmark(artifact, **MODES["standard"])`. Energy is
    that of the whole processor package (RAPL counters) over the timed blocks, copying in and idle
    power included, where Linux shows it; elsewhere the report has the reason.

    Args:
        artifacts: An `Artifact`, path or bytes; a list of them; or a dictionary by name.
        runs: Timed runs of each model at least, 1 or more.
        min_seconds: Seconds of timed runs of each model at least.
        max_seconds: Seconds after which no further run of a model starts.
        warmup_runs: Untimed runs at least, 1 or more; the first one is reported as first inference.
        warmup_seconds: Seconds of warm-up at least.
        threads: Threads of the interpreter, 1 or more.
        xnnpack: Whether the XNNPACK delegate may be used.
        blocks: Rounds into which the runs of each model are cut.
        pause_seconds: Pause before each block.
        data: Real input values, shape (n, ...), a dictionary by input name or a list; the first
            sample is timed. None draws values in [0, 1) from `seed` (zeros for integer inputs
            without scale), the same for all models of one input shape.
        memory: Whether to measure peak memory; takes about half a second per model.
        seed: Seed of the drawn input and of the order of the first block.
        verbose: 0 for silence, 1 for progress on stderr.

    Returns:
        A report of schema `tfcompress.bench/1`.

    Raises:
        ValueError: If an argument is out of range, `data` does not fit a model, or the runtime
            refuses a model.
        TypeError: If `artifacts` holds something else.

    Example:
        ```python
        import keras, tensorflow as tf
        from tfcompress.benchmarking.benchmark import benchmark

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        report = benchmark({"float32": content}, runs=5, min_seconds=0.01, memory=False, verbose=0)
        print(report.line())
        ```
    """
    protocol = _Protocol(runs, min_seconds, max_seconds, warmup_runs, warmup_seconds, blocks, pause_seconds, seed)
    threads = checks.threads("benchmark", threads)
    for name, value in (("xnnpack", xnnpack), ("memory", memory)):
        checks.flag("benchmark", name, value)
    verbose = checks.verbosity("benchmark", verbose)
    checks.data("benchmark", "data", data)
    say = Progress("benchmark", verbose)
    entrants = _load(lineup(artifacts), threads, xnnpack, data, seed, say)
    for entrant in entrants:
        say(f"warming up {entrant.name}")
        entrant.warmup.loop(protocol.warmup)
    document: dict[str, Any] = {"order": _interleave(entrants, protocol, say), "results": []}
    for entrant in entrants:
        say(f"memory of {entrant.name}")
        peak = _peak(entrant.artifact, threads, xnnpack, memory)
        document["results"].append(_result(entrant, threads, xnnpack, peak))
    say.end()
    source = {"mode": protocol.mode, "input": "seeded" if data is None else "given"}
    document["protocol"] = {**asdict(protocol), **source}
    return BenchReport({"schema": SCHEMA_NAME, **host_facts(), **document})


@dataclass(frozen=True)
class _Protocol:
    """The figures of one benchmark, checked; named as in the schema."""

    runs: int
    min_seconds: float
    max_seconds: float
    warmup_runs: int
    warmup_seconds: float
    blocks: int
    pause_seconds: float
    seed: int

    def __post_init__(self) -> None:
        for name in ("runs", "warmup_runs", "blocks"):
            checks.whole("benchmark", name, getattr(self, name), 1, MOST_RUNS)
        checks.seed("benchmark", self.seed)
        for name in ("min_seconds", "max_seconds", "warmup_seconds", "pause_seconds"):
            checks.number("benchmark", name, getattr(self, name), least=0, most=LONGEST_SECONDS)

    @property
    def timed(self) -> LoopRule:
        return LoopRule(self.runs, self.min_seconds, self.max_seconds)

    @property
    def warmup(self) -> LoopRule:
        return LoopRule(self.warmup_runs, self.warmup_seconds, self.max_seconds)

    @property
    def mode(self) -> str:
        figures = {"runs": self.runs, "min_seconds": self.min_seconds}
        return next((mode for mode, wanted in MODES.items() if wanted == figures), "custom")


@dataclass
class _Entrant:
    name: str
    artifact: Artifact
    init_us: float
    warmup: Stopwatch
    timed: Stopwatch
    meter: PowerMeter


def _load(
    artifacts: dict[str, Artifact],
    threads: int,
    xnnpack: bool,
    data: Samples | None,
    seed: int,
    say: Progress,
) -> list[_Entrant]:
    entrants = []
    for name, artifact in artifacts.items():
        say(f"loading {name}")
        try:
            codes = _codes(artifact, data, seed)
            artifact.try_apart(codes, threads, xnnpack)
            if not entrants:
                # The first interpreter of a process pays for the runtime library itself; this one
                # is dropped, so that init_us of the first model compares with the others.
                _runner(artifact, threads, xnnpack)
            begin = time.perf_counter_ns()
            runner = _runner(artifact, threads, xnnpack)
            init_us = (time.perf_counter_ns() - begin) / 1000.0
            copy_in = _copier(runner, codes)
        except UnsupportedWidth:
            raise
        except ValueError as error:
            raise ValueError(f"benchmark: {name}: {error}") from error
        warmup, timed = (Stopwatch(copy_in, runner.interpreter.invoke) for _ in range(2))
        entrants.append(_Entrant(name, artifact, init_us, warmup, timed, PowerMeter()))
    return entrants


def _runner(artifact: Artifact, threads: int, xnnpack: bool) -> Runner:
    return Runner(artifact.content, artifact.model, artifact.inputs, artifact.outputs, threads, xnnpack)


def _codes(artifact: Artifact, data: Samples | None, seed: int) -> list[np.ndarray]:
    """Returns one batch of input tensors as the file takes them; dynamic dimensions are 1."""
    if data is None:
        arrays = _drawn(artifact, seed)
    else:
        given = zip(artifact.inputs, check_inputs(data, artifact.inputs), strict=True)
        # Fewer samples than a fixed batch are repeated.
        arrays = [np.resize(x, (abs(spec.shape[0]), *x.shape[1:])) for spec, x in given]
    return [spec.quantize(x) for spec, x in zip(artifact.inputs, arrays, strict=True)]


def _drawn(artifact: Artifact, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = []
    for spec in artifact.inputs:
        shape = tuple(abs(size) for size in spec.shape)
        real = spec.is_quantized or spec.numpy_type.kind == "f"
        # Zero is a valid row of any table, which a drawn integer need not be.
        arrays.append(rng.random(shape, np.float32) if real else np.zeros(shape, spec.dtype))
    return arrays


def _copier(runner: Runner, codes: list[np.ndarray]) -> Callable[[], None]:
    interpreter = runner.interpreter
    pairs = [(spec.index, code) for spec, code in zip(runner.inputs, codes, strict=True)]
    changed = [(i, code.shape) for i, code in pairs if runner.shapes[i] != code.shape]
    for index, shape in changed:
        interpreter.resize_tensor_input(index, shape)
    if changed:  # Once, behind all of them: sizes of several inputs have to fit each other.
        interpreter.allocate_tensors()

    def copy_in() -> None:
        if runner.has_state:
            interpreter.reset_all_variables()
        for index, code in pairs:
            interpreter.set_tensor(index, code)

    return copy_in


def _interleave(entrants: list[_Entrant], protocol: _Protocol, say: Progress) -> list[str]:
    """Runs the blocks; returns the names in the order in which blocks with at least one run ran."""
    start = int(np.random.default_rng(protocol.seed).integers(len(entrants)))
    order = []
    pace = Pace("", protocol.blocks, 0)
    for block in range(protocol.blocks):
        parts = f"timing, block {block + 1} of {protocol.blocks}", pace.left(block)
        say(", ".join(filter(None, parts)))
        rule = protocol.timed.part(block, protocol.blocks)
        # Each round begins with another model, so none always follows the same pause.
        first = (start + block) % len(entrants)
        for entrant in entrants[first:] + entrants[:first]:
            time.sleep(protocol.pause_seconds)
            before = len(entrant.timed.run_ns)
            with entrant.meter:
                entrant.timed.loop(rule)
            if len(entrant.timed.run_ns) > before:
                order.append(entrant.name)
    return order


def _peak(artifact: Artifact, threads: int, xnnpack: bool, memory: bool) -> PeakMemory:
    if not memory:
        return PeakMemory(None, None, "not asked for")
    return peak_memory(artifact.content, threads, xnnpack)


def _result(entrant: _Entrant, threads: int, xnnpack: bool, peak: PeakMemory) -> dict[str, Any]:
    warm, timed = entrant.warmup.run_us, entrant.timed
    count = len(timed.run_ns)
    spent = entrant.meter.per_run(count)
    return {
        "name": entrant.name,
        "sha256": entrant.artifact.sha256,
        "bytes": entrant.artifact.size,
        "accelerator": {"requested": "cpu", "actual": "cpu", "reason": None},
        "threads": int(threads),
        "xnnpack": bool(xnnpack),
        "init_us": entrant.init_us,
        "first_us": float(warm[0]),
        "warmup": {"n": int(warm.size), "mean_us": float(warm.mean())},
        "latency": statistics(timed.run_us),
        "copy_in_us": timed.copy_ns / count / 1000.0,
        "cpu_us": timed.cpu_ns / count / 1000.0,
        "energy": {
            "joules": spent.joules,
            "source": None if spent.joules is None else "rapl",
            "reason": spent.reason,
        },
        "memory": {
            "peak_bytes": peak.peak_bytes,
            "process_bytes": peak.process_bytes,
            "native_heap_bytes": None,
            "reason": peak.reason,
        },
    }
