"""The lossless part: what goes, what stays, and that a second time nothing is left to do."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tfcompress.tflite.optimizer.packing import pack_model, unpack_file
from tfcompress.tflite.optimizer.sharing import share_file
from tfcompress.tflite.schema.flatbuffer import read

FILES = ["float32", "float16", "int8", "int16x8", "int8_dynamic", "two_int8", "shared_float32", "elu_int8", "flex"]


def ops_of(content):
    """Operations with what they read: shapes, types, scales, contents; without numbers of tensors."""
    found = []
    for graph in read(content).graphs:
        for op in graph.ops:
            tensors = [graph.tensors[i] if i >= 0 else None for i in (*op.inputs, *op.outputs)]
            facts = [
                t and (t.shape, t.shape_signature, t.dtype, bytes(t.raw), None if t.scale is None else t.scale.tolist())
                for t in tensors
            ]
            found.append((op.name, op.version, facts))
    return found


@pytest.mark.sampled(2)
@pytest.mark.parametrize("names", ["io", "all"])
@pytest.mark.parametrize("name", FILES)
def test_operations_and_values_stay(tiny_files, name, names):
    content = tiny_files[name]
    smaller = share_file(content, names)
    assert len(smaller) < len(content)
    assert ops_of(smaller) == ops_of(content)
    assert read(smaller).min_runtime == read(content).min_runtime
    assert read(smaller).op_versions == read(content).op_versions
    assert share_file(smaller, names) == smaller


@pytest.mark.parametrize("name", ["two_int8", "shared_float32", "int8_dynamic"])
def test_signature_runners_work_by_the_same_names(tiny_files, pairs, name):
    content = tiny_files[name]
    answers = []
    for file in (content, share_file(content, "io")):
        interpreter = Interpreter(model_content=file)
        details = interpreter.get_signature_list()["serving_default"]
        runner = interpreter.get_signature_runner("serving_default")
        rng = np.random.default_rng(0)
        given = {}
        for key, detail in sorted(runner.get_input_details().items()):
            values = rng.random(detail["shape"]) * 100
            given[key] = values.astype(detail["dtype"])
        answers.append((details, {key: value.tobytes() for key, value in runner(**given).items()}))
        assert all(each["name"] for each in interpreter.get_input_details() + interpreter.get_output_details())
    assert answers[0] == answers[1]


def test_names_of_inner_tensors_go_or_stay(tiny_files):
    before = read(tiny_files["int8"]).graphs[0]
    kept, dropped = (read(share_file(tiny_files["int8"], names)).graphs[0] for names in ("all", "io"))
    used = {t.name for op in before.ops for t in before.tensors_of(op)}
    assert {t.name for t in kept.tensors} == used
    ends = {*dropped.inputs, *dropped.outputs}
    assert {t.name for t in dropped.tensors if t.index not in ends} == {""}
    assert [dropped.tensors[i].name for i in dropped.inputs] == [before.tensors[i].name for i in before.inputs]


def wasteful(content):
    """The same file with all that the diet drops."""
    model = unpack_file(content)
    graph = model.subgraphs[0]
    model.description = b"made somewhere"
    model.buffers.append(schema.BufferT(data=np.ones(100, np.uint8)))
    graph.tensors.append(schema.TensorT(name=b"unused", shape=[100], type=schema.TensorType.UINT8))
    graph.tensors[-1].buffer = len(model.buffers) - 1
    model.operatorCodes.append(schema.OperatorCodeT(builtinCode=99, deprecatedBuiltinCode=99))
    notes = [schema.MetadataT(name=b"CONVERSION_METADATA", buffer=len(model.buffers) - 1)]
    model.metadata = [*(model.metadata or []), *notes]
    for tensor in graph.tensors:
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            tensor.quantization.min = tensor.quantization.max = np.zeros(1, np.float32)
        if not tensor.buffer:
            tensor.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
    copies = []
    for op in graph.operators[:1]:  # the first operation reads copies of its constants
        for position, index in enumerate(op.inputs.tolist()):
            buffer = model.buffers[graph.tensors[index].buffer]
            if buffer.data is not None:
                copies.append(index)
                model.buffers.append(schema.BufferT(data=buffer.data.copy()))
                twin = schema.TensorT(**vars(graph.tensors[index]))
                twin.buffer = len(model.buffers) - 1
                graph.tensors.append(twin)
                op.inputs = op.inputs.copy()
                op.inputs[position] = len(graph.tensors) - 1
    assert copies
    return pack_model(model)


def test_waste_goes_without_a_trace(tiny_files):
    content = tiny_files["int8"]
    heavy = wasteful(content)
    assert len(heavy) > len(share_file(content)) + 400
    slim, light = share_file(heavy), share_file(content)
    assert ops_of(slim) == ops_of(light)
    assert len(read(slim).graphs[0].tensors) == len(read(light).graphs[0].tensors)
    assert read(slim).metadata == read(light).metadata
    assert read(slim).description == ""
    assert abs(len(slim) - len(light)) < 32  # the order of tensors is another, and with it the gaps
    assert read(share_file(heavy, metadata="all")).description == "made somewhere"
    assert "CONVERSION_METADATA" in read(share_file(heavy, metadata="all")).metadata


def test_equal_constants_are_one_tensor_and_one_buffer(tiny_files):
    model = unpack_file(tiny_files["int8"])
    graph = model.subgraphs[0]
    (conv, *_) = graph.operators
    twin = schema.TensorT(**vars(graph.tensors[conv.inputs[1]]))
    twin.name = b"twin"
    graph.tensors.append(twin)
    op = schema.OperatorT(**vars(conv))
    op.inputs = np.array([conv.inputs[0], len(graph.tensors) - 1, conv.inputs[2]], np.int32)
    out = schema.TensorT(**vars(graph.tensors[conv.outputs[0]]))
    graph.tensors.append(out)
    op.outputs = np.array([len(graph.tensors) - 1], np.int32)
    graph.operators = [conv, op, *graph.operators[1:]]
    content = pack_model(model)
    for names, same in (("io", True), ("all", False)):
        first, second, *_ = read(share_file(content, names)).graphs[0].ops
        assert (first.inputs[1] == second.inputs[1]) == same
        slim = schema.ModelT.InitFromPackedBuf(share_file(content, names))
        kernels = [slim.subgraphs[0].tensors[each.inputs[1]].buffer for each in (first, second)]
        assert kernels[0] == kernels[1]


def test_state_is_never_shared(tiny_files):
    model = unpack_file(tiny_files["float32"])
    graph = model.subgraphs[0]
    for _ in range(2):
        tensor = schema.TensorT(name=b"state", shape=[2], isVariable=True, type=schema.TensorType.FLOAT32)
        graph.tensors.append(tensor)
    states = [len(graph.tensors) - 2, len(graph.tensors) - 1]
    op = graph.operators[0]
    op.intermediates = np.array(states, np.int32)
    (*_, first, second) = read(share_file(pack_model(model), "io")).graphs[0].tensors
    assert first.is_variable and second.is_variable


@pytest.mark.parametrize("argument", ["names", "metadata"])
def test_another_word_is_refused(tiny_files, argument):
    with pytest.raises(ValueError, match=f"{argument} must be one of .*Received: {argument}='few'"):
        share_file(tiny_files["int8"], **{argument: "few"})


def test_activations_that_refer_to_one_empty_buffer_stay_apart(tiny_files):
    model = unpack_file(tiny_files["int8"])
    graph = model.subgraphs[0]
    (conv, *_) = graph.operators
    model.buffers.append(schema.BufferT())
    for _ in range(2):  # two that have all but their number in common
        graph.tensors.append(schema.TensorT(**vars(graph.tensors[conv.outputs[0]])))
        graph.tensors[-1].buffer, graph.tensors[-1].name = len(model.buffers) - 1, b""
        op = schema.OperatorT(**vars(conv))
        op.outputs = np.array([len(graph.tensors) - 1], np.int32)
        graph.operators.insert(1, op)
    first, second, third, *_ = read(share_file(pack_model(model), "io")).graphs[0].ops
    assert len({first.outputs, second.outputs, third.outputs}) == 3
