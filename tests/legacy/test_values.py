"""Values inside configurations: what a name meant, and behaviours of training."""

import keras
import numpy as np
import pytest

from tfcompress.legacy import values
from tfcompress.legacy.refused import NotPorted

pytestmark = pytest.mark.legacy
ASKED = values.PortOptions()


def test_hard_sigmoid_is_that_of_keras_2():
    x = np.linspace(-4, 4, 33, dtype="float32")
    found = values.activation("a", "Dense", "hard_sigmoid", ASKED)
    np.testing.assert_allclose(found(x), np.clip(0.2 * x + 0.5, 0, 1), atol=1e-6)
    assert np.abs(np.asarray(keras.activations.hard_sigmoid(x) - found(x))).max() > 0.05
    again = keras.activations.deserialize(keras.activations.serialize(found))
    np.testing.assert_array_equal(again(x), found(x))


@pytest.mark.parametrize("value", ["relu", {"class_name": "function", "config": "relu", "registered_name": "relu"}])
def test_activations_by_name(value):
    assert values.activation("a", "Dense", value, ASKED) is keras.activations.relu


def test_unknown_activations_are_refused_and_own_ones_taken():
    with pytest.raises(NotPorted, match=r"'a' \(Dense\).*no activation 'mine'.*custom_objects"):
        values.activation("a", "Dense", "mine", ASKED)
    assert values.activation("a", "Dense", "mine", values.PortOptions({"mine": abs})) is abs


def test_initializers_that_nobody_knows_are_left_out_but_not_regularizers():
    entry = {"class_name": "Mine", "config": {}}
    assert values.behaviour("a", "Dense", "kernel_initializer", entry, ASKED) is None
    for key in ("kernel_regularizer", "bias_constraint"):
        with pytest.raises(NotPorted, match=rf"'a' \(Dense\).*{key}.*Mine"):
            values.behaviour("a", "Dense", key, entry, ASKED)


def test_keys_that_behaviours_no_longer_take_are_left_out():
    entry = {"class_name": "RandomNormal", "config": {"mean": 1.0, "stddev": 2.0, "seed": None, "dtype": "float32"}}
    found = values.behaviour("a", "Dense", "kernel_initializer", entry, ASKED)
    assert (found.mean, found.stddev) == (1.0, 2.0)
    entry = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.5}}
    assert values.behaviour("a", "Dense", "kernel_regularizer", entry, ASKED).l2 == 0.5


def test_plain_data():
    marked = {"a": [{"class_name": "__tuple__", "items": [1, [2]]}], "b": {"class_name": "__ellipsis__"}}
    assert values.plain(marked) == {"a": [(1, [2])], "b": ...}
    array = {"class_name": "__numpy__", "config": {"value": [1, 2], "dtype": "float32"}}
    assert values.plain(array).dtype == "float32"


def test_dtypes():
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    assert values.dtype(policy) == "mixed_float16" and values.dtype("float32") == "float32"
