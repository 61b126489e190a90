"""Copies compute what the layers compute; a layer that can't be rebuilt is kept and stops nothing."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfcompress as tfc
from tfcompress.graph.clone import copied


class Scale(L.Layer):
    """A layer whose configuration has more than its constructor takes."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, x):
        return x / self.size

    def get_config(self):
        return {**super().get_config(), "size": self.size, "area": self.size**2}


class Swapped(L.Layer):
    """A layer whose configuration builds another one."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, x):
        return ops.reshape(x @ self.kernel, (-1, 4)) if self.units == 4 else ops.reshape(x @ self.kernel, (-1, 2, 4))

    def get_config(self):
        return super().get_config()


def pictures():
    return np.random.default_rng(0).normal(size=(8, 16, 16, 3)).astype("float32")


@pytest.mark.parametrize("technique", [tfc.PruneChannels(0.5, round_to=1), tfc.Fold(), tfc.LowRank(energy=0.9)])
def test_a_layer_that_its_configuration_does_not_rebuild_stops_no_change(technique):
    i = keras.Input((16, 16, 3))
    x = L.Conv2D(16, 3, activation="relu")(L.Conv2D(16, 3, activation="relu")(Scale(2, name="scale")(i)))
    model = keras.Model(i, L.Dense(3)(L.GlobalAveragePooling2D()(x)))
    made = technique.apply(model)
    assert made.count_params() <= model.count_params()
    assert np.isfinite(made.predict(pictures(), verbose=0)).all()


def test_it_is_kept_as_the_same_object():
    i = keras.Input((4,))
    model = keras.Model(i, L.Dense(2)(Scale(2, name="scale")(i)))
    copy, _ = copied(model)
    assert copy.get_layer("scale") is model.get_layer("scale")
    assert copy.layers[-1] is not model.layers[-1]


def test_one_whose_configuration_builds_another_layer_is_kept_too():
    i = keras.Input((4,))
    model = keras.Model(i, Swapped(8, name="swapped")(i))
    copy, _ = copied(model)
    x = np.ones((3, 4), "float32")
    assert np.array_equal(copy(x), model(x))


def test_an_activation_function_is_copied_as_it_is():
    i = keras.Input((8,))
    model = keras.Model(i, L.Dense(4)(L.Dense(16, activation=ops.gelu)(i)))
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    assert copied(model)[0].layers[1].activation is ops.gelu
    for technique in (tfc.Fold(), tfc.PruneChannels(0.0)):
        assert np.abs(technique.apply(model).predict(x, verbose=0) - model.predict(x, verbose=0)).max() <= 1e-6


def test_a_regularizer_of_ones_own_needs_no_registration():
    class Own(keras.regularizers.Regularizer):
        def __call__(self, x):
            return 0.5 * ops.sum(ops.abs(x))

        def get_config(self):
            return {}

    i = keras.Input((8,))
    model = keras.Model(i, L.Dense(4)(L.Dense(16, kernel_regularizer=Own())(i)))
    small = tfc.PruneChannels(0.5, round_to=1).apply(model)
    assert isinstance(small.layers[1].kernel_regularizer, Own) and small.layers[1].units == 8
