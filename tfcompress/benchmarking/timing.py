"""Times runs by the loop rule of a benchmark, and computes their statistics, the same on host and phone.

Loop (LiteRT benchmark_model): run while (run < runs or now < min) and now <= max, where "now"
counts only the time of this model's own runs, so that models can be interleaved. Percentiles are
nearest rank.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

PERCENTS = (50, 90, 95, 99)


@dataclass(frozen=True)
class LoopRule:
    """Rule that says when a loop of timed runs ends, as in LiteRT's `benchmark_model`.

    Args:
        runs: Runs to reach at least, 0 or more.
        min_seconds: Time to fill at least, in seconds.
        max_seconds: Time after which no further run starts, in seconds; it wins over the others.

    Raises:
        ValueError: If a value is negative or not finite.

    Example:
        >>> LoopRule(runs=50, min_seconds=1.0, max_seconds=150.0).wants_more(50, 0.4)
        True
    """

    runs: int
    min_seconds: float
    max_seconds: float

    def __post_init__(self) -> None:
        if int(self.runs) != self.runs or self.runs < 0:
            raise ValueError(f"LoopRule: runs must be a whole number, 0 or more. Received: runs={self.runs}.")
        for name in ("min_seconds", "max_seconds"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"LoopRule: {name} must be 0 or more and finite. Received: {name}={value}.")

    def wants_more(self, done: int, seconds: float) -> bool:
        """Returns whether another run starts after `done` runs that took `seconds`."""
        return (done < self.runs or seconds < self.min_seconds) and seconds <= self.max_seconds

    def part(self, block: int, blocks: int) -> "LoopRule":
        """Returns the rule that ends block number `block` (from 0) of `blocks`.

        Targets are cumulative and the last part is the rule itself, so a loop cut into blocks ends
        exactly where the uncut loop would.
        """
        share = (block + 1) / blocks
        runs = -(-self.runs * (block + 1) // blocks)
        return LoopRule(runs, self.min_seconds * share, self.max_seconds)


@dataclass
class Stopwatch:
    """Times of one model's runs, gathered over one or several blocks.

    Args:
        copy_in: Puts the input into the model; timed apart from the run.
        run: The timed call.
    """

    copy_in: Callable[[], None]
    run: Callable[[], None]
    run_ns: list[int] = field(default_factory=list)
    copy_ns: int = 0
    cpu_ns: int = 0
    own_ns: int = 0

    def loop(self, rule: LoopRule) -> None:
        """Runs until `rule` holds for all runs so far, with the garbage collector paused."""
        collecting = gc.isenabled()
        gc.disable()
        # Time already spent in earlier blocks counts, time spent by other models does not.
        begin = time.perf_counter_ns() - self.own_ns
        cpu_begin = time.process_time_ns()
        try:
            while rule.wants_more(len(self.run_ns), self.own_ns * 1e-9):
                start = time.perf_counter_ns()
                self.copy_in()
                copied = time.perf_counter_ns()
                self.run()
                end = time.perf_counter_ns()
                self.run_ns.append(end - copied)
                self.copy_ns += copied - start
                self.own_ns = end - begin
        finally:
            self.cpu_ns += time.process_time_ns() - cpu_begin
            if collecting:
                gc.enable()

    @property
    def run_us(self) -> np.ndarray:
        """Duration of each run in microseconds, in order."""
        return np.asarray(self.run_ns, dtype=np.float64) / 1000.0


def percentile(values: Sequence[float] | np.ndarray, percent: int) -> float:
    """Returns a nearest-rank percentile: the value of rank ceil(percent * n / 100), ranks from 1.

    Equal to `numpy.percentile(values, percent, method="inverted_cdf")`, but in integer arithmetic,
    so that no rounding of percent / 100 can shift the rank.

    Args:
        values: At least one number.
        percent: Whole number from 0 to 100; 0 gives the smallest value.

    Returns:
        One of `values`.

    Raises:
        ValueError: If `values` is empty or `percent` is not a whole number from 0 to 100.

    Example:
        >>> percentile([10.0, 20.0, 30.0, 40.0], 50)
        20.0
    """
    if int(percent) != percent or not 0 <= percent <= 100:
        raise ValueError(f"percentile: percent must be a whole number from 0 to 100. Received: percent={percent}.")
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not ordered.size:
        raise ValueError("percentile: values must hold at least one number. Received: none.")
    rank = max(1, -(-int(percent) * ordered.size // 100))
    return float(ordered[rank - 1])


def statistics(values_us: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Summarizes run times: n, mean, population std, min, max and nearest-rank percentiles.

    Args:
        values_us: Run times in microseconds, at least one.

    Returns:
        `n`, `mean_us`, `std_us`, `min_us`, `max_us`, `p50_us`, `p90_us`, `p95_us`, `p99_us`.

    Raises:
        ValueError: If there is no value.

    Example:
        >>> statistics([1.0, 3.0])["mean_us"]
        2.0
    """
    values = np.asarray(values_us, dtype=np.float64)
    summary = {f"p{percent}_us": percentile(values, percent) for percent in PERCENTS}
    return {
        "n": int(values.size),
        "mean_us": float(values.mean()),
        "std_us": float(values.std()),
        "min_us": float(values.min()),
        "max_us": float(values.max()),
        **summary,
    }
