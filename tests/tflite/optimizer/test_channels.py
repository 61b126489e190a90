"""What is said of channels holds for what the runtime computes."""

import numpy as np
import pytest

from tfcompress.tflite.optimizer.channels import RemovableChannels
from tfcompress.tflite.optimizer.circuit import Circuit
from tfcompress.tflite.optimizer.packing import unpack_file
from tfcompress.tflite.optimizer.sharing import ends_of


def channels_of(content):
    model = unpack_file(content)
    return RemovableChannels(Circuit(model, model.subgraphs[0], ends_of(model, 0)))


@pytest.mark.parametrize("seed", range(20))
def test_every_code_lies_in_its_range(draw, start, some_codes, seed):
    d = draw(seed)
    found = channels_of(d.content)
    interpreter = start(d.content, False, True)
    known = 0
    for x in some_codes(d.shape(d.x), 4, seed):
        interpreter.set_tensor(d.x, x)
        interpreter.invoke()
        for tensor, (low, high) in found.spans.items():
            codes = interpreter.get_tensor(tensor).reshape(-1, len(low))
            assert (low <= codes).all() and (codes <= high).all()
            known += (low == high).sum()
    assert known > 0


def one_dead_channel(drawing, padding, bias, zero=-128):
    """conv -> relu -> conv, where channel 1 of the first is constant."""
    d = drawing(1, (1, 5, 5, 2))
    d.rng = np.random.default_rng(5)
    y = d.activation((1, 5, 5, 4), 0.05, zero)
    kernel = np.ones((4, 1, 1, 2), np.int8)
    kernel[1] = 0
    scale = 0.01 * d.scale(d.x)
    from ai_edge_litert import schema_py_generated as schema

    w = d.tensor(kernel.shape, schema.TensorType.INT8, [0.01] * 4, [0] * 4, 0, kernel)
    biases = np.full(4, round(bias / scale), np.int32)
    b = d.tensor([4], schema.TensorType.INT32, [scale] * 4, [0] * 4, 0, biases)
    options = schema.Conv2DOptionsT(strideW=1, strideH=1, fusedActivationFunction=1)
    d.op("CONV_2D", [d.x, w, b], y, "Conv2DOptions", options)
    nine = d.tensor((3, 3, 3, 4), schema.TensorType.INT8, [0.01] * 3, [0] * 3, 0, np.ones((3, 3, 3, 4), np.int8))
    scales = [0.01 * 0.05] * 3
    bias = d.tensor([3], schema.TensorType.INT32, scales, [0] * 3, 0, np.zeros(3, np.int32))
    out = d.activation((1, 5, 5, 3) if padding == 0 else (1, 3, 3, 3), 0.05, 0)
    options = schema.Conv2DOptionsT(padding=padding, strideW=1, strideH=1)
    d.outputs = [d.op("CONV_2D", [y, nine, bias], out, "Conv2DOptions", options)]
    return d.content, y


@pytest.mark.parametrize(
    ("padding", "bias", "goes"),
    [
        (0, 0.0, True),  # constant at zero point, which is also what padding is
        (0, 0.5, False),  # its share is another one at the border
        (1, 0.5, True),  # no padding: the share goes into the bias
        (0, -3.0, True),  # clipped by the activation function
    ],
)
def test_a_constant_channel_goes_where_its_share_is_the_same_everywhere(drawing, padding, bias, goes):
    content, tensor = one_dead_channel(drawing, padding, bias)
    found = channels_of(content)
    low, high = found.span(tensor)
    assert low[1] == high[1]
    kept = found.kept()
    assert (tensor in kept) == goes
    if bias >= 0 and goes:
        assert kept[tensor].tolist() == [0, 2, 3]


def test_what_is_not_understood_is_frozen(drawing):
    d = drawing(3, (1, 4, 4, 6))
    y = d.conv(d.x, 6, 1)
    d.outputs = [d.softmax(y)]
    found = channels_of(d.content)
    assert {y, d.outputs[0], d.x} <= found.frozen
    assert found.kept() == {}
