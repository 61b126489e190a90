"""What a layer ends in: its activation function, and whether that gives probabilities."""

import keras
import pytest

from tfcompress.layer_table.lookup import activation, probabilities

L = keras.layers


def test_a_linear_activation_is_none():
    assert activation(L.Dense(2)) is activation(L.Dense(2, activation="linear")) is activation(L.Flatten()) is None
    assert activation(L.Dense(2, activation="relu")) is keras.activations.relu
    assert activation(L.Activation("tanh")) is keras.activations.tanh


def test_what_is_no_function_is_no_activation():
    class Named(L.Layer):
        activation = "relu"

    assert activation(Named()) is None


@pytest.mark.parametrize(
    "layer, expected",
    [
        (L.Dense(2, activation="softmax"), "softmax"),
        (L.Dense(2, activation="sigmoid"), "sigmoid"),
        (L.Activation("softmax"), "softmax"),
        (L.Softmax(), "softmax"),
        (L.Dense(2, activation="tanh"), None),
        (L.ReLU(), None),
    ],
)
def test_where_probabilities_come_from(layer, expected):
    assert probabilities(layer) == expected


def test_nodes_of_keras_ops_give_them_too():
    x = keras.Input((3,))
    model = keras.Model(x, [keras.ops.softmax(x), keras.ops.sigmoid(x), keras.ops.relu(x)])
    found = [probabilities(op) for op in model.operations if not isinstance(op, L.InputLayer)]
    assert sorted(map(str, found)) == ["None", "sigmoid", "softmax"]
