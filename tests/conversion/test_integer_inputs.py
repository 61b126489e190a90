"""Inputs of integers as inputs of an integer file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc

pytestmark = pytest.mark.sampled(3)

L = keras.layers
PICTURES = np.random.default_rng(0).integers(0, 256, (48, 12, 12, 3)).astype("uint8")
COUNTS = np.random.default_rng(1).integers(0, 50, (48, 12))


def pictures(dtype="uint8"):
    i = keras.Input((12, 12, 3), dtype=dtype)
    h = L.Conv2D(8, 3, activation="relu")(L.Rescaling(1 / 255.0)(i))
    return keras.Model(i, L.Dense(4)(L.GlobalAveragePooling2D()(h)))


def error(artifact, model, x):
    wanted = model.predict(x, verbose=0)
    return np.sqrt(np.mean((artifact.predict(x) - wanted) ** 2)) / wanted.std()


def stock_error(model, x):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[k : k + 1]] for k in range(len(x)))
    from tfcompress.system.silence import quiet
    from tfcompress.tflite.artifact import Artifact

    with quiet():
        return error(Artifact(converter.convert()), model, x)


@pytest.mark.slow
@pytest.mark.parametrize("io", ["int8", "uint8"])
def test_pictures_of_bytes_are_an_integer_input_with_a_code_for_every_value(io):
    model = pictures()
    artifact = tfc.convert(model, calibration=PICTURES, io=io)
    (spec,) = artifact.inputs
    assert artifact.is_integer and spec.dtype == io and spec.scale == 1.0
    assert error(artifact, model, PICTURES) <= 1.2 * stock_error(model, PICTURES) + 1e-3


@pytest.mark.parametrize("dtype", ["int32", "int64", "bool"])
def test_other_integers(dtype):
    x = (COUNTS > 25) if dtype == "bool" else COUNTS.astype(dtype)
    i = keras.Input((12,), dtype=dtype)
    model = keras.Model(i, L.Dense(4)(i))
    artifact = tfc.convert(model, calibration=x)
    assert artifact.is_integer and error(artifact, model, x) < 0.03


def test_bytes_are_trained_and_the_file_is_what_was_trained():
    model = pictures()
    model.compile("adam", "mse")
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    model.fit(PICTURES, np.zeros((48, 4)), epochs=1, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=PICTURES)
    assert artifact.is_integer and artifact.inputs[0].scale == 1.0
    assert np.abs(artifact.predict(PICTURES) - compression.predict(PICTURES)).max() <= 1.01 * artifact.outputs[0].scale


def test_bytes_in_a_session():
    session = tfc.compress(pictures(), tfc.Quantize("int8"))
    session.model.compile("adam", "mse")
    session.model.fit(PICTURES, np.zeros((48, 4)), epochs=1, verbose=0, callbacks=session.callbacks)
    assert session.convert(calibration=PICTURES).is_integer


def test_a_float_file_keeps_the_type():
    model = pictures()
    artifact = tfc.convert(model, "float32")
    assert artifact.inputs[0].dtype == "uint8" and error(artifact, model, PICTURES) < 1e-4


def cast(dtype):
    """A model that turns integers into floats by a cast of its own."""
    i = keras.Input((12, 12, 3), dtype=dtype)
    h = L.Conv2D(8, 3, activation="relu")(keras.ops.cast(i, "float32") / 255.0)
    return keras.Model(i, L.Dense(4)(L.GlobalAveragePooling2D()(h)))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
def test_a_cast_lays_integers_on_the_scale_of_the_input(dtype):
    model, x = cast(dtype), (PICTURES // 2).astype(dtype)  # no sample reaches the end of the type
    artifact = tfc.convert(model, calibration=x)
    assert artifact.is_integer and not {"QUANTIZE", "DEQUANTIZE"} & {row["op"] for row in artifact.ops_table()}
    assert artifact.inputs[0].scale == 1.0 or dtype != "uint8"
    assert error(artifact, model, x) < 0.05


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_integers_that_are_cast_are_trained(dtype):
    model, x = cast(dtype), (PICTURES // 2).astype(dtype)
    model.compile("adam", "mse")
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    model.fit(x, np.zeros((48, 4)), epochs=1, verbose=0, callbacks=[compression])
    artifact = compression.convert()
    assert artifact.is_integer
    assert np.abs(artifact.predict(x) - compression.predict(x)).max() <= 1.01 * artifact.outputs[0].scale
