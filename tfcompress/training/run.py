"""Runs a compression through a training, be it Keras' `fit` or a user's own loop."""

import copy
from collections.abc import Iterator

import keras

from tfcompress.calibration.samples import samples
from tfcompress.conversion.convert import convert
from tfcompress.export.simulate import BATCH, observe, simulate
from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.patching import patched_calls
from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.keras_private import input_triples
from tfcompress.graph.tree import is_built
from tfcompress.schedules.base import MOST_STEPS
from tfcompress.techniques.base import Memory
from tfcompress.techniques.recipe import Recipe
from tfcompress.text.log import tell
from tfcompress.training.binding import find_network
from tfcompress.training.carriers import LiveLayers
from tfcompress.training.checkpoint import restore, save_compression
from tfcompress.training.clock import Clock
from tfcompress.training.laps import Lap, Laps
from tfcompress.training.logs import BRIEF, LOGS, Followed, verdict
from tfcompress.training.objective import Objective
from tfcompress.training.plan import Plan
from tfcompress.training.runners.fit import Fit
from tfcompress.training.runners.loop import Loop
from tfcompress.training.weight_health import changed, divergence_message, find_not_finite, find_violated_constraints
from tfcompress.validation import checks

AS_THEY_WERE = (
    "the techniques were applied to the weights as they were, all at once. In a loop of your own: "
    "`with compression.training(epochs=..., steps=...):`, and compression.step() after each step"
)


