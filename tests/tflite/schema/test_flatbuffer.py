"""Reading `.tflite` bytes: contents against the runtime, damage against clear errors."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from tfcompress.tflite.schema import flatbuffer


def edited(content, change):
    """The file after `change(object form of the model)`."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), flatbuffer.IDENTIFIER)
    return bytes(builder.Output())


@pytest.mark.parametrize("name", ["float32", "float16", "int8", "int16x8", "int8_dynamic", "two_int8"])
def test_tensors_are_those_of_the_runtime(tiny_files, name):
    content = tiny_files[name]
    graph = flatbuffer.read(content).graphs[0]
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    details = {each["index"]: each for each in interpreter.get_tensor_details()}
    for tensor in graph.tensors:
        detail = details[tensor.index]
        assert tensor.name == detail["name"]
        assert tensor.dtype == np.dtype(detail["dtype"]).name
        parameters = detail["quantization_parameters"]
        if tensor.scale is None:
            assert parameters["scales"].size == 0
        else:
            np.testing.assert_array_equal(tensor.scale, parameters["scales"])
            np.testing.assert_array_equal(tensor.zero_point, parameters["zero_points"])
            assert tensor.quantized_dimension == parameters["quantized_dimension"]
        if tensor.is_constant:
            np.testing.assert_array_equal(tensor.data, interpreter.get_tensor(tensor.index))
            assert tensor.buffer_bytes == tensor.data.nbytes
        else:
            assert tensor.data is None
    assert graph.inputs == tuple(each["index"] for each in interpreter.get_input_details())
    assert graph.outputs == tuple(each["index"] for each in interpreter.get_output_details())


def test_ops_are_those_of_the_runtime(tiny_files):
    for content in (tiny_files["int8"], tiny_files["int8_float_io"]):
        graph = flatbuffer.read(content).graphs[0]
        interpreter = Interpreter(model_content=content)
        # Before the delegate takes ops over, the runtime lists them as in the file.
        expected = [
            (each["op_name"], list(each["inputs"]), list(each["outputs"]))
            for each in interpreter._get_ops_details()
            if each["op_name"] != "DELEGATE"
        ]
        found = [(op.name, list(op.inputs), list(op.outputs)) for op in graph.ops]
        assert found == expected[: len(found)]
        assert [op.index for op in graph.ops] == list(range(len(graph.ops)))


@pytest.mark.needs_tensorflow("2.20")  # before, the converter does not know the runtime of such a file
def test_the_minimal_runtime(tiny_files):
    assert flatbuffer.read(tiny_files["two_int8"]).min_runtime.count(".") == 2


def test_signature_and_versions(tiny_files):
    model = flatbuffer.read(tiny_files["two_int8"])
    graph = model.graphs[0]
    signature = model.signatures["serving_default"]
    assert signature["subgraph"] == 0
    assert set(signature["inputs"]) == {"left", "right"}
    assert set(signature["outputs"]) == {"total", "parts"}
    assert graph.tensors[signature["inputs"]["left"]].shape == (1, 4)
    assert graph.tensors[signature["outputs"]["parts"]].shape == (1, 5)
    assert model.op_versions == {
        op.name: max(other.version for other in graph.ops if other.name == op.name) for op in graph.ops
    }
    assert "min_runtime_version" in model.metadata


def test_dynamic_dimensions_are_marked(tiny_files):
    graph = flatbuffer.read(tiny_files["float32_dynamic"]).graphs[0]
    assert graph.tensors[graph.inputs[0]].shape == (1, 8, 8, 1)
    assert graph.tensors[graph.inputs[0]].shape_signature == (-1, 8, 8, 1)


def test_flex_ops_are_marked(tiny_files):
    (op,) = flatbuffer.read(tiny_files["flex"]).graphs[0].ops
    assert (op.name, op.is_custom, op.is_flex) == ("FlexSinh", True, True)


def test_producers_and_consumers_are_inverse_to_ops(tiny_files):
    graph = flatbuffer.read(tiny_files["two_float32"]).graphs[0]
    producers, consumers = graph.producers(), graph.consumers()
    for op in graph.ops:
        assert all(producers[index] is op for index in op.outputs)
        assert all(op in consumers[index] for index in op.inputs if index >= 0)
    assert not set(producers) & set(graph.inputs)


