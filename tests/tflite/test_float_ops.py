"""Which files count as integer ones, on real conversions of each mode."""

import pytest

from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.float_ops import float_ops
from tfcompress.tflite.schema import flatbuffer


@pytest.mark.parametrize(
    "name",
    [
        "int8",
        "uint8",
        "int8_float_io",
        "int8_dynamic",
        "int16x8",
        "int16x8_float_io",
        "two_int8",
    ],
)
def test_integer_files(tiny_files, name):
    assert float_ops(flatbuffer.read(tiny_files[name])) == ()
    assert Artifact(tiny_files[name]).is_integer


def test_a_float_op_between_integer_ones_is_named_alone(tiny_files):
    model = flatbuffer.read(tiny_files["elu_int8"])
    # The casts around it are in the file, but are no cause of their own.
    assert {"DEQUANTIZE", "ELU", "QUANTIZE"} <= {op.name for op in model.graphs[0].ops}
    assert [op.name for op in float_ops(model)] == ["ELU"]
    assert not Artifact(tiny_files["elu_int8"]).is_integer


@pytest.mark.parametrize("name", ["float32", "float16", "float32_dynamic"])
def test_every_op_that_computes_in_float_is_named(tiny_files, name):
    model = flatbuffer.read(tiny_files[name])
    named = [op.name for op in float_ops(model)]
    without_values = {"SHAPE", "STRIDED_SLICE", "PACK", "DEQUANTIZE"}
    assert named == [op.name for op in model.graphs[0].ops if op.name not in without_values]


def test_flex_ops_are_named(tiny_files):
    assert [op.name for op in float_ops(flatbuffer.read(tiny_files["flex"]))] == ["FlexSinh"]


def test_a_detour_through_float_is_named(tiny_files):
    model = flatbuffer.read(tiny_files["elu_int8"])
    graph = model.graphs[0]
    # Without the ELU between them, the two casts are all that keeps the file in float.
    (elu,) = [op for op in graph.ops if op.name == "ELU"]
    before, after = graph.ops[elu.index - 1], graph.ops[elu.index + 1]
    joined = flatbuffer.Op(after.index, after.name, 1, before.outputs, after.outputs, False, False, 0)
    ops = (*graph.ops[: elu.index], joined, *graph.ops[elu.index + 2 :])
    shortened = flatbuffer.Graph(graph.tensors, ops, graph.inputs, graph.outputs, 0, "main")
    detour = flatbuffer.Model((shortened,), model.signatures, "", (), {}, "")
    assert [op.name for op in float_ops(detour)] == ["DEQUANTIZE", "QUANTIZE"]
