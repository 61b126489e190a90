"""What no file can hold is said at once, by layer, before training and before conversion."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.deploy.unconvertible import NotConvertible

L, ops = keras.layers, keras.ops


class Spectrum(L.Layer):
    def call(self, x):
        return ops.fft2((x, ops.zeros_like(x)))[0]


def lookup():
    i = keras.Input((6,), dtype="int64")
    h = L.IntegerLookup(vocabulary=[3, 5, 7, 11], name="table")(i)
    return keras.Model(i, L.Dense(3)(L.Embedding(5, 4)(h)))


def strings():
    i = keras.Input((6,), dtype="string")
    return keras.Model(i, L.Dense(3)(L.Embedding(5, 4)(L.StringLookup(vocabulary=["a", "b"], name="table")(i))))


def spectrum():
    i = keras.Input((8, 8))
    return keras.Model(i, L.Dense(3)(Spectrum(name="table")(L.Dense(4)(i))))


@pytest.mark.parametrize("make", [lookup, strings, spectrum])
@pytest.mark.parametrize("mode", ["float32", "dynamic", "int8"])
def test_convert_names_the_layer_at_once(make, mode):
    x = np.random.default_rng(0).random((10, 8, 8), "float32") if make is spectrum else None
    with pytest.raises(NotConvertible, match="in layer 'table'.*in the app") as info:
        tfc.convert(make(), mode, calibration=x)
    assert "MLIR" not in str(info.value)


@pytest.mark.parametrize("make", [lookup, strings, spectrum])
def test_a_plan_that_ends_in_an_integer_file_refuses_and_others_say_so(make):
    with pytest.raises(ValueError, match="in layer 'table'"):
        tfc.Compression(tfc.Quantize("int8")).set_model(make())
    compression = tfc.Compression(tfc.Prune(0.5))
    compression.set_model(make())
    assert any(r.layer == "table" and "no .tflite file can hold" in r.action for r in compression.plan.rows)


@pytest.mark.parametrize("mode", ["float32", "int8"])
def test_open_shapes_are_refused_before_the_samples_are_looked_at(mode):
    i = keras.Input((None, None, 3), name="picture")
    model = keras.Model(i, L.UpSampling2D(interpolation="bilinear")(L.Conv2D(4, 3)(i)))
    with pytest.raises(ValueError, match="Input 'picture'.*open dimension"):
        tfc.convert(model, mode, calibration=[np.zeros((8, 8, 3)), np.zeros((4, 8, 3))])


def test_what_does_not_depend_on_the_input_is_a_constant():
    i = keras.Input((8, 8))
    model = keras.Model(i, L.Lambda(lambda x: x + ops.arctan(ops.arange(8, dtype="float32")))(i))
    x = np.ones((2, 8, 8), "float32")
    assert np.allclose(tfc.convert(model, "float32").predict(x), model.predict(x, verbose=0), atol=1e-6)
