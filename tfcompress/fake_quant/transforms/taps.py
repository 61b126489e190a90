"""Records the gradient of a value that is not a weight of the model, for an optimizer of its own."""

import tensorflow as tf


def record_gradient(value, gradients, scale=1.0):
    """Returns a value unchanged; the backward pass adds its gradient times `scale` to a variable.

    Args:
        value: A tensor.
        gradients: Variable of the same shape.
        scale: Factor of the recorded gradient; the gradient that is passed on stays unchanged.

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
