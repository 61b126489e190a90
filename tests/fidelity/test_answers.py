"""What the answers of an output mean is read off the file and the loss."""

import keras
import pytest

import tfcompress as tfc
from tfcompress.fidelity.answers import kind_of, losses
from tfcompress.tflite.fidelity import CLASSES, PROBABILITIES, THRESHOLD, VALUES

L = keras.layers


def kind(rng, *layers, loss=""):
    model = keras.Sequential([keras.Input((6, 6, 2)), *layers])
    artifact = tfc.convert(model, calibration=rng.random((12, 6, 6, 2)).astype("float32"))
    return kind_of(artifact, artifact.outputs[0], loss)


@pytest.mark.slow
@pytest.mark.e2e
def test_meaning_by_the_last_operation(rng):
    flat = L.Flatten()
    assert kind(rng, flat, L.Dense(3, activation="softmax")) == PROBABILITIES
    assert kind(rng, L.Conv2D(3, 1), L.Softmax()) == PROBABILITIES
    assert kind(rng, L.Flatten(), L.Dense(1, activation="sigmoid")) == THRESHOLD
    assert kind(rng, L.Flatten(), L.Dense(3)) == CLASSES
    assert kind(rng, L.Flatten(), L.Dense(1)) == VALUES
    assert kind(rng, L.Conv2D(1, 1, activation="sigmoid")) == VALUES
    assert kind(rng, L.Conv2D(1, 1, activation="sigmoid"), loss="binary_crossentropy") == THRESHOLD
    assert kind(rng, L.Conv2D(3, 1)) == VALUES
    assert kind(rng, L.Flatten(), L.Dense(3, activation="sigmoid")) == VALUES


@pytest.mark.e2e
def test_a_loss_says_what_a_dense_layer_does_not(rng):
    assert kind(rng, L.Flatten(), L.Dense(3), loss="mean_squared_error") == VALUES
    assert kind(rng, L.Flatten(), L.Dense(3), loss="sparse_categorical_crossentropy") == CLASSES
    assert kind(rng, L.Conv2D(3, 1), loss="categorical_crossentropy") == CLASSES


def test_losses_by_output():
    i = keras.Input((2,))
    model = keras.Model(i, {"a": L.Dense(1)(i), "b": L.Dense(2)(i)})
    assert losses(model, ["a", "b"]) == {}
    model.compile("sgd", {"a": "mse", "b": keras.losses.SparseCategoricalCrossentropy(from_logits=True)})
    assert losses(model, ["a", "b"]) == {"a": "mse", "b": "sparse_categorical_crossentropy"}
    single = keras.Sequential([keras.Input((2,)), L.Dense(1)])
    single.compile("sgd", lambda y, p: keras.ops.mean(p))
    assert losses(single, ["output_0"]) == {"output_0": "<lambda>"}
    assert losses(object(), ["x"]) == {}
