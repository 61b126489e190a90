"""Scaling and shifting beside linear layers, against the layers themselves; constants and links."""

import keras
import numpy as np
import pytest

from tfcompress.channels.dependency import groups
from tfcompress.rewrites.channel_scaling import (
    affine_constants,
    inputs_of,
    is_affine,
    is_linear,
    outputs_of,
    response,
    scale_inputs,
    scale_outputs,
    uneven_reason,
)
from tfcompress.rewrites.constant_folding import Constants, unread_groups
from tfcompress.rewrites.cross_layer_equalization import input_ranges, link, ranges
from tfcompress.rewrites.editable_graph import Draft

L = keras.layers
LINEAR = {
    "Dense": (lambda: L.Dense(5), (7,)),
    "Dense on points": (lambda: L.Dense(5, use_bias=False), (3, 3, 4)),
    "EinsumDense": (lambda: L.EinsumDense("abc,cd->abd", (None, 5)), (3, 4)),
    "Conv1D": (lambda: L.Conv1D(5, 2), (6, 4)),
    "Conv2D": (lambda: L.Conv2D(5, 3, strides=2), (7, 6, 4)),
    "Conv2D in groups": (lambda: L.Conv2D(6, 3, groups=2, use_bias=False), (5, 5, 4)),
    "Conv3D": (lambda: L.Conv3D(3, 2), (4, 4, 4, 2)),
    "DepthwiseConv2D": (lambda: L.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 4)),
    "SeparableConv2D": (lambda: L.SeparableConv2D(5, 3, depth_multiplier=2), (5, 5, 4)),
    "Conv2DTranspose": (lambda: L.Conv2DTranspose(5, 3, strides=2), (4, 4, 3)),
}


def single(layer, shape):
    """A model of one layer with a random bias, its draft and node."""
    model = keras.Sequential([keras.Input(shape), layer])
    for v in model.variables:
        if v.name == "bias":
            v.assign(np.random.default_rng(0).normal(size=v.shape))
    draft = Draft(model)
    return model, draft, draft.nodes[0]


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("make", "shape"), LINEAR.values(), ids=LINEAR)
def test_outputs_and_inputs_scale_and_shift(make, shape):
    rng = np.random.default_rng(1)
    model, draft, node = single(make(), shape)
    assert is_linear(node) and inputs_of(node) == shape[-1] and outputs_of(node) == model.output_shape[-1]
    into, shift_in = rng.uniform(0.5, 2, shape[-1]), rng.normal(size=shape[-1])
    out, shift_out = rng.uniform(0.5, 2, outputs_of(node)), rng.normal(size=outputs_of(node))
    even = uneven_reason(node, (None, *shape)) is None
    assert even == (type(model.layers[0]) is not L.Conv2DTranspose)
    shift_in = shift_in if even else 0 * shift_in
    at = response(node, shift_in)
    scale_inputs(node, into)
    scale_outputs(node, out, shift_out + out * at)
    x = rng.normal(size=(2, *shape)).astype("float32")
    close(draft.built()(x), out * np.asarray(model((into * x + shift_in).astype("float32"))) + shift_out)


@pytest.mark.parametrize(("make", "shape"), LINEAR.values(), ids=LINEAR)
def test_ranges_are_those_of_one_channel(make, shape):
    _, draft, node = single(make(), shape)
    before, behind = ranges(node), input_ranges(node, shape[-1])
    factor = np.ones(outputs_of(node))
    factor[1] = 100
    scale_outputs(node, factor)
    close(ranges(node), before * factor)
    factor = np.ones(shape[-1])
    factor[1] = 1000
    scale_inputs(node, factor)
    after = input_ranges(node, shape[-1])
    assert after[1] > 100 * behind[1] and (after[[0]] <= behind[[0]] * 101).all()


