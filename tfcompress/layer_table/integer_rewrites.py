"""Integer rewrites: layers and activations computed in operations that LiteRT runs in int8 without losing precision.

A normalization first divides every vector by its own largest value, so that each vector uses all 256 codes whatever its
size, and then by the deviation of the result: on one scale for all, the variance of most vectors would round to zero.
"""

import math
from collections.abc import Sequence

from keras import ops

from tfcompress.file_formats import INT8

TINY = 32.0  # vectors more than this factor smaller than the largest of all are not brought to full size
FLAT = 64.0  # the same for the mean square of a vector that was divided by its largest value
_CODES = INT8.activations
PROBABILITY = (0.0, _CODES.steps / _CODES.count)  # the output range that LiteRT fixes for Softmax and sigmoid
TANH = (-1.0, _CODES.high * _CODES.unit)
_ROOM = 1.0625  # bound of a quotient by a rounded number, which may exceed one


BENT = ("below", "above")


def elu(x, grid, alpha: float = 1.0):
    """Computes the exponential linear unit without a large exponential.

    Args:
        x: Tensor.
        grid: Rounds the values in between, an `Inside` of `fake_quant/intermediate_ranges.py`.
        alpha: Negative of the limit for very negative values.

    Returns:
        The activation, not rounded.
    """
    below, above = _parts(x, grid)
    fall = grid.fixed(grid.fixed(ops.exp(below), 0.0, 1.0) - 1.0, -1.0, 0.0)
    return above + (fall if alpha == 1.0 else grid.fixed(fall * alpha, min(-alpha, 0.0), max(-alpha, 0.0)))


def selu(x, grid):
    """Computes SELU without a large exponential (Klambauer et al., "Self-Normalizing Neural Networks", 2017)."""
    return grid("elu", elu(x, grid, 1.67326324)) * 1.05070098


def softplus(x, grid):
    """Computes log(1 + exp(x)) without a large exponential."""
    return _parts(x, grid)[1] + _bend(x, grid)


def squareplus(x, grid, b: float = 4.0):
    """Computes squareplus (Barron, "Squareplus: A Softplus-Like Algebraic Rectifier", 2021)."""
    root = ops.sqrt(grid("squares", x * x) + b)
    return grid("sum", x + grid("root", root)) * 0.5


def log_sigmoid(x, grid):
    """Computes -log(1 + exp(-x)) without a large exponential."""
    return grid("below", ops.minimum(x, 0.0)) - _bend(x, grid)


def silu(x, grid):
    """Computes the input times its sigmoid, which LiteRT rounds to steps of 1/256."""
    return grid.product(x, grid.known(ops.sigmoid(x), PROBABILITY), PROBABILITY)


def leaky_relu(op, x, grid):
    """Multiplies negative values by the layer's slope."""
    return grid.bent(x, float(op.negative_slope))


def capped(layer, x, grid):
    """Computes a ReLU with a largest value: a ReLU, which fuses into the operation before, then a minimum."""
    return ops.minimum(ops.relu(x), float(layer.max_value))


def mish(x, grid):
    """Computes Mish (Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019)."""
    return x * grid.fixed(ops.tanh(grid("softplus", softplus(x, grid))), *TANH)


def _parts(x, grid):
    """Splits a tensor into its negative and positive part.

    The positive part is a difference: a ReLU would fuse into the layer before, which would then run twice.
    """
    below = grid("below", ops.minimum(x, 0.0))
    return below, grid("above", x - below)


def _bend(x, grid):
    """Computes log(1 + exp(-|x|))."""
    away = grid("size", ops.abs(x)) * -1.0
    away = grid.fixed(away, -1.0 * grid.high("size"), 0.0)
    return grid.fixed(ops.log(grid.fixed(1.0 + grid.fixed(ops.exp(away), 0.0, 1.0), 0.0, 2.0)), 0.0, 0.6931472)


def negative(op, x, grid):
    """Computes -x as a product."""
    return x * -1.0


