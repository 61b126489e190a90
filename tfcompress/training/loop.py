"""Training loops written by hand: `with compression.training(epochs, steps): ... compression.step()`."""

import contextlib
import warnings
from numbers import Integral

import keras

from tfcompress.fake_quant.patching import laid
from tfcompress.graph.keras_private import overridden


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
        self.count, self._was_called = 0, False

    def __enter__(self):
        """Lays the techniques over the network."""
        c = self.compression
        c.loop = self
        try:
            c.prepare(self.epochs, self.steps)
            c.begin_epoch(0)
            self._forget_functions()
            extra = c.objective.overrides(own=False)
            hooked = c.hooked()
            self._was_called = not hooked.op_plans  # layers of a session have the techniques in them
            self._stack.enter_context(laid(c.network, hooked, None, extra))
            self._stack.enter_context(overridden([(t.op, "call", self._noting(t.op.call)) for t in hooked.op_plans]))
            c.before_step()
        except BaseException:
            self._stack.close()
            c.loop = None
            raise
        return c

    def step(self) -> None:
        """Counts a step; what the loop's own optimizer does not train is trained, masks move on."""
        c = self.compression
        if not self.count and not self._was_called:
            warnings.warn(
                f"Compression.training: no layer of {c.network.name!r} was called before the first step(). A "
                "tf.function that was traced before the block trains the model in float: make it inside the block, "
                "`train_step = tf.function(train_step.python_function)`.",
                stacklevel=3,
            )
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

    def _noting(self, plain):
        """A call that notes that the techniques had their say, in Python or in the trace of a function."""

        def call(*args, **kwargs):
            self._was_called = True
            return plain(*args, **kwargs)

        if hasattr(plain, "tfcompress_plain"):
            call.tfcompress_plain = plain.tfcompress_plain
        return call

    def _forget_functions(self):
        """Step functions that Keras has made (for `train_on_batch`) were traced under other circumstances."""
        model = self.compression.trained
        if isinstance(model, keras.Model):
            for name in ("train", "test", "predict"):
                setattr(model, f"{name}_function", None)
