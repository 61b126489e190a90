"""Laps: which weights go through the schedules by which clock.

Normally there is one. Weights that begin to train when its schedules are over (a base that is unfrozen for a second
`fit`) go through them in a lap of their own, over the training that is left.
"""

import numpy as np

from tfcompress.graph.keras_private import full_precision
from tfcompress.techniques.base import Kernel, Memory
from tfcompress.training.clock import Clock


class Lap:
    """One way through the schedules.

    Args:
        clock: How far it is.
        memories: Technique name to what it remembers.
        chosen: `(technique name, id of the variable)` of the weights in it; None for all that are in no other lap.
    """

    def __init__(self, clock: Clock, memories: dict[str, Memory], chosen: set | None = None):
        self.clock, self.memories, self.chosen = clock, memories, chosen

    def advance(self, recipe, kernels: dict[str, list[Kernel]], last: bool) -> None:
        """Moves the transforms of its weights on; techniques of higher order go first."""
        for t in sorted(recipe, key=lambda t: -t.order):
            # nothing can be chosen by weights of a training that diverged
            found = [k for k in kernels[t.name] if is_finite(k.chain.variable)]
            t.advance(self.clock.moment(last), found, self.memories[t.name])


class Laps:
    """All laps of a compression, the main one first.

    Args:
        main: The lap whose clock is saved with the model.
    """

    def __init__(self, main: Lap):
        self.main, self.late = main, []

    def __iter__(self):
        return iter([self.main, *self.late])

    def kernels(self, lap: Lap, plan) -> dict[str, list[Kernel]]:
        """Returns the weights of a plan that are in a lap, by technique."""
        elsewhere = set().union(*(late.chosen for late in self.late))

        def is_here(name, kernel):
            key = (name, id(kernel.chain.variable))
            return key in lap.chosen if lap.chosen is not None else key not in elsewhere

        return {name: [k for k in found if is_here(name, k)] for name, found in plan.kernels.items()}

    def welcome(self, plan) -> None:
        """Takes in the weights that a plan made anew treats for the first time."""
        new = {(name, id(k.chain.variable)) for name, found in plan.new.items() for k in found}
        if not new:
            return
        if not self.main.clock.is_over:
            for memory in self.main.memories.values():
                memory.is_final = False  # masks that were final wait for those of the newcomers
            return
        memories = {name: Memory(m.model, plain=m.plain) for name, m in self.main.memories.items()}
        self.late.append(Lap(Clock(), memories, new))

    def start_late(self) -> None:
        """Starts the laps of weights that were taken in while a training goes on."""
        main = self.main.clock
        for lap in self.late:
            if not lap.clock.total and not lap.clock.step:
                lap.clock.start(main.epochs, main.per_epoch)
                lap.clock.begin_epoch(main.epoch)

    def merge(self) -> None:
        """Ends the late laps: their weights are where those of the main one are."""
        self.late = []

    @property
    def progress(self) -> float:
        """How far the lap is that has most before it."""
        return min(lap.clock.progress for lap in self)

    @property
    def is_over(self) -> bool:
        """Whether all are through."""
        return all(lap.clock.is_over for lap in self)


def is_finite(variable) -> bool:
    """Whether all numbers of a variable are finite."""
    return bool(np.isfinite(np.asarray(full_precision(variable))).all())
