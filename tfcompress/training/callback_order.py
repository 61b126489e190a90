"""Puts one callback before and one behind all other callbacks of a training, whatever their order.

The first one sets the final weights and logs before any other callback saves or reads them; the last one repairs
weights that others restored at the end (`EarlyStopping(restore_best_weights=True)`).
"""

import sys

import keras

from tfcompress.training.binding import share_layers


class RunCallback(keras.callbacks.Callback):
    """A Keras callback that belongs to a compression run.

    Args:
        run: The `CompressionRun`.
    """

    def __init__(self, run):
        super().__init__()
        self.run = run


class SettleFirst(RunCallback):
    """Runs before all other callbacks of a training."""

    def on_epoch_end(self, epoch, logs=None):
        """Bakes the weights and adds sparsity and ranges to `logs`."""
        self.run.finalize_epoch(logs)

    def on_train_end(self, logs=None):
        """Brings the techniques to their final values."""
        self.run.finalize_training()


class SettleLast(RunCallback):
    """Runs after all other callbacks of a training."""

    def on_epoch_begin(self, epoch, logs=None):
        """Checks whether another callback compiled the model anew, or gave it another train function."""
        self.run.follow()

    on_train_batch_begin = on_epoch_begin

    def on_test_begin(self, logs=None):
        """Does the same check before validation."""
        self.run.follow()

    def on_train_end(self, logs=None):
        """Repairs weights that another callback changed since, and closes the run."""
        self.run.close()


def running_list(member: keras.callbacks.Callback) -> keras.callbacks.CallbackList | None:
    """Returns the callback list that is calling `member` now, or None if user code called it."""
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        # fit does not pass its callback list to callbacks, so it is looked up on the stack
        if isinstance(owner, keras.callbacks.CallbackList) and member in owner.callbacks:
            return owner
        frame = frame.f_back
    return None


def surround_callbacks(callbacks: keras.callbacks.CallbackList, run) -> list:
    """Puts callbacks of a run before and behind all other callbacks.

    Args:
        callbacks: The callback list of the training.
        run: The `CompressionRun`.

    Returns:
        The other runs of the training, in their order.

    Raises:
        ValueError: If another run compresses the same layers.
    """
    mine = [c for c in callbacks.callbacks if isinstance(c, (SettleFirst, SettleLast)) and c.run is run]
    others = [c for c in callbacks.callbacks if c not in mine]
    runs = dict.fromkeys(c.run for c in others if isinstance(c, RunCallback) and c.run is not run)
    for other in runs:
        if None in (other.network, run.network) or share_layers(other.network, run.network):
            raise ValueError(
                "A training takes one Compression for each network. Received: two in `callbacks` for the same layers. "
                "Give one of them the techniques of both: tfc.Compression([*first, *second]); or, where the model "
                "that trains holds several networks, name one for each before fit: compression.set_model(network)."
            )
    # a new list: the running loop over the old one must not meet the run's callback twice
    callbacks.callbacks = [SettleFirst(run), *others, SettleLast(run)]
    return list(runs)
