"""The law: whatever is cut out, the answers stay the same, bit for bit, and a second time nothing is left to do."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.cutting import cut
from tfcompress.tflite.optimizer.packing import pack_model, unpack_file
from tfcompress.tflite.optimizer.sharing import share
from tfcompress.tflite.schema.flatbuffer import read


def slimmed(content):
    model = unpack_file(content)
    done = cut(model)
    share(model, "io")
    return pack_model(model), done


@pytest.mark.sampled(3)
@pytest.mark.parametrize("seed", range(30))
def test_answers_stay_the_same(draw, run, some_codes, seed):
    d = draw(seed)
    content = d.content
    smaller, done = slimmed(content)
    inputs = some_codes(d.shape(d.x), 6, seed)
    for xnnpack in (True, False):
        assert run(smaller, inputs, xnnpack) == run(content, inputs, xnnpack)
    assert len(smaller) < len(content)
    again, nothing = slimmed(smaller)
    assert again == smaller
    assert (nothing.channels, nothing.operations) == (0, 0)
    assert slimmed(content)[0] == smaller
    assert len(read(content).graphs[0].ops) - len(read(smaller).graphs[0].ops) == done.operations


def test_random_graphs_do_lose_channels(draw):
    counts = [slimmed(draw(seed).content)[1].channels for seed in range(30)]
    assert sum(count > 0 for count in counts) > 20


def test_a_residual_sum_loses_what_both_sides_lack(drawing, run, some_codes):
    d = drawing(11, (1, 6, 6, 3))
    left, right = d.conv(d.x, 32, 1), d.conv(d.x, 32, 3)
    for tensor in (left, right):
        _silence(d, tensor, np.arange(16))
    total = d.pair("ADD", left, right, 1)
    d.outputs = [d.dense(d.mean(total), 4)]
    smaller, done = slimmed(d.content)
    graph = read(smaller).graphs[0]
    assert done.channels >= 3 * 16
    assert {graph.tensors[op.outputs[0]].shape[-1] for op in graph.ops if op.name in ("CONV_2D", "ADD")} == {16}
    inputs = some_codes(d.shape(d.x), 5)
    for xnnpack in (True, False):
        assert run(smaller, inputs, xnnpack) == run(d.content, inputs, xnnpack)


def _silence(d, tensor, channels):
    """Makes the kernel and bias of some outputs of a convolution zero."""
    (op,) = [each for each in d.ops if each.outputs == [tensor]]
    for index, dtype in ((op.inputs[1], np.int8), (op.inputs[2], np.int32)):
        buffer = d.buffers[d.tensors[index].buffer]
        values = buffer.data.view(dtype).reshape(d.shape(index)).copy()
        values[:] = np.where(values == 0, 1, values)
        values[channels] = 0
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)


def test_an_unknown_operation_keeps_its_inputs(drawing):
    d = drawing(4, (1, 4, 4, 3))
    y = d.conv(d.conv(d.x, 8, 1), 8, 1)
    d.outputs = [d.op("CUSTOM", [y], d.activation(d.shape(y)), "NONE", None)]
    d.codes[-1].customCode = b"Mystery"
    graph = read(slimmed(d.content)[0]).graphs[0]
    assert [op.name for op in graph.ops] == ["CONV_2D", "CONV_2D", "Mystery"]
    assert graph.tensors[graph.ops[-1].inputs[0]].shape == (1, 4, 4, 8)


def test_every_graph_of_a_file_is_cut(drawing, draw, run, some_codes):
    one, two = draw(3), draw(7)
    model = one.model()
    (other,) = two.model().subgraphs
    for tensor in other.tensors:
        tensor.buffer += len(model.buffers) if tensor.buffer else 0
    for op in other.operators:
        op.opcodeIndex += len(model.operatorCodes)
    model.buffers = [*model.buffers, *two.buffers]
    # numbers count from the first buffer of the second file, which is empty
    model.operatorCodes = [*model.operatorCodes, *two.codes]
    model.subgraphs.append(other)
    content = pack_model(model)
    smaller, done = slimmed(content)
    alone = [slimmed(each.content)[1] for each in (draw(3), draw(7))]
    assert done.channels == sum(each.channels for each in alone)
    assert len(done.places) == 2
    inputs = some_codes(one.shape(one.x), 4)
    for xnnpack in (True, False):
        assert run(smaller, inputs, xnnpack) == run(content, inputs, xnnpack)


def test_metadata_that_may_count_operations_keep_the_graph_as_it_is(draw):
    model = draw(3).model()
    model.buffers.append(schema.BufferT(data=np.arange(8, dtype=np.uint8)))
    model.metadata = [schema.MetadataT(name=b"model_control_dependencies", buffer=len(model.buffers) - 1)]
    content = pack_model(model)
    smaller, done = slimmed(content)
    assert done.channels == 0
    before, after = (read(each).graphs[0] for each in (content, smaller))
    assert [op for op in before.ops] == [op for op in after.ops]
    assert [t.shape for t in before.tensors] == [t.shape for t in after.tensors]
    assert len(smaller) < len(content)
