"""Integer rewrites of single operations that code of a layer's own computes: statistics, sums along an axis, powers.

They have the form of those in `integer_rewrites.py`: a function `(op, x, grid)`, where `grid` rounds what lies between.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import ops, tree

from tfcompress.layer_table.integer_rewrites import PROBABILITY, TANH

SPREAD = ("mean", "centred", "squares")
"""Values inside a variance."""


def variance(op, x, grid):
    """Computes the variance along the axes of the operation from the mean of squares of what lies around the mean."""
    return _moments(x, _axes_of(op), bool(op.keepdims), grid)[1]


def deviation(op, x, grid):
    """Computes the standard deviation: the root of the variance."""
    return ops.sqrt(grid("variance", variance(op, x, grid)))


def moments(op, x, grid):
    """Computes mean and variance."""
    return _moments(x, _axes_of(op), bool(op.keepdims), grid)


def _axes_of(op):
    """Returns the axes of a statistic; None for all."""
    axes = getattr(op, "axes", None) if hasattr(op, "axes") else op.axis
    return tuple(axes) if isinstance(axes, list) else axes


def _moments(x, axes, keepdims: bool, grid):
    mean = grid("mean", ops.mean(x, axis=axes, keepdims=True))
    centred = grid("centred", x - mean)
    spread = ops.mean(grid("squares", centred * centred), axis=axes, keepdims=keepdims)
    return mean if keepdims else ops.squeeze(mean, axes), spread


def cumulative_sum(op, x, grid):
    """Computes a cumulative sum as a product with a matrix of ones and zeros."""
    last = ops.moveaxis(x, op.axis, -1)
    size = last.shape[-1]
    y = ops.matmul(last, ops.cast(np.triu(np.ones((size, size))), x.dtype))
    return ops.moveaxis(y, -1, op.axis)


def lower_triangle(op, x, grid):
    """Sets what lies above a diagonal to zero, as a product."""
    return x * ops.cast(np.tril(np.ones(x.shape[-2:]), op.k), x.dtype)


def upper_triangle(op, x, grid):
    """Sets what lies below a diagonal to zero, as a product."""
    return x * ops.cast(np.triu(np.ones(x.shape[-2:]), op.k), x.dtype)


def sorted_values(op, x, grid):
    """Sorts in ascending order: the largest values of all, turned round."""
    last = ops.moveaxis(x, op.axis, -1)
    largest = ops.top_k(last, last.shape[-1])[0]
    return ops.moveaxis(ops.flip(largest, -1), -1, op.axis)


def power_of_two(op, x, grid):
    """Computes two to a power by the exponential function."""
    return ops.exp(grid("scaled", x * math.log(2.0)))


# (2 / sqrt(pi)) (x + 11 x^3 / 123): Andrew, "Handbook of function approximations": tanh of it is within 4e-4 of erf
_SLOPE, _BEND = 2.0 / math.sqrt(math.pi), 2.0 / math.sqrt(math.pi) * 11.0 / 123.0
# Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, formula 7.1.26, within 1.5e-7
_P, _A = 0.3275911, (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_FAR = 3.0  # erf is within 3e-5 of 1 from here on


def error_function(op, x, grid):
    """Computes erf, which LiteRT lacks: by a polynomial and exp in float (1.5e-7 off), by tanh in int8 (4e-4 off)."""
    if not grid.has("inside"):
        return _erf(x)
    y = grid.fixed(ops.clip(x, -_FAR, _FAR), -_FAR, _FAR)
    bent = grid("squares", y * y) * _BEND
    return ops.tanh(grid("inside", y * grid("factor", bent + _SLOPE)))


def complementary_error_function(op, x, grid):
    """Computes 1 - erf."""
    y = error_function(op, x, grid)
    return 1.0 - (grid.known(y, TANH) if grid.has("inside") else y)


def _erf(x):
    size = ops.abs(x)
    t = 1.0 / (1.0 + _P * size)
    polynomial = 0.0
    for a in reversed(_A):
        polynomial = (polynomial + a) * t
    return ops.sign(x) * (1.0 - polynomial * ops.exp(size * size * -1.0))


@dataclass(frozen=True)
class Power:
    """How a power with a known exponent is computed.

    Args:
        written: Its rewrite.
        inside: Names of the values inside.
        function: As in `LayerSpec`.
    """

    written: Callable
    inside: tuple[str, ...] = ()
    function: str | None = None


def power(exponent: float) -> Power | None:
    """Returns how a power is computed; None for an exponent without a rewrite.

    Args:
        exponent: The exponent.
    """
    return _POWERS.get(exponent)


def _cube(op, x, grid):
    return x * grid("square", x * x)


def _fourth(op, x, grid):
    y = grid("square", x * x)
    return y * y


_POWERS = {
    1.0: Power(lambda op, x, grid: ops.copy(x)),
    2.0: Power(lambda op, x, grid: x * x, function="square"),
    3.0: Power(_cube, ("square",)),
    4.0: Power(_fourth, ("square",)),
    0.5: Power(lambda op, x, grid: ops.sqrt(x), function="square root"),
    -0.5: Power(lambda op, x, grid: ops.rsqrt(x), function="reciprocal root"),
    -1.0: Power(lambda op, x, grid: 1.0 / x, function="reciprocal"),
}


def attention(op, args, kwargs, grid):
    """Computes scaled dot-product attention (Vaswani et al., "Attention Is All You Need", 2017) of (b, t, n, h)."""
    query, key, value, bias, mask, scale, is_causal, *_ = _attention_arguments(*args, **kwargs)
    heads, steps = query.shape[2], (query.shape[1], key.shape[1])
    if key.shape[2] != heads:  # several heads of the query share one of key and value
        key, value = (ops.repeat(x, heads // x.shape[2], axis=2) for x in (key, value))
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = ops.einsum("btnh,bsnh->bnts", grid("query", query * factor), key)
    scores = scores if bias is None else grid("scores", scores) + bias
    if is_causal:
        lower = ops.expand_dims(ops.arange(steps[0]), 1) >= ops.arange(steps[1])
        mask = lower if mask is None else ops.logical_and(mask, lower)
    name = "scores" if bias is None else "biased"
    scores = grid(name, scores) if mask is None else grid.masked(name, scores, ops.cast(mask, "bool"))
    weights = grid.known(ops.softmax(scores, axis=-1), PROBABILITY)
    return ops.einsum("bnts,bsnh->btnh", weights, value)


def _attention_arguments(
    query, key, value, bias=None, mask=None, scale=None, is_causal=False, flash_attention=None, soft_cap=None, **kwargs
):
    return query, key, value, bias, mask, scale, is_causal, flash_attention, soft_cap, kwargs


def attention_is_plain(op) -> bool:
    """Whether an attention operation has no cap on its scores, which the rewrite does not compute."""
    return getattr(op, "attn_logits_soft_cap", None) is None


def with_constant_kernel(op, args, kwargs, grid):
    """Computes a convolution whose kernel is a constant, as that which takes patches out of a picture."""
    name = next((name for name in ("kernel", "filters") if name in kwargs), None)
    kernel = args[1] if name is None else kwargs[name]
    place = next(k for k, x in enumerate(tree.flatten((args, kwargs))) if x is kernel)
    if place in op.constants or isinstance(kernel, np.ndarray):  # where nothing is traced, every tensor has a value
        kernel = grid.constant(kernel)
    if name is None:
        return op.plain(args[0], kernel, *args[2:], **kwargs)
    return op.plain(*args, **{**kwargs, name: kernel})
