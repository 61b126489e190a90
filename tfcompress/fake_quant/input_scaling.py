"""Folds input scaling (a factor and an offset, such as `Rescaling`) into the layers that read the input.

`Rescaling(1 / 255)` in front of a network would be an operation over the whole picture. Its factor goes into the scales
of the first kernels, whose codes stay, and its offset into their biases; the range of the input is that of raw values.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfcompress.graph.graph import Graph
from tfcompress.graph.trace import Call
from tfcompress.layer_table.lookup import spec_of


@dataclass(frozen=True)
class ProductAndSum:
    """A factor and an offset that code of a layer's own writes as two operations, `x * factor + offset`.

    Args:
        product: The operation that multiplies.
        sum: The one that adds, which alone reads the product.
    """

    product: Any
    sum: Any

    @property
    def name(self) -> str:
        """The name of the sum, in which both are computed."""
        return self.sum.name

    def constants(self) -> tuple:
        """Returns factor and offset, each one number or one for each channel."""
        return constants(self.product)[0], constants(self.sum)[1]


def constants(op) -> tuple:
    """Returns the constants of an operation that is `x * factor + offset`, each a number or one for each channel."""
    with tf.init_scope():  # trained ones are read as they are now
        return op.constants() if isinstance(op, ProductAndSum) else spec_of(op).scale_and_shift(op)


def product_of(graph: Graph[Call], call: Call) -> Call | None:
    """Returns the product with a constant that a sum with a constant adds to, and nothing else reads; else None."""
    maker = graph.maker(call.inputs[0]) if len(call.inputs) == 1 else None
    if maker is None or graph.only_reader(call.inputs[0]) is not call or len(maker.inputs) != 1:
        return None
    first, second = spec_of(maker.op), spec_of(call.op)
    is_scaled = (first.product or first.is_quotient) and first.scale_and_shift is not None
    is_shifted = (second.is_sum or second.function == "difference") and second.scale_and_shift is not None
    once = graph.times(maker.op) == graph.times(call.op) == 1 and len(call.shapes[0]) > 1
    return maker if is_scaled and is_shifted and once else None


def factor_and_offset(op) -> tuple[float, float] | None:
    """Returns factor and offset of a layer that computes `x * factor + offset` with two numbers; None for others."""
    if not isinstance(op, ProductAndSum) and spec_of(op).scale_and_shift is None:
        return None
    pair = constants(op)
    if pair is None or any(np.size(value) != 1 for value in pair):
        return None
    factor, offset = (float(np.ravel(value)[0]) for value in pair)
    return (factor, offset) if np.isfinite([factor, offset]).all() and factor > 0 else None


def can_fold_scaling(op, factor: float, offset: float) -> bool:
    """Whether factor and offset of a layer's input can be folded into the layer's kernel and bias."""
    spec = spec_of(op)
    if not spec.is_linear or spec.is_table:
        return False
    if len(spec.kernels) > 1:  # there is an activation range between its kernels
        return offset == 0.0
    axes = spec.axes[spec.kernels[0]]
    is_plain_convolution = axes.space and not axes.is_transposed and not spec.float_ops
    if not (spec.is_dense or is_plain_convolution) or getattr(op, "data_format", "channels_last") != "channels_last":
        return False
    return offset == 0.0 or getattr(op, "padding", "valid") == "valid"


def commutes_with_scaling(op, factor: float, offset: float) -> bool:
    """Whether a layer that picks or moves values gives the same result before factor and offset as after them."""
    return offset == 0.0 or not spec_of(op).pads_zeros


def fold_scaling(op, front, kernel):
    """Folds the input scaling into a kernel: returns the kernel for raw inputs, and what the offset adds to the bias.

    Args:
        op: The layer.
        front: The layer in front, which scales the input.
        kernel: The (first) kernel of the layer, `spec.kernels[0]`.

    Returns:
        The kernel, and the addition to the bias per output channel (None without an offset).
    """
    factor, offset = (float(np.ravel(value)[0]) for value in constants(front))
    spec = spec_of(op)
    shift = None
    if offset:
        shift = tf.reshape(tf.reduce_sum(kernel, axis=spec.axes[spec.kernels[0]].inputs), (-1,)) * offset
    return kernel * factor, shift
