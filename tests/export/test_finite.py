"""What is not finite is refused by the layer's name, in every mode, before any converter sees it."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.file_formats import MODES

L = keras.layers
X = np.random.default_rng(0).normal(size=(24, 6, 6, 2)).astype("float32")


def net():
    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(4, 3, name="c"), L.BatchNormalization(name="bn"), L.ReLU(), L.Flatten(), L.Dense(3, name="d")]
    return keras.Sequential([keras.Input((6, 6, 2)), *layers])


def spoiled(layer, weight, value):
    model = net()
    variable = getattr(model.get_layer(layer), weight)
    array = np.asarray(variable.value).copy()
    array.flat[1] = value
    variable.assign(array)
    return model


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "layer, weight, value", [("d", "kernel", np.inf), ("c", "kernel", np.nan), ("c", "bias", -np.inf)]
)
def test_a_weight_is_named(mode, layer, weight, value):
    with pytest.raises(ValueError, match=f"layer '{layer}' are not finite: {weight}: 1 of"):
        tfc.convert(spoiled(layer, weight, value), mode=mode, calibration=X)


@pytest.mark.parametrize("mode", ["int8", "float32"])
def test_a_negative_variance_is_named(mode):
    with pytest.raises(ValueError, match="moving_variance of layer 'bn' holds -3"):
        tfc.convert(spoiled("bn", "moving_variance", -3.0), mode=mode, calibration=X)


@pytest.mark.parametrize("mode", MODES)
def test_answers_that_overflow_name_their_layer(mode):
    model = net()
    kernel = model.get_layer("d").kernel
    kernel.assign(np.full(kernel.shape, 3e38))
    with pytest.raises(ValueError, match="layer whose values are not finite is 'd'"):
        tfc.convert(model, mode=mode, calibration=X)


def test_a_function_out_of_its_domain_names_its_layer():
    model = keras.Sequential([keras.Input((8,)), L.Dense(4), L.Lambda(keras.ops.log, name="logarithm")])
    with pytest.raises(ValueError, match="'logarithm'"):
        tfc.convert(model, calibration=X.reshape(24, -1)[:, :8])


def test_ranges_no_scale_can_hold_are_named():
    model = net()
    kernel = model.get_layer("d").kernel
    kernel.assign(np.asarray(kernel.value) * 2e38 / np.abs(kernel.value).max())
    with pytest.raises(ValueError, match="range of d|'d'"):
        tfc.convert(model, calibration=X)


def test_a_training_that_diverged_is_refused_by_name():
    model = keras.Sequential([keras.Input((10,)), L.Dense(16, activation="relu", name="first"), L.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e25), loss, jit_compile=False)
    x = np.random.default_rng(0).normal(size=(96, 10)).astype("float32")
    compression = tfc.Compression([tfc.Quantize("int8")], verbose=0)
    stop = keras.callbacks.TerminateOnNaN()
    model.fit(x, np.arange(96) % 3, epochs=2, verbose=0, callbacks=[stop, compression])
    with pytest.raises(ValueError, match="weights of 'first'.* are not finite: the training diverged"):
        compression.convert(calibration=x)


@pytest.mark.parametrize("technique", [tfc.PruneChannels(0.5), tfc.Fold(), tfc.LowRank(energy=0.9)])
def test_surgery_refuses_them_too(technique):
    model = keras.Sequential([keras.Input((8,)), L.Dense(16, activation="relu", name="first"), L.Dense(2)])
    model.layers[0].kernel.assign(np.full((8, 16), np.nan))
    with pytest.raises(ValueError, match=f"{technique.name}: weights of layer 'first' are not finite"):
        technique.apply(model)
    with pytest.raises(ValueError, match="compress: weights of layer 'first'"):
        tfc.compress(model, [technique, tfc.Prune(0.5)], verbose=0)


def test_samples_the_model_can_not_take_are_told():
    model = keras.Sequential([keras.Input((4,), dtype="int32"), L.Embedding(6, 3), L.Flatten(), L.Dense(2)])
    with pytest.raises(ValueError, match="itself fails on the calibration samples.*input_dim - 1"):
        tfc.convert(model, calibration=np.full((12, 4), 7) - np.arange(12)[:, None] % 2)
