"""Some hundreds of damaged files of each kind, by seed; tens of thousands are the matter of `tests/bench/fuzz.py`.

A file is refused with one ValueError, or answers, and its slimmer copy answers the same. Runs are in processes of
their own: a file that the runtime does not survive is an error, not the end.
"""

import importlib.util
import pathlib
import sys

import pytest

pytestmark = pytest.mark.sampled(4)

HERE = pathlib.Path(__file__).parent


def _module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # what it imports by name is found
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    _module(HERE / "bench" / "fuzzing.py")
    module = _module(HERE / "bench" / "fuzz.py")
    found = module.Jobs(None, careful=True)
    found.place = tmp_path_factory.mktemp("fuzz")
    return module, found


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("tflite_bytes", 40),
        ("tflite_fields", 30),
        ("h5", 12),
        ("keras", 12),
        ("manifest", 60),
        ("report", 60),
        ("sidecar", 30),
    ],
)
def test_a_damaged_file_is_refused_or_answers(jobs, kind, count):
    module, runs = jobs
    results = {f"{kind}:{number}": runs.run(kind, number) for number in range(count)}
    assert {job: result for job, result in results.items() if result not in module.GOOD} == {}
    assert "refused" in results.values() or "left out" in results.values()


def test_nothing_is_drawn_for_inputs_that_numpy_has_no_arrays_of(jobs):
    from types import SimpleNamespace

    from tfcompress.tflite.tensor_spec import TensorSpec

    _, runs = jobs
    plain, strings = TensorSpec("x", (1, 3), "float32"), TensorSpec("y", (1, 3), "string")
    assert len(runs.fuzzing.drawn_inputs(SimpleNamespace(inputs=[plain]))) == 1
    assert runs.fuzzing.drawn_inputs(SimpleNamespace(inputs=[plain, strings])) is None
    with pytest.raises(ValueError, match="nothing can be drawn"):
        runs.answers(b"", None)
