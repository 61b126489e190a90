"""The rule of quantization, against the runtime's own QUANTIZE and DEQUANTIZE kernels."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tfcompress.tflite.schema import flatbuffer
from tfcompress.tflite.tensor_spec import TensorSpec, io_specs


def codes_of_runtime(content, values):
    """What the file's first op, a QUANTIZE, makes of the values."""
    op = flatbuffer.read(content).graphs[0].ops[0]
    assert op.name == "QUANTIZE"
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(op.inputs[0], values)
    interpreter.invoke()
    return interpreter.get_tensor(op.outputs[0])


@pytest.mark.parametrize("name", ["int8_float_io", "int16x8_float_io"])
def test_quantize_is_the_runtimes_rule(tiny_files, name):
    graph = flatbuffer.read(tiny_files[name]).graphs[0]
    tensor = graph.tensors[graph.ops[0].outputs[0]]
    spec = TensorSpec("image", tensor.shape, tensor.dtype, float(tensor.scale[0]), int(tensor.zero_point[0]))
    rng = np.random.default_rng(0)
    step = np.float32(spec.scale)
    halves = (np.arange(64, dtype="float32") - 20 + np.float32(0.5)) * step
    for values in (halves, rng.random(64), rng.normal(size=64) * 1e3, np.arange(64) * step):
        values = values.astype("float32").reshape(1, 8, 8, 1)
        np.testing.assert_array_equal(spec.quantize(values), codes_of_runtime(tiny_files[name], values))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_codes_survive_the_way_there_and_back(dtype):
    limits = np.iinfo(dtype)
    spec = TensorSpec("x", (1,), dtype, scale=0.0123, zero_point=3)
    codes = np.arange(limits.min, limits.max + 1).astype(dtype)
    np.testing.assert_array_equal(spec.quantize(spec.dequantize(codes)), codes)


def test_values_outside_of_the_range_are_clipped():
    spec = TensorSpec("x", (1,), "int8", scale=0.1, zero_point=0)
    assert spec.quantize(np.array([-np.inf, -1e30, 1e30, np.inf])).tolist() == [
        -128,
        -128,
        127,
        127,
    ]


def test_plain_integers_must_be_whole_and_in_range():
    spec = TensorSpec("tokens", (1, 3), "int32")
    assert spec.quantize(np.array([[1.0, 2.0, 3.0]])).dtype == np.int32
    for bad in ([[0.5, 1, 2]], [[2**40, 1, 2]]):
        with pytest.raises(ValueError, match="whole int32 numbers"):
            spec.quantize(np.array(bad))
    flags = TensorSpec("flags", (1, 2), "bool")
    assert flags.dequantize(np.array([[True, False]])).dtype == np.bool_


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        TensorSpec("x", (1,), "float32").quantize(np.array([np.nan]))


def test_names_come_from_the_signature(tiny_files):
    inputs, outputs = io_specs(flatbuffer.read(tiny_files["two_int8"]))
    shapes = {spec.name: spec.shape for spec in (*inputs, *outputs)}
    assert shapes == {"left": (1, 4), "right": (1, 3), "total": (1, 1), "parts": (1, 5)}