def square(op, x, grid):
    """Computes the square as a product."""
    return x * x


def masking(layer, x, grid):
    """Copies the input of a layer that masks zeros, whose values do not change, and passes the mask on."""
    y = ops.copy(x)
    y._keras_mask = layer.compute_mask(x)
    return y


def layer_normalization(layer, x, grid):
    """Computes layer normalization (Ba et al., "Layer Normalization", 2016)."""
    axes = _axes(layer.axis, len(x.shape))
    y = _standardized(x, axes, layer.epsilon, grid)
    if not by_channel(layer):
        return _spread_out(y, layer.gamma, layer.beta, axes, grid)
    return _scaled(y, layer.gamma, layer.beta, grid)


def by_channel(layer) -> bool:
    """Whether a normalization layer has one gamma and one beta for each entry of the last axis."""
    axes = layer.axis if isinstance(layer.axis, Sequence) else [layer.axis]
    return list(axes) == [-1]


def rms_normalization(layer, x, grid):
    """Computes RMS normalization (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019)."""
    axes = _axes(layer.axis, len(x.shape))
    y = _normalized(x, axes, layer.epsilon, grid)
    if not by_channel(layer):
        return _spread_out(y, layer.scale, None, axes, grid)
    return _scaled(y, layer.scale, None, grid)


