"""Counts training steps, because `optimizer.iterations` counts something else.

With gradient accumulation the optimizer counts only every few steps, and a second `fit` does not restart its count.
The count is a Python number; it is written to the state's variables when they are saved, and at the end of an epoch.
"""

from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.keras_private import full_precision
from tfcompress.techniques.base import Moment


class Clock:
    """Counts the steps of a training and its progress.

    Args:
        state: The state that the count is saved in; None for a count that is not saved.

    Attributes:
        step: Steps done.
        total: Steps of the whole training that the schedules span, 0 while unknown.
        progress: Fraction of it that is done, 0..1.
    """

    def __init__(self, state: CompressionState | None = None):
        self.per_epoch: int | None = None
        self.epochs, self.epoch, self._seen = 1, 0, 0
        self.step, self.total, self.progress, self._looked = 0, 0, 0.0, 0
        self._fresh = True
        self.state = state
        self.read()
        if state is not None:
            state.set_counter(self)

    def follow(self, state: CompressionState) -> None:
        """Continues the count in another state."""
        self.state = state
        self.write()
        state.set_counter(self)

    def read(self) -> None:
        """Reads the count from the state, after it was loaded."""
        if self.state is None:
            return
        # under a distribution strategy a variable has several copies, which int() and float() refuse
        self.step, self.total = (int(full_precision(v)) for v in (self.state.step, self.state.total))
        self.progress = float(full_precision(self.state.progress))
        self._looked = self.step

    def write(self) -> None:
        """Writes the count to the state."""
        if self.state is None:
            return
        self.state.step.assign(self.step)
        self.state.total.assign(self.total)
        self.state.progress.assign(self.progress)

    @property
    def is_over(self) -> bool:
        """Whether the training that the schedules span is done."""
        return self.progress >= 1.0

    @property
    def ends_epoch(self) -> bool:
        """Whether the step just run was the last of its epoch; False while the length of an epoch is unknown."""
        return self.per_epoch is not None and self._seen >= self.per_epoch

    def start(self, epochs: int, per_epoch: int | None) -> None:
        """Begins or continues a training of `epochs` epochs of `per_epoch` steps (None: unknown)."""
        self.epochs, self.per_epoch, self._fresh = epochs, per_epoch, True

    def begin_epoch(self, epoch: int) -> None:
        """Notes the epoch; the first one of a training says how many are left."""
        if self._fresh and not self.total and self.per_epoch:
            self.total = max(self.step + (self.epochs - epoch) * self.per_epoch, 1)
        self.epoch, self._seen, self._fresh = epoch, 0, False

    def ran(self, steps: int) -> None:
        """Counts steps; the last call of an epoch may run fewer than it was asked to."""
        if self.per_epoch is not None:
            steps = min(steps, max(self.per_epoch - self._seen, 1))
        self.step += steps
        self._seen += steps
        self._move()

    def end_epoch(self) -> None:
        """Ends the epoch; its number of steps gives the length of the training where that was unknown."""
        if not self.total and self._seen:
            self.total = self.step + (self.epochs - self.epoch - 1) * self._seen
        self._move()
        self.write()

    def finish(self) -> None:
        """Marks the training as done."""
        self.progress = 1.0
        self.write()

    def _move(self):
        if self.total:
            now = min(self.step / self.total, 1.0)
        else:
            now = min(self.epoch / self.epochs, 1.0)
        self.progress = max(self.progress, now)

    def moment(self, last: bool = False) -> Moment:
        """Returns the current moment of the training, for the techniques."""
        return Moment(self.step, self.total or None, 1.0 if last else self.progress, last)

    def is_due(self, every: int | None) -> bool:
        """Returns whether the techniques are to be updated now; called once before each train function call.

        Args:
            every: Steps between two updates; None for about a hundred in a training, at most 50
                steps apart.
        """
        if every is None:
            every = min(max(self.total // 100, 1), 50) if self.total else 10
        # one call may run several steps and so skip the step at which the update was due
        due = self.step % every == 0 or self.step // every > self._looked // every
        self._looked = self.step
        return due
