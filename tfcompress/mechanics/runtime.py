"""What LiteRT's integer kernels do besides rounding to a range, computed in floats.

A bias lies on the grid of input scale times weight scale, and averages round halves away from zero
in signed codes, where FakeQuant rounds them up. Each moves an answer now and then.
"""

import tensorflow as tf

_HALF = 0.5 + 1e-4  # an average of codes misses an exact half by float error only


def on_bias_grid(bias, kernel, letters: str, channel_axes: tuple[int, ...], source):
    """Rounds a bias as the file's 32-bit integers hold it.

    Args:
        bias: Tensor, one value per output channel, in any shape.
        kernel: The kernel on its int8 grid (its largest value is code 127).
        letters: Axis letters of the kernel.
        channel_axes: Positions of the axes with a scale of their own; empty for one per tensor.
        source: Range or fixed `(low, high)` of the layer's input.

    Returns:
        The bias, rounded to steps of input scale times weight scale.
    """
    if source is None or not letters:
        return bias
    low, high = source if isinstance(source, tuple) else source.bounds()
    reduced = tuple(k for k in range(len(letters)) if k not in channel_axes)
    peak = tf.reduce_max(tf.abs(kernel), axis=reduced)
    if channel_axes and peak.shape.num_elements() != bias.shape.num_elements():
        return bias
    step = peak * ((high - low) / (255.0 * 127.0))
    step = tf.reshape(step, bias.shape) if channel_axes else step
    safe = tf.where(step > 0, step, tf.ones_like(step))
    return tf.where(step > 0, tf.round(bias / safe) * safe, bias)


def averaged(x, low, high):
    """Rounds averages of int8 values to their grid: halves of signed codes go away from zero."""
    scale = (high - low) / 255.0
    zero = tf.clip_by_value(tf.round(-128.0 - low / scale), -128.0, 127.0)
    code = x / scale + zero
    code = tf.sign(code) * tf.floor(tf.abs(code) + _HALF)
    return (tf.clip_by_value(code, -128.0, 127.0) - zero) * scale
