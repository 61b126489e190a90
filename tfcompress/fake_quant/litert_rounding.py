"""Computes the roundings of LiteRT's integer kernels in float arithmetic, beyond those of activation ranges.

A bias lies on the grid of input scale times weight scale. Averages round halves away from zero in signed codes, where
FakeQuant rounds them up. XNNPACK converts from one scale to another with factors of eight fractional bits. Each of
these changes an output now and then.
"""

import tensorflow as tf

from tfcompress.file_formats import INT8, Codes

_STEPS = float(INT8.activations.steps)
_LOWEST, _HIGHEST = (float(code) for code in INT8.activations.limits)
_FACTOR = 2.0**8  # XNNPACK's factors between scales have eight fractional bits
_LEAST, _MOST = 2.0**-8, 2.0**7  # the factors it takes
_HALF = 0.5 + 1e-4  # float error alone moves an average of codes off an exact half


def is_int8(span) -> bool:
    """Whether a range has the 8 bits of the kernels that this module simulates."""
    return getattr(span, "bits", None) == INT8.activations.bits


def round_bias(bias, kernel, channel_axes: tuple[int, ...], source, codes: Codes = INT8.weights):
    """Rounds a bias to the grid of the file's 32-bit integers.

    Args:
        bias: Tensor, one value per output channel, in any shape.
        kernel: The kernel on its grid (its largest value has the highest code).
        channel_axes: Positions of the axes with a scale of their own; empty for one per tensor.
        source: Range or fixed `(low, high)` of the layer's input; None where it is unknown.
        codes: Codes of the kernel.

    Returns:
        The bias, rounded to steps of input scale times weight scale.
    """
    if source is None:
        return bias
    low, high = _bounds(source)
    reduced = tuple(k for k in range(len(kernel.shape)) if k not in channel_axes)
    peak = tf.reduce_max(tf.abs(kernel), axis=reduced)
    if channel_axes and peak.shape.num_elements() != bias.shape.num_elements():
        return bias
    step = peak * ((high - low) / (_STEPS * codes.high))
    step = tf.reshape(step, bias.shape) if channel_axes else step
    safe = tf.where(step > 0, step, tf.ones_like(step))
    return tf.where(step > 0, tf.round(bias / safe) * safe, bias)


def round_input(x, span):
    """Rounds a model's input as callers of the file quantize it: times one float32 factor, halves to even."""
    scale, (_, zero) = scale_of(span), _grid(*_bounds(span))
    return (tf.clip_by_value(tf.round(x * (1.0 / scale)) + zero, _LOWEST, _HIGHEST) - zero) * scale


def round_averages(x, span):
    """Rounds averages of int8 values to the grid of a range; halves of signed codes are rounded away from zero."""
    scale, zero = _grid(*_bounds(span))
    code = x / scale + zero
    code = tf.sign(code) * tf.floor(tf.abs(code) + _HALF)
    return (tf.clip_by_value(code, _LOWEST, _HIGHEST) - zero) * scale


def convert_scale(x, source, target, below: float = 1.0):
    """Converts int8 values to another scale as XNNPACK does, within the factors that it supports.

    Args:
        x: Values on the grid of `source`.
        source: Range or fixed `(low, high)`.
        target: The same of the result.
        below: Factor of negative values.

    Returns:
        The values on the grid of `target`, negative ones times `below`; not rounded where the kernel does not support
        the factor.
    """
    (step, _), (scale, zero) = _grid(*_bounds(source)), _grid(*_bounds(target))
    code = tf.round(x / step)
    ratio = tf.where(code < 0, below, 1.0) * (step / scale)
    moved = tf.floor((code * tf.round(ratio * _FACTOR) + _FACTOR / 2.0) / _FACTOR)
    moved = (tf.clip_by_value(moved + zero, _LOWEST, _HIGHEST) - zero) * scale
    taken = tf.reduce_all((tf.abs(ratio) >= _LEAST) & (tf.abs(ratio) <= _MOST))
    return tf.where(taken, moved, tf.where(x < 0, below * x, x))


def round_sums(y, source, step, target):
    """Rounds the sums of a kernel as XNNPACK does: integer sums times one float32 factor, halves to even.

    Sums computed in floats are slightly off, and now and then fall on the other side of a half.

    Args:
        y: Sums `(..., channels)`, bias included.
        source: Range or fixed `(low, high)` of the input.
        step: Scale of the weights, as returned by `weight_step`, or of a second input; where it is zero, `y` stays
            unchanged.
        target: Range of the output.

    Returns:
        The sums on the grid of `target`, not clipped to its bounds.
    """
    scale, result = scale_of(source), scale_of(target)
    unit = scale * step
    safe = tf.where(unit > 0, unit, tf.ones_like(unit))
    return tf.where(unit > 0, tf.round(tf.round(y / safe) * (unit / result)) * result, y)


def scale_of(span):
    """Returns the scale of a range or of fixed limits as it stands in the file: the converter divides in float64."""
    low, high = (tf.cast(tf.cast(bound, tf.float32), tf.float64) for bound in _bounds(span))
    return tf.cast((high - low) / _STEPS, tf.float32)


def weight_step(kernel, channel_axes: tuple[int, ...], codes: Codes = INT8.weights):
    """Returns the scale of a kernel in the file: a vector of one number, or of one per channel.

    Args:
        kernel: The kernel on its grid (its largest value has the highest code).
        channel_axes: Positions of the axes with a scale of their own.
        codes: Codes of the kernel.
    """
    reduced = tuple(k for k in range(len(kernel.shape)) if k not in channel_axes)
    peak = tf.cast(tf.reduce_max(tf.abs(kernel), axis=reduced), tf.float64)
    return tf.cast(tf.reshape(peak, (-1,)) / codes.high, tf.float32)


def _bounds(span):
    if isinstance(span, tuple):
        return span
    with tf.init_scope():
        return span.limits()


def _grid(low, high):
    """Returns scale and zero point of a range, in signed codes."""
    scale = (high - low) / _STEPS
    return scale, tf.clip_by_value(tf.floor(0.5 - low / scale) + _LOWEST, _LOWEST, _HIGHEST)
