"""LoRA: what is done to a kernel is done to kernel and adapter together."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

L = keras.layers


def lora():
    model = keras.Sequential([keras.Input((20,)), L.Dense(16, activation="relu", name="d"), L.Dense(3, name="e")])
    model.get_layer("d").enable_lora(4)
    rng = np.random.default_rng(1)
    b = model.get_layer("d").lora_kernel_b
    b.assign(rng.normal(size=b.shape))
    model.compile("adam", "mse", jit_compile=False)
    return model


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(64, 20)).astype("float32")


def fit(model, x, recipe):
    compression = tfc.Compression(recipe, verbose=0)
    model.fit(x, x[:, :3], epochs=2, verbose=0, callbacks=[compression])
    return compression


@pytest.mark.parametrize(("mode", "error"), [("float32", 1e-5), ("int8", 0.03)])
def test_a_file_has_the_sum(mode, error, x):
    model = lora()
    wanted = model.predict(x, verbose=0)
    got = tfc.convert(model, mode, calibration=x).predict(x)
    assert np.sqrt(np.mean((got - wanted) ** 2)) <= error * wanted.std()


def test_the_sum_is_pruned(x):
    model = lora()
    fit(model, x, tfc.Prune(0.5))
    assert (np.asarray(model.get_layer("d").kernel) == 0).mean() == 0.5
    assert model.get_layer("d").lora_enabled


def test_the_adapter_trains_under_quantization(x):
    model = lora()
    before = np.asarray(model.get_layer("d").lora_kernel_a)
    compression = fit(model, x, tfc.Quantize("int8"))
    assert not np.array_equal(before, model.get_layer("d").lora_kernel_a)
    artifact = compression.convert(calibration=x)
    assert np.abs(artifact.predict(x) - compression.predict(x)).max() <= 1.01 * artifact.outputs[0].scale


def test_channels_of_the_sum_are_cut(x):
    model = lora()
    cut = tfc.PruneChannels(0.5, round_to=1).apply(model)
    assert cut.get_layer("d").units == 8 and not cut.get_layer("d").lora_enabled
    assert np.allclose(tfc.Fold().apply(model).predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