class CompressionRun:
    """Runs a compression from the plan to the final weights and the file.

    `Compression` and `Session` hold one: they know when steps run, the run knows what is done then.

    Args:
        techniques: One technique, a list of them, or a `Recipe`.
        carrier: What attaches the operation plans to the model, see `training/carriers.py`.
        **options: `calibration`, `update_every`, `learning_rate`, `seed`, `verbose` and `logs`, as for
            `Compression`.

    Attributes:
        network: The model that is compressed; None before it is known.
        trained: The model that trains: the network, or a model that holds it.
        plan: What is done to each weight and activation; None before a model is known.
        clock: How far the training is; None before a model is known.
        laps: Which weights follow the schedules by which clock.
        notes: What is printed when training ends, one sentence each.
        fit: The `fit` that runs, or that an exception ended; None otherwise.
        loop: The user's own loop that runs; None otherwise.
    """

    def __init__(
        self,
        techniques,
        carrier=None,
        *,
        calibration=None,
        update_every=None,
        learning_rate=1e-3,
        seed=0,
        verbose=1,
        logs=BRIEF,
    ):
        self.recipe = Recipe(techniques)
        if update_every is not None:
            update_every = checks.whole(
                "Compression", "update_every", update_every, 1, MOST_STEPS, accepted="at least 1 step"
            )
        self.calibration, self.update_every = checks.data("Compression", "calibration", calibration), update_every
        self.learning_rate = checks.number("Compression", "learning_rate", learning_rate, least=0)
        self.seed = checks.seed("Compression", seed)
        self.verbose = checks.verbosity("Compression", verbose)
        self.logs = checks.choice("Compression", "logs", logs, LOGS)
        self.carrier = LiveLayers() if carrier is None else carrier
        self.notes, self._followed, self.epoch = list[str](), Followed(), 0
        self.asked: keras.Model | None = None  # what the user named
        self.network: keras.Model | None = None
        self.trained: keras.Model | None = None
        self.saved: dict | None = None  # read from a file, for the model that is yet to come
        self.plan: Plan | None = None
        self.clock: Clock | None = None
        self.laps: Laps | None = None
        self.objective: Objective | None = None
        self.fit: Fit | None = None
        self.loop: Loop | None = None
        self.is_alone = True  # no other network is compressed in the same training
        self.is_surrounded = False  # callbacks of this run stand before and behind all others
        self._diverged: str | None = None
        self._is_calibrated, self._looked_at = False, None  # samples that the ranges saw
        self._baked, self._is_ending, self._begun_at = -1, False, 0  # steps: of the last bake, of the beginning

    def twin(self) -> "CompressionRun":
        """Returns a run of the same settings for another training; model, teachers and data are not copied."""
        made = copy.copy(self)
        made.notes, made.recipe = list(self.notes), Recipe(self.recipe)
        made.fit, made.loop, made._followed = None, None, Followed()
        return made

    @property
    def state(self) -> CompressionState:
        """Step counters, transforms and ranges.

        Raises:
            ValueError: If no model is known yet.
        """
        self.need_model()
        return self.plan.state

    @property
    def memories(self) -> dict[str, Memory]:
        """Technique name to what it remembers of the model."""
        self.need_model()
        return self.laps.main.memories

    @property
    def file_model(self) -> keras.Model | None:
        """The plain model that is converted to a file; for a session the one inside the wrappers."""
        return self.carrier.plain(self.network)

    @property
    def is_fitted(self) -> bool:
        """Whether a `fit` of this run is running."""
        return self.fit is not None and self.fit.is_running

    def need_model(self) -> None:
        """Raises an error if no model is known.

        Raises:
            ValueError: In that case.
        """
        if self.network is None:
            raise ValueError(
                "This compression has no model yet. Pass it to fit: model.fit(..., callbacks=[compression]), or call "
                "set_model(model)."
            )

    def note(self, text: str) -> None:
        """Adds a sentence to the notes that are printed at the end, once."""
        if text not in self.notes:
            self.notes.append(text)

    def bind(self, model: keras.Model) -> None:
        """Sets the model that trains, and makes the plan for the network in it if that is built.

        For a network that is known already, the plan is made anew.
        """
        self.trained, network = model, find_network(model, self.asked)
        if network is self.network:
            self.renew()
            return
        self.network = self.plan = None
        if is_built(network):
            self.attach_network(network)

    def attach_network(self, network: keras.Model) -> None:
        """Makes the plan for a built network and attaches the state to it."""
        plan = self._planned(network)
        self.network, self.plan, self._is_calibrated = network, plan, False
        plan.state.attach_to(network)
        memories = {t.name: Memory(network, plan.extras[t.name], plain=self.file_model) for t in self.recipe}
        self.clock = Clock(plan.state)
        self.laps = Laps(Lap(self.clock, memories))
        self._prepare_optimizer()
        if self.saved is not None:
            restore(self, self.saved)
            self.saved = None
            self.clock.read()

    def _planned(self, model, before: Plan | None = None) -> Plan:
        with model.distribute_strategy.scope():
            return self.carrier.plan(model, self.recipe, self.seed, before)

    def _prepare_optimizer(self, before: CompressionState | None = None):
        with self.network.distribute_strategy.scope():
            self.state.prepare_optimizer(self.learning_rate, before)

    def renew(self) -> bool:
        """Makes the plan anew and returns whether it differs from the one before."""
        before, plan = self.plan, self._planned(self.network, self.plan)
        for text in self.carrier.notes():
            self.note(text)
        if plan is before:
            return False
        self.plan = plan
        self.clock.follow(plan.state)
        plan.state.attach_to(self.network)
        for name, memory in self.laps.main.memories.items():
            memory.extras = plan.extras[name]
        self._prepare_optimizer(before.state)
        self.laps.add_new_weights(plan)
        return True

    def laid(self):
        """Returns the state whose plans hooks apply to live layers; an empty one for a session."""
        return self.carrier.laid(self.plan.state)

    def overrides(self, mode: Mode) -> tuple:
        """Returns the methods of the model to replace in passes of a mode."""
        return self.objective.overrides() if mode.trains else ()

    def prepare(self, epochs: int, steps: int | None) -> None:
        """Prepares a training of `epochs` epochs of `steps` steps (None: unknown), and prints the plan."""
        self.renew()
        was_reached = self.loop is not None and self.objective is not None and self.objective.was_reached
        self.objective = Objective(self.trained, self.recipe, self.plan, self.laps.main.memories)
        self.objective.was_reached = was_reached  # a loop's own function may be traced already
        for lap in self.laps:
            lap.clock.start(epochs, steps)
            for memory in lap.memories.values():
                memory.is_final = memory.is_final and lap.clock.is_over
        self._baked, self._is_ending, self._begun_at = -1, False, self.clock.step
        self.plan.tell(self.verbose)
        if self.calibration is not None and self.state.ranges and not self.clock.step and not self._is_calibrated:
            self._calibrate()

    def start_late(self) -> None:
        """Continues a running training with a plan that was made anew."""
        self.laps.start_late()
        self.objective.change(self.plan)

    def _calibrate(self):
        self._looked_at = samples(self.calibration, input_triples(self.file_model))
        observe(self.file_model, self.state, self._looked_at)
        self._is_calibrated = True

    def begin_epoch(self, epoch: int) -> None:
        """Passes the number of the epoch to the clocks."""
        self.epoch = epoch
        for lap in self.laps or ():
            lap.clock.begin_epoch(epoch)

    def before_step(self) -> None:
        """Updates masks and clusters if an update is due."""
        for lap in self.laps:
            if lap.clock.is_due(self.update_every) and not lap.clock.is_over:
                self._advance(lap, last=False)

    def after_step(self, steps: int, trains_own: bool = False) -> None:
        """Counts steps; at the end of an epoch it bakes the weights, so that every checkpoint holds final values."""
        self.objective.after_step(trains_own)
        for lap in self.laps:
            lap.clock.ran(steps)
        if self.clock.ends_epoch:
            self._bake()

    def _bake(self):
        if self._baked != self.clock.step:
            self.state.bake()
            self._baked = self.clock.step

    def follow(self) -> None:
        """Checks whether another callback of the `fit` changed which layers train, or the model's train function."""
        if self.fit is not None:
            self.fit.follow()

    def finalize_epoch(self, logs: dict | None) -> None:
        """Ends an epoch before any other callback does: bakes the weights and adds facts to `logs`."""
        for lap in self.laps:
            lap.clock.end_epoch()
        self._bake()
        if logs is not None:
            self._followed.validated(logs)
            logs.update(self._followed.facts(self.state, "" if self.is_alone else f"{self.network.name}/", self.logs))

    def _advance(self, lap: Lap, last: bool):
        lap.advance(self.recipe, self.laps.kernels(lap, self.plan), last)

    def finalize_training(self) -> None:
        """Ends the training before any other callback does: removes the step functions, sets final weights."""
        early, self._is_ending = self.laps.progress, True
        self.remove_step_functions()
        if self.clock.step == self._begun_at:
            self.note(f"no training step ran under the techniques: {AS_THEY_WERE}")
        self._settle()
        if early < 0.999:
            ended = f"training ended at {early:.0%} of the schedule"
            self.note(f"{ended}; the techniques were brought to their final values then")

    def close(self) -> None:
        """Repairs weights that other callbacks restored since; called after all of them."""
        self._settle_changes()
        tell("tfcompress: " + "; ".join([verdict(self.state, self._followed), *self.notes]), self.verbose)

    def remove_step_functions(self) -> None:
        """Removes the step functions of a `fit` from the model."""
        if self.fit is not None:
            self.fit.remove()
        self.fit = None

    def _settle(self):
        """Brings the techniques to the end of their schedules and the weights to their final values."""
        for lap in self.laps:
            for memory in lap.memories.values():
                memory.is_final = False
            self._advance(lap, last=True)
        self.laps.merge()
        self.clock.finish()
        self.state.bake()
        if lost := find_violated_constraints(self.state):
            self.note(f"the constraints of {', '.join(lost)} can't hold together with the techniques on these weights")

    def _settle_changes(self):
        """Brings weights to their final values again where they no longer hold what was baked."""
        if found := changed(self.state):
            self.note(
                f"the weights of {len(found)} kernels changed after the training's end (restored from an earlier "
                "epoch, or assigned); masks and clusters were chosen anew for them"
            )
            self._settle()
        self.notes = [note for note in self.notes if note != self._diverged]
        self._diverged = divergence_message(lost) if (lost := find_not_finite(self.file_model)) else None
        if self._diverged:
            self.note(self._diverged)

    def finish(self) -> keras.Model:
        """Ends the schedules, removes all hooks from the model, and returns the plain model with final weights."""
        self.need_model()
        if self.loop is not None or self.is_fitted and not self._is_ending:
            raise RuntimeError(
                "Compression.finish and convert end the schedule, so they can't be called while fit runs. Call them "
                "after fit, or in on_train_end; predict and evaluate show the compressed model meanwhile."
            )
        if not self.is_fitted:
            self.remove_step_functions()
        if not self.laps.is_over:
            if not self.clock.step and self.recipe:
                self.note(f"no training step was counted: {AS_THEY_WERE}")
            self._settle()
        self._settle_changes()
        return self.carrier.finished(self)

    def convert(self, path=None, calibration=None, mode: str | None = None, **options):
        """Converts the finished model to a `.tflite` file; arguments as for `Compression.convert`."""
        model = self.finish()
        if self._diverged:
            raise ValueError(f"Compression.convert: {self._diverged}.")
        is_lasting = calibration is not None and not isinstance(calibration, Iterator)
        if self.calibration is None and is_lasting and not {"scale", "offset"} & options.keys():
            self.calibration = calibration  # predict may need ranges that no training has set
        if calibration is None and not {"scale", "offset"} & options.keys():
            calibration = self._samples_at_hand()
        if self._is_calibrated and not self.clock.step:
            self.note("activation ranges come from calibration: no training step has moved them")
        told = self.carrier.facts(self.recipe, self.notes)
        artifact = convert(model, mode=mode or self.recipe.mode, calibration=calibration, facts=told, **options)
        if path is not None:
            artifact.save(path)
        return artifact

    def _samples_at_hand(self):
        """Returns the samples that set the ranges, or the data given for that; None if a generator is used up."""
        if self._looked_at is not None:
            return self._looked_at
        return None if isinstance(self.calibration, Iterator) else self.calibration

    def predict(self, x, batch_size: int = BATCH):
        """Returns the model's outputs with quantization simulated; arguments as for `Compression.predict`."""
        batch_size = checks.whole("predict", "batch_size", batch_size, 1, 2**31)
        self._need_ranges()
        return simulate(self.file_model, self.state, x, batch_size)

    def evaluate(self, *args, **kwargs):
        """Runs `evaluate` of the model that trains with quantization simulated."""
        if not self.carrier.is_laid:  # wrapper layers simulate by themselves
            return self.trained.evaluate(*args, **kwargs)
        self._need_ranges()
        model = self.trained
        held, model.test_function = model.test_function, None
        try:
            with patched_calls(self.network, self.laid(), Mode.FOLDED):
                return model.evaluate(*args, **kwargs)
        finally:
            # inside fit, validation continues with the function it had
            model.test_function = held if self.is_fitted else None

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

    def save(self, path) -> None:
        """Writes techniques, ranges, masks and the progress of the schedules to a file."""
        self.need_model()
        self.clock.write()
        save_compression(self, path)
