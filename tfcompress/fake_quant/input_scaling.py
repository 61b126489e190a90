"""A factor and an offset for the whole input, taken over by the layers that read it.

`Rescaling(1 / 255)` in front of a network would be an operation over the whole picture. Its factor goes into the scales
of the first kernels, whose codes stay, and its offset into their biases; the input's own range is that of raw values.
"""

import keras
import numpy as np
import tensorflow as tf

from tfcompress.graph.keras_private import full_precision
from tfcompress.layer_table.lookup import spec_of

_PADS = (
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
)
_TAKES = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
_BY_FACTOR = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)  # between their kernels lies a range


def one_factor(op) -> tuple[float, float] | None:
    """Returns factor and offset of a layer that computes `x * factor + offset` with one pair for all; else None."""
    if not spec_of(op).is_known:
        return None
    if isinstance(op, keras.layers.Rescaling):
        pair = op.scale, op.offset
    elif isinstance(op, keras.layers.Normalization) and getattr(op, "mean", None) is not None:
        deviation = np.maximum(np.sqrt(_array(op.variance)), keras.config.epsilon())
        pair = (1.0 / deviation, -_array(op.mean) / deviation)
        pair = (1.0 / pair[0], _array(op.mean)) if op.invert else pair
    else:
        return None
    if any(np.size(value) != 1 for value in pair):
        return None
    factor, offset = (float(np.ravel(value)[0]) for value in pair)
    return (factor, offset) if np.isfinite([factor, offset]).all() and factor > 0 else None


def _array(value):
    return np.asarray(full_precision(value) if isinstance(value, keras.Variable) else value)


def takes_front(op, factor: float, offset: float) -> bool:
    """Whether kernel and bias of a layer can take over factor and offset of what it reads."""
    spec = spec_of(op)
    if not spec.is_known or len(spec.kernels) < 1:
        return False
    if isinstance(op, _BY_FACTOR):
        return offset == 0.0
    if not isinstance(op, _TAKES) or getattr(op, "data_format", "channels_last") != "channels_last":
        return False
    return offset == 0.0 or getattr(op, "padding", "valid") == "valid"


def moves_front(op, factor: float, offset: float) -> bool:
    """Whether a layer that picks or moves values does the same before factor and offset as behind them."""
    return offset == 0.0 or not isinstance(op, _PADS)


def scaled_kernel(op, front, kernel):
    """Returns the kernel that reads raw values, and what the offset adds to the bias (None without one).

    Args:
        op: The layer.
        front: The layer in front.
        kernel: The (first) kernel of the layer, `spec.kernels[0]`.
    """
    factor, offset = one_factor(front)
    spec = spec_of(op)
    shift = None
    if offset:
        shift = tf.reshape(tf.reduce_sum(kernel, axis=spec.axes[spec.kernels[0]].inputs), (-1,)) * offset
    return kernel * factor, shift
