"""What a compression does in any training, whoever runs the steps: Keras' `fit`, or a loop written by hand."""

from collections.abc import Iterator

import keras

from tfcompress.calibration.samples import samples
from tfcompress.export.simulate import observe
from tfcompress.fake_quant.op_plan import Mode
from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.keras_private import input_triples
from tfcompress.schedules.base import MOST_STEPS
from tfcompress.techniques.base import Memory
from tfcompress.techniques.recipe import Recipe
from tfcompress.text.log import tell
from tfcompress.training.checkpoint import restore
from tfcompress.training.clock import Clock
from tfcompress.training.laps import Lap, Laps
from tfcompress.training.logs import facts, summary
from tfcompress.training.objective import Objective
from tfcompress.training.plan import Plan, make_plan
from tfcompress.training.weight_health import changed, diverged, not_finite, out_of_constraint
from tfcompress.validation import checks

AS_THEY_WERE = (
    "the techniques were applied to the weights as they were, all at once. In a loop of your own: "
    "`with compression.training(epochs=..., steps=...):`, and compression.step() after each step"
)


class CompressionRun:
    """Plan, state and clock of a compression, from the first step to the final weights.

    Args:
        techniques: One technique, a list of them, or a `Recipe`.
        **options: As for `Compression`.
    """

    def __init__(self, techniques, *, calibration, update_every, learning_rate, seed, verbose):
        self.recipe = Recipe(techniques)
        if update_every is not None:
            update_every = checks.whole(
                "Compression", "update_every", update_every, 1, MOST_STEPS, accepted="at least 1 step"
            )
        self.calibration, self.update_every = checks.data("Compression", "calibration", calibration), update_every
        self.learning_rate = checks.number("Compression", "learning_rate", learning_rate, least=0)
        self.seed = checks.seed("Compression", seed)
        self.verbose = checks.verbosity("Compression", verbose)
        self.notes: list[str] = []
        self.network: keras.Model | None = None  # what is compressed
        self.trained: keras.Model | None = None  # what trains: the network, or a model that holds it
        self.saved: dict | None = None
        self._plan: Plan | None = None
        self._diverged: str | None = None
        self.objective: Objective | None = None
        self._is_calibrated, self._is_alone = False, True
        self._looked_at: list | None = None  # samples that the ranges saw

    @property
    def plan(self) -> Plan | None:
        """What is done to each weight and activation; None before a model is known."""
        return self._plan

    @property
    def state(self) -> CompressionState:
        """Step counters, transforms and ranges.

        Raises:
            ValueError: If no model is known yet.
        """
        self._need_model()
        return self._plan.state

    @property
    def memories(self) -> dict[str, Memory]:
        """Technique name to what it remembers of the model."""
        return self.laps.main.memories

    # the plan

    def _make_plan(self, model, before: Plan | None = None) -> Plan:
        with model.distribute_strategy.scope():
            return make_plan(model, self.recipe, self.seed, before=before)

    def _attach(self, network, plan):
        self.network, self._plan, self._is_calibrated = network, plan, False
        plan.state.hang(network)
        memories = {t.name: Memory(network, plan.extras[t.name], plain=self.file_model) for t in self.recipe}
        self.clock = Clock(plan.state)
        self.laps = Laps(Lap(self.clock, memories))
        self._prepare_optimizer()
        if self.saved is not None:
            restore(self, self.saved)
            self.saved = None
            self.clock.read()

    def _prepare_optimizer(self, before: CompressionState | None = None):
        with self.network.distribute_strategy.scope():
            self.state.prepare_optimizer(self.learning_rate, before)

    def _renew(self) -> bool:
        """Makes the plan anew; returns whether it is another one."""
        before, plan = self._plan, self._make_plan(self.network, self._plan)
        if plan is before:
            return False
        self._plan = plan
        self.clock.follow(plan.state)
        plan.state.hang(self.network)
        for name, memory in self.laps.main.memories.items():
            memory.extras = plan.extras[name]
        self._prepare_optimizer(before.state)
        self.laps.welcome(plan)
        return True

    def hooked(self):
        """The state that is laid over live layers; a session's operation plans lie in wrappers."""
        return self._plan.state

    def _extra(self, mode: Mode) -> tuple:
        return self.objective.overrides() if mode is Mode.TRAIN else ()

    # training

    def prepare(self, epochs: int, steps: int | None) -> None:
        """Gets ready for a training of so many epochs, of so many steps (None: unknown), and shows the plan."""
        self._renew()
        was_reached = self.loop is not None and self.objective is not None and self.objective.was_reached
        self.objective = Objective(self.trained, self.recipe, self._plan, self.laps.main.memories)
        self.objective.was_reached = was_reached  # a loop's own function may be traced already
        for lap in self.laps:
            lap.clock.start(epochs, steps)
            for memory in lap.memories.values():
                memory.is_final = memory.is_final and lap.clock.is_over
        self._baked, self._ending, self._begun_at = None, False, self.clock.step
        tell(self._plan.text(), self.verbose)
        if self.calibration is not None and self.state.ranges and not self.clock.step and not self._is_calibrated:
            self._calibrate()

    def _calibrate(self):
        self._looked_at = samples(self.calibration, input_triples(self.file_model))
        observe(self.file_model, self.state, self._looked_at)
        self._is_calibrated = True

    def _samples_at_hand(self):
        """What the ranges looked at, or the data that were given for it; a generator gives them once."""
        if self._looked_at is not None:
            return self._looked_at
        return None if isinstance(self.calibration, Iterator) else self.calibration

    def begin_epoch(self, epoch: int) -> None:
        """Tells the clocks of an epoch."""
        for lap in self.laps:
            lap.clock.begin_epoch(epoch)

    def before_step(self) -> None:
        """Moves masks and clusters on when it is time."""
        for lap in self.laps:
            if lap.clock.is_due(self.update_every) and not lap.clock.is_over:
                self._advance(lap, last=False)

    def after_step(self, steps: int, trains_own: bool = False) -> None:
        """Counts steps; at the end of an epoch weights take lasting values, for every checkpoint."""
        self.objective.after_step(trains_own)
        for lap in self.laps:
            lap.clock.ran(steps)
        if self.clock.ends_epoch:
            self._bake()

    def _bake(self):
        if self._baked != self.clock.step:
            self.state.bake()
            self._baked = self.clock.step

    def settle_epoch(self, logs: dict | None) -> None:
        """Ends an epoch before any other callback: lasting weights, facts in `logs`."""
        for lap in self.laps:
            lap.clock.end_epoch()
        self._bake()
        if logs is not None:
            logs.update(facts(self.state, "" if self._is_alone else f"{self.network.name}/"))

    def _advance(self, lap: Lap, last: bool):
        lap.advance(self.recipe, self.laps.kernels(lap, self._plan), last)

    def settle_training(self) -> None:
        """Ends the training before any other callback does: plain functions, final weights."""
        early, self._ending = self.laps.progress, True
        self._let_go()
        if self.clock.step == self._begun_at:
            self._note(f"no training step ran under the techniques: {AS_THEY_WERE}")
        self._settle()
        if early < 0.999:
            self._note(
                f"training ended at {early:.0%} of the schedule; the techniques were brought to their final values then"
            )

    def close(self) -> None:
        """Settles what other callbacks put back since; called behind all of them."""
        self._settle_changes()
        tell("tfcompress: " + "; ".join([summary(self.state), *self.notes]), self.verbose)

    def _let_go(self):
        """Takes off what lies on the model."""

    def _settle(self):
        """Brings the techniques to their end and the weights to their final values."""
        for lap in self.laps:
            for memory in lap.memories.values():
                memory.is_final = False
            self._advance(lap, last=True)
        self.laps.merge()
        self.clock.finish()
        self.state.bake()
        if lost := out_of_constraint(self.state):
            self._note(f"the constraints of {', '.join(lost)} can't hold together with the techniques on these weights")

    def _settle_changes(self):
        """Settles anew where the weights no longer hold what was baked."""
        if found := changed(self.state):
            self._note(
                f"the weights of {len(found)} kernels changed after the training's end "
                "(restored from an earlier epoch, or assigned); "
                "masks and clusters were chosen anew for them"
            )
            self._settle()
        self.notes = [note for note in self.notes if note != self._diverged]
        self._diverged = diverged(found) if (found := not_finite(self.file_model)) else None
        if self._diverged:
            self._note(self._diverged)

    def _note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def _need_model(self):
        if self.network is None:
            raise ValueError(
                "This compression has no model yet. Pass it to fit: "
                "model.fit(..., callbacks=[compression]), or call set_model(model)."
            )

    def _need_ranges(self):
        if not self.state.ranges or any(span.is_set for span in self.state.ranges):
            return
        if self.calibration is None:
            raise ValueError(
                "Compression.predict and evaluate show the quantized model, whose activation ranges have seen no "
                "data yet. Train first (fit with this callback, or `with compression.training(...)`), or give "
                "representative data: tfc.Compression(..., calibration=x[:200]), tfc.compress(..., data=x[:200])."
            )
        self._calibrate()

    @property
    def file_model(self) -> keras.Model | None:
        """The plain model a file is made of; for a session the one inside the wrappers."""
        return self.network
