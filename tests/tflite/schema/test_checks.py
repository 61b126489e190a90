"""Files that are whole as flatbuffers and say what can't be: each is refused, with its place named."""

import copy

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tfcompress.tflite.schema import flatbuffer
from tfcompress.tflite.schema.checks import check_calls


def kernel(graph):
    return graph.tensors[graph.operators[0].inputs[1]]


def put(value, *path):
    """Sets a field; numbers in the path are elements, "kernel" is that of the first operation."""

    def change(model, graph):
        here = graph
        for key in path[:-1]:
            here = kernel(graph) if key == "kernel" else here[key] if isinstance(key, int) else getattr(here, key)
        setattr(here, path[-1], value)

    return change


def element(value, *path):
    """The same for one element of a vector."""

    def change(model, graph):
        here = graph
        for key in path[:-2]:
            here = here[key] if isinstance(key, int) else getattr(here, key)
        held = [*getattr(here, path[-2])]
        held[path[-1]] = value
        setattr(here, path[-2], held)

    return change


def swapped(model, graph):
    graph.operators[0], graph.operators[1] = graph.operators[1], graph.operators[0]


def doubled(model, graph):
    graph.operators.insert(1, copy.copy(graph.operators[0]))


def short_contents(model, graph):
    buffer = model.buffers[kernel(graph).buffer]
    buffer.data = buffer.data[:-1]


def foreign_options(model, graph):
    graph.operators[0].builtinOptionsType = schema.BuiltinOptions.AddOptions
    graph.operators[0].builtinOptions = schema.AddOptionsT()


def lost_signature(model, graph):
    model.signatureDefs[0].subgraphIndex = 7


def foreign_signature(model, graph):
    model.signatureDefs[0].inputs[0].tensorIndex = int(graph.operators[0].outputs[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (element(-1, "operators", 0, "inputs", 1), r"input 1 of operation 0 \(CONV_2D\) is tensor -1"),
        (element(-1, "operators", 0, "outputs", 0), r"an output of operation 0 \(CONV_2D\) is tensor -1"),
        (element(999, "operators", 0, "inputs", 0), "graph 0 uses a tensor that does not exist"),
        (put([999], "operators", 0, "intermediates"), "graph 0 uses a tensor that does not exist"),
        (put([0], "operators", 0, "inputs"), r"operation 0 \(CONV_2D\) has 1 inputs and 1 outputs; it needs 2 and 1"),
        (element(-1, "inputs", 0), "an input of graph 0 is tensor -1"),
        (element(-1, "outputs", 0), "an output of graph 0 is tensor -1"),
        (put([2], "inputs"), "has contents in the file|which nothing has written"),
        (swapped, "which nothing has written by then"),
        (doubled, "which has contents already"),
        (put([3, 3], "kernel", "shape"), "contradict|need 9 bytes, its buffer holds 36"),
        (put([-4, 3, 3, -1], "kernel", "shape"), r"no tensor has the shape \(-4, 3, 3, -1\)"),
        (short_contents, "need 36 bytes, its buffer holds 35"),
        (put([2**31 - 1, 2**31 - 1, -7, 1], "tensors", 0, "shapeSignature"), "no tensor has the shape"),
        (put([1, 9, 8, 1], "tensors", 0, "shapeSignature"), "contradict"),
        (put([1, 2**16, 2**16, 1], "tensors", 0, "shape"), "contradict|at most 2,147,483,647 are read"),
        (put(np.array([np.nan], "f4"), "tensors", 0, "quantization", "scale"), "nan is no scale"),
        (put(np.array([np.inf], "f4"), "tensors", 0, "quantization", "scale"), "inf is no scale"),
        (put(np.array([0], "f4"), "tensors", 0, "quantization", "scale"), "0.0 is no scale"),
        (put(np.array([-1], "f4"), "tensors", 0, "quantization", "scale"), "-1.0 is no scale"),
        (put(np.array([-(2**62)]), "tensors", 0, "quantization", "zeroPoint"), "no zero point of the type int8"),
        (put(np.array([128]), "tensors", 0, "quantization", "zeroPoint"), "128 is no zero point of the type int8"),
        (put(np.array([0, 0]), "tensors", 0, "quantization", "zeroPoint"), "1 scales and 2 zero points"),
        (put(np.array([], "f4"), "tensors", 0, "quantization", "scale"), "it has 1 zero points and no scale"),
        (put(3, "kernel", "quantization", "quantizedDimension"), "4 scales along dimension 3 do not fit"),
        (put(-1, "kernel", "quantization", "quantizedDimension"), "4 scales along dimension -1 do not fit"),
        (foreign_options, "has the options of another operation"),
        (lost_signature, "graph 7, which does not exist"),
        (foreign_signature, "which is none of its inputs"),
    ],
)
def test_what_cannot_be_is_refused_by_its_place(tiny_files, change, message, edited):
    with pytest.raises(ValueError, match=f"cut off or damaged.*({message})"):
        flatbuffer.read(edited(tiny_files["int8"], change))


