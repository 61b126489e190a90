"""How far the training is, counted by ourselves: `optimizer.iterations` counts something else.

With gradient accumulation the optimizer counts a quarter of the steps, and a second `fit` does not
restart it. The count is kept in Python; the state's variables get it when they are saved, and at
the end of an epoch.
"""

from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.keras_private import full_precision
from tfcompress.techniques.base import Moment


class Clock:
    """Steps done, of how many.

    Args:
        state: Where the count is saved; None for a count that is not.

    Attributes:
        step: Steps done.
        total: Steps of the training the schedules were laid out for, 0 while unknown.
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
            state.count_with(self)

    def follow(self, state: CompressionState) -> None:
        """Goes on counting for another state."""
        self.state = state
        self.write()
        state.count_with(self)

    def read(self) -> None:
        """Takes the count from the state, which was just loaded."""
        if self.state is None:
            return
        # replicas of a distribution strategy each hold a copy, which Python can't make a number of
        self.step, self.total = (int(full_precision(v)) for v in (self.state.step, self.state.total))
        self.progress = float(full_precision(self.state.progress))
        self._looked = self.step

    def write(self) -> None:
        """Brings the state up to date."""
        if self.state is None:
            return
        self.state.step.assign(self.step)
        self.state.total.assign(self.total)
        self.state.progress.assign(self.progress)

    @property
    def is_over(self) -> bool:
        """Whether the training that the schedules were laid out for is done."""
        return self.progress >= 1.0

    @property
    def ends_epoch(self) -> bool:
        """Whether the step just run was the last of its epoch, as far as anybody can know."""
        return self.per_epoch is not None and self._seen >= self.per_epoch

    def start(self, epochs: int, per_epoch: int | None) -> None:
        """Begins or goes on with a training; `per_epoch` steps an epoch, None when unknown."""
        self.epochs, self.per_epoch, self._fresh = epochs, per_epoch, True

    def begin_epoch(self, epoch: int) -> None:
        """Notes the epoch; the first one tells how many are left."""
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
        """Learns the length of an epoch whose length nobody knew."""
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
        """Returns now, for the techniques."""
        return Moment(self.step, self.total or None, 1.0 if last else self.progress, last)

    def is_due(self, every: int | None) -> bool:
        """Whether the techniques are to be updated now; asked once before each call.

        Args:
            every: Steps between two updates; None for about a hundred in a training, at most 50
                steps apart.
        """
        if every is None:
            every = min(max(self.total // 100, 1), 50) if self.total else 10
        # a call may run several steps at once and so jump over the very step
        due = self.step % every == 0 or self.step // every > self._looked // every
        self._looked = self.step
        return due
