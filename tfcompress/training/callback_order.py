"""The first and the last word among the callbacks of one training, whatever their order.

The first one settles weights and logs before any other callback saves or reads them; the last one
settles what others put back at the end (`EarlyStopping(restore_best_weights=True)`).
"""

import sys

import keras

from tfcompress.training.binding import overlap


class RunCallback(keras.callbacks.Callback):
    """A callback of a compression.

    Args:
        run: The `CompressionRun` that it serves.
    """

    def __init__(self, run):
        super().__init__()
        self.run = run


class FirstWord(RunCallback):
    """Stands before all callbacks of one training."""

    def on_epoch_end(self, epoch, logs=None):
        """Weights take their lasting values; sparsity and ranges go to `logs`."""
        self.run.settle_epoch(logs)

    def on_train_end(self, logs=None):
        """The techniques come to their end."""
        self.run.settle_training()


class LastWord(RunCallback):
    """Stands behind all callbacks of one training."""

    def on_epoch_begin(self, epoch, logs=None):
        """Looks whether another callback compiled the model anew, or put a train function of its own on it."""
        self.run.follow()

    on_train_batch_begin = on_epoch_begin

    def on_test_begin(self, logs=None):
        """The same before validation."""
        self.run.follow()

    def on_train_end(self, logs=None):
        """Looks whether anybody changed the weights since, and closes."""
        self.run.close()


def running_list(member: keras.callbacks.Callback) -> keras.callbacks.CallbackList | None:
    """Returns the callback list that is calling `member` now, or None if it was called by hand."""
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        # the list of a training is known by its class only
        if isinstance(owner, keras.callbacks.CallbackList) and member in owner.callbacks:
            return owner
        frame = frame.f_back
    return None


def surround(callbacks: keras.callbacks.CallbackList, run) -> list:
    """Puts the first and the last word of a run around all other callbacks.

    Args:
        callbacks: The callback list of the training.
        run: The `CompressionRun`.

    Returns:
        The other runs of the training, in their order.

    Raises:
        ValueError: If another one is for the same layers.
    """
    mine = [c for c in callbacks.callbacks if isinstance(c, (FirstWord, LastWord)) and c.run is run]
    others = [c for c in callbacks.callbacks if c not in mine]
    runs = dict.fromkeys(c.run for c in others if isinstance(c, RunCallback) and c.run is not run)
    for other in runs:
        if None in (other.network, run.network) or overlap(other.network, run.network):
            raise ValueError(
                "A training takes one Compression for each network. Received: two in `callbacks` for the same layers. "
                "Give one of them the techniques of both: tfc.Compression([*first, *second]); or, where the model "
                "that trains holds several networks, name one for each before fit: compression.set_model(network)."
            )
    # a new list: the running loop over the old one must not meet the run's callback twice
    callbacks.callbacks = [FirstWord(run), *others, LastWord(run)]
    return list(runs)
