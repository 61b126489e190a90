"""A port that differs is refused, with the name of the layer where the difference begins."""

import keras
import numpy as np
import pytest

from tfcompress.legacy.network.network import network
from tfcompress.legacy.port import port
from tfcompress.legacy.proof import prove
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.values import PortOptions
from tfcompress.legacy.weights.placing import place

tf_keras = pytest.importorskip("tf_keras")
L = tf_keras.layers
pytestmark = pytest.mark.legacy


class Twice(L.Layer):
    def call(self, x):
        return x * 2.0


class Same(keras.layers.Layer):
    def call(self, x):
        return x * 2.0


class Nearly(keras.layers.Layer):
    def call(self, x):
        return x * 2.001


def with_own_layer():
    """Models in the way: one made by itself, one called twice, an LSTM that takes states."""
    tf_keras.utils.set_random_seed(0)
    z = tf_keras.Input((4,))
    inner = tf_keras.Model(z, L.Dense(4, name="deep")(z), name="inner")
    x = tf_keras.Input((4,))
    y = Twice(name="own")(inner(L.Dense(4, name="first")(x)))
    y = inner(tf_keras.Sequential([tf_keras.Input((4,)), L.Dense(4)], name="chain")(y))
    return tf_keras.Model(x, L.LSTM(4, name="last")(L.RepeatVector(3)(y), initial_state=[y, y]))


def test_a_layer_that_differs_is_named():
    model = with_own_layer()
    assert isinstance(port(model, custom_objects={"Twice": Same}), keras.Model)
    with pytest.raises(NotPorted, match=r"'own' \(Twice\).*differs by 0.0005 of the largest"):
        port(model, custom_objects={"Twice": Nearly})


def test_a_layer_behind_a_mask_is_named():
    x = tf_keras.Input((5,))
    y = L.LSTM(2)(Twice(name="own")(L.Embedding(9, 3, mask_zero=True)(x)))
    with pytest.raises(NotPorted, match="'own'"):
        port(tf_keras.Model(x, y), custom_objects={"Twice": Nearly})


def test_a_weight_that_is_off_is_seen():
    model = tf_keras.Sequential([tf_keras.Input((4,)), L.Dense(3, name="one"), L.Dense(2, name="two")])
    found = network({"class_name": "Sequential", "config": model.get_config()}, PortOptions())
    weights = {layer.name: [(w.name, np.asarray(w)) for w in layer.weights] for layer in model.layers}
    place(found, weights)
    assert prove(model, found) <= 1e-6
    found.inside[1].layer.bias.assign([0.1, 0.0])
    with pytest.raises(NotPorted, match=r"'two' \(Dense\)"):
        prove(model, found)


def test_the_size_of_the_input_is_found():
    x = tf_keras.Input((None, None, 1))
    y = x
    for _ in range(6):
        y = L.MaxPooling2D(2)(y)  # no output below 64
    assert port(tf_keras.Model(x, L.Conv2D(2, 1)(y))).output_shape == (None, None, None, 2)
