"""Law: channels with equal features differ, wherever they are read, by the factor of their sizes there."""

import keras
import numpy as np
import pytest

from tfcompress.channels.dependency import groups
from tfcompress.layer_table.lookup import describe, remove_rows
from tfcompress.similarity.by_weights import collect_features
from tfcompress.similarity.candidates import CompareWeights, alike
from tfcompress.similarity.linear_forms import scales

L = keras.layers


def compared(model):
    channels = groups(model)
    found = collect_features(model, channels)
    sets = alike(channels, found)
    return found, sets, CompareWeights(channels, found, sets)


def test_every_set_of_random_weights_is_alike_to_itself_only(cuttable):
    _, sets, by = compared(cuttable)
    assert sets
    for like in by.like:
        np.testing.assert_allclose(np.diag(like), 1.0, rtol=1e-12)
        np.testing.assert_array_equal(like, like.T)
        assert (like - 2 * np.eye(len(like))).max() < 1 - 1e-4


def dense(activation):
    model = keras.Sequential([keras.Input((2,)), L.Dense(3, activation=activation, name="a"), L.Dense(2, name="b")])
    model.layers[0].set_weights([np.array([[1.0, 2.0, -1.0], [3.0, 6.0, -3.0]]), np.array([0.5, 1.0, -0.5])])
    return model


@pytest.mark.parametrize("activation", ["linear", "relu", "leaky_relu"])
def test_direction_counts_where_a_factor_goes_through(activation):
    found, (only,), by = compared(dense(activation))
    assert only.exact == () and by.like[0][0, 1] == pytest.approx(1, abs=1e-12)
    assert by.like[0][0, 2] == pytest.approx(-1)
    size = found.reads[-1].size
    np.testing.assert_allclose(size / size[0], [1, 2, 1])


@pytest.mark.parametrize("activation", ["relu6", "sigmoid", "tanh", "gelu", "elu", "silu", "softplus"])
def test_size_counts_where_no_factor_goes_through(activation):
    _, (only,), by = compared(dense(activation))
    # 2 a.b / (a.a + b.b) with b = 2 a
    assert only.exact == ("a",) and by.like[0][0, 1] == pytest.approx(2 * 2 / (1 + 4))


def test_normalization_is_part_of_what_makes_a_channel():
    x = inputs = keras.Input((4,))
    x = L.ReLU()(L.BatchNormalization(name="n", epsilon=0.0)(L.Dense(2, name="a")(x)))
    model = keras.Model(inputs, L.Dense(1)(x))
    kernel = np.random.default_rng(0).normal(size=(4, 1))
    model.get_layer("a").set_weights([np.hstack([kernel, 3 * kernel]), np.array([0.5, 7.0])])
    # 2 (3 z + 7 - 5.5 - 3 * 0.5) = 6 z, as gamma 1 and mean 0.5 make z of z + 0.5
    model.get_layer("n").set_weights([np.array([1, 2]), np.zeros(2), np.array([0.5, 7.0]), np.ones(2)])
    found, _, by = compared(model)
    assert by.like[0][0, 1] == pytest.approx(1, abs=1e-9)
    assert found.reads[-1].size[1] / found.reads[-1].size[0] == pytest.approx(6)
    model.get_layer("n").set_weights([np.array([1, 2]), np.zeros(2), np.array([0.5, 6.0]), np.ones(2)])
    assert compared(model)[2].like[0][0, 1] < 0.99


def test_a_layer_called_twice_must_take_one_factor():
    def made(second):
        a, b = keras.Input((2,)), keras.Input((2,))
        end, left, right = L.Dense(1), L.Dense(2, use_bias=False), L.Dense(2, use_bias=False)
        one = left(a)
        # both joined by a sum of their ends only; their channels are read by the same weights
        model = keras.Model([a, b], end(L.ReLU()(one)) + end(L.ReLU()(right(b))))
        left.set_weights([np.array([[1.0, 2.0], [1.0, 2.0]])])
        right.set_weights([np.array([[1.0, second], [1.0, second]])])
        return compared(model)[2].like[0][0, 1]

    assert made(2.0) == pytest.approx(1, abs=1e-12)
    assert made(3.0) < 0.999


def test_channels_of_your_own_layers_count_with_their_size():
    class Square(L.Layer):
        def call(self, x):
            return x * x

    describe(Square, flow="pass")
    try:
        x = inputs = keras.Input((2,))
        model = keras.Model(inputs, L.Dense(1)(Square(name="s")(L.Dense(2, name="a", use_bias=False)(x))))
        model.get_layer("a").set_weights([np.array([[1.0, 2.0], [1.0, 2.0]])])
        _, (only,), by = compared(model)
        assert only.exact == ("s",) and by.like[0][0, 1] == pytest.approx(0.8)
    finally:
        remove_rows(Square)


@pytest.mark.parametrize("name", ["relu", "linear", "leaky_relu"])
def test_functions_that_scale(name):
    assert scales(keras.activations.get(name), (16,))


@pytest.mark.parametrize("name", ["relu6", "hard_tanh", "hard_sigmoid", "gelu", "silu", "softplus", "exponential"])
def test_functions_that_do_not_scale(name):
    assert not scales(keras.activations.get(name), (16,))
