"""The first and the last word among the callbacks of one training, whatever their order.

The first one settles weights and logs before any other callback saves or reads them; the last one
settles what others put back at the end (`EarlyStopping(restore_best_weights=True)`).
"""

import sys

import keras


class FirstWord(keras.callbacks.Callback):
    """Stands before all callbacks of one training."""

    def __init__(self, compression):
        super().__init__()
        self.compression = compression

    def on_epoch_end(self, epoch, logs=None):
        """Weights take their lasting values; sparsity and ranges go to `logs`."""
        self.compression.settle_epoch(logs)

    def on_train_end(self, logs=None):
        """The techniques come to their end."""
        self.compression.settle_training()


class LastWord(keras.callbacks.Callback):
    """Stands behind all callbacks of one training."""

    def __init__(self, compression):
        super().__init__()
        self.compression = compression

    def on_train_end(self, logs=None):
        """Looks whether anybody changed the weights since, and closes."""
        self.compression.close()


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


def surround(callbacks: keras.callbacks.CallbackList, compression) -> None:
    """Puts the first and the last word around all other callbacks.

    Raises:
        ValueError: If the list holds another compression.
    """
    others = [c for c in callbacks.callbacks if not isinstance(c, (FirstWord, LastWord))]
    if any(isinstance(c, type(compression)) and c is not compression for c in others):
        raise ValueError(
            "A training takes one Compression. Received: two in `callbacks`. "
            "Give one of them the techniques of both: tfc.Compression([*first, *second])."
        )
    # a new list: the running loop over the old one must not meet `compression` twice
    callbacks.callbacks = [FirstWord(compression), *others, LastWord(compression)]
