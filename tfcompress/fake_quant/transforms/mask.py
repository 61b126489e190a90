"""Pruning masks: multiplies a weight by zeros and ones that its technique assigns; a masked weight has no gradient."""

import keras
import numpy as np

from tfcompress.fake_quant.transforms.base import Transform
from tfcompress.graph.keras_private import full_precision


@keras.saving.register_keras_serializable("tfcompress")
class Mask(Transform):
    """Multiplies a weight by a mask of zeros and ones (all ones at the start).

    Example:
        >>> import numpy as np
        >>> from tfcompress.fake_quant.transforms.mask import Mask
        >>> mask = Mask("io")
        >>> _ = mask(np.ones((2, 2), "float32"))
        >>> mask.mask.assign(np.eye(2)) is not None
        True
        >>> float(keras.ops.sum(mask(np.ones((2, 2), "float32"))))
        2.0
    """

    rank = 20

    def build(self, input_shape):
        """Makes the mask."""
        self.mask = self.state("mask", input_shape, "ones")
        self.built = True

    def call(self, w):
        """Returns `w * mask`."""
        return w * self.mask

    def masked(self):
        """Returns which weights are masked."""
        return np.asarray(full_precision(self.mask)) == 0
