"""Writers killed at random moments leave nothing half-written; `tests/bench/kill.py` does it at length."""

import importlib.util
import pathlib

import pytest

BENCH = pathlib.Path(__file__).parent / "bench" / "kill.py"


@pytest.fixture(scope="module")
def kill():
    """The bench script."""
    spec = importlib.util.spec_from_file_location("kill", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_killed_save_leaves_a_whole_pair(kill):
    running, _ = kill.run("save", 5, 0.1)
    assert running == 5


@pytest.mark.slow
@pytest.mark.parametrize("job", ["fit", "android"])
def test_a_killed_job_goes_on_from_what_it_left(kill, job):
    kill.run(job, 2, kill.PLAN[job][1])
