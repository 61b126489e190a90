"""Weights go where name, count and shape say, whatever order a version stored them in."""

import keras
import numpy as np
import pytest

from tfcompress.legacy.ported import Ported
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.weights.placing import place, snake_case

pytestmark = pytest.mark.legacy
LAYERS = keras.layers


@pytest.fixture
def model():
    """A model with a nested one that has three layers, one of them frozen."""
    frozen = LAYERS.Dense(4, name="frozen", trainable=False)
    inside = [LAYERS.BatchNormalization(name="bn"), frozen, LAYERS.Dense(4, name="last")]
    inner = keras.Sequential([keras.Input((4,)), *inside], name="inner")
    outer = keras.Sequential([keras.Input((4,)), inner])
    parts = [Ported(layer.name, type(layer).__name__, layer) for layer in inside]
    return Ported("outer", "Sequential", outer, [Ported("inner", "Sequential", inner, parts)])


def values(variables):
    rng = np.random.default_rng(0)
    return [(f"{layer}/{v.name}:0", rng.normal(size=v.shape).astype("float32")) for layer, v in variables]


def variables(model):
    return [(leaf.name, v) for leaf in model.leaves() for v in leaf.layer.weights]


@pytest.mark.parametrize("order", ["trainable first", "layer by layer"])
def test_both_orders_are_told_apart_by_name(model, order):
    pairs = variables(model)
    if order == "trainable first":
        pairs.sort(key=lambda pair: not pair[1].trainable)
    stored = values(pairs)
    place(model, {"inner": stored})
    for (_, variable), (_, value) in zip(pairs, stored, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_an_order_that_nobody_knows_is_refused(model):
    stored = values(variables(model))[::-1]
    with pytest.raises(NotPorted, match="is expected|has the shape"):
        place(model, {"inner": stored})


def test_nothing_is_missing_and_nothing_left_over(model):
    stored = values(variables(model))
    with pytest.raises(NotPorted, match=r"'inner' \(Sequential\).*8 weights.*the file has 7"):
        place(model, {"inner": stored[:-1]})
    with pytest.raises(NotPorted, match="'inner'.*the file has 0"):
        place(model, {})
    with pytest.raises(NotPorted, match="layer 'other'.*the model has no such layer"):
        place(model, {"inner": stored, "other": stored[:1]})


def test_a_normalization_computes_with_the_new_statistics():
    layer = LAYERS.Normalization(axis=-1, name="norm")
    whole = keras.Sequential([keras.Input((2,)), layer])
    stored = [("norm/mean:0", np.ones(2)), ("norm/variance:0", np.full(2, 4.0)), ("norm/count:0", np.array(3))]
    place(Ported("m", "Sequential", whole, [Ported("norm", "Normalization", layer)]), {"norm": stored})
    np.testing.assert_allclose(whole(np.array([[3.0, 5.0]])), [[1.0, 2.0]], rtol=1e-5)


def test_names_of_classes_in_files():
    assert [snake_case(n) for n in ("Conv2D", "PReLU", "GRU", "TimeDistributed", "TFOpLambda")] == [
        "conv2d", "p_re_lu", "gru", "time_distributed", "tf_op_lambda",
    ]  # fmt: skip
