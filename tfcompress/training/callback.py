"""Compression: the one callback. The model stays the same object, compiled as it was.

While `fit` runs, the techniques' transforms lie over the model's layers for the length of each
step; between steps nothing does. At the end the weights hold their final values, and `convert`
writes the integer file.
"""

import sys

import keras
import numpy as np

from tfcompress.deploy.calibration import samples
from tfcompress.deploy.convert import convert
from tfcompress.deploy.simulate import observe, simulate
from tfcompress.facts import checks
from tfcompress.facts.schedule import MOST_STEPS
from tfcompress.mechanics.chain import Mode
from tfcompress.mechanics.graph import build, full_precision, input_triples, is_built
from tfcompress.mechanics.hook import StepFunctions, Training, at_first_step, laid
from tfcompress.mechanics.state import CompressionState
from tfcompress.techniques.base import Memory
from tfcompress.training.clock import Clock
from tfcompress.training.ends import running_list, surround
from tfcompress.training.figures import facts, recipe_facts, summary
from tfcompress.training.keeping import load_compression, restore, save_compression
from tfcompress.training.objective import Objective
from tfcompress.training.plan import Plan, make_plan
from tfcompress.training.recipe import Recipe


class Compression(keras.callbacks.Callback):
    """Compresses a model while `fit` trains it.

    Args:
        techniques: One technique, a list of them, or a `Recipe`.
        calibration: Representative data (what `tfc.convert` takes) that sets the activation ranges
            before the first step; None lets the first batches set them.
        update_every: Steps between two updates of masks and clusters; None for about a hundred
            updates in the training.
        learning_rate: Of the optimizer that trains what is not the model's: learned ranges,
            adapters of feature distillation.
        seed: Seed of what is drawn at random.
        verbose: 0 prints nothing; 1 prints the plan before training and one line after it.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> Dense = keras.layers.Dense
        >>> model = keras.Sequential([keras.Input((8,)), Dense(16, activation="relu"), Dense(2)])
        >>> model.compile("adam", "mse")
        >>> x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
        >>> compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
        >>> _ = model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=[compression])
        >>> int((model.layers[0].kernel.numpy() == 0).sum())
        64
        >>> compression.convert(calibration=x).is_integer
        True
    """

    def __init__(
        self,
        techniques,
        *,
        calibration=None,
        update_every: int | None = None,
        learning_rate: float = 1e-3,
        seed: int = 0,
        verbose: int = 1,
    ):
        super().__init__()
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
        self._target: keras.Model | None = None
        self._plan: Plan | None = None
        self.saved: dict | None = None
        self._functions: StepFunctions | None = None

    # attaching

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

    def set_model(self, model: keras.Model) -> None:
        """Makes the plan for a built model and hangs the state on it, so that checkpoints carry it.

        Keras calls this at the start of `fit`; a model that is built by its first batch gets its
        plan then. Call it yourself to see `plan` before training, or before `model.load_weights` of
        a checkpoint whose masks, ranges and schedule shall go on.
        """
        super().set_model(model)
        if model is None or model is self._target:
            return
        self._target = self._plan = None
        if is_built(model):
            self._attach(model, self._make_plan(model))

    def _make_plan(self, model) -> Plan:
        with model.distribute_strategy.scope():
            return make_plan(model, self.recipe, self.seed)

    def _attach(self, model, plan):
        self._target, self._plan = model, plan
        plan.state.hang(model)
        self.memories = {t.name: Memory(model, plan.extras[t.name], plain=self.file_model) for t in self.recipe}
        self.clock = Clock(plan.state)
        self.objective = Objective(model, self.recipe, plan, self.memories)
        self._functions = StepFunctions(model, self._hooked(), self._extra, self._before_step, self._after_step)
        with model.distribute_strategy.scope():
            plan.state.prepare_optimizer(self.learning_rate)
        if self.saved is not None:
            restore(self, self.saved)
            self.saved = None
            self.clock.read()

    def _hooked(self):
        """The state that is laid over live layers; a session's treatments lie in wrappers."""
        return self._plan.state

    def _extra(self, mode: Mode) -> tuple:
        return self.objective.overrides() if mode is Mode.TRAIN else ()

    def resume(self, model: keras.Model, checkpoint) -> None:
        """Goes on from a checkpoint written during an earlier training with the same techniques.

        Args:
            model: The model, built.
            checkpoint: Path of the `.keras` or `.weights.h5` file; weights, masks, clusters, ranges
                and the place in the schedule come from it.
        """
        self.set_model(model)
        self._need_model()
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)  # or Keras could not load it
        model.load_weights(checkpoint)

    # training

    def on_train_begin(self, logs=None):
        """Lays the step functions; what `BackupAndRestore` loads is there, or comes right after."""
        callbacks = running_list(self)
        self._is_surrounded = callbacks is not None
        if callbacks is not None:
            surround(callbacks, self)
        self._training = Training(callbacks)
        if self._target is not None:
            self._begin()
        else:
            at_first_step(self.model, self._training, self._meet)

    def _begin(self):
        self.clock.start(self.params.get("epochs", 1), self.params.get("steps"))
        self._baked, self._ending, self._begun_at = None, False, self.clock.step
        for memory in self.memories.values():
            memory.is_final = memory.is_final and self.clock.is_over
        if self.verbose:
            print(self._plan.text(), file=sys.stderr)
        if self.calibration is not None and self.state.ranges and not self.clock.step:
            self._calibrate()
        self._functions.install(self._training)

    def _meet(self, batch):
        """Meets a model that only its first batch could build."""
        build(self.model, batch)
        self._attach(self.model, self._make_plan(self.model))
        self._begin()
        self.clock.begin_epoch(self._epoch)

    def _calibrate(self):
        observe(self._target, self._hooked(), samples(self.calibration, input_triples(self._target)))

    def on_epoch_begin(self, epoch, logs=None):
        """Tells the clock."""
        self._epoch = epoch
        if self._target is not None:
            self.clock.begin_epoch(epoch)

    def _before_step(self):
        """Moves masks and clusters on when it is time."""
        if self.clock.is_due(self.update_every) and not self.clock.is_over:
            self._advance(last=False)

    def _after_step(self):
        """Counts; at the end of an epoch weights take lasting values, for every checkpoint."""
        self.objective.after_step()
        self.clock.ran(self._target.steps_per_execution)
        if self.clock.ends_epoch:
            self._bake()

    def _bake(self):
        if self._baked != self.clock.step:
            self.state.bake()
            self._baked = self.clock.step

    def on_epoch_end(self, epoch, logs=None):
        """Does what stands before all callbacks, where nothing could be put there."""
        if not self._is_surrounded:
            self.settle_epoch(logs)

    def settle_epoch(self, logs: dict | None) -> None:
        """Ends an epoch before any other callback: lasting weights, facts in `logs`."""
        self.clock.end_epoch()
        self._bake()
        if logs is not None:
            logs.update(facts(self.state))

    def _advance(self, last: bool):
        for t in sorted(self.recipe, key=lambda t: -t.order):
            t.advance(self.clock.moment(last), self._plan.kernels[t.name], self.memories[t.name])

    def on_train_end(self, logs=None):
        """Does what stands around all callbacks, where nothing could be put there."""
        if not self._is_surrounded:
            self.settle_training()
            self.close()

    def settle_training(self) -> None:
        """Ends the training before any other callback does: plain functions, final weights."""
        early, self._ending = self.clock.progress, True
        self._functions.remove()
        if self.clock.step == self._begun_at:
            self._note("no training step ran under the techniques: they were applied to the weights as they were")
        self._settle()
        if early < 0.999:
            self._note(
                f"training ended at {early:.0%} of the schedule; the techniques were brought to their final values then"
            )

    def close(self) -> None:
        """Settles what other callbacks put back since; called behind all of them."""
        self._settle_changes()
        if self.verbose:
            print("tfcompress: " + "; ".join([summary(self.state), *self.notes]), file=sys.stderr)

    def _settle(self):
        """Brings the techniques to their end and the weights to their final values."""
        for memory in self.memories.values():
            memory.is_final = False
        self._advance(last=True)
        self.clock.finish()
        self.state.bake()

    def _settle_changes(self):
        """Settles anew where the weights no longer hold what was baked."""
        changed = [
            c for c in self.state.chains() if not np.array_equal(c.value(lasting=True), full_precision(c.variable))
        ]
        if changed:
            self._note(
                f"the weights of {len(changed)} kernels changed after the training's end "
                "(restored from an earlier epoch, or assigned); "
                "masks and clusters were chosen anew for them"
            )
            self._settle()

    def _note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    # afterwards

    def _need_model(self):
        if self._target is None:
            raise ValueError(
                "This compression has no model yet. Pass it to fit: "
                "model.fit(..., callbacks=[compression]), or call set_model(model)."
            )

    def finish(self) -> keras.Model:
        """Makes sure the model holds its final weights and no hooks; returns it.

        Needed after an exception in `fit`, or when something assigned weights afterwards; otherwise
        it changes nothing.

        Returns:
            The same model.
        """
        self._need_model()
        if self._functions.is_running and not self._ending:
            raise RuntimeError(
                "Compression.finish and convert end the schedule, so they can't be called while fit "
                "goes on. Call them after fit, or in on_train_end; predict and evaluate show the "
                "compressed model meanwhile."
            )
        self._functions.remove()
        if self.clock.is_over:
            self._settle_changes()
        else:
            self._settle()
        return self.file_model

    @property
    def file_model(self) -> keras.Model | None:
        """The plain model a file is made of; for a session the one inside the wrappers."""
        return self._target

    def convert(self, path=None, calibration=None, mode: str | None = None, **options):
        """Writes the trained model as a `.tflite` file that is proven to be what was trained.

        Args:
            path: Where to save; None to only return the artifact.
            calibration: Representative data; needed without `Quantize`, and where operations have
                inner values that no range was trained for. With it, simulation and file are
                compared on it.
            mode: As for `tfc.convert`; None for what the recipe's `Quantize` says, "int8" without
                one.
            **options: Further options of `tfc.convert`.

        Returns:
            The `Artifact`.
        """
        model = self.finish()
        told = {"recipe": recipe_facts(self.recipe), "notes": list(self.notes), **self._told()}
        artifact = convert(model, mode=mode or self._mode(), calibration=calibration, facts=told, **options)
        if path is not None:
            artifact.save(path)
        return artifact

    def _told(self) -> dict:
        """Further facts for the artifact."""
        return {}

    def _mode(self) -> str:
        spec = next((t.spec for t in self.recipe if hasattr(t, "spec")), None)
        return "dynamic" if spec is not None and spec.activation_bits is None else "int8"

    def predict(self, x, batch_size: int = 128):
        """The model's outputs with quantization simulated, dequantized; what the file computes.

        Args:
            x: Inputs as the model takes them, `(samples, ...)`.
            batch_size: Samples at a time.

        Returns:
            Outputs as float32 arrays, in the structure of the model's.
        """
        batch_size = checks.whole("predict", "batch_size", batch_size, 1, 2**31)
        self._need_model()
        return simulate(self.file_model, self.state, x, batch_size)

    def evaluate(self, *args, **kwargs):
        """`model.evaluate` with quantization simulated; same arguments, same result."""
        self._need_model()
        model = self._target
        held, model.test_function = model.test_function, None
        try:
            with laid(model, self._hooked(), Mode.FOLDED):
                return model.evaluate(*args, **kwargs)
        finally:
            # inside fit, validation goes on with the function it has
            model.test_function = held if self._functions.is_running else None

    # keeping

    def save(self, path) -> None:
        """Writes techniques, ranges, masks and the place in the schedule beside the model.

        Args:
            path: A file name; `.tfc` is usual.
        """
        self._need_model()
        self.clock.write()
        save_compression(self, path)

    @classmethod
    def load(cls, path, model: keras.Model | None = None, distill=None) -> "Compression":
        """Reads what `save` wrote.

        Args:
            path: The file.
            model: The model it belongs to (the same architecture); None to give it later with
                `set_model`.
            distill: A `Distill` to train on with, for teachers are not in the file; None to train
                on without.

        Returns:
            A compression that converts, predicts and trains on as the saved one would.
        """
        return load_compression(cls, path, model, distill)
