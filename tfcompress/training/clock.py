"""How far the training is: counted by ourselves and saved, for `optimizer.iterations` counts something else.

With gradient accumulation the optimizer counts a quarter of the steps, and a second `fit` does not restart it.
"""

from tfcompress.mechanics.state import CompressionState
from tfcompress.techniques.base import Moment


class Clock:
    """Steps done, of how many.

    Args:
        state: Where the count is kept.
    """

    def __init__(self, state: CompressionState):
        self.state = state
        self.step, self.total = int(state.step), int(state.total)
        self.epochs, self.per_epoch, self.epoch, self._seen = 1, None, 0, 0
        self._fresh = True

    @property
    def is_over(self) -> bool:
        """Whether the training that the schedules were laid out for is done."""
        return float(self.state.progress) >= 1.0

    def start(self, epochs: int, per_epoch: int | None) -> None:
        """Begins or goes on with a training of `epochs` epochs of `per_epoch` steps (None when unknown)."""
        self.step, self.total = (
            int(self.state.step),
            int(self.state.total),
        )  # a checkpoint may have been loaded
        self.epochs, self.per_epoch, self._fresh = epochs, per_epoch, True

    def begin_epoch(self, epoch: int) -> None:
        """Notes the epoch; the first one tells how many are left."""
        if self._fresh and not self.total and self.per_epoch:
            self._set_total(self.step + (self.epochs - epoch) * self.per_epoch)
        self.epoch, self._seen, self._fresh = epoch, 0, False

    def ran(self, steps: int) -> None:
        """Counts steps."""
        self.step += steps
        self._seen += steps
        self.state.step.assign(self.step)
        self.state.progress.assign(max(float(self.state.progress), self._progress()))

    def end_epoch(self) -> None:
        """Learns the length of an epoch whose length nobody knew."""
        if not self.total and self._seen:
            self._set_total(self.step + (self.epochs - self.epoch - 1) * self._seen)
        self.state.progress.assign(max(float(self.state.progress), self._progress()))

    def finish(self) -> None:
        """Marks the training as done."""
        self.state.progress.assign(1.0)

    def _set_total(self, total: int) -> None:
        self.total = max(total, 1)
        self.state.total.assign(self.total)

    def _progress(self) -> float:
        if self.total:
            return min(self.step / self.total, 1.0)
        return min(self.epoch / self.epochs, 1.0)

    def moment(self, last: bool = False) -> Moment:
        """Returns now, for the techniques."""
        return Moment(
            self.step, self.total or None, 1.0 if last else float(self.state.progress), last
        )

    def every(self) -> int:
        """Steps between two updates of the techniques: about a hundred updates in a training, at most 50 steps apart."""
        return min(max(self.total // 100, 1), 50) if self.total else 10
