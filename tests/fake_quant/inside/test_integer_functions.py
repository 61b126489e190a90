"""Functions of integers that code computes in floats are tables in an integer file, exact for every integer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfcompress as tfc
from tfcompress.fake_quant.inside.integer_functions import find_integer_functions
from tfcompress.graph.trace import trace

STEPS, LEFT = 640, 160
FUNCTIONS = {
    "length behind a convolution": lambda n: ops.cast(ops.floor((n - 3.0) / 4.0) + 1.0, "int32"),
    "in parts": lambda n: ops.cast(ops.maximum(n / 4.0, 2.0) * 1.0, "int32"),
    "rounded": lambda n: ops.cast(ops.ceil(ops.sqrt(n) * 6.0), "int32"),
}


def kept(function, mask):
    """One for the steps that a function of the mask's length keeps, else zero."""
    count = function(ops.cast(ops.sum(ops.cast(mask, "int32"), axis=1), "float32"))
    first = ops.less(ops.expand_dims(ops.arange(LEFT), 0), ops.expand_dims(count, 1))
    return ops.expand_dims(ops.cast(first, "float32"), -1)


def net(function):
    x, mask = keras.Input((STEPS, 2), name="x"), keras.Input((STEPS,), dtype="bool", name="mask")
    return keras.Model([x, mask], layers.Conv1D(3, 4, 4)(x) * kept(function, mask))


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_lengths_are_exact(function):
    """On one scale of 256 codes for 640 lengths, places of the last steps would be off."""
    model, rng = net(function), np.random.default_rng(0)
    lengths = np.append(rng.integers(4, STEPS + 1, 62), [4, STEPS])
    data = {
        "x": rng.normal(size=(64, STEPS, 2)).astype("float32"),
        "mask": np.arange(STEPS)[None] < lengths[:, None],
    }
    artifact = tfc.convert(model, calibration=data, diagnose=False)
    assert artifact.is_integer
    got, wanted = artifact.predict(data), model.predict(data, verbose=0)
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.03 * wanted.std()
    is_cut = (wanted == 0).all(axis=-1)
    np.testing.assert_array_equal(got[is_cut], 0.0)
    assert np.abs(got[~is_cut]).sum() > 0.97 * np.abs(wanted[~is_cut]).sum()


@pytest.mark.parametrize(
    "code",
    [
        lambda n: ops.cast(ops.cast(n, "float32") + 1.0, "float32"),  # no integers at the end
        lambda n: ops.cast(ops.cumsum(ops.cast(n, "float32"), axis=1), "int32"),  # reads other places
        lambda n: ops.cast(ops.cast(n, "float32") * ops.cast(n + 1, "float32"), "int32"),  # two tensors
    ],
)
def test_what_else_is_cast_is_no_function_of_an_integer(code):
    i = keras.Input((5,), dtype="int32")
    x = code(i + 1)
    assert not find_integer_functions(trace(keras.Model(i, x)).graph)


def test_a_float_that_has_another_reader_is_computed():
    i = keras.Input((5,), dtype="int32")
    x = ops.cast(i + 1, "float32") * 0.5
    model = keras.Model(i, [ops.cast(x, "int32"), x])
    assert not find_integer_functions(trace(model).graph)


def test_constants_of_places_make_no_table():
    """A factor for each place can't be part of one table for all; the refusal names what would stay float."""
    i = keras.Input((5,), dtype="int32")
    factors = np.arange(5, dtype="float32")
    places = ops.cast(ops.floor(ops.cast(i + 1, "float32") * factors), "int32")
    model = keras.Model(i, layers.Dense(2)(layers.Flatten()(layers.Embedding(80, 4)(places))))
    data = np.random.default_rng(0).integers(0, 9, (32, 5)).astype("int32")
    with pytest.raises(tfc.NotFullyInteger, match="FLOOR"):
        tfc.convert(model, calibration=data, diagnose=False)


def test_other_integers_than_seen_take_the_nearest_that_was():
    i = keras.Input((5,), dtype="int32")
    places = ops.cast(ops.floor(ops.cast(i + 1, "float32") * 0.5), "int32")
    model = keras.Model(i, layers.Dense(2)(layers.Flatten()(layers.Embedding(80, 4)(places))))
    data = np.random.default_rng(0).integers(0, 9, (32, 5)).astype("int32")
    data[:2] = [[0] * 5, [8] * 5]
    artifact = tfc.convert(model, calibration=data, diagnose=False)
    beyond = np.full((1, 5), 60, "int32")
    np.testing.assert_array_equal(artifact.predict(beyond), artifact.predict(tf.fill((1, 5), 8).numpy()))


def test_casts_of_weights_and_numbers_stay():
    """As in position embeddings, which cast a table that no input leads to."""

    class Positions(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=shape[1:], name="table")

        def call(self, x):
            return x + ops.cast(self.table, "float32") * ops.cast(np.float64(0.5), "float32")

    i = keras.Input((5, 4))
    model = keras.Model(i, layers.Dense(2)(Positions()(i)))
    data = np.random.default_rng(0).normal(size=(32, 5, 4)).astype("float32")
    artifact, wanted = tfc.convert(model, calibration=data, diagnose=False), model.predict(data, verbose=0)
    assert artifact.is_integer
    assert np.sqrt(np.mean((artifact.predict(data) - wanted) ** 2)) < 0.05 * wanted.std()