def test_a_bias_of_a_microcontroller_file_may_name_a_dimension_of_the_kernel(tiny_files, edited):
    def change(model, graph):
        graph.tensors[graph.operators[0].inputs[2]].quantization.quantizedDimension = 3

    graph = flatbuffer.read(edited(tiny_files["int8"], change)).graphs[0]
    assert graph.tensors[graph.ops[0].inputs[2]].scale.size == 4


def test_sixteen_bit_files_of_the_converter_may_have_scales_of_zero(tiny_files, edited):
    content = edited(tiny_files["int16x8"], put(np.array([0], "f4"), "tensors", 0, "quantization", "scale"))
    assert flatbuffer.read(content).graphs[0].tensors[0].scale == 0


def test_graphs_that_call_themselves_are_refused():
    check_calls([[1, 2], [2], []])
    for calls, message in (([[1], [0]], "graph 0 calls itself"), ([[0]], "calls itself"), ([[1]], "does not exist")):
        with pytest.raises(ValueError, match=message):
            check_calls(calls)


def test_a_graph_that_runs_itself_is_refused_before_the_runtime_sees_it(tiny_files, edited):
    def change(model, graph):
        model.operatorCodes[graph.operators[0].opcodeIndex].builtinCode = schema.BuiltinOperator.IF
        model.operatorCodes[graph.operators[0].opcodeIndex].deprecatedBuiltinCode = schema.BuiltinOperator.IF
        graph.operators[0].builtinOptionsType = schema.BuiltinOptions.IfOptions
        graph.operators[0].builtinOptions = schema.IfOptionsT()

    with pytest.raises(ValueError, match="graph 0 calls itself"):
        flatbuffer.read(edited(tiny_files["int8"], change))


def test_state_of_an_open_size_is_not_written(tiny_files, edited):
    def change(model, graph):
        graph.tensors[graph.operators[-1].outputs[0]].isVariable = True

    assert flatbuffer.read(edited(tiny_files["float32"], change)).graphs[0].tensors[-1].is_variable
    with pytest.raises(ValueError, match=r"writes the state \d+, whose shape \(-1, \d+\) is open"):
        flatbuffer.read(edited(tiny_files["float32_dynamic"], change))


@pytest.mark.parametrize(("end", "message"), [("inputs", "tensor 0 of the type int8"), ("outputs", "of the type int8")])
def test_a_branch_takes_and_gives_what_its_graph_does(edited, end, message):
    """The runtime copies the bytes of one into the other's place, also behind its end."""
    import tensorflow as tf

    module = tf.Module()
    module.run = tf.function(
        lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x + 1, lambda: x * 2), [tf.TensorSpec((1, 4), tf.float32)]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.run.get_concrete_function()], module)
    content = converter.convert()
    (branch,) = [op for op in flatbuffer.read(content).graphs[0].ops if op.name == "IF"]
    index = branch.inputs[1] if end == "inputs" else branch.outputs[0]

    def change(model, graph):
        graph.tensors[index].type = schema.TensorType.INT8

    with pytest.raises(ValueError, match=rf"operation {branch.index} \(IF\) .*{message}, which is float32 in graph"):
        flatbuffer.read(edited(content, change))


@pytest.mark.slow
def test_the_runtime_reads_what_is_accepted(tiny_files):
    for content in tiny_files.values():
        assert flatbuffer.read(content).graphs
        Interpreter(model_content=content)
