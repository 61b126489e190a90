"""Finds the constant of an operation inside of a layer that has one tensor and one constant."""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfcompress.layer_table.inner_operation import ConstantOperand


def constant_operand(leaves: list, made: list, is_constant: Callable[[Any], bool]) -> ConstantOperand | None:
    """Returns the constant of an operation on one tensor and one constant, per channel or for all; else None.

    Args:
        leaves: The arguments of the call, flat.
        made: Its outputs.
        is_constant: Function that says whether a tensor depends on no input of the model.
    """
    known = [_known_shape(x) for x in leaves]
    is_value = [isinstance(x, tf.Tensor) and not is_constant(x) for x in leaves]
    if len(leaves) != 2 or len(made) != 1 or None in known or sum(is_value) != 1:
        return None
    place = is_value.index(True)
    of_tensor, shape, constant = known[place], known[1 - place], leaves[1 - place]
    if None in shape or len(shape) > len(of_tensor):
        return None
    size = math.prod(shape)
    if size != 1 and not (len(of_tensor) > 1 and size == shape[-1] == of_tensor[-1]):
        return None
    return ConstantOperand(place, size, tf.get_static_value(constant) if isinstance(constant, tf.Tensor) else constant)


def _known_shape(x) -> tuple | None:
    """Returns the shape of a float, an array or a tensor of floats; None for anything else."""
    if isinstance(x, (int, float)) and not isinstance(x, bool):
        return ()
    if not hasattr(x, "shape") or getattr(x.shape, "rank", 0) is None:
        return None
    return tuple(x.shape) if keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)) else None
