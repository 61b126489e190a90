"""Layers that are dead on the data get scales that LiteRT's kernels accept, with XNNPACK and without."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

pytestmark = pytest.mark.sampled(4)

L = keras.layers


def dense(x):
    return L.Dense(4)(L.Dense(8, activation="relu")(L.Dense(8, activation="relu", name="dead")(L.Flatten()(x))))


def residual(x):
    a = L.Conv2D(8, 3, padding="same")(x)
    b = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, padding="same", name="dead")(a)))
    return L.Dense(3)(L.GlobalAveragePooling2D()(L.Add()([a, b])))


def squeeze_excite(x):
    a = L.Conv2D(8, 3, padding="same", activation="silu")(x)
    s = L.Dense(4, activation="relu", name="dead")(L.GlobalAveragePooling2D()(a))
    s = L.Reshape((1, 1, 8))(L.Dense(8, activation="sigmoid")(s))
    return L.Dense(3)(L.GlobalAveragePooling2D()(L.Multiply()([a, s])))


def pooled(x):
    a = L.AveragePooling2D(2)(L.MaxPooling2D()(L.Conv2D(8, 3, padding="same", activation="relu", name="dead")(x)))
    b = L.Conv2D(4, 3, strides=4, padding="same")(x)
    y = L.LayerNormalization()(L.SeparableConv2D(4, 2)(L.Concatenate()([a, b])))
    return L.Dense(3)(L.Flatten()(y))


def attended(x):
    a = L.Reshape((16, 8))(L.Conv2D(2, 3, padding="same", activation="relu", name="dead")(x))
    return L.Dense(3)(L.Flatten()(L.MultiHeadAttention(2, 4)(a, a)))


def built(net):
    keras.utils.set_random_seed(1)
    x = keras.Input((8, 8, 3))
    return keras.Model(x, net(x)), np.random.default_rng(0).random((40, 8, 8, 3), "float32")


def worst(model, artifact, x):
    wanted = model.predict(x, verbose=0)
    return max(np.abs(artifact.predict(x, xnnpack=on) - wanted).max() for on in (True, False)), np.ptp(wanted)


@pytest.mark.parametrize("net", [dense, residual, squeeze_excite, pooled, attended])
def test_a_dead_layer_converts(net):
    model, x = built(net)
    layer = model.get_layer("dead")
    layer.bias.assign(np.full(layer.bias.shape, -100.0))
    artifact = tfc.convert(model, calibration=x)
    error, spread = worst(model, artifact, x)
    assert artifact.is_integer and error <= 0.05 * spread
    assert any("only zeros" in note for note in artifact.metadata["notes"])


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-7, 1e-12])
def test_values_far_below_the_rest_convert(scale):
    model, x = built(residual)
    for v in (model.get_layer("dead").kernel, model.get_layer("dead").bias):
        v.assign(v * scale)
    error, spread = worst(model, tfc.convert(model, calibration=x), x)
    assert error <= 0.05 * spread


@pytest.mark.slow
def test_a_layer_that_died_in_training_converts():
    model, x = built(residual)
    layer = model.get_layer("dead")
    layer.bias.assign(np.full(layer.bias.shape, -100.0))
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    compression = tfc.Compression([tfc.Quantize("int8")], verbose=0)
    model.fit(x, np.zeros((40, 3)), epochs=1, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    simulated = compression.predict(x)
    for on in (True, False):
        gap = np.abs(artifact.predict(x, xnnpack=on) - simulated).max() / artifact.outputs[0].scale
        assert gap < 2.5
