"""Layers of flat models are saved and loaded, and yield what they hold."""

import keras
import numpy as np
import pytest

from tfcompress.graph.flat.layers import AlongBatch, ConstantTensor, Weight


@pytest.mark.parametrize("leading, shape", [(True, (1, 4)), (False, (4,))])
def test_a_weight_is_yielded(leading, shape, tmp_path):
    i = keras.Input((2, 4))
    layer = Weight((4,), leading=leading, name="w")
    model = keras.Model(i, keras.ops.add(i, layer(i)))
    layer.weight.assign([1.0, 2.0, 3.0, 4.0])
    x = np.zeros((3, 2, 4), "float32")
    assert tuple(layer(x).shape) == tuple(layer(i).shape) == shape
    assert np.array_equal(model(x)[0, 0], [1, 2, 3, 4])
    model.save(tmp_path / "model.keras")
    assert np.array_equal(keras.models.load_model(tmp_path / "model.keras")(x), model(x))


def test_a_weight_is_read_in_the_type_that_a_layer_computes_in():
    layer = Weight((4,), dtype="mixed_float16")
    assert layer(np.zeros((1, 4), "float16")).dtype == "float16"
    assert layer(keras.Input((4,))).dtype == "float16"


def test_a_constant_keeps_its_type():
    layer = ConstantTensor([[1, 2]], "int32")
    again = ConstantTensor.from_config(layer.get_config())
    assert again(np.zeros((3, 1))).dtype == "int32" and again(keras.Input((1,))).shape == (1, 2)


def test_a_tensor_is_repeated_along_the_batch():
    made = AlongBatch()(np.ones((1, 2, 3), "float32"), np.zeros((5, 1), "float32"))
    assert made.shape == (5, 2, 3)
    assert AlongBatch()(keras.Input((2, 3), batch_size=1), keras.Input((4,))).shape == (None, 2, 3)
