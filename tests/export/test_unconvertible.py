"""Messages of TensorFlow's converter and of the runtime, in terms of the model."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.export.unconvertible import NotConvertible, shorten_message

L, ops = keras.layers, keras.ops


def by(function):
    i = keras.Input((8, 8))
    return keras.Model(i, L.Lambda(function, name="mine")(L.Dense(8)(i)))


X = np.random.default_rng(0).random((16, 8, 8), "float32")


@pytest.mark.parametrize("mode", ["float32", "int8"])
def test_what_only_the_converter_knows_is_named_with_its_layer(mode):
    with pytest.raises(NotConvertible, match="Asinh in layer 'mine'") as info:
        tfc.convert(by(lambda x: keras.ops.arcsinh(x)), mode, calibration=X)
    assert info.value.refused[0].op == "Asinh" and "loc(" not in str(info.value)
    assert isinstance(info.value, RuntimeError) and isinstance(info.value, ValueError)


@pytest.mark.needs_tensorflow("2.20")  # before, a division is float
def test_a_kernel_that_refuses_its_values_is_named_with_its_layer():
    i = keras.Input((8, 8))
    model = keras.Model(i, L.Lambda(lambda x: 1.0 / x, name="mine")(i))
    x = X + 0.5
    x[0] = 0.0
    with pytest.raises(NotConvertible, match=r"DIV.*divisor"):
        tfc.convert(model, calibration=np.where(x == 0, 1e-3, x))


def test_a_message_is_shortened():
    assert shorten_message('<unknown>:0: error: loc(callsite("a" at "b")): no kernel\n' + "x" * 900).startswith(
        "<unknown>:0"
    )
    assert len(shorten_message("x" * 900)) == 300


@pytest.mark.sampled(3)
@pytest.mark.parametrize("function", [ops.floor, ops.sign, lambda x: ops.mod(x, 0.5)])
def test_the_remedy_of_an_operation_without_an_integer_kernel_works(function):
    model = by(function)
    with pytest.raises(tfc.NotFullyInteger) as info:
        tfc.convert(model, calibration=X)
    names = {f.op for f in info.value.float_ops}
    assert all("allow_float" in f.remedy or "beside it" in f.remedy for f in info.value.float_ops)
    tfc.convert(model, calibration=X, allow_float=names)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("function", "mode", "op"),
    [
        (keras.ops.arcsinh, "float32", "Asinh"),
        (keras.ops.floor, "int16x8", "FLOOR"),
        (lambda h: keras.ops.top_k(h, 3)[0], "int16x8", "TOPK_V2"),
    ],
)
def test_the_layer_is_named_where_the_message_does_not(function, mode, op):
    i = keras.Input((6,))
    made = function(keras.layers.Dense(6)(i))
    model = keras.Model(i, keras.layers.Dense(2)(made))
    with pytest.raises(NotConvertible) as refused:
        tfc.convert(model, mode, calibration=np.random.default_rng(0).random((12, 6)).astype("float32"))
    (found,) = refused.value.refused
    assert found.op == op and found.layer == made._keras_history.operation.name
