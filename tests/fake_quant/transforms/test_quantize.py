"""QuantizeWeight: the grid of every scheme, against NumPy and against TensorFlow's FakeQuant."""

import numpy as np
import pytest
import tensorflow as tf

from tfcompress.fake_quant.transforms.quantize import QuantizeWeight

W = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype("float32")


def codes(q, scale):
    """Integer codes of values on a grid; fails if they are on none."""
    found = np.asarray(q, "float64") / np.asarray(scale, "float64")
    np.testing.assert_allclose(found, np.round(found), atol=2e-2)
    return np.round(found)


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("channel_axes", [(), (3,), (2, 3)])
def test_values_lie_on_a_grid_of_that_many_bits(bits, symmetric, channel_axes):
    layer = QuantizeWeight(bits, symmetric, channel_axes, "xyio")
    layer.build(W.shape)
    q, scale = np.asarray(layer(W)), np.asarray(layer.scale(W))
    assert scale.shape == tuple(s if k in channel_axes else 1 for k, s in enumerate(W.shape))
    found = codes(q, scale)
    bound = 2 ** (bits - 1) - 1
    reduced = tuple(k for k in range(4) if k not in channel_axes)
    if symmetric:
        assert np.abs(found).max() == bound
        # narrow range: the largest weight of every grid has the largest code
        assert (np.abs(found).max(axis=reduced) == bound).all()
        np.testing.assert_allclose(np.abs(q).max(axis=reduced), np.abs(W).max(axis=reduced), rtol=1e-6)
    else:
        assert (np.ptp(found, axis=reduced) <= 2**bits - 1).all()
    assert np.abs(q - W).max() <= scale.max() * (0.5 if symmetric else 1.0) * (1 + 1e-3)


@pytest.mark.parametrize("bits", [2, 4, 8, 12, 16])
def test_symmetric_per_tensor_is_numpy_rounding(bits):
    layer = QuantizeWeight(bits, True, (), "xyio")
    scale = np.float32(np.abs(W).max()) / np.float32(2 ** (bits - 1) - 1)
    np.testing.assert_array_equal(layer(W), np.round(W / scale) * scale)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_the_symmetric_grid_is_that_of_fakequant_with_narrow_range(bits, per_channel):
    layer = QuantizeWeight(bits, True, (3,) if per_channel else (), "xyio")
    if per_channel:
        bound = np.abs(W).max(axis=(0, 1, 2))
        want = tf.quantization.fake_quant_with_min_max_vars_per_channel(W, -bound, bound, bits, narrow_range=True)
    else:
        bound = float(np.abs(W).max())
        want = tf.quantization.fake_quant_with_min_max_args(W, -bound, bound, bits, True)
    np.testing.assert_allclose(layer(W), want, atol=np.abs(W).max() * 1e-6)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_asymmetric_grid_is_that_of_fakequant(bits):
    w = W + 0.4
    layer = QuantizeWeight(bits, False, (), "xyio")
    want = tf.quantization.fake_quant_with_min_max_args(w, w.min(), w.max(), bits)
    np.testing.assert_allclose(layer(w), want, atol=1e-5)


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_stay_zeros_and_a_kernel_of_zeros_is_no_trouble(symmetric):
    layer = QuantizeWeight(8, symmetric, (1,), "io")
    w = np.array([[0.0, 0.0, 0.3], [0.0, 0.7, 0.0], [0.0, -0.2, 0.9]], "float32")
    q = np.asarray(layer(w))
    assert (q[w == 0] == 0).all() and np.isfinite(q).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_what_is_on_the_grid_stays(symmetric):
    layer = QuantizeWeight(8, symmetric, (3,), "xyio")
    once = np.asarray(layer(W))
    np.testing.assert_allclose(layer(once), once, atol=1e-6)


def test_the_gradient_passes_straight_through_and_bake_leaves_rounding_to_the_file():
    layer = QuantizeWeight(4, True, (), "xyio")
    x = tf.constant(W)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layer(x) * W)
    np.testing.assert_array_equal(tape.gradient(y, x), W)
    assert not layer.lasting and not layer.variables
