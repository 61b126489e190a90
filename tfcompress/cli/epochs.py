"""Shows the progress of a training: a line for each epoch, and within it, on a terminal, the time that is left."""

from typing import Any

import keras

from tfcompress.text.log import tell
from tfcompress.text.progress import Pace

_SHOWN = 3  # figures of an epoch


class Epochs(keras.callbacks.Callback):
    """A callback that shows how far a training is and how long the rest takes.

    Args:
        title: What is trained.
        verbose: 0 shows nothing.
    """

    def __init__(self, title: str, verbose: int):
        super().__init__()
        self.title, self.verbose = title, verbose
        self._pace: Pace | None = None
        self._steps = self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch, self._steps = epoch, self.params.get("steps") or 0
        if self._pace is None and self._steps:
            total = (self.params["epochs"] - epoch) * self._steps
            self._pace = Pace(f"{self.title}, steps", total, self.verbose)
            self._first = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Shows the steps, on a terminal."""
        if self._pace is not None and self._pace.is_rewritten:
            self._pace((self._epoch - self._first) * self._steps + batch + 1, f"epoch {self._epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the epoch's line."""
        figures = ", ".join(f"{key} {value:.4g}" for key, value in _chosen(logs or {}).items())
        left = self._pace.left((epoch + 1 - self._first) * self._steps) if self._pace is not None else ""
        parts = [f"{self.title}: epoch {epoch + 1} of {self.params['epochs']}", figures, left]
        tell(", ".join(filter(None, parts)), self.verbose)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Removes the line of progress."""
        if self._pace is not None:
            self._pace.end()


def _chosen(logs: dict[str, Any]) -> dict[str, float]:
    """Returns the loss and the figures on held-out data, else those of the training."""
    held_out = {key: value for key, value in logs.items() if key.startswith("val_")}
    others = held_out or {key: value for key, value in logs.items() if key != "loss"}
    shown = {key: value for key, value in logs.items() if key == "loss"} | dict(list(others.items())[: _SHOWN - 1])
    return shown | {key: value for key, value in logs.items() if key == "sparsity"}
