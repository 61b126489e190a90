"""Training loops written by hand: `with compression.training(epochs, steps): ... compression.step()`."""

import contextlib
from numbers import Integral

import keras

from tfcompress.mechanics.hook import laid


class Loop:
    """A loop under way: techniques lie over the network while the block runs, and `step` moves the schedules.

    Args:
        compression: The compression; it has a model.
        epochs: Number of epochs.
        steps: Steps an epoch.

    Raises:
        TypeError: If a number is none.
        ValueError: If it is below 1.
    """

    def __init__(self, compression, epochs: int, steps: int):
        for name, value in (("epochs", epochs), ("steps", steps)):
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(
                    f"Compression.training: {name} must be a whole number. Received: {name}={value!r}. "
                    "For a loop of unknown length give the number of steps you expect."
                )
            if value < 1:
                raise ValueError(f"Compression.training: {name} must be at least 1. Received: {name}={value}.")
        self.compression, self.epochs, self.steps = compression, int(epochs), int(steps)
        self._stack = contextlib.ExitStack()
        self.count = 0

    def __enter__(self):
        """Lays the techniques over the network."""
        c = self.compression
        c.loop = self
        try:
            c.prepare(self.epochs, self.steps)
            c.begin_epoch(0)
            self._forget_functions()
            extra = c.objective.overrides(own=False)
            self._stack.enter_context(laid(c.network, c.hooked(), None, extra))
            c.before_step()
        except BaseException:
            self._stack.close()
            c.loop = None
            raise
        return c

    def step(self) -> None:
        """Counts a step; what the loop's own optimizer does not train is trained, masks move on."""
        c = self.compression
        self.count += 1
        c.after_step(1, trains_own=True)
        if self.count % self.steps == 0:
            c.settle_epoch(None)
            c.begin_epoch(self.count // self.steps)
        c.before_step()

    def __exit__(self, kind, error, trace):
        """Takes everything off; without an error the techniques come to their end."""
        c = self.compression
        self._stack.close()
        self._forget_functions()
        c.loop = None
        if kind is None:
            c.settle_training()
            c.close()
        return False

    def _forget_functions(self):
        """Step functions that Keras has made (for `train_on_batch`) were traced under other circumstances."""
        model = self.compression.trained
        if isinstance(model, keras.Model):
            for name in ("train", "test", "predict"):
                setattr(model, f"{name}_function", None)