@pytest.mark.parametrize(
    ("options", "size", "even"),
    [
        (dict(kernel_size=3), 6, True),
        (dict(kernel_size=3, padding="same"), 6, False),
        (dict(kernel_size=1, padding="same"), 6, True),
        (dict(kernel_size=2, strides=2, padding="same"), 6, True),
        (dict(kernel_size=2, strides=2, padding="same"), 7, False),
        (dict(kernel_size=2, dilation_rate=2, padding="same"), 6, False),
        (dict(kernel_size=3, padding="same"), None, False),
    ],
)
def test_padding_is_uneven_where_it_puts_zeros(options, size, even):
    _, _, node = single(L.Conv2D(3, **options), (size, size, 2))
    assert (uneven_reason(node, (None, size, size, 2)) is None) == even


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.BatchNormalization(),
        lambda: L.BatchNormalization(scale=False, center=False, epsilon=0.1),
        lambda: L.Rescaling([2.0, 3.0, 1e-3], -100.0),
        lambda: L.Normalization(mean=[1e3, 0.0, -3.0], variance=[1e-2, 1.0, 9.0]),
        lambda: L.Normalization(mean=[1.0, 0.0, -3.0], variance=[4.0, 1.0, 9.0], invert=True),
    ],
)
def test_constants_of_what_scales_and_shifts(make):
    x = inputs = keras.Input((4, 3))
    model = keras.Model(inputs, make()(x))
    rng = np.random.default_rng(0)
    for v in model.variables:
        if v.name in ("gamma", "beta", "moving_mean", "moving_variance"):
            v.assign(rng.uniform(0.5, 2, v.shape))
    draft = Draft(model)
    (node,) = draft.nodes
    assert is_affine(node)
    factor, shift = affine_constants(draft, node)
    x = rng.normal(size=(2, 4, 3)).astype("float32")
    np.testing.assert_allclose(x * factor + shift, model(x), rtol=1e-5, atol=1e-5 * np.abs(shift).max() + 1e-6)


def test_a_normalization_along_another_axis_is_not_affine():
    x = inputs = keras.Input((4, 3))
    (node,) = Draft(keras.Model(inputs, L.BatchNormalization(axis=1)(x))).nodes
    assert not is_affine(node)


def test_constants_travel_through_what_treats_each_channel():
    x = inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(3, 3, name="a", activation="relu")(x)
    y = L.Conv2D(3, 1, name="b")(L.MaxPooling2D(2)(L.BatchNormalization()(x)))
    z = L.ZeroPadding2D(1, name="pad")(L.Concatenate(name="both")([y, L.AveragePooling2D(2)(x)]))
    model = keras.Model(inputs, L.Dense(2, name="c")(z))
    for name, at in (("a", 1), ("b", 2)):
        layer = model.get_layer(name)
        kernel = np.array(layer.kernel)
        kernel[..., at] = 0
        layer.kernel.assign(kernel)
        layer.bias.assign([1.0, 2.0, 3.0])
    draft = Draft(model)
    found = Constants(draft)
    nodes = {node.path: node for node in draft.nodes}
    assert found.folded == {"b": 1}
    constant = found.found[nodes["both"].outputs[0]]
    assert constant.known.tolist() == [False, False, True, False, True, False]
    np.testing.assert_allclose(constant.value[[2, 4]], [3.0, 2.0], rtol=1e-6)
    assert nodes["pad"].outputs[0] not in found.found  # zeros beside 3 are no constant


def test_unread_groups_leave_one_channel_to_each_layer():
    model = keras.Sequential([keras.Input((3,)), L.Dense(4, name="a"), L.Dense(2, name="b")])
    kernel = np.array(model.get_layer("b").kernel)
    kernel[[0, 2]] = 0
    model.get_layer("b").kernel.assign(kernel)
    assert len(unread_groups(groups(model))) == 2
    model.get_layer("b").kernel.assign(kernel * 0)
    assert len(unread_groups(groups(model))) == 3


def test_a_link_ends_where_a_function_does_not_scale():
    def linked(between):
        model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="a"), between, L.Dense(2, name="b")])
        draft = Draft(model)
        return link(draft, draft.nodes[0])

    assert [node.path for node in linked(L.LeakyReLU()).seconds] == ["b"]
    assert "it reads it" in linked(L.ELU(name="it"))
