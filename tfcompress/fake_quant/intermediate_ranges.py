"""Rounds the values inside a layer that the file computes in several integer operations, each to its int8 grid.

This is the `grid` argument in `layer_table/integer_rewrites.py`. A value whose bounds follow from other values needs no
activation range; the others have one that is calibrated and trained like those between layers, so the simulation does
every rounding of the file.
"""

import math

import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.litert_rounding import (
    convert_scale,
    round_averages,
    round_bias,
    round_sums,
    scale_of,
    weight_step,
)
from tfcompress.fake_quant.transforms.file_rounding import round_in_file
from tfcompress.fake_quant.transforms.masked_values import GAP
from tfcompress.fake_quant.transforms.ranges import APPLY, OBSERVE, TRAIN, ActivationRange, fake_quant
from tfcompress.file_formats import FORMATS, INT8
from tfcompress.graph.variable_reads import told_apart

_MARGIN = 1.5  # largest inverse that fits, over the largest that was seen
HIDDEN = -1e9
"""Value of a masked logit while ranges only observe."""


class IntermediateRanges:
    """Rounds the values inside one layer in one pass.

    Args:
        ranges: Ranges by the name of the value.
        bits: Bits of the grids whose bounds are known in advance.
        how: What the pass does with ranges: "train", "observe" or "apply".
        exports: Whether the pass is traced for the converter: bounds are then numbers.
        folds: Whether biases and averages are rounded as the file does.
        source: Range of the layer's input, fixed limits, or None where that is unknown.
        target: The same of its output.
        is_integer: Whether the layer computes in integers; not so in a file of floats.
        is_final: Whether the bounds of ranges no longer change, so that they can be numbers in the graph.
        kernel_axes: By the id of a kernel's variable the positions of its axes with an int8 scale per entry.
    """

    def __init__(
        self,
        ranges: dict[str, ActivationRange],
        bits: int,
        how: str,
        exports: bool,
        folds: bool,
        source: ActivationRange | tuple[float, float] | None = None,
        target: ActivationRange | tuple[float, float] | None = None,
        is_integer: bool = True,
        is_final: bool = False,
        kernel_axes: dict[int, tuple[int, ...]] | None = None,
    ):
        self.kernel_axes = kernel_axes or {}
        self.is_integer, self.is_final = is_integer, is_final
        self.ranges, self.bits, self.how, self.exports = ranges, bits, how, exports
        self.source, self.target = source, target
        self.is_int8 = bits == INT8.activations.bits
        self.simulates = folds and not exports and self.is_int8

    def __call__(self, name: str, x):
        """Rounds `x` to the grid of the range of that name.

        Without such a range `x` is returned unchanged: nodes of `keras.ops` in a session keep none.
        """
        span = self.ranges.get(name)
        if span is None:
            return x
        if self.is_final and self.how == APPLY and not self.exports:
            return span.rounded(x)
        return span(x, how=self.how, export=self.exports)

    def has(self, name: str) -> bool:
        """Whether the value of that name has a range; it has none in a file of floats."""
        return name in self.ranges

    def high(self, name: str):
        """Returns the upper bound of a range that this pass has used already: a number in an export, else a tensor."""
        return self.bounds(name)[1]

    def wide(self, name: str, x, room: float):
        """Rounds `x` to the grid of the range of that name, widened by a factor for what rounding adds to it."""
        if self.how in (OBSERVE, TRAIN):
            self(name, tf.stop_gradient(x))
        low, high = self.bounds(name)
        return self.fixed(x, low * room, high * room)

    def reach(self, name: str):
        """Returns the largest absolute value of a range: a number in an export, else a tensor."""
        low, high = self.bounds(name)
        return max(-low, high) if self.exports else tf.maximum(-low, high)

    def least(self, a, b):
        """Returns the smaller of two bounds."""
        return min(a, b) if self.exports else tf.minimum(a, b)

    def fixed(self, x, low, high):
        """Rounds `x` to the grid between bounds known in advance; while ranges observe, `x` is only clipped to them."""
        if self.exports and not self.is_int8:
            return x  # see ActivationRange.call
        if self.exports:
            return round_in_file(x, float(low), float(high), self.bits)
        low, high = tf.convert_to_tensor(low, tf.float32), tf.convert_to_tensor(high, tf.float32)
        if self.how == OBSERVE:
            return tf.clip_by_value(x, low, high)
        return fake_quant(x, low, high, self.bits)

    def constant(self, x):
        """Rounds a constant kernel to the grid around zero that LiteRT wants of kernels."""
        value = tf.get_static_value(tf.convert_to_tensor(x)) if self.is_int8 and self.is_integer else None
        bound = 0.0 if value is None else float(abs(value).max(initial=0.0))
        if not bound or self.how == OBSERVE:
            return x
        return tf.quantization.fake_quant_with_min_max_args(x, -bound, bound, self.bits, narrow_range=True)

    def known(self, x, limits: tuple[float, float]):
        """Rounds `x` to the output grid that LiteRT fixes for an operation (Softmax, tanh)."""
        return x if self.exports or self.how == OBSERVE else self.fixed(x, *fixed_limits(limits, self.bits))

    def masked(self, name: str, x, mask, is_ranged: bool = False):
        """Masks logits and rounds them to the grid of the range of that name, widened downwards for masked places.

        Args:
            name: Name of the range; it sees the logits before the mask.
            x: Logits `(batch, ..., keys)` of a softmax over the last axis.
            mask: Booleans that broadcast to `x`; where False, the logit becomes the lowest value less a gap.
            is_ranged: Whether the logits already lie on the grid of a range.
        """
        if name not in self.ranges:
            return tf.where(mask, x, tf.constant(HIDDEN, x.dtype))
        if self.how == OBSERVE:
            return tf.where(mask, self(name, x), tf.constant(HIDDEN, x.dtype))
        if self.how == TRAIN:
            seen = self(name, x)  # follows the batch
            x = seen if self.ranges[name].own_weights() else x
        low, high = self.bounds(name)
        floor = low - GAP - math.log(x.shape[-1] or 1)
        if not self.is_int8:  # LiteRT has no 16-bit SELECT, and a sum, whose scale leaves room above and below
            return x + (tf.cast(mask, x.dtype) - 1.0) * (high - floor)
        if self.exports and (is_ranged or is_fixed(mask)):  # a sum takes two scales, and known masks need no SELECT
            x = x if is_ranged else self.fixed(x, floor, high)
            return self.fixed(x + self.fixed(tf.where(mask, 0.0, floor - high), floor - high, 0.0), floor, high)
        if self.exports:
            return self.fixed(tf.where(mask, self.fixed(x, floor, high), floor), floor, high)
        return self.fixed(tf.where(mask, x, floor), floor, high)

    def chosen(self, mask, x):
        """Returns `x` where the mask is True, else zero."""
        if self.exports and not self.is_int8:
            return x * tf.cast(mask, x.dtype)
        return tf.where(mask, x, tf.zeros((), x.dtype))

    def bounds(self, name: str):
        """Returns the bounds of a range: numbers in an export, else tensors."""
        if not self.exports:
            return self.ranges[name].bounds()
        with tf.init_scope():
            return self.ranges[name].limits()

    def average(self, x):
        """Rounds averages of the layer's input to the grid of that input, as LiteRT does."""
        if not self.simulates or self.source is None:
            return x
        return round_averages(x, self.source)

    def product(self, x, y, limits: tuple[float, float]):
        """Returns the layer's input times a value whose range LiteRT fixes, rounded as in XNNPACK."""
        if not self.simulates or self.source is None or self.target is None:
            return x * y
        return round_sums(x * y, self.source, scale_of(limits), self.target)

    def bent(self, x, slope: float):
        """Returns the leaky ReLU of the layer's input, rounded as in XNNPACK where all scales are known."""
        if not self.simulates or self.source is None or self.target is None:
            return tf.nn.leaky_relu(x, slope)
        return convert_scale(x, self.source, self.target, slope)

    def rsqrt(self, x, square):
        """Returns `1 / sqrt(x)`, at most `sqrt(square)`, on the grid between zero and that limit.

        The integer kernels saturate by themselves, and give the largest code for the root of zero.
        """
        if self.exports:
            return self.fixed(tf.math.rsqrt(x), 0.0, square**0.5)
        square = tf.convert_to_tensor(square, tf.float32)
        return self.fixed(tf.math.rsqrt(tf.maximum(x, 1.0 / square)), 0.0, tf.sqrt(square))

    def inverse_root(self, x, square):
        """Returns `1 / sqrt(x)` like `rsqrt`, on a finer grid if the range "inverse" knows how large it becomes."""
        if not self.has("inverse"):
            return self.rsqrt(x, square)
        if self.how in (OBSERVE, TRAIN):
            least = 1.0 / tf.convert_to_tensor(square, tf.float32)
            self("inverse", tf.stop_gradient(tf.math.rsqrt(tf.maximum(x, least))))
        high = self.high("inverse") * _MARGIN
        return self.rsqrt(x, self.least(square, high * high))

    def by_channel(self, x, factor, shift, name: str):
        """Returns `x * factor + shift`, both per channel, as one depthwise 1x1 convolution, which is exact in int8.

        Args:
            x: Tensor, channels last.
            factor: `(channels,)`, or None for ones.
            shift: `(channels,)`, or None for zeros.
            name: Name of the range whose grid `x` lies on.
        """
        channels = x.shape[-1]
        factor = tf.ones((channels,)) if factor is None else _float(factor)
        shift = tf.zeros((channels,)) if shift is None else _float(shift)
        if not self.simulates:
            return scale_channels(x, factor, shift)
        source = self.ranges[name]
        y = scale_channels(x, factor, round_bias(shift, factor, (0,), source))
        return y if self.target is None else round_sums(y, source, weight_step(factor, (0,)), self.target)


