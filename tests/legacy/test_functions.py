"""Functions of Lambda layers out of files."""

import pytest

from tfcompress.legacy.functions import function_of
from tfcompress.legacy.port import port
from tfcompress.legacy.refused import NotPorted

tf_keras = pytest.importorskip("tf_keras")
tf = pytest.importorskip("tensorflow")
pytestmark = [
    pytest.mark.legacy,
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_code_in_a_file_runs_only_with_consent(tmp_path, difference, suffix):
    layer = tf_keras.layers.Lambda(lambda t, by=2.0: tf.nn.relu(t) * by, name="scaled")
    model = tf_keras.Sequential([tf_keras.Input((4,)), layer, tf_keras.layers.Dense(2)])
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    with pytest.raises(NotPorted, match=r"'scaled' \(Lambda\).*safe_mode=False"):
        port(path)
    assert difference(model, port(path, safe_mode=False)) <= 1e-6


def test_functions_by_name_are_taken_from_the_caller():
    assert function_of("a", {"function": "mine", "function_type": "function"}, {"mine": abs}) is abs
    with pytest.raises(NotPorted, match=r"'a' \(Lambda\).*stored by name only: 'mine'.*custom_objects"):
        function_of("a", {"function": "mine", "function_type": "function"}, {})


def test_code_of_another_python_is_refused():
    with pytest.raises(NotPorted, match="another version of Python"):
        function_of("a", {"function": ["4wEAAAA=", None, None]}, {})
