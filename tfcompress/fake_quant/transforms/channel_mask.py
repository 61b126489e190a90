"""Channel masks: zeros along the axis of a weight that reads channels, until these channels are removed."""

import keras

from tfcompress.fake_quant.transforms.base import Transform


@keras.saving.register_keras_serializable("tfcompress")
class ChannelMask(Transform):
    """Multiplies a weight by zeros and ones along the axis that reads channels (all ones at the start).

    Args:
        axis: The axis.
        axes: Axis letters of the weight.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:
        >>> import numpy as np
        >>> from tfcompress.fake_quant.transforms.channel_mask import ChannelMask
        >>> mask = ChannelMask(0, "io")
        >>> _ = mask(np.ones((3, 2), "float32"))
        >>> _ = mask.read.assign([[1.0], [0.0], [1.0]])
        >>> float(keras.ops.sum(mask(np.ones((3, 2), "float32"))))
        4.0
    """

    rank = 15  # after shared values, which do not depend on it, and before other masks

    outlives_cut = False

    def __init__(self, axis: int, axes: str = "", **kwargs):
        super().__init__(axes, **kwargs)
        self.axis = axis

    def build(self, input_shape):
        """Makes the mask."""
        shape = [1] * len(input_shape)
        shape[self.axis] = input_shape[self.axis]
        self.read = self.state("read", tuple(shape), "ones")
        self.built = True

    def call(self, w):
        """Returns `w * read`."""
        return w * self.read

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "axis": self.axis}
