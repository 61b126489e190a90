"""What operations make of sizes that the file holds: the runtime's own shapes, and nothing that contradicts them."""

from types import SimpleNamespace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import tfcompress as tfc
from tfcompress.tflite.schema import flatbuffer
from tfcompress.tflite.schema.op_shapes import check_shapes
from tfcompress.tflite.schema.op_sizes import contradict, output_sizes


def tensor(shape=None, data=None, dtype="int8"):
    if data is not None:
        data = np.array(data, np.int32)
        shape, dtype = data.shape, "int32"
    facts = {"index": 0, "is_constant": data is not None, "is_sparse": False, "data": data}
    return SimpleNamespace(shape=shape, shape_signature=shape, dtype=dtype, scale=None, zero_point=None, **facts)


def operation(name, inputs, output):
    op = SimpleNamespace(name=name, index=7, inputs=list(range(len(inputs))), outputs=[len(inputs)])
    return SimpleNamespace(tensors=[*inputs, tensor(output, dtype=inputs[0].dtype)]), op


X = tensor((1, 6, 6, 3))
FITTING = [
    ("LOGISTIC", [X], (1, 6, 6, 3)),
    ("ADD", [X, tensor((3,))], (1, 6, 6, 3)),
    ("MUL", [tensor((1, 1, 6, 3)), tensor((2, 6, 1, 1))], (2, 6, 6, 3)),
    ("SELECT_V2", [tensor((1,)), X, tensor((1, 1, 1, 1))], (1, 6, 6, 3)),
    ("PAD", [X, tensor(data=[[0, 0], [1, 2], [0, 1], [0, 0]])], (1, 9, 7, 3)),
    ("RESIZE_BILINEAR", [X, tensor(data=[12, 9])], (1, 12, 9, 3)),
    ("TILE", [X, tensor(data=[1, 2, 1, 3])], (1, 12, 6, 9)),
    ("TRANSPOSE", [X, tensor(data=[0, 3, 1, -2])], (1, 3, 6, 6)),
    ("SLICE", [X, tensor(data=[0, 1, 0, 0]), tensor(data=[1, -1, 2, 3])], (1, 5, 2, 3)),
    ("SPACE_TO_BATCH_ND", [X, tensor(data=[2, 2]), tensor(data=[[0, 0], [1, 1]])], (4, 3, 4, 3)),
    ("BROADCAST_TO", [X, tensor(data=[4, 6, 6, 3])], (4, 6, 6, 3)),
    ("TRANSPOSE_CONV", [tensor(data=[1, 12, 12, 2]), tensor((2, 2, 2, 3)), X], (1, 12, 12, 2)),
    ("RESHAPE", [X, tensor(data=[-1, 36, 3])], (1, 36, 3)),
    ("RANGE", [tensor(data=2), tensor(data=11), tensor(data=4)], (3,)),
]


@pytest.mark.parametrize(("name", "inputs", "output"), FITTING, ids=[row[0] for row in FITTING])
def test_each_rule_takes_what_is_made_and_nothing_larger(name, inputs, output):
    check_shapes(*operation(name, inputs, output))
    check_shapes(*operation(name, inputs, ()))
    check_shapes(*operation(name, inputs, (-1,) * len(output)))
    for axis in range(len(output)):
        if name in ("RESHAPE", "SLICE") and axis < 2:
            continue  # a size of -1
        larger = tuple(size + 128 * (place == axis) for place, size in enumerate(output))
        with pytest.raises(ValueError, match=rf"operation 7 \({name}\): "):
            check_shapes(*operation(name, inputs, larger))


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("PAD", [X, tensor(data=[[0, 0], [-1, 2], [0, 1], [0, 0]])], "it has the padding -1"),
        ("ADD", [X, tensor((1, 6, 5, 3))], r"\(1, 6, 6, 3\) and \(1, 6, 5, 3\) don't go together"),
        ("TRANSPOSE", [X, tensor(data=[0, 1, 1, 2])], r"\[0, 1, 1, 2\] is no order of its 4 dimensions"),
        ("SPACE_TO_BATCH_ND", [X, tensor(data=[0, 2]), tensor(data=[[0, 0], [1, 1]])], r"it has the blocks \[0, 2\]"),
        ("RANGE", [tensor(data=2), tensor(data=11), tensor(data=0)], "steps of 0"),
    ],
)
def test_what_makes_no_shape_is_refused(name, inputs, message):
    with pytest.raises(ValueError, match=message):
        output_sizes(name, inputs)


def test_what_is_known_only_when_the_file_runs_is_not_looked_at():
    assert output_sizes("PAD", [X, tensor((4, 2), dtype="int32")]) is None
    assert output_sizes("PAD", [tensor((-1, 6)), tensor(data=[[1, 1], [2, 0]])]) == [None, 8]
    assert output_sizes("ADD", [tensor((-1, 3)), tensor(())]) == [None, 3]
    assert output_sizes("ADD", [tensor(()), tensor(())]) is None
    assert output_sizes("GATHER", [X, tensor((2,))]) is None
    assert not contradict([1, 6, 3], (6, 3)) and contradict([1, 6, 3], (6, 4))


def test_a_padding_that_would_keep_the_runtime_busy_for_minutes_is_refused(edited):
    content = padded()

    def change(model, graph):
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        codes = [names[max(each.builtinCode, each.deprecatedBuiltinCode)] for each in model.operatorCodes]
        op = next(op for op in graph.operators if codes[op.opcodeIndex] in ("PAD", "PADV2"))
        buffer = model.buffers[graph.tensors[op.inputs[1]].buffer]
        paddings = np.array(buffer.data, np.uint8).view("<i4").copy()
        paddings[5] = 2**25
        buffer.data = paddings.view(np.uint8)

    with pytest.raises(ValueError, match=r"\(PAD\): it makes the shape \(1, 9, 33554440, 1\), its output has"):
        tfc.slim(edited(content, change))


def padded():
    import keras

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.ZeroPadding2D(((0, 1), (0, 1)))])
    return tfc.convert(model, mode="float32").content


def test_a_half_float_kernel_is_no_larger_than_its_contents(tiny_files, edited):
    """XNNPACK would read what lies behind them, and answer differently from run to run."""

    def change(model, graph):
        kernel = graph.operators[[len(op.inputs) for op in graph.operators].index(3)].inputs[1]
        shape = [*graph.tensors[kernel].shape]
        shape[-2] = 128
        graph.tensors[kernel].shape = shape

    graph = flatbuffer.read(tiny_files["float16"]).graphs[0]
    assert graph.ops[0].name == "DEQUANTIZE"
    with pytest.raises(ValueError, match=r"\(DEQUANTIZE\): it makes the shape .*, its output has .*128"):
        flatbuffer.read(edited(tiny_files["float16"], change))
