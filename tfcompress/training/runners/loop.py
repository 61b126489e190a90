"""Compresses a model in a user's own loop: `with compression.training(epochs, steps): ... compression.step()`."""

import contextlib
import warnings
from numbers import Integral

import keras

from tfcompress.fake_quant.patching import patched_calls
from tfcompress.graph.keras_private import override_attributes


class Loop:
    """Applies the techniques to a network during a user's own loop; `step` advances the schedules.

    Args:
        run: The run; it has a model.
        epochs: Number of epochs.
        steps: Steps per epoch.
        given: The value that `with ... as` binds.

    Raises:
        TypeError: If `epochs` or `steps` is no whole number.
        ValueError: If one of them is below 1.
    """

    def __init__(self, run, epochs: int, steps: int, given: object = None):
        for name, value in (("epochs", epochs), ("steps", steps)):
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(
                    f"Compression.training: {name} must be a whole number. Received: {name}={value!r}. "
                    "For a loop of unknown length give the number of steps you expect."
                )
            if value < 1:
                raise ValueError(f"Compression.training: {name} must be at least 1. Received: {name}={value}.")
        self.run, self.epochs, self.steps, self.given = run, int(epochs), int(steps), given
        self._stack = contextlib.ExitStack()
        self.count, self._was_called = 0, False

    def __enter__(self):
        """Installs the hooks of the techniques on the network."""
        run = self.run
        run.loop = self
        try:
            run.prepare(self.epochs, self.steps)
            run.begin_epoch(0)
            self._forget_functions()
            extra = run.objective.overrides(own=False)
            state = run.laid()
            self._was_called = not state.op_plans  # layers of a session have the techniques in them
            self._stack.enter_context(patched_calls(run.network, state, None, extra))
            self._stack.enter_context(
                override_attributes([(t.op, "call", self._noting(t.op.call)) for t in state.op_plans])
            )
            run.before_step()
        except BaseException:
            self._stack.close()
            run.loop = None
            raise
        return self.given

    def step(self) -> None:
        """Counts a step, trains variables that only the techniques have, and updates masks if an update is due."""
        run = self.run
        if not self.count and not self._was_called:
            warnings.warn(
                f"Compression.training: no layer of {run.network.name!r} was called before the first step(). A "
                "tf.function that was traced before the block trains the model in float: make it inside the block, "
                "`train_step = tf.function(train_step.python_function)`.",
                stacklevel=3,
            )
        self.count += 1
        run.after_step(1, trains_own=True)
        if self.count % self.steps == 0:
            run.finalize_epoch(None)
            run.begin_epoch(self.count // self.steps)
        run.before_step()

    def __exit__(self, kind, error, trace):
        """Removes all hooks; without an error the techniques are brought to their final values."""
        run = self.run
        self._stack.close()
        self._forget_functions()
        run.loop = None
        if kind is None:
            run.finalize_training()
            run.close()
        return False

    def _noting(self, plain):
        """Returns a layer call that notes that it ran, in Python or in the trace of a function."""

        def call(*args, **kwargs):
            self._was_called = True
            return plain(*args, **kwargs)

        if hasattr(plain, "tfcompress_plain"):
            vars(call)["tfcompress_plain"] = plain.tfcompress_plain
        return call

    def _forget_functions(self):
        """Discards step functions of Keras (of `train_on_batch`), which were traced with other hooks installed."""
        model = self.run.trained
        if isinstance(model, keras.Model):
            for name in ("train", "test", "predict"):
                setattr(model, f"{name}_function", None)
