"""Fixed activation ranges for inputs of 8-bit integers: the whole range of the type, one code for every value."""

import keras
import numpy as np

from tfcompress.fake_quant.transforms.ranges import APPLY, OBSERVE, TRAIN, ActivationRange

_HIGHEST = float(np.iinfo("uint8").max)


@keras.saving.register_keras_serializable("tfcompress")
class FixedRange(ActivationRange):
    """An activation range with bounds that data do not change.

    Args:
        lowest: Lower bound.
        highest: Upper bound.
        **kwargs: As for `ActivationRange`.
    """

    def __init__(self, lowest: float = 0.0, highest: float = _HIGHEST, **kwargs):
        super().__init__(**kwargs)
        self.lowest, self.highest = lowest, highest
        self.low.assign(lowest)
        self.high.assign(highest)
        self.seen.assign(1.0)

    def call(self, x, how: str = APPLY, export: bool = False):
        """Returns `x` on the grid; `x` itself while ranges only observe."""
        if how == OBSERVE:
            return x
        return super().call(x, APPLY if how == TRAIN else how, export)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "lowest": self.lowest, "highest": self.highest}
