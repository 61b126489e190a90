"""A mask that listens: backward it notes what the gradient of the loss says about each weight.

Callbacks never see a batch; the tap sees every one, under XLA, graph accumulation and replicas
alike. It reads the gradient of the masked weight before the mask cuts it off, so a weight that is
masked keeps being scored (Sanh et al., "Movement Pruning", 2020) and may come back.
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
"""Name of a criterion to what is noted at every step: a function of a weight and the gradient of the loss for it."""

SUMMED = {"movement"}
"""Names of those whose figures are added up over the training; of the others a mean over the last steps is kept."""


@keras.saving.register_keras_serializable("tfcompress")
class ScoredMask(Mask):
    """Keeps a mean over the last steps (a sum, for "movement") of what weight and gradient say.

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
        """Returns `w * mask`; the gradient is noted on the way back."""
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
