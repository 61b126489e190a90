"""What LiteRT's integer kernels do besides rounding to a range, computed in floats.

A bias lies on the grid of input scale times weight scale, averages round halves away from zero
in signed codes, where FakeQuant rounds them up, and XNNPACK goes from scale to scale by factors of
eight fractional bits. Each moves an answer now and then.
"""

import tensorflow as tf

from tfcompress.file_formats import INT8, Codes

_STEPS = float(INT8.activations.steps)
_LOWEST, _HIGHEST = (float(code) for code in INT8.activations.limits)
_FACTOR = 2.0**8  # XNNPACK's factors between scales have eight fractional bits
_LEAST, _MOST = 2.0**-8, 2.0**7  # the factors it takes
_HALF = 0.5 + 1e-4  # an average of codes misses an exact half by float error only


def is_int8(span) -> bool:
    """Whether a range, or what stands in its place, has the width whose kernels are followed here."""
    return getattr(span, "bits", None) == INT8.activations.bits


def on_bias_grid(bias, kernel, channel_axes: tuple[int, ...], source, codes: Codes = INT8.weights):
    """Rounds a bias as the file's 32-bit integers hold it.

    Args:
        bias: Tensor, one value per output channel, in any shape.
        kernel: The kernel on its grid (its largest value has the highest code).
        channel_axes: Positions of the axes with a scale of their own; empty for one per tensor.
        source: Range or fixed `(low, high)` of the layer's input.
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


def quantized(x, span):
    """Rounds what a model is given as whoever fills the file's input does: times one float32 factor, halves to even."""
    scale, (_, zero) = scale_of(span), _grid(*_bounds(span))
    return (tf.clip_by_value(tf.round(x * (1.0 / scale)) + zero, _LOWEST, _HIGHEST) - zero) * scale


def averaged(x, span):
    """Rounds averages of int8 values to the grid of a range: halves of signed codes go away from zero."""
    scale, zero = _grid(*_bounds(span))
    code = x / scale + zero
    code = tf.sign(code) * tf.floor(tf.abs(code) + _HALF)
    return (tf.clip_by_value(code, _LOWEST, _HIGHEST) - zero) * scale


def rescaled(x, source, target, below: float = 1.0):
    """Brings int8 values to another scale as XNNPACK does, where it does.

    Args:
        x: Values on the grid of `source`.
        source: Range or fixed `(low, high)`.
        target: The same of the result.
        below: Factor of negative values.

    Returns:
        The values on the grid of `target`; negative ones times `below`, and not rounded, where the kernel takes no such
        factor.
    """
    (step, _), (scale, zero) = _grid(*_bounds(source)), _grid(*_bounds(target))
    code = tf.round(x / step)
    ratio = tf.where(code < 0, below, 1.0) * (step / scale)
    moved = tf.floor((code * tf.round(ratio * _FACTOR) + _FACTOR / 2.0) / _FACTOR)
    moved = (tf.clip_by_value(moved + zero, _LOWEST, _HIGHEST) - zero) * scale
    taken = tf.reduce_all((tf.abs(ratio) >= _LEAST) & (tf.abs(ratio) <= _MOST))
    return tf.where(taken, moved, tf.where(x < 0, below * x, x))


def accumulated(y, source, step, target):
    """Rounds what a kernel sums up as XNNPACK does: whole sums times one float32 factor, halves to even.

    Computed in floats the sums are a little off, and now and then come out on the other side of a half.

    Args:
        y: Sums `(..., channels)`, bias included.
        source: Range or fixed `(low, high)` of the input.
        step: Scale of the weights, what `weight_step` returned, or of a second input; where it is zero, `y` stays as
            it is.
        target: Range of the output.

    Returns:
        The sums on the grid of `target`, not cut off at its bounds.
    """
    scale, result = scale_of(source), scale_of(target)
    unit = scale * step
    safe = tf.where(unit > 0, unit, tf.ones_like(unit))
    return tf.where(unit > 0, tf.round(tf.round(y / safe) * (unit / result)) * result, y)


def scale_of(span):
    """Returns the scale of a range or of fixed limits as the file holds it: the converter divides in float64."""
    low, high = (tf.cast(tf.cast(bound, tf.float32), tf.float64) for bound in _bounds(span))
    return tf.cast((high - low) / _STEPS, tf.float32)


def weight_step(kernel, channel_axes: tuple[int, ...], codes: Codes = INT8.weights):
    """Returns the scale of a kernel in the file: one, or one per channel, in one row.

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
    """Scale and zero point of a range, in signed codes."""
    scale = (high - low) / _STEPS
    return scale, tf.clip_by_value(tf.floor(0.5 - low / scale) + _LOWEST, _LOWEST, _HIGHEST)
