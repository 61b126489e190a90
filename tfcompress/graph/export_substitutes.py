"""Functions of Keras and TensorFlow that an export calls in another form, for want of an operation in LiteRT."""

import contextlib

import tensorflow as tf

from tfcompress.graph.call_observers import SAME_NUMBERS
from tfcompress.graph.keras_private import ENCODING, NUMPY, overridden


def convertible(is_integer: bool) -> contextlib.AbstractContextManager:
    """Lets Keras compute in operations LiteRT has, for as long as the block lasts.

    Args:
        is_integer: Whether the file is to be an integer one; then truth values and indices become numbers by
            comparison and selection, not by a cast to float.
    """
    changes = [(NUMPY, name, _index(getattr(tf, name))) for name in ("argmax", "argmin")]
    changes.append((ENCODING, "tf_encode_categorical_inputs", _by_comparison))
    if is_integer:
        changes += [(tf, "cast", _cast(tf.cast)), (tf, "one_hot", _one_hot(tf.one_hot)), (NUMPY, "digitize", _digitize)]
    return overridden(changes)


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


def _by_comparison(*args, **kwargs):
    """Keras encodes categories by TensorFlow's bincount where that accepts them, and else by one-hot vectors."""
    raise ValueError("LiteRT has no bincount")


def _chosen(condition, dtype, on=1.0, off=0.0):
    """Ones where a condition holds, else zeros, on the grid between them."""
    chosen = tf.where(condition, tf.constant(on, tf.float32), tf.constant(off, tf.float32))
    return tf.cast(tf.quantization.fake_quant_with_min_max_args(chosen, min(off, on), max(off, on)), dtype)


def _cast(plain):
    def cast(x, dtype, name=None):
        to = tf.as_dtype(dtype)
        given = getattr(x, "dtype", None)
        if to.is_integer and (came := _integers_behind(x)) is not None:
            return plain(came, dtype, name=name)
        if given == tf.bool and to.is_floating:
            return _chosen(x, to)
        if given is not None and tf.as_dtype(given).is_floating and to.is_floating:
            return plain(x, tf.float32, name=name)  # codes are the same whatever floats they stand for
        return tf.not_equal(x, 0.0) if given == tf.float32 and to == tf.bool else plain(x, dtype, name=name)

    return cast


def _integers_behind(x):
    """The integers that were cast to a tensor of floats, which a layer casts back."""
    op = getattr(x, "op", None) if isinstance(x, tf.Tensor) and not hasattr(x, "numpy") else None
    cast = op
    while cast is not None and cast.type in SAME_NUMBERS:
        cast = cast.inputs[0].op
    source = cast.inputs[0] if cast is not None and cast.type == "Cast" else None
    if source is None or not source.dtype.is_integer:
        return None
    return source if cast is op else tf.reshape(source, x.shape if x.shape.is_fully_defined() else tf.shape(x))


def _one_hot(plain):
    def one_hot(indices, depth, on_value=None, off_value=None, axis=-1, dtype=tf.float32, name=None):
        to = tf.as_dtype(dtype or tf.float32)
        if not to.is_floating or on_value is not None or off_value is not None:
            return plain(indices, depth, on_value, off_value, axis, dtype, name)
        indices = tf.convert_to_tensor(indices)
        at = axis % (len(indices.shape) + 1)
        shape = [1] * (len(indices.shape) + 1)
        shape[at] = depth
        places = tf.reshape(tf.range(depth, dtype=indices.dtype), shape)
        return _chosen(tf.equal(tf.expand_dims(indices, at), places), to)

    return one_hot


def _digitize(x, bins):
    """The number of bounds that a value reaches, counted in integers."""
    reached = tf.expand_dims(tf.convert_to_tensor(x), -1) >= tf.constant(bins, x.dtype)
    return tf.reduce_sum(tf.where(reached, 1, 0), -1)
