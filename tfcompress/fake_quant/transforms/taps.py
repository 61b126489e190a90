"""A tap on a value that is not the model's: its gradient is noted for an optimizer of its own."""

import tensorflow as tf


def note_gradient(value, gradients, scale=1.0):
    """Returns `value`; backward, its gradient times `scale` is added to a variable.

    Args:
        value: A tensor.
        gradients: Variable of the same shape.
        scale: Factor on what is noted; the gradient that flows on is untouched.

    Returns:
        The tensor.
    """

    @tf.custom_gradient
    def tap(x):
        def backward(upstream):
            new = upstream * scale
            # a float16 step that overflowed is dropped by the optimizer, and here as well
            gradients.assign(gradients + tf.where(tf.math.is_finite(new), new, tf.zeros_like(new)))
            return upstream

        return tf.identity(x), backward

    return tap(value)
