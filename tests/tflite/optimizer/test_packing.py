"""Packing by parts: the same model in fewer bytes, aligned, and nothing lost without a word."""

import io
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.packing import archive, pack_model, unpack_file, with_archive
from tfcompress.tflite.schema.flatbuffer import IDENTIFIER, read

FILES = ["float32", "float16", "int8", "uint8", "int16x8", "int8_dynamic", "two_int8", "elu_int8", "flex"]


def plainly_packed(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def facts(content):
    """Everything that reading a file gives, in comparable form."""
    model = read(content)
    tensors = [
        (t.name, t.shape, t.shape_signature, t.dtype, bytes(t.raw), t.quantized_dimension, t.is_variable,
         None if t.scale is None else (t.scale.tolist(), t.zero_point.tolist()))
        for graph in model.graphs for t in graph.tensors
    ]  # fmt: skip
    ops = [op for graph in model.graphs for op in graph.ops]
    ends = [(graph.inputs, graph.outputs, graph.name) for graph in model.graphs]
    return tensors, ops, ends, model.signatures, model.min_runtime, model.metadata, model.description


def options(content):
    """The options of all operations, field by field."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    ops = [op for graph in model.subgraphs for op in graph.operators]
    return [{k: np.asarray(v).tolist() for k, v in vars(op.builtinOptions or op).items()} for op in ops]


def offsets(content):
    """Places of all contents of tensors in a file."""
    base = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    constants = [t for graph in read(content).graphs for t in graph.tensors if t.is_constant]
    return [t.raw.__array_interface__["data"][0] - base for t in constants]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_same_model_in_fewer_bytes(tiny_files, name):
    content = tiny_files[name]
    smaller = pack_model(unpack_file(content))
    assert facts(smaller) == facts(content)
    assert options(smaller) == options(content)
    assert len(smaller) < min(len(content), len(plainly_packed(unpack_file(content))))
    assert all(offset % 16 == 0 for offset in offsets(smaller))
    assert pack_model(unpack_file(smaller)) == smaller


def test_random_contents_and_names_come_back():
    rng = np.random.default_rng(0)
    buffers = [schema.BufferT()]
    buffers += [schema.BufferT(data=rng.integers(0, 256, n).astype(np.uint8)) for n in rng.integers(1, 70, 80)]
    tensors = [
        schema.TensorT(
            name=b"n" * int(rng.integers(0, 12)), buffer=k, type=schema.TensorType.UINT8, shape=[len(b.data)],
            quantization=schema.QuantizationParametersT(zeroPoint=rng.integers(0, 9, k % 7 + 1)),
        )
        for k, b in enumerate(buffers) if k
    ]  # fmt: skip
    graph = schema.SubGraphT(tensors=tensors, inputs=[], outputs=[], operators=[])
    content = plainly_packed(schema.ModelT(version=3, subgraphs=[graph], buffers=buffers, operatorCodes=[]))
    smaller = pack_model(unpack_file(content))
    assert facts(smaller) == facts(content)
    zeros = [t.quantization.zeroPoint.tolist() for t in schema.ModelT.InitFromPackedBuf(smaller).subgraphs[0].tensors]
    assert zeros == [t.quantization.zeroPoint.tolist() for t in tensors]
    assert all(offset % 16 == 0 for offset in offsets(smaller))


def test_options_of_a_newer_schema_are_refused(tiny_files):
    model = unpack_file(tiny_files["int8"])
    model.subgraphs[0].operators[0].builtinOptionsType = 250
    with pytest.raises(ValueError, match="options of kind 250"):
        unpack_file(plainly_packed(model))


def test_fields_of_a_newer_schema_are_refused(tiny_files, monkeypatch):
    known = schema.TensorStart
    with monkeypatch.context() as patch:  # a writer that knows one field more
        patch.setattr(schema, "TensorStart", lambda builder: builder.StartObject(12))
        pack = schema.TensorAddType
        patch.setattr(schema, "TensorAddType", lambda b, kind: (pack(b, kind), b.PrependInt32Slot(11, 7, 0)))
        content = plainly_packed(unpacked_with(known, tiny_files["int8"], patch))
    with pytest.raises(ValueError, match="fields of Tensor"):
        unpack_file(content)


def unpacked_with(start, content, patch):
    longer = schema.TensorStart
    patch.setattr(schema, "TensorStart", start)
    model = unpack_file(content)
    patch.setattr(schema, "TensorStart", longer)
    return model


def test_contents_behind_the_flatbuffer_are_taken_in(tiny_files):
    content = tiny_files["int8"]
    model = unpack_file(content)
    moved = [buffer for buffer in model.buffers if buffer.data is not None and len(buffer.data) > 20]
    assert moved
    tail = b"".join(buffer.data.tobytes() for buffer in moved)
    for buffer in moved:
        buffer.size, buffer.data, buffer.offset = len(buffer.data), None, 2**40
    start = len(plainly_packed(model))
    for buffer in moved:
        buffer.offset, start = start, start + buffer.size
    outside = plainly_packed(model) + tail
    assert facts(outside) == facts(content)
    assert pack_model(unpack_file(outside)) == pack_model(unpack_file(content))


def test_files_that_a_metadata_tool_appended_stay(tiny_files):
    stream = io.BytesIO(tiny_files["int8"])
    with zipfile.ZipFile(stream, "a") as files:
        files.writestr("labels.txt", "cat\ndog\n")
    content = stream.getvalue()
    smaller = with_archive(pack_model(unpack_file(content)), archive(content))
    assert len(smaller) < len(content)
    with zipfile.ZipFile(io.BytesIO(smaller)) as files:
        assert files.read("labels.txt") == b"cat\ndog\n"
    assert with_archive(pack_model(unpack_file(smaller)), archive(smaller)) == smaller
    assert archive(tiny_files["int8"]) is None


def test_cut_off_and_damaged_files(tiny_files):
    content = tiny_files["two_int8"]
    for length in range(0, len(content) - 64, len(content) // 30):
        with pytest.raises(ValueError, match="not a .tflite file"):
            unpack_file(content[:length])
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(content)
        for position in rng.integers(8, len(content), 6):
            damaged[position] = rng.integers(256)
        try:
            pack_model(unpack_file(bytes(damaged)))
        except ValueError as error:
            assert str(error)
