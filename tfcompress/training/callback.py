"""Compression: the one callback. The model stays the same object, compiled as it was.

While `fit` runs, the techniques' transforms lie over the model's layers for the length of each step; between steps
nothing does. At the end the weights hold their final values, and `convert` writes the integer file.
"""

import json
import sys

import keras
import numpy as np

from tfcompress.deploy.calibration import samples
from tfcompress.deploy.convert import convert
from tfcompress.deploy.simulate import observe, simulate
from tfcompress.mechanics.chain import Mode
from tfcompress.mechanics.graph import full_precision, input_triples
from tfcompress.mechanics.hook import StepFunctions, calling_frame, laid
from tfcompress.mechanics.state import CompressionState
from tfcompress.mechanics.transforms.mask import Mask
from tfcompress.techniques.base import Memory
from tfcompress.training.clock import Clock
from tfcompress.training.keeping import load_compression, restore, save_compression
from tfcompress.training.objective import Objective
from tfcompress.training.plan import Plan, make_plan
from tfcompress.training.recipe import Recipe


class Compression(keras.callbacks.Callback):
    """Compresses a model while `fit` trains it.

    Args:
        techniques: One technique, a list of them, or a `Recipe`.
        calibration: Representative data (what `tfc.convert` takes) that sets the activation ranges before the first step;
            None lets the first batches set them.
        update_every: Steps between two updates of masks and clusters; None for about a hundred updates in the training.
        learning_rate: Of the optimizer that trains what is not the model's: learned ranges, adapters of feature distillation.
        seed: Seed of what is drawn at random.
        verbose: 0 prints nothing; 1 prints the plan before training and one line after it.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(2)])
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
        if update_every is not None and update_every < 1:
            raise ValueError(
                f"Compression: update_every must be at least 1 step. Received: update_every={update_every}."
            )
        self.calibration, self.update_every = calibration, update_every
        self.learning_rate, self.seed, self.verbose = learning_rate, seed, verbose
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

        Keras calls this at the start of `fit`. Call it yourself to see `plan` before training, or before
        `model.load_weights` of a checkpoint whose masks, ranges and schedule shall go on.
        """
        super().set_model(model)
        if model is None or model is self._target:
            return
        self._attach(model, self._make_plan(model))

    def _make_plan(self, model) -> Plan:
        with model.distribute_strategy.scope():
            return make_plan(model, self.recipe, self.seed)

    def _attach(self, model, plan):
        self._target, self._plan = model, plan
        plan.state.hang(model)
        self.memories = {t.name: Memory(model, plan.extras[t.name]) for t in self.recipe}
        self.clock = Clock(plan.state)
        self.objective = Objective(model, self.recipe, plan.kernels, self.memories)
        self._functions = StepFunctions(model, self._hooked(), self._extra)
        with model.distribute_strategy.scope():
            plan.state.prepare_optimizer(self.learning_rate)
        if self.saved is not None:
            restore(self, self.saved)
            self.saved = None

    def _hooked(self):
        """The state whose treatments are laid over live layers; a session's lie in wrappers instead."""
        return self._plan.state

    def _extra(self, mode: Mode) -> tuple:
        return self.objective.overrides() if mode is Mode.TRAIN else ()

    def resume(self, model: keras.Model, checkpoint) -> None:
        """Goes on from a checkpoint (`.keras` or `.weights.h5`) written during an earlier training with the same techniques.

        Args:
            model: The model, built.
            checkpoint: Path of the file; weights, masks, clusters, ranges and the place in the schedule come from it.
        """
        self.set_model(model)
        model.load_weights(checkpoint)
        self.clock = Clock(self.state)

    # training

    def on_train_begin(self, logs=None):
        """Lays the step functions; what `BackupAndRestore` loaded is already there."""
        self.clock.start(self.params.get("epochs", 1), self.params.get("steps"))
        for memory in self.memories.values():
            memory.is_final = memory.is_final and self.clock.is_over
        if self.verbose:
            print(self._plan.text(), file=sys.stderr)
        if self.calibration is not None and self.state.ranges and not self.clock.step:
            self._calibrate()
        self._functions.install(calling_frame("fit"))
        self._last_word()

    def _calibrate(self):
        observe(
            self._target, self._hooked(), samples(self.calibration, input_triples(self._target))
        )

    def _last_word(self):
        """Adds a callback behind all others: what they put back at the end (EarlyStopping) gets baked as well."""
        owner = sys._getframe(2).f_locals.get("self")
        if isinstance(owner, keras.callbacks.CallbackList):
            if not any(isinstance(c, _LastWord) and c.compression is self for c in owner.callbacks):
                owner.callbacks.append(_LastWord(self))
            self._has_last_word = True
        else:
            self._has_last_word = False

    def on_epoch_begin(self, epoch, logs=None):
        """Tells the clock."""
        self.clock.begin_epoch(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        """Moves masks and clusters on when it is time."""
        self._first = batch
        if (
            not self.clock.is_over
            and self.clock.step % (self.update_every or self.clock.every()) == 0
        ):
            self._advance(last=False)

    def on_train_batch_end(self, batch, logs=None):
        """Counts; before an epoch ends, weights take their lasting values, so that every checkpoint holds them."""
        self.objective.check_reached()
        self.clock.ran(batch - self._first + 1)
        self._plan.state.train_own()
        if self.params.get("steps") and batch + 1 >= self.params["steps"]:
            self.state.bake()

    def on_epoch_end(self, epoch, logs=None):
        """Reports sparsity and ranges in `logs`."""
        self.clock.end_epoch()
        if not self.params.get("steps"):
            self.state.bake()
        if logs is not None:
            logs.update(self._facts())

    def _facts(self) -> dict[str, float]:
        facts = {}
        masks = self.state.find(Mask)
        if masks:
            off = sum(int(np.size(m.mask)) - int(np.count_nonzero(m.mask)) for _, _, m in masks)
            facts["sparsity"] = off / sum(int(np.size(m.mask)) for _, _, m in masks)
        for span in self.state.ranges:
            facts[f"range/{span.title}/low"], facts[f"range/{span.title}/high"] = span.limits()
        return facts

    def _advance(self, last: bool):
        for t in sorted(self.recipe, key=lambda t: -t.order):
            t.advance(self.clock.moment(last), self._plan.kernels[t.name], self.memories[t.name])

    def on_train_end(self, logs=None):
        """Closes, unless a callback behind all others will."""
        if not self._has_last_word:
            self._close()

    def _close(self):
        early = float(self.state.progress)
        self._functions.remove()
        self._settle()
        if early < 0.999:
            self._note(
                f"training ended at {early:.0%} of the schedule; the techniques were brought to their final values then"
            )
        if self.verbose:
            print("tfcompress: " + "; ".join([self._summary(), *self.notes]), file=sys.stderr)

    def _settle(self):
        """Brings the techniques to their end and the weights to their final values."""
        for memory in self.memories.values():
            memory.is_final = False
        self._advance(last=True)
        self.clock.finish()
        self.state.bake()

    def _note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def _summary(self) -> str:
        total = zero = 0
        for chain in self.state.chains():
            w = chain.variable.numpy()
            total, zero = total + w.size, zero + int(np.sum(w == 0))
        return f"{total:,} treated weights, {zero:,} of them zero"

    # afterwards

    def _need_model(self):
        if self._target is None:
            raise ValueError(
                "This compression has no model yet. Pass it to fit: model.fit(..., callbacks=[compression]), or call set_model(model)."
            )

    def finish(self) -> keras.Model:
        """Makes sure the model holds its final weights and nothing else of the compression; returns it.

        Needed after an exception in `fit`, or when something assigned weights afterwards; otherwise it changes nothing.

        Returns:
            The same model.
        """
        self._need_model()
        self._functions.remove()
        changed = [
            c
            for c in self.state.chains()
            if not np.array_equal(c.value(lasting=True), full_precision(c.variable))
        ]
        if changed and self.clock.is_over:
            self._note(
                f"the weights of {len(changed)} kernels changed after the training's end (restored from an earlier epoch, or assigned); "
                "masks and clusters were chosen anew for them"
            )
        if changed or not self.clock.is_over:
            self._settle()
        return self.file_model

    @property
    def file_model(self) -> keras.Model | None:
        """The plain model that a file is made of: the one that trains, or for a session the one inside the wrappers."""
        return self._target

    def convert(self, path=None, calibration=None, mode: str | None = None, **options):
        """Writes the trained model as a `.tflite` file that is proven to be what was trained.

        Args:
            path: Where to save; None to only return the artifact.
            calibration: Representative data; needed without `Quantize`, and where operations have inner values that no
                range was trained for. With it, simulation and file are compared on it.
            mode: As for `tfc.convert`; None for what the recipe's `Quantize` says, "int8" without one.
            **options: Further options of `tfc.convert`.

        Returns:
            The `Artifact`.
        """
        model = self.finish()
        facts = {"recipe": self._recipe_facts(), "notes": list(self.notes)}
        artifact = convert(
            model, mode=mode or self._mode(), calibration=calibration, facts=facts, **options
        )
        if path is not None:
            artifact.save(path)
        return artifact

    def _recipe_facts(self):
        try:
            return json.loads(self.recipe.to_json())
        except ValueError:
            return [repr(t) for t in self.recipe]

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
        self._need_model()
        return simulate(self.file_model, self.state, x, batch_size)

    def evaluate(self, *args, **kwargs):
        """`model.evaluate` with quantization simulated; same arguments, same result."""
        self._need_model()
        model = self._target
        model.test_function = None
        try:
            with laid(model, self._hooked(), Mode.FOLDED):
                return model.evaluate(*args, **kwargs)
        finally:
            model.test_function = None

    # keeping

    def save(self, path) -> None:
        """Writes techniques, ranges, masks and the place in the schedule beside the model.

        Args:
            path: A file name; `.tfc` is usual.
        """
        save_compression(self, path)

    @classmethod
    def load(cls, path, model: keras.Model | None = None) -> "Compression":
        """Reads what `save` wrote.

        Args:
            path: The file.
            model: The model it belongs to (the same architecture); None to give it later with `set_model`.

        Returns:
            A compression that converts, predicts and trains on as the saved one would.
        """
        return load_compression(cls, path, model)


class _LastWord(keras.callbacks.Callback):
    """Stands behind all callbacks of one fit."""

    def __init__(self, compression: Compression):
        super().__init__()
        self.compression = compression

    def on_train_end(self, logs=None):
        self.compression._close()
