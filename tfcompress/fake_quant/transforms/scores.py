"""Pruning masks that score weights by their gradients during the backward pass.

Callbacks never see a batch; the mask sees every one, also under XLA, gradient accumulation and
replicas. It reads the gradient of the masked weight before the mask sets it to zero, so a masked
weight keeps being scored (Sanh et al., "Movement Pruning", 2020) and may come back.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.text.printable import shown

STATISTICS: dict[str, Callable] = {
    "gradient": lambda w, g: tf.abs(g),
    "taylor": lambda w, g: tf.abs(w * g),
    "sensitivity": lambda w, g: tf.square(w * g),
    "movement": lambda w, g: -w * g,
}
"""Name of a criterion to the score of one step: a function of a weight and the gradient of the loss for it."""

SUMMED = {"movement"}
"""Criteria whose scores are summed over the training; the others keep a moving average over the last steps."""


@keras.saving.register_keras_serializable("tfcompress")
class ScoredMask(Mask):
    """A mask that also keeps a moving average (a sum, for "movement") of the scores of all weights.

    Args:
        statistic: Key of `STATISTICS`.
        keep: Part of the old mean kept per step, in [0, 1); 0.9 looks back about ten steps.
        axes: Axis letters of the weight.
    """

    def __init__(self, statistic: str, keep: float = 0.9, axes: str = "", **kwargs):
        super().__init__(axes, **kwargs)
        if statistic not in STATISTICS:
            raise ValueError(
                f"ScoredMask: statistic must be the name of a criterion with gradients, of {sorted(STATISTICS)}. "
                f"Received: {shown(statistic)}. Import the module that registers it by "
                "tfc.criterion(name, gradient=...) before the file is read."
            )
        self.statistic, self.keep = statistic, keep

    def build(self, input_shape):
        """Makes the mask, the score of every weight and the count of steps."""
        super().build(input_shape)
        self.score = self.state("score", input_shape)
        self.seen = self.state("seen", ())

    def call(self, w):
        """Returns `w * mask`; the backward pass records the score of the gradient."""
        mask = tf.convert_to_tensor(self.mask)

        @tf.custom_gradient
        def tap(x):
            def backward(upstream):
                self._note(x, upstream)
                return upstream * mask

            return x * mask, backward

        return tap(w)

    def _note(self, w, gradient):
        new = STATISTICS[self.statistic](w, gradient)
        # a float16 step that overflowed is dropped by the optimizer, and here as well
        new = tf.where(tf.math.is_finite(new), new, tf.zeros_like(new))
        old = tf.convert_to_tensor(self.score)
        self.score.assign(old + new if self.statistic in SUMMED else self.keep * old + (1.0 - self.keep) * new)
        self.seen.assign(tf.convert_to_tensor(self.seen) + 1.0)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "statistic": self.statistic, "keep": self.keep}