def test_constants_are_views_and_not_copies(tiny_files):
    content = tiny_files["float32"]
    whole = np.frombuffer(content, np.uint8)
    constants = [t for t in flatbuffer.read(content).graphs[0].tensors if t.is_constant]
    assert constants
    for tensor in constants:
        assert np.shares_memory(tensor.data, whole)
        assert not tensor.data.flags.writeable


@pytest.mark.parametrize(
    ("kind", "bits", "values"),
    [
        ("INT4", 4, [-8, -1, 0, 7, 3, -5, 1]),
        ("UINT4", 4, [0, 15, 7, 8, 1]),
        ("INT2", 2, [-2, -1, 0, 1, 1, -2, 0]),
    ],
)
def test_packed_values_are_widened(tiny_files, kind, bits, values):
    packed = 0
    for position, value in enumerate(values):
        packed |= (value & ((1 << bits) - 1)) << (bits * position)
    data = packed.to_bytes((len(values) * bits + 7) // 8, "little")

    def change(model):
        tensor = next(t for t in model.subgraphs[0].tensors if t.type == schema.TensorType.INT8)
        tensor.type = getattr(schema.TensorType, kind)
        tensor.shape, tensor.quantization = [1, len(values)], None
        model.subgraphs[0].inputs = model.subgraphs[0].inputs[:0]
        model.signatureDefs = None
        tensor.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT(data=list(data)))

    tensors = flatbuffer.read(edited(tiny_files["int8"], change)).graphs[0].tensors
    (tensor,) = [each for each in tensors if each.dtype == kind.lower()]
    assert tensor.data.tolist() == [values]
    assert tensor.buffer_bytes == len(data)


def test_bfloat16_is_widened(tiny_files):
    def change(model):
        model.subgraphs[0].inputs, model.signatureDefs = model.subgraphs[0].inputs[:0], None
        tensor = model.subgraphs[0].tensors[0]
        tensor.type, tensor.shape, tensor.quantization = schema.TensorType.BFLOAT16, [2], None
        tensor.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT(data=[0x80, 0x3F, 0x20, 0xC0]))

    tensor = flatbuffer.read(edited(tiny_files["int8"], change)).graphs[0].tensors[0]
    np.testing.assert_array_equal(tensor.data, np.array([1.0, -2.5], "float32"))
    assert tensor.is_float


def test_contents_that_do_not_fill_the_shape_are_refused(tiny_files):
    def change(model):
        graph = model.subgraphs[0]
        graph.tensors[graph.operators[0].inputs[1]].shape = [5, 5]

    with pytest.raises(ValueError, match=r"tensor \d+ .*need 25 bytes, its buffer holds 36"):
        flatbuffer.read(edited(tiny_files["int8"], change))


def test_weights_in_another_file_are_refused(tiny_files):
    def change(model):
        model.subgraphs[0].tensors[0].externalBuffer = 1

    with pytest.raises(ValueError, match="another file"):
        flatbuffer.read(edited(tiny_files["int8"], change))


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\x03\x04" * 100, b"\x00" * 64])
def test_other_files_are_refused(content):
    with pytest.raises(ValueError, match="not a .tflite file"):
        flatbuffer.read(content)


def test_a_path_is_refused():
    with pytest.raises(TypeError, match=r"Received: str\. Read a path"):
        flatbuffer.read("model.tflite")


def test_cut_off_files_are_refused(tiny_files):
    content = tiny_files["int8"]
    for length in range(8, len(content) - 64, len(content) // 40):
        with pytest.raises(ValueError, match="cut off or damaged"):
            flatbuffer.read(content[:length])


def test_damaged_bytes_end_in_a_value_error_or_a_model(tiny_files):
    content = tiny_files["two_int8"]
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for position in rng.integers(8, len(content), 8):
            damaged[position] = rng.integers(256)
        try:
            for tensor in flatbuffer.read(bytes(damaged)).graphs[0].tensors:
                assert tensor.data is None or tensor.data.shape == tensor.shape
        except ValueError as error:
            refused += 1
            assert str(error)
    assert refused > 0
