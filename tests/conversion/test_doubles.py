"""Numbers of float64, asked for or slipped in, are float32 in every file."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

pytestmark = pytest.mark.sampled(3)

L = keras.layers
X = np.random.default_rng(0).normal(size=(64, 6, 8)).astype("float32")


def slipped_in():
    """`np.sqrt` makes a float64 of every number that it meets."""
    i = keras.Input((6, 8))
    query, key = L.Dense(8)(i), L.Dense(8)(i)
    scores = keras.ops.matmul(query, keras.ops.transpose(key, (0, 2, 1))) / np.sqrt(8.0)
    return keras.Model(i, L.Dense(2)(L.Flatten()(keras.ops.softmax(scores))))


def asked_for():
    i = keras.Input((6, 8), dtype="float64")
    h = L.BatchNormalization(dtype="float64")(L.Dense(8, activation="tanh", dtype="float64")(i))
    return keras.Model(i, L.Dense(2, dtype="float64")(L.Flatten(dtype="float64")(h)))


@pytest.mark.parametrize("make", [slipped_in, asked_for])
@pytest.mark.parametrize(
    ("mode", "error"), [("float32", 1e-5), ("float16", 5e-3), ("dynamic", 0.05), ("int16x8", 0.02), ("int8", 0.1)]
)
def test_every_mode_answers_as_the_model(make, mode, error):
    keras.utils.set_random_seed(0)
    model = make()
    wanted = model.predict(X, verbose=0)
    artifact = tfc.convert(model, mode, calibration=X)
    assert "float64" not in {t.dtype for t in artifact.model.graphs[0].tensors}
    assert mode != "int8" or artifact.is_integer
    assert np.sqrt(np.mean((artifact.predict(X) - wanted) ** 2)) <= error * wanted.std()


@pytest.mark.parametrize("make", [slipped_in, asked_for])
def test_they_are_trained_and_the_file_is_what_was_trained(make):
    keras.utils.set_random_seed(0)
    model = make()
    model.compile("adam", "mse")
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    model.fit(X, np.random.default_rng(1).random((64, 2)), epochs=2, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=X)
    assert artifact.is_integer
    assert np.abs(artifact.predict(X) - compression.predict(X)).max() <= 4.01 * artifact.outputs[0].scale
    assert np.mean(model.layers[1].kernel.numpy() == 0) >= 0.45
