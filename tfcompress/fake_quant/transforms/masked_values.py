"""Keeps the huge numbers that stand for a mask, such as -1e9, from setting the range of the logits of a softmax.

A logit far below the largest of its row has no part in a softmax. So what only goes into one may be cut off: terms of
the logits, a mask among them, at `MASKED`, and the logits themselves a little below the largest of their row.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LOGITS, TERMS = "logits", "terms"
MASKED = 300.0
"""Absolute value from which a term of a logit stands for a mask."""
GAP = 10.0
"""Natural logarithm of the smallest logit's weight over that of all masked places of its row together."""


def counted(x, role: str):
    """Returns the values of a batch that count for the range of a tensor with that role."""
    if not role:
        return x
    x = tf.clip_by_value(x, -MASKED, MASKED)
    if role == TERMS:
        return x
    top = tf.reduce_max(x, axis=-1, keepdims=True)
    floor = top - GAP - math.log(x.shape[-1] or 1)
    return tf.where(top > -MASKED / 2.0, tf.maximum(x, floor), 0.0)  # a row that is masked as a whole is uniform


def cut(structure: Any, constants: frozenset[int] = frozenset()) -> Any:
    """Cuts the numbers of a call off at `MASKED`, where they are constants.

    Args:
        structure: The arguments.
        constants: Numbers of the tensors among its leaves that are constants.
    """
    flat = keras.tree.flatten(structure)
    return keras.tree.pack_sequence_as(structure, [_cut(x, k in constants) for k, x in enumerate(flat)])


def _cut(x: Any, is_constant: bool):
    if isinstance(x, float):
        return float(np.clip(x, -MASKED, MASKED))
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        return np.clip(x, -MASKED, MASKED)
    if not isinstance(x, tf.Tensor) or not x.dtype.is_floating:
        return x
    value = tf.get_static_value(x)
    if value is None:
        return tf.clip_by_value(x, -MASKED, MASKED) if is_constant else x
    return tf.constant(np.clip(value, -MASKED, MASKED), x.dtype) if np.abs(value).max(initial=0.0) > MASKED else x
