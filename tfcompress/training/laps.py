"""Decides which weights follow the schedules by which clock: a lap is a set of weights with a clock.

Normally there is one lap. Weights that begin to train when its schedules are over (a base that is unfrozen for a
second `fit`) get a lap of their own, which runs the schedules over the training that is left.
"""

import numpy as np

from tfcompress.graph.keras_private import full_precision
from tfcompress.techniques.base import Kernel, Memory
from tfcompress.training.clock import Clock


class Lap:
    """Runs the schedules once for a set of weights.

    Args:
        clock: Counts the steps of this lap.
        memories: Technique name to what it remembers of the model.
        chosen: `(technique name, id of the variable)` of the weights in it; None for all that are in no other lap.
    """

    def __init__(self, clock: Clock, memories: dict[str, Memory], chosen: set | None = None):
        self.clock, self.memories, self.chosen = clock, memories, chosen

    def advance(self, recipe, kernels: dict[str, list[Kernel]], last: bool) -> None:
        """Updates the transforms of its weights; techniques of higher order go first."""
        for t in sorted(recipe, key=lambda t: -t.order):
            # weights that are NaN or infinite have no meaningful magnitudes to choose by
            found = [k for k in kernels[t.name] if is_finite(k.chain.variable)]
            t.advance(self.clock.moment(last), found, self.memories[t.name])


class Laps:
    """Holds all laps of a compression, the main one first.

    Args:
        main: The lap whose clock is saved with the model.
    """

    def __init__(self, main: Lap):
        self.main, self.late = main, []

    def __iter__(self):
        return iter([self.main, *self.late])

    def kernels(self, lap: Lap, plan) -> dict[str, list[Kernel]]:
        """Returns the weights of a plan that belong to a lap, by technique."""
        elsewhere = set().union(*(late.chosen for late in self.late))

        def is_here(name, kernel):
            key = (name, id(kernel.chain.variable))
            return key in lap.chosen if lap.chosen is not None else key not in elsewhere

        return {name: [k for k in found if is_here(name, k)] for name, found in plan.kernels.items()}

    def add_new_weights(self, plan) -> None:
        """Adds the weights that a plan made anew treats for the first time.

        They join the main lap while its schedules run, and get a lap of their own afterwards.
        """
        new = {(name, id(k.chain.variable)) for name, found in plan.new.items() for k in found}
        if not new:
            return
        if not self.main.clock.is_over:
            for memory in self.main.memories.values():
                memory.is_final = False  # masks are final only once the added weights have theirs too
            return
        memories = {name: Memory(m.model, plain=m.plain) for name, m in self.main.memories.items()}
        self.late.append(Lap(Clock(), memories, new))

    def start_late(self) -> None:
        """Starts the laps of weights that were added during a training."""
        main = self.main.clock
        for lap in self.late:
            if not lap.clock.total and not lap.clock.step:
                lap.clock.start(main.epochs, main.per_epoch)
                lap.clock.begin_epoch(main.epoch)

    def merge(self) -> None:
        """Ends the late laps; their weights belong to the main lap from then on."""
        self.late = []

    @property
    def progress(self) -> float:
        """Progress of the lap that is furthest behind."""
        return min(lap.clock.progress for lap in self)

    @property
    def is_over(self) -> bool:
        """Whether all laps are done."""
        return all(lap.clock.is_over for lap in self)


def is_finite(variable) -> bool:
    """Returns whether all numbers of a variable are finite."""
    return bool(np.isfinite(np.asarray(full_precision(variable))).all())
