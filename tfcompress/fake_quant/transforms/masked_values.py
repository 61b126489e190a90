"""Keeps the huge numbers that stand for a mask, such as -1e9, from setting the range of the logits of a softmax.

A logit far below the largest of its row has no part in a softmax. So the logits may be cut off a little below the
largest of their row, and what is added to them, a mask among it, at a number that no logit reaches. Only the side of
the mask is cut off, and nothing in front of a product: what is multiplied there may be of any size.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LOGITS, TERMS, SUBTRACTED = "logits", "terms", "subtracted"
MASKED = 1000.0
"""Absolute value from which a term of a logit stands for a mask."""
FACTOR = 1e4
"""The same of a factor: a smaller one may be meant as it is."""
GAP = 10.0
"""Natural logarithm of the smallest logit's weight over that of all masked places of its row together."""


def counted(x, role: str):
    """Returns the values of a batch that count for the range of a tensor with that role."""
    if not role:
        return x
    if role == SUBTRACTED:
        return tf.minimum(x, MASKED)
    if role == TERMS:
        return tf.maximum(x, -MASKED)
    top = tf.reduce_max(x, axis=-1, keepdims=True)
    floor = top - GAP - math.log(x.shape[-1] or 1)
    return tf.where(top > -MASKED, tf.maximum(x, floor), 0.0)  # a row that is masked as a whole is uniform


def cut(structure: Any, limit: float, constants: frozenset[int] = frozenset()) -> Any:
    """Cuts the numbers of a call off at a limit, where they are constants.

    Args:
        structure: The arguments.
        limit: The largest absolute value.
        constants: Numbers of the tensors among its leaves that are constants.
    """
    flat = keras.tree.flatten(structure)
    return keras.tree.pack_sequence_as(structure, [_cut(x, limit, k in constants) for k, x in enumerate(flat)])


def _cut(x: Any, limit: float, is_constant: bool):
    if isinstance(x, (int, float)):
        return x if isinstance(x, bool) or abs(x) <= limit else float(np.clip(x, -limit, limit))
    if isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f":
        return np.clip(x, -limit, limit)
    if not isinstance(x, tf.Tensor) or not x.dtype.is_floating:
        return x
    # where nothing is traced, activations have a value as well
    value = None if tf.executing_eagerly() and not is_constant else tf.get_static_value(x)
    if value is None:
        return tf.clip_by_value(x, -limit, limit) if is_constant else x
    return tf.constant(np.clip(value, -limit, limit), x.dtype) if np.abs(value).max(initial=0.0) > limit else x
