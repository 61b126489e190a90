"""Replaces functions of Keras and TensorFlow during an export by others for which LiteRT has an operation."""

import contextlib

import tensorflow as tf

from tfcompress.graph.call_observers import SAME_NUMBERS
from tfcompress.graph.keras_private import ENCODING, NUMPY, override_attributes


def substitute_operations(is_integer: bool) -> contextlib.AbstractContextManager:
    """Makes Keras compute in operations of LiteRT while the block runs.

    Args:
        is_integer: Whether the file will be an integer one; then booleans and indices become numbers by
            comparison and selection, not by a cast to float.
    """
    changes = [(NUMPY, name, _index(getattr(tf, name))) for name in ("argmax", "argmin")]
    changes.append((NUMPY, "add", _sum(NUMPY.add)))
    changes += [(tf.nn, "softsign", _softsign), (tf.math, "softsign", _softsign)]
    changes.append((ENCODING, "tf_encode_categorical_inputs", _by_comparison))
    if is_integer:
        changes += [(tf, "cast", _cast(tf.cast)), (tf, "one_hot", _one_hot(tf.one_hot)), (NUMPY, "digitize", _digitize)]
    return override_attributes(changes)


def _index(plain):
    """Returns argmax or argmin without Keras' test for -0.0, which reads bits that LiteRT can't read."""

    def index(x, axis=None, keepdims=False):
        x = tf.convert_to_tensor(x)
        flat = tf.reshape(x, [-1]) if axis is None else x
        found = plain(flat, axis=0 if axis is None else axis, output_type=tf.int32)
        if not keepdims:
            return found
        return tf.reshape(found, [1] * len(x.shape)) if axis is None else tf.expand_dims(found, axis)

    return index


def _softsign(features, name=None):
    """Computes what the converter makes of tf.nn.softsign from TensorFlow 2.19 on; the one before refuses it."""
    return tf.divide(features, 1.0 + tf.abs(features), name=name)


def _sum(plain):
    """Returns a sum that takes no activation for a bias.

    Of batch 1 Keras takes a sequence with one channel for the bias of another one, which the converter can't transpose.
    """

    def add(x1, x2):
        given = [x for x in (x1, x2) if isinstance(x, tf.Tensor) and len(x.shape) > 1]
        is_alike = len(given) == 2 and x1.dtype == x2.dtype and x1.shape.as_list() == x2.shape.as_list()
        return tf.add(x1, x2) if is_alike else plain(x1, x2)

    return add


def _by_comparison(*args, **kwargs):
    """Refuses bincount, so that Keras encodes categories by one-hot vectors instead."""
    raise ValueError("LiteRT has no bincount")


def _chosen(condition, dtype, on=1.0, off=0.0):
    """Ones where a condition holds, else zeros, on the grid between them."""
    chosen = tf.where(condition, tf.constant(on, tf.float32), tf.constant(off, tf.float32))
    return tf.cast(tf.quantization.fake_quant_with_min_max_args(chosen, min(off, on), max(off, on)), dtype)


def _cast(plain):
    def cast(x, dtype, name=None):
        to = tf.as_dtype(dtype)
        to = tf.float32 if to == tf.float64 else to  # of integers too, or the two would meet
        given = getattr(x, "dtype", None)
        if to.is_integer and (came := _integers_behind(x)) is not None:
            return plain(came, dtype, name=name)
        if given == tf.bool and to.is_floating:
            return _chosen(x, to)
        if given is not None and tf.as_dtype(given).is_floating and to.is_floating:
            return plain(x, tf.float32, name=name)  # codes are the same whatever floats they stand for
        return tf.not_equal(x, 0.0) if given == tf.float32 and to == tf.bool else plain(x, to, name=name)

    return cast


def _integers_behind(x):
    """Returns the integers that a float tensor was cast from, for a layer that casts it back; else None."""
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
    """Counts in integers how many bounds each value reaches."""
    x = tf.convert_to_tensor(x)
    x = x if x.dtype.is_floating else tf.cast(x, tf.float32)  # Discretization of Keras 3.8 makes integers of its input
    reached = tf.expand_dims(x, -1) >= tf.constant(bins, x.dtype)
    return tf.reduce_sum(tf.where(reached, 1, 0), -1)
