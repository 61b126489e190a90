"""Tensors around an operation that don't fit each other are refused before a runtime reads behind one of them."""

from types import SimpleNamespace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.schema import flatbuffer
from tfcompress.tflite.schema.op_shapes import check_shapes


def tensor(position, what, **values):
    """Changes the input (or output -1) of the first operation of a name."""

    def change(model, graph):
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        codes = [max(each.builtinCode, each.deprecatedBuiltinCode) for each in model.operatorCodes]
        op = next(op for op in graph.operators if names[codes[op.opcodeIndex]] == what)
        index = op.outputs[0] if position < 0 else op.inputs[position]
        for field, value in values.items():
            setattr(graph.tensors[index], field, value)

    return change


def short_bias(model, graph):
    bias = graph.tensors[graph.operators[0].inputs[2]]
    bias.shape, bias.buffer = [2], len(model.buffers)
    bias.quantization = None
    model.buffers.append(schema.BufferT(data=np.zeros(8, np.uint8)))


def shifted_bias(model, graph):
    bias = graph.tensors[graph.operators[0].inputs[2]]
    bias.quantization.zeroPoint = np.full(len(bias.quantization.scale), 3, np.int64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (short_bias, r"\(CONV_2D\): its bias has 2 elements, its kernel \(4, 3, 3, 1\) gives 4 outputs"),
        (shifted_bias, r"\(CONV_2D\): its bias has the zero point 3, which must be 0"),
        (tensor(1, "CONV_2D", shape=[4, 1, 3, 3]), r"\(CONV_2D\): its kernel .* takes another number of channels"),
        (tensor(1, "CONV_2D", type=schema.TensorType.BOOL), r"\(CONV_2D\): its kernel is of the type bool"),
        (tensor(-1, "CONV_2D", shape=[1, 6, 6, 5]), r"\(CONV_2D\): its kernel .* gives another number of channels"),
        (tensor(-1, "RESHAPE", shape=[1, 65]), r"\(RESHAPE\): \(1, 4, 4, 4\) can't become \(1, 65\)"),
        (tensor(-1, "RESHAPE", type=schema.TensorType.INT16), r"\(RESHAPE\): it makes int16 of int8"),
        (tensor(0, "FULLY_CONNECTED", shape=[1, 63]), r"\(RESHAPE\)|can't be cut into rows of 64"),
    ],
)
def test_what_does_not_fit_is_refused(tiny_files, change, message, edited):
    with pytest.raises(ValueError, match=message):
        flatbuffer.read(edited(tiny_files["int8"], change))


@pytest.mark.parametrize(
    ("name", "shapes", "message"),
    [
        ("CONCATENATION", [(1, 4, 3), (1, 4, 5), (1, 4, 9)], "can't be joined to"),
        ("MAX_POOL_2D", [(1, 4, 4, 4), (1, 2, 2, 5)], "makes 5 channels of 4"),
    ],
)
def test_parts_and_channels_fit(name, shapes, message):
    def around(shapes):
        tensors = [SimpleNamespace(shape_signature=s, shape=s, dtype="int8", index=0, scale=None) for s in shapes]
        op = SimpleNamespace(name=name, index=0, inputs=list(range(len(shapes) - 1)), outputs=[len(shapes) - 1])
        return SimpleNamespace(tensors=tensors), op

    with pytest.raises(ValueError, match=message):
        check_shapes(*around(shapes))
    check_shapes(*around([(1, 4, 3), (1, 4, 5), (1, 4, 8)] if len(shapes) == 3 else [(1, 4, 4, 5), (1, 2, 2, 5)]))


def typed(*facts):
    return [
        SimpleNamespace(index=number, shape=(1, 3), shape_signature=(1, -1), dtype=dtype, scale=scale)
        for number, (dtype, scale) in enumerate(facts)
    ]


@pytest.mark.parametrize("name", ["ADD", "MUL", "SUB", "MAXIMUM", "CONCATENATION"])
def test_codes_are_not_added_to_plain_numbers(name):
    op = SimpleNamespace(name=name, index=0, inputs=[0, 1], outputs=[2])
    for dtype, scales in (("int8", (0.5, 0.5, 0.5)), ("int16", (None, None, None)), ("float32", (0.5, None, None))):
        check_shapes(SimpleNamespace(tensors=typed(*((dtype, scale) for scale in scales))), op)
    for missing in range(3):
        facts = [("int16", None if number == missing else 0.5) for number in range(3)]
        if name == "CONCATENATION":
            facts = [*facts[:2], ("int16", 0.5), *facts[2:]]
            op.inputs, op.outputs, missing = [0, 1, 2], [3], missing + (missing == 2)
        with pytest.raises(ValueError, match=f"tensor {missing} has no scale, others of it have"):
            check_shapes(SimpleNamespace(tensors=typed(*facts)), op)


@pytest.mark.parametrize("name", ["VAR_HANDLE", "HASHTABLE"])
def test_a_handle_is_a_resource(name):
    """The runtime leaves other outputs as they are, so that whatever lies there is the answer."""
    op = SimpleNamespace(name=name, index=0, inputs=[], outputs=[0])
    check_shapes(SimpleNamespace(tensors=typed(("resource", None))), op)
    with pytest.raises(ValueError, match="it makes a resource, its output is of the type int8"):
        check_shapes(SimpleNamespace(tensors=typed(("int8", None))), op)


@pytest.fixture(scope="module")
def sliced():
    """A file that takes the second of three rows of its input."""
    import tensorflow as tf

    module = tf.Module()
    module.run = tf.function(lambda x: x[:, 1] + 1.0, [tf.TensorSpec((1, 3, 4), tf.float32, name="x")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.run.get_concrete_function()], module)
    return converter.convert()


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (1, 3, "it takes place 3 of 3"),
        (1, -4, "it takes place -4 of 3"),
        (1, 10628, "it takes place 10628 of 3"),
        (3, -1, "it takes one place in steps of -1"),
        (3, 0, "it takes one place in steps of 0"),
    ],
)
def test_a_place_that_is_not_there_is_not_taken(sliced, edited, position, value, message):
    """The runtime would read what lies behind the tensor."""

    def change(model, graph):
        op = graph.operators[0]
        numbers = np.array([0, 1, 0], "<i4") if position == 1 else np.ones(3, "<i4")
        numbers[1] = value
        op.inputs = [*op.inputs]
        op.inputs[position] = len(graph.tensors)
        graph.tensors.append(schema.TensorT(shape=[3], type=schema.TensorType.INT32, buffer=len(model.buffers)))
        model.buffers.append(schema.BufferT(data=numbers.view(np.uint8)))

    assert flatbuffer.read(sliced).graphs[0].ops[0].name == "STRIDED_SLICE"
    with pytest.raises(ValueError, match=rf"operation 0 \(STRIDED_SLICE\): {message}"):
        flatbuffer.read(edited(sliced, change))
