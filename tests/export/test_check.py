"""What no file can hold is said at once, by layer, before training and before conversion."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.export.unconvertible import NotConvertible

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


class Bent(L.Layer):
    """Two operations without an integer kernel, one with."""

    def call(self, x):
        return ops.cos(ops.sin(x)) + 1.0


def volume():
    i = keras.Input((4, 6, 6, 1))
    return keras.Model(i, L.Dense(3)(L.Flatten()(L.Conv3D(2, 3, name="c")(i)))), {"CONV_3D"}


def bent():
    i = keras.Input((6,))
    return keras.Model(i, L.Dense(3)(Bent(name="c")(L.Dense(4)(i)))), {"SIN", "COS"}


@pytest.mark.parametrize("make", [volume, bent])
def test_the_plan_says_what_stays_float_and_its_way_out_works(make):
    model, wanted = make()
    x = np.random.default_rng(0).random((64, *model.input.shape[1:]), "float32")
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    model.compile("adam", "mse")
    compression.set_model(model)
    said = [r.action for r in compression.plan.rows if r.layer == "c" and "stays float" in r.action]
    assert {text.split()[0] for text in said} == wanted and all("allow_float" in text for text in said)
    model.fit(x, np.zeros((64, 3)), verbose=0, callbacks=[compression])
    with pytest.raises(tfc.NotFullyInteger) as refused:
        compression.convert()
    advised = str(refused.value).rsplit("allow_float=", 1)[1]
    assert all(name in advised for name in wanted) and "ADD" not in advised
    artifact = compression.convert(allow_float=sorted(wanted))
    assert wanted <= {op.name for op in artifact.float_ops()}
    assert {artifact.layer_of(op).split("/")[0] for op in artifact.float_ops()} == {"c"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leave_float": ["cc"]}, "leave_float names no layer of model .*'cc'.*Its layers are: .*c, "),
        ({"leave_float": [L.LSTM]}, "leave_float names no layer"),
        ({"allow_float": ["CONV3D"]}, "allow_float names neither an operation of LiteRT .* nor a layer .*'CONV3D'"),
    ],
)
def test_a_name_that_means_nothing_is_refused(options, message):
    model, _ = volume()
    with pytest.raises(ValueError, match=message):
        tfc.convert(model, **options)


def test_an_output_without_an_axis_of_samples_is_refused():
    i = keras.Input((6,))
    h = L.Dense(3)(i)
    with pytest.raises(ValueError, match=r"Output 1 of model .* shape \(\), without an axis of samples"):
        tfc.convert(keras.Model(i, [h, ops.mean(h)]), "float32")
