"""Splits that TensorFlow's quantizer left float because a part has no reader cut codes; no answer changes by it."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import tfcompress as tfc
from tfcompress.tflite.schema.flatbuffer import read
from tfcompress.tflite.unread_splits import with_integer_splits

KINDS = {
    "SPLIT": lambda x: tf.split(x, 3, axis=1),
    "SPLIT_V": lambda x: tf.split(x, [1, 2, 3], axis=1),
    "UNPACK": lambda x: tf.unstack(x, axis=1),
}
SAMPLES = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")


def by_tensorflow(serve):
    """The integer file that TensorFlow's own converter makes of a function of six numbers."""
    function = tf.function(serve, input_signature=[tf.TensorSpec((1, 6), tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None]] for x in SAMPLES)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter about itself
        return converter.convert()


@pytest.fixture(scope="module", params=KINDS)
def integer(request):
    """A file that cuts codes, every part of them with a reader."""
    return by_tensorflow(lambda x: [tf.nn.sigmoid(part) for part in KINDS[request.param](x)])


def code_of(model, name):
    number = getattr(schema.BuiltinOperator, name)
    model.operatorCodes.append(schema.OperatorCodeT(deprecatedBuiltinCode=number, builtinCode=number, version=1))
    return len(model.operatorCodes) - 1


def floated(graph, index):
    """A float copy of a tensor of codes; its place."""
    tensor, copy = graph.tensors[index], schema.TensorT()
    copy.shape, copy.type, copy.buffer, copy.name = tensor.shape, schema.TensorType.FLOAT32, 0, b"float"
    graph.tensors.append(copy)
    return len(graph.tensors) - 1


def operation(code, source, target):
    return schema.OperatorT(opcodeIndex=code, inputs=[source], outputs=[target])


def float_split(model, graph, kinds=tuple(KINDS)):
    """What the quantizer makes now and then: the split between a DEQUANTIZE and QUANTIZEs."""
    numbers = {getattr(schema.BuiltinOperator, kind) for kind in kinds}
    codes = [max(each.builtinCode, each.deprecatedBuiltinCode) for each in model.operatorCodes]
    place = next(k for k, op in enumerate(graph.operators) if codes[op.opcodeIndex] in numbers)
    op = graph.operators[place]
    op.inputs, op.outputs = list(op.inputs), list(op.outputs)
    source = next(k for k, index in enumerate(op.inputs) if graph.tensors[index].type == schema.TensorType.INT8)
    before = operation(code_of(model, "DEQUANTIZE"), op.inputs[source], floated(graph, op.inputs[source]))
    op.inputs[source] = before.outputs[0]
    after, read_somewhere = [], {index for each in graph.operators for index in each.inputs} | set(graph.outputs)
    quantize = code_of(model, "QUANTIZE")
    for k, index in enumerate(op.outputs):
        part = floated(graph, index)
        if index in read_somewhere:
            after.append(operation(quantize, part, index))
        op.outputs[k] = part
    graph.operators[place : place + 1] = [before, op, *after]
    return after


def other_scale(model, graph):
    part = float_split(model, graph)[0].outputs[0]
    graph.tensors[part].quantization.scale = graph.tensors[part].quantization.scale * np.float32(2)


def answers_float(model, graph):
    graph.outputs = [*graph.outputs, float_split(model, graph)[0].inputs[0]]


def read_twice(model, graph):
    cast = float_split(model, graph)[0]
    target = floated(graph, cast.outputs[0])
    graph.operators.append(operation(code_of(model, "FLOOR"), cast.inputs[0], target))
    graph.outputs = [*graph.outputs, target]


def answers(content):
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    places = interpreter.get_input_details()[0]["index"], [each["index"] for each in interpreter.get_output_details()]
    rows = []
    for x in SAMPLES:
        interpreter.set_tensor(places[0], x[None])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(index).ravel() for index in places[1]])
    return [np.array(column) for column in zip(*rows, strict=True)]


def names(content):
    return [op.name for op in read(content).graphs[0].ops]


def test_a_float_split_cuts_codes_again(integer, edited):
    broken = edited(integer, float_split)
    assert names(broken) != names(integer)
    mended = with_integer_splits(broken)
    assert names(mended) == names(integer)
    for mine, theirs, first in zip(answers(mended), answers(broken), answers(integer), strict=True):
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(mine, first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_without_a_reader_leaves_no_float_split(kind):
    whole = by_tensorflow(lambda x: [tf.nn.sigmoid(part) for part in KINDS[kind](x)[1:]])
    mended = with_integer_splits(whole)
    for mine, theirs in zip(answers(mended), answers(whole), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    split = next(op for op in read(mended).graphs[0].ops if op.name == kind)
    assert all(read(mended).graphs[0].tensors[index].dtype == "int8" for index in split.outputs)


def test_a_file_without_a_float_split_stays_as_it_is(integer):
    assert with_integer_splits(integer) is integer


@pytest.mark.parametrize("change", [other_scale, answers_float, read_twice])
def test_a_split_whose_floats_are_needed_stays(integer, edited, change):
    broken = edited(integer, change)
    assert with_integer_splits(broken) is broken


@pytest.mark.slow
@pytest.mark.e2e
def test_an_lstm_is_integer_each_time():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.Bidirectional(keras.layers.LSTM(2)), keras.layers.Dense(2)]
    )
    samples = np.random.default_rng(0).random((32, 4, 3)).astype("float32")
    for _ in range(4):  # four of ten such conversions left a float operation
        assert tfc.convert(model, calibration=samples).is_integer
