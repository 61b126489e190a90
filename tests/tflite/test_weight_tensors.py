"""The kernels of a file are found for each op, and biases are not."""

import numpy as np
import pytest

from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.schema import flatbuffer
from tfcompress.tflite.weight_tensors import kernel_tensors


@pytest.mark.parametrize(("name", "dtype"), [("float32", "float32"), ("float16", "float16"), ("int16x8", "int8")])
def test_kernels_hold_as_many_values_as_in_keras(tiny_files, source_model, name, dtype):
    found = {op.name: tensor for op, tensor in kernel_tensors(flatbuffer.read(tiny_files[name]))}
    layers = {"CONV_2D": "conv", "DEPTHWISE_CONV_2D": "depthwise", "FULLY_CONNECTED": "digit"}
    assert set(found) == set(layers)
    for op, layer in layers.items():
        assert found[op].dtype == dtype
        assert found[op].data.size == source_model.get_layer(layer).kernel.shape.num_elements()


def test_float_kernels_equal_those_of_keras(tiny_files, source_model):
    found = {op.name: t.data for op, t in kernel_tensors(flatbuffer.read(tiny_files["float32"]))}
    np.testing.assert_array_equal(found["CONV_2D"], source_model.get_layer("conv").kernel.numpy().transpose(3, 0, 1, 2))
    np.testing.assert_array_equal(found["FULLY_CONNECTED"], source_model.get_layer("digit").kernel.numpy().T)


def test_each_kernel_is_counted_once(tiny_files):
    artifact = Artifact(tiny_files["two_float32"])
    assert sum(values.size for values in artifact.kernels().values()) == 7 * 1 + 7 * 5
    shared = Artifact(tiny_files["shared_float32"])
    ((name, values),) = shared.kernels().items()
    assert values.shape == (4, 6)
    assert [op.name for op in shared.kernel_ops()[name]] == ["FULLY_CONNECTED"] * 2
