"""The loop rule of benchmark_model, cut into blocks or not, and the shared statistics vectors."""

import gc
import json
from pathlib import Path

import numpy as np
import pytest

from tfcompress.benchmarking.timing import LoopRule, Stopwatch, percentile, statistics

VECTORS = json.loads(Path(__file__).with_name("percentiles.json").read_text())["cases"]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_shared_vectors(case):
    for percent, expected in case["percentiles"].items():
        assert percentile(case["values"], int(percent)) == expected
    summary = statistics(case["values"])
    assert summary["n"] == len(case["values"])
    assert summary["mean_us"] == pytest.approx(case["mean"], rel=1e-9)
    assert summary["std_us"] == pytest.approx(case["std"], rel=1e-9)
    assert [summary["min_us"], summary["p90_us"], summary["max_us"]] == [
        case["percentiles"][key] for key in ("0", "90", "100")
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50, 99, 100, 101, 1024])
def test_percentile_is_numpys_inverted_cdf(count):
    values = np.random.default_rng(count).normal(size=count)
    for percent in (1, 25, 50, 75, 90, 95, 99, 100):
        assert percentile(values, percent) == np.percentile(values, percent, method="inverted_cdf")


@pytest.mark.parametrize("percent", [-1, 101, 0.5])
def test_percentile_refuses_other_percents(percent):
    with pytest.raises(ValueError, match=f"percent={percent}"):
        percentile([1.0], percent)


def test_percentile_refuses_no_values():
    with pytest.raises(ValueError, match="at least one"):
        percentile([], 50)


# Columns: runs done, seconds, whether another run starts under (50 runs, 1 s, at most 150 s).
@pytest.mark.parametrize(
    ("done", "seconds", "more"),
    [
        (0, 0.0, True),
        (49, 99.0, True),
        (50, 0.99, True),
        (50, 1.0, False),
        (51, 1.0, False),
        (3, 150.0, True),
        (3, 150.0001, False),
        (10_000, 0.5, True),
    ],
)
def test_loop_rule_is_that_of_benchmark_model(done, seconds, more):
    assert LoopRule(50, 1.0, 150.0).wants_more(done, seconds) is more


@pytest.mark.parametrize("seconds_per_run", [0.001, 0.02, 0.3, 4.0])
@pytest.mark.parametrize("blocks", [1, 3, 7])
def test_blocks_end_where_the_uncut_loop_ends(seconds_per_run, blocks):
    rule = LoopRule(50, 1.0, 150.0)

    def run(parts):
        done = 0
        for part in parts:
            while part.wants_more(done, done * seconds_per_run):
                done += 1
        return done

    assert run(rule.part(i, blocks) for i in range(blocks)) == run([rule])


def test_blocks_share_the_runs_evenly():
    parts = [LoopRule(50, 1.0, 150.0).part(i, 4) for i in range(4)]
    assert [part.runs for part in parts] == [13, 25, 38, 50]
    assert parts[-1] == LoopRule(50, 1.0, 150.0)


@pytest.mark.parametrize("arguments", [(-1, 0, 1), (1.5, 0, 1), (1, -1, 1), (1, 0, float("inf")), (1, float("nan"), 1)])
def test_loop_rule_refuses_what_makes_no_loop(arguments):
    with pytest.raises(ValueError, match="LoopRule"):
        LoopRule(*arguments)


def test_stopwatch_counts_runs_and_leaves_copying_and_waiting_out():
    calls = []

    def spin(name, microseconds):
        import time

        # on a busy machine processor time goes by more slowly than the clock
        clocks = (time.perf_counter_ns, time.process_time_ns)
        ends = [clock() + microseconds * 1000 for clock in clocks]
        while any(clock() < end for clock, end in zip(clocks, ends, strict=True)):
            pass
        calls.append(name)

    watch = Stopwatch(lambda: spin("copy", 3000), lambda: spin("run", 1000))
    watch.loop(LoopRule(4, 0.0, 100.0))
    own = watch.own_ns
    spin("other", 500_000)
    watch.loop(LoopRule(8, 0.0, 100.0))
    assert calls == ["copy", "run"] * 4 + ["other"] + ["copy", "run"] * 4
    assert watch.run_us.size == 8
    assert np.all(watch.run_us >= 1000)
    assert watch.copy_ns >= 8 * 3_000_000
    assert watch.own_ns < 2 * own + 400_000_000  # the 500 ms between the blocks are not in it
    assert watch.cpu_ns >= 8 * 3_000_000


def test_stopwatch_gives_the_garbage_collector_back_after_an_error():
    def fail():
        assert not gc.isenabled()
        raise RuntimeError("no run")

    with pytest.raises(RuntimeError, match="no run"):
        Stopwatch(lambda: None, fail).loop(LoopRule(1, 0.0, 1.0))
    assert gc.isenabled()