def group_normalization(layer, x, grid):
    """Computes group normalization with channels last (Wu and He, "Group Normalization", 2018)."""
    channels = x.shape[-1]
    groups = channels if layer.groups == -1 else layer.groups
    shape = (-1, math.prod(x.shape[1:-1]), groups, channels // groups)
    y = _standardized(ops.reshape(x, shape), (1, 3), layer.epsilon, grid)
    return _scaled(ops.reshape(y, (-1, *x.shape[1:])), layer.gamma, layer.beta, grid)


def unit_normalization(layer, x, grid):
    """Scales vectors along the layer's axes to length one."""
    return unit_length(x, layer.axis, grid)


def unit_length(x, axis, grid):
    """Scales vectors along an axis or several to length one; rounds the values "magnitude" and "spread" in between."""
    return _normalized(x, _axes(axis, len(x.shape)), 0.0, grid, ops.sum)


def normalized(x, axes, epsilon: float, grid):
    """Computes `x * rsqrt(mean(x * x) + epsilon)`; rounds "magnitude", "spread", "inverse", with epsilon "eased"."""
    return _normalized(x, _axes(axes, len(x.shape)), epsilon, grid)


def separable_convolution(layer, x, grid):
    """Computes a separable convolution as a depthwise and a pointwise one, with the value between them on a grid."""
    side = {"padding": layer.padding, "data_format": layer.data_format, "dilation_rate": layer.dilation_rate}
    y = ops.depthwise_conv(x, layer.depthwise_kernel, strides=layer.strides, **side)
    y = ops.conv(grid("between", y), layer.pointwise_kernel, 1, "valid", layer.data_format)
    if layer.bias is not None:
        first = (1, layer.filters, *[1] * layer.rank)
        y = y + (layer.bias if layer.data_format == "channels_last" else ops.reshape(layer.bias, first))
    return y if layer.activation is None else layer.activation(y)


def max_pooling3d(layer, x, grid):
    """Computes max pooling of volumes as pooling of planes, then along the first axis."""
    return _pooled(ops.max_pool, layer, x, lambda y: y)


def average_pooling3d(layer, x, grid):
    """Computes average pooling of volumes as pooling of planes, then along the first axis; padding is not counted."""
    return _pooled(ops.average_pool, layer, x, grid.average)


def _pooled(pool, layer, x, between):
    depth, *plane = layer.pool_size
    first, *steps = layer.strides
    y = ops.reshape(x, (-1, *x.shape[2:]))
    y = between(pool(y, tuple(plane), tuple(steps), layer.padding, "channels_last"))
    height, width, channels = y.shape[1:]
    y = ops.reshape(y, (-1, x.shape[1], height * width, channels))
    y = pool(y, (depth, 1), (first, 1), layer.padding, "channels_last")
    return ops.reshape(y, (-1, y.shape[1], height, width, channels))


def _axes(axis, rank: int) -> tuple[int, ...]:
    found = axis if isinstance(axis, Sequence) else [axis]
    return tuple(sorted(a % rank for a in found))


def _standardized(x, axes, epsilon, grid):
    """Computes `(x - mean) * rsqrt(variance + epsilon)`, not rounded.

    Vectors are brought to full size before their mean is subtracted: the other way round, those differences would
    share one scale, on which the smaller vectors have few codes.
    """
    if not grid.has("sized"):  # a plan of an earlier release
        mean = grid("mean", ops.mean(x, axis=axes, keepdims=True))
        return _normalized(grid("centred", x - mean), axes, epsilon, grid)
    r, limit = _inverse_size(x, axes, epsilon, grid)
    v = grid.wide("sized", x * r, _ROOM)
    mean = grid.wide("offset", ops.mean(v, axis=axes, keepdims=True), _ROOM)
    u = grid.wide("around", v - mean, _ROOM)
    return _of_length_one(u, grid.reach("around") * _ROOM, r, limit, axes, epsilon, grid)


def _normalized(x, axes, epsilon, grid, reduce=ops.mean):
    """Computes `x * rsqrt(mean(x * x) + epsilon)`, not rounded.

    With r = 1 / largest value this is `(x r) * rsqrt(mean((x r)^2) + epsilon r^2)`. An error of r occurs in both
    factors and cancels out; so does the upper limit of r, which is reached at the latest where epsilon dominates.
    """
    r, limit = _inverse_size(x, axes, epsilon, grid)
    bound = _ROOM * grid.least(1.0, grid.high("magnitude") * limit)
    return _of_length_one(grid.fixed(x * r, -bound, bound), bound, r, limit, axes, epsilon, grid, reduce)


def _inverse_size(x, axes, epsilon, grid) -> tuple:
    """Returns one over the largest absolute value of each vector, and the upper limit of that."""
    size = grid("magnitude", ops.abs(x))
    peak = grid.high("magnitude")
    limit = grid.least(TINY / peak, epsilon**-0.5) if epsilon else TINY / peak
    largest = grid.fixed(ops.max(size, axis=axes, keepdims=True), 0.0, peak)
    root = grid.rsqrt(largest, limit)
    return ops.stop_gradient(grid.fixed(root * root, 0.0, limit)), limit


def _of_length_one(u, bound, r, limit, axes, epsilon, grid, reduce=ops.mean):
    """Divides vectors `x r` within `bound` by the root of their mean square and `epsilon r^2`."""
    spread = grid("spread", reduce(grid.fixed(u * u, 0.0, bound**2), axis=axes, keepdims=True))
    if not epsilon:
        return u * grid.inverse_root(spread, FLAT / grid.high("spread"))
    low = grid.fixed(r * epsilon**0.5, 0.0, limit * epsilon**0.5)
    eased = grid("eased", spread + grid.fixed(low * low, 0.0, limit**2 * epsilon))
    return u * grid.inverse_root(eased, FLAT / grid.high("eased"))


def _scaled(y, gamma, beta, grid):
    """Multiplies by gamma and adds beta, one of each for every entry of the last axis."""
    if gamma is None and beta is None:
        return y
    return grid.by_channel(grid("normalized", y), gamma, beta, "normalized")


def _spread_out(y, gamma, beta, axes, grid):
    """Multiplies by gamma and adds beta, which have the normalized axes."""
    if gamma is None and beta is None:
        return y
    y = grid("normalized", y)
    shape = [size if k in axes else 1 for k, size in enumerate(y.shape)]
    if gamma is not None:
        y = y * ops.reshape(gamma, shape)
    if beta is None:
        return y
    return (y if gamma is None else grid("scaled", y)) + ops.reshape(beta, shape)
