"""Functions of Keras and TensorFlow that an export calls in another form, because LiteRT lacks an operation of theirs."""

import contextlib

import keras
import tensorflow as tf

from tfcompress.mechanics.graph import NUMPY, overridden


def convertible(is_integer: bool) -> contextlib.AbstractContextManager:
    """Lets Keras compute in operations LiteRT has, for as long as the block lasts.

    Args:
        is_integer: Whether the file is to be an integer one; then a truth value that becomes a number does so by a
            selection, not by a cast to float.
    """
    changes = [(NUMPY, name, _index(getattr(tf, name))) for name in ("argmax", "argmin")]
    return overridden([*changes, (tf, "cast", _cast(tf.cast))] if is_integer else changes)


def _index(plain):
    """Keras tells -0.0 from 0.0 by its bits, which LiteRT can't look at; no code of an integer file does."""

    def index(x, axis=None, keepdims=False):
        x = tf.convert_to_tensor(x)
        flat = tf.reshape(x, [-1]) if axis is None else x
        found = plain(flat, axis=0 if axis is None else axis, output_type=tf.int32)
        if not keepdims:
            return found
        return tf.reshape(found, [1] * len(x.shape)) if axis is None else tf.expand_dims(found, axis)

    return index


def _cast(plain):
    def cast(x, dtype, name=None):
        to = tf.as_dtype(keras.backend.standardize_dtype(dtype)) if isinstance(dtype, str) else tf.as_dtype(dtype)
        if getattr(x, "dtype", None) != tf.bool or not to.is_floating:
            return plain(x, dtype, name=name)
        chosen = tf.where(x, tf.ones((), tf.float32), tf.zeros((), tf.float32))
        return plain(tf.quantization.fake_quant_with_min_max_args(chosen, 0.0, 1.0), dtype, name=name)

    return cast
