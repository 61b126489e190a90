"""Rounds a weight to its integer grid, per tensor or per channel, with the straight-through gradient.

Symmetric: scale = max|w| / (2^(bits-1) - 1), code = round(w / scale), zero point 0, narrow range.
Asymmetric: scale = (high - low) / (2^bits - 1) with low <= 0 <= high (Jacob et al., "Quantization
and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018). The largest
value lies on the grid, so the converter, which infers its scales from constants, finds the same.
"""

import keras
import tensorflow as tf

from tfcompress.fake_quant.transforms.base import Transform, straight_through
from tfcompress.file_formats import INT8, Codes


@keras.saving.register_keras_serializable("tfcompress")
class QuantizeWeight(Transform):
    """Rounds a weight to its grid; the gradient passes straight through.

    Args:
        bits: Bits of a code, 2..16.
        symmetric: Whether the zero point is 0.
        channel_axes: Positions of the axes that get one scale per entry; empty for one scale per
            tensor.
        axes: Axis letters of the weight.
    """

    rank = 30
    lasting = False

    def __init__(
        self, bits: int = INT8.weights.bits, symmetric: bool = True, channel_axes=(), axes: str = "", **kwargs
    ):
        super().__init__(axes, **kwargs)
        self.bits, self.symmetric, self.channel_axes = bits, symmetric, tuple(channel_axes)

    def build(self, input_shape):
        """Has no state: the grid follows the weight."""
        self.reduced = tuple(k for k in range(len(input_shape)) if k not in self.channel_axes)
        self.built = True

    @property
    def codes(self) -> Codes:
        """The codes of the grid."""
        return Codes(self.bits, symmetric=self.symmetric, narrow=self.symmetric)

    def scale(self, w):
        """Returns one scale or several, with the reduced axes kept as 1."""
        if self.symmetric:
            span = tf.reduce_max(tf.abs(w), axis=self.reduced, keepdims=True)
            steps = self.codes.high
        else:
            low, high = self._bounds(w)
            span, steps = high - low, self.codes.steps
        return tf.where(span > 0, span, tf.ones_like(span)) / steps

    def _bounds(self, w):
        low = tf.minimum(tf.reduce_min(w, axis=self.reduced, keepdims=True), 0.0)
        return low, tf.maximum(tf.reduce_max(w, axis=self.reduced, keepdims=True), 0.0)

    def call(self, w):
        """Returns the weight on its grid."""
        return straight_through(self._grid, w)

    def _grid(self, w):
        scale = self.scale(w)
        if self.symmetric:
            return tf.round(w / scale) * scale
        zero = tf.round(-self._bounds(w)[0] / scale)
        return (tf.clip_by_value(tf.round(w / scale) + zero, 0.0, float(self.codes.steps)) - zero) * scale

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "bits": self.bits,
            "symmetric": self.symmetric,
            "channel_axes": self.channel_axes,
        }
