"""Writers killed at random moments leave nothing half-written; `tests/bench/kill.py` does it at length."""

import pytest


@pytest.fixture(scope="module")
def kill(bench_module):
    """The bench script."""
    return bench_module("kill")


def test_a_killed_save_leaves_a_whole_pair(kill):
    running, _ = kill.run("save", 5, 0.1)
    assert running == 5


@pytest.mark.slow
@pytest.mark.parametrize("job", ["fit", "android"])
def test_a_killed_job_goes_on_from_what_it_left(kill, job):
    kill.run(job, 2, kill.PLAN[job][1])