def fixed_limits(limits: tuple[float, float], bits: int) -> tuple[float, float]:
    """Returns the output range that LiteRT fixes for an operation; in 16 bits all have steps of 1/32768.

    Args:
        limits: The range in 8 bits.
        bits: Bits of the activations.
    """
    codes = FORMATS["int16x8"].activations
    return (-1.0, codes.high * codes.unit) if bits == codes.bits and limits[0] >= -1.0 else limits


def is_fixed(x) -> bool:
    """Whether a tensor of a graph depends on constants only."""
    if not hasattr(x, "op") or tf.executing_eagerly():
        return True
    seen, left = set(), [x.op]
    while left:
        op = left.pop()
        if op.name in seen or op.type == "Shape" and op.inputs[0].shape.is_fully_defined():
            continue
        if op.type in ("Placeholder", "PlaceholderWithDefault", "ReadVariableOp"):
            return False
        seen.add(op.name)
        left += [tensor.op for tensor in op.inputs]
    return True


def _float(variable):
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)


def scale_channels(x, factor, shift):
    """Returns `x * factor + shift` per channel of the last axis, computed as the file does: a depthwise convolution.

    Args:
        x: Tensor `(batch, ..., channels)`.
        factor: `(channels,)`.
        shift: `(channels,)`.
    """
    shape = tf.shape(x) if None in x.shape else x.shape
    known = tf.get_static_value(shift) if tf.is_tensor(shift) else shift
    shift = shift if known is None else told_apart(np.asarray(known))
    flat = x if len(x.shape) == 4 else tf.reshape(x, (shape[0], -1, 1, x.shape[-1]))
    y = tf.nn.depthwise_conv2d(flat, tf.reshape(factor, (1, 1, -1, 1)), (1, 1, 1, 1), "VALID") + shift
    return y if len(x.shape) == 4 else tf.reshape(y, shape)
