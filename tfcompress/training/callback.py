"""Compression: the one callback. The model stays the same object, compiled as it was.

While `fit` runs, the techniques' transforms lie over the model's layers for the length of each
step; between steps nothing does. At the end the weights hold their final values, and `convert`
writes the integer file.
"""

import copy
from collections.abc import Iterator
from typing import Any

import keras

from tfcompress.conversion.convert import convert
from tfcompress.export.simulate import simulate
from tfcompress.fake_quant.op_plan import Mode
from tfcompress.fake_quant.patching import Member, StepFunctions, Training, at_first_step, laid
from tfcompress.file_formats import INT8, mode_of
from tfcompress.graph.trace import build
from tfcompress.graph.tree import is_built
from tfcompress.techniques.recipe import Recipe
from tfcompress.text.log import tell
from tfcompress.training.binding import network_of
from tfcompress.training.callback_order import running_list, surround
from tfcompress.training.checkpoint import load_compression, save_compression
from tfcompress.training.logs import recipe_facts
from tfcompress.training.loop import Loop
from tfcompress.training.run import AS_THEY_WERE, CompressionRun
from tfcompress.validation import checks


class Compression(CompressionRun, keras.callbacks.Callback):
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
        techniques: Any,
        *,
        calibration: Any = None,
        update_every: int | None = None,
        learning_rate: float = 1e-3,
        seed: int = 0,
        verbose: int = 1,
    ) -> None:
        keras.callbacks.Callback.__init__(self)
        CompressionRun.__init__(
            self,
            techniques,
            calibration=calibration,
            update_every=update_every,
            learning_rate=learning_rate,
            seed=seed,
            verbose=verbose,
        )
        self._asked: keras.Model | None = None  # what the user named
        self._functions: StepFunctions | None = None
        self._member: Member | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A callback of the same settings, for another training; model, teachers and data are not copied."""
        made = copy.copy(self)
        memo[id(self)] = made
        made.notes, made.recipe = list(self.notes), Recipe(self.recipe)
        made.loop = made._functions = made._member = None
        return made

    # attaching

    def set_model(self, model: keras.Model) -> None:
        """Makes the plan for a built model and hangs the state on it, so that checkpoints carry it.

        Keras calls this at the start of `fit`; a model that is built by its first batch gets its
        plan then. Call it yourself to see `plan` before training, before `model.load_weights` of
        a checkpoint whose masks, ranges and schedule shall go on, or to name the network to
        compress inside a model that only holds it (a GAN, a contrastive learner, a distiller):
        `compression.set_model(trainer.network)`, then `trainer.fit(..., callbacks=[compression])`.

        The plan is made anew each time: what began to train meanwhile is treated, and what was
        there goes on.

        Raises:
            TypeError: If it is no model of Keras 3.
            ValueError: If the model only holds networks and none of them was named.
        """
        if model is not None and not isinstance(model, keras.Model):
            raise TypeError(
                f"Compression: a model of Keras 3 is expected. Received: {type(model).__module__}."
                f"{type(model).__name__}. A model of tf_keras is ported by tfc.load_model(model); train the result."
            )
        if model is not None and running_list(self) is None:
            self._asked = model
        self._bind(model)

    def _bind(self, model: keras.Model) -> None:
        super().set_model(model)
        if model is None:
            return
        self.trained, network = model, network_of(model, self._asked)
        if network is self.network:
            self._renew()
            return
        self.network = self._plan = None
        if is_built(network):
            self._attach(network, self._make_plan(network))

    def resume(self, model: keras.Model, checkpoint: Any) -> None:
        """Goes on from a checkpoint written during an earlier training with the same techniques.

        Args:
            model: The model, built.
            checkpoint: Path of the `.keras` or `.weights.h5` file; weights, masks, clusters, ranges
                and the place in the schedule come from it.
        """
        self._bind(model)
        self._need_model()
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)  # or Keras could not load it
        model.load_weights(checkpoint)

    # training

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Lays the step functions; what `BackupAndRestore` loads is there, or comes right after."""
        if self.loop is not None:
            raise RuntimeError("Compression: fit was called inside `with compression.training(...)`. Use one of them.")
        callbacks = running_list(self)
        self._is_surrounded = callbacks is not None
        companions = surround(callbacks, self) if callbacks is not None else []
        self._is_alone = not companions
        running = (c._functions for c in companions if c._functions is not None and c._functions.is_running)
        self._functions = next(running, None) or StepFunctions(self.model, Training(callbacks))
        if self.network is not None:
            self._begin()
        else:
            at_first_step(self.model, self._functions.training, self._meet)

    def _begin(self) -> None:
        self.prepare(self.params.get("epochs", 1), self.params.get("steps"))
        self._member = Member(self.network, self.hooked(), self._extra, self.before_step, self._after_call)
        self._functions.members.append(self._member)
        self._functions.install()
        self._known = self.model.train_function

    def _meet(self, batch: Any) -> None:
        """Meets a model that only its first batch could build."""
        build(self.model, batch)
        self._attach(self.model, self._make_plan(self.model))
        self._begin()
        self.begin_epoch(self._epoch)

    def follow(self) -> None:
        """Goes on where another callback compiled the model anew, or changed what trains and made a new function."""
        if self._member is None or self.model.train_function is self._known:
            return
        if self._renew():
            self._member.state = self.hooked()
            self.laps.start_late()
            self.objective.change(self._plan)
            tell(self._plan.text(), self.verbose)
        elif self._functions.are_installed():
            self._known = self.model.train_function
            return
        self._functions.install()
        self._known = self.model.train_function

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Tells the clock."""
        self._epoch = epoch
        if self.network is not None:
            self.begin_epoch(epoch)

    def _after_call(self) -> None:
        self.after_step(self.model.steps_per_execution)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Does what stands before all callbacks, where nothing could be put there."""
        if not self._is_surrounded:
            self.settle_epoch(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Does what stands around all callbacks, where nothing could be put there."""
        if not self._is_surrounded:
            self.settle_training()
            self.close()

    def training(self, epochs: int = 1, steps: int | None = None) -> Loop:
        """Compresses a network in a training loop of your own (`GradientTape`, `train_on_batch`).

        While the block runs, each call of the network is one of the compressed network, with
        `training=True` or without; `step()` moves the schedules. A step function of yours must be
        traced inside the block, not before it.

        Args:
            epochs: Number of epochs.
            steps: Steps an epoch; there `step()` is called.

        Returns:
            A context manager. When the block ends the techniques come to their end; after an
            exception `finish()`, `convert()` or another block goes on.

        Raises:
            ValueError: If no model is known (`set_model`), or a number is below 1.

        Example:
            >>> import keras, numpy as np, tensorflow as tf, tfcompress as tfc
            >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
            >>> x, optimizer = np.ones((32, 8), "float32"), keras.optimizers.Adam()
            >>> compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
            >>> compression.set_model(model)
            >>> with compression.training(epochs=1, steps=4):
            ...     for _ in range(4):
            ...         with tf.GradientTape() as tape:
            ...             loss = tf.reduce_mean(model(x, training=True) ** 2)
            ...         gradients = tape.gradient(loss, model.trainable_variables)
            ...         _ = optimizer.apply_gradients(zip(gradients, model.trainable_variables))
            ...         compression.step()
            >>> int((model.layers[0].kernel.numpy() == 0).sum())
            8
        """
        self._need_model()
        if self.loop is not None or self._is_running:
            raise RuntimeError("Compression.training: a training with this compression is running already.")
        self._is_alone = True
        return Loop(self, epochs, steps)

    def step(self) -> None:
        """Counts one step of a loop of your own; call it after each step of the optimizer.

        Raises:
            RuntimeError: Outside of `with compression.training(...)`.
        """
        if self.loop is None:
            raise RuntimeError(
                "Compression.step belongs into `with compression.training(epochs=..., steps=...):`; fit counts its "
                "steps by itself."
            )
        self.loop.step()

    @property
    def _is_running(self) -> bool:
        return self._functions is not None and self._functions.is_running

    def _let_go(self) -> None:
        if self._functions is not None:
            self._functions.remove()
        self._functions = self._member = None

    # afterwards

    def finish(self) -> keras.Model:
        """Makes sure the model holds its final weights and no hooks; returns it.

        Needed after an exception in `fit`, or when something assigned weights afterwards; otherwise
        it changes nothing.

        Returns:
            The same model.
        """
        self._need_model()
        if self.loop is not None or self._is_running and not self._ending:
            raise RuntimeError(
                "Compression.finish and convert end the schedule, so they can't be called while fit "
                "goes on. Call them after fit, or in on_train_end; predict and evaluate show the "
                "compressed model meanwhile."
            )
        if not self._is_running:
            self._let_go()
        if not self.laps.is_over:
            if not self.clock.step and self.recipe:
                self._note(f"no training step was counted: {AS_THEY_WERE}")
            self._settle()
        self._settle_changes()
        return self.file_model

    def convert(self, path: Any = None, calibration: Any = None, mode: str | None = None, **options: Any) -> Any:
        """Writes the trained model as a `.tflite` file that is proven to be what was trained.

        Args:
            path: Where to save; None to only return the artifact.
            calibration: Representative data; needed without `Quantize`, and where operations have
                inner values that no range was trained for. The file is compared with the model and
                with the simulation on it. None for what the compression itself was given.
            mode: As for `tfc.convert`; None for what the recipe's `Quantize` says, "int8" without
                one.
            **options: Further options of `tfc.convert`.

        Returns:
            The `Artifact`.

        Raises:
            ValueError: If the training diverged, so that weights are not finite; what `tfc.convert` raises.
        """
        model = self.finish()
        if self._diverged:
            raise ValueError(f"Compression.convert: {self._diverged}.")
        is_lasting = calibration is not None and not isinstance(calibration, Iterator)
        if self.calibration is None and is_lasting and not {"scale", "offset"} & options.keys():
            self.calibration = calibration  # should predict need ranges that no training has set
        if calibration is None and not {"scale", "offset"} & options.keys():
            calibration = self._samples_at_hand()
        if self._is_calibrated and not self.clock.step:
            self._note("activation ranges come from calibration: no training step has moved them")
        told = {"recipe": recipe_facts(self.recipe), "notes": list(self.notes), **self._told()}
        artifact = convert(model, mode=mode or self._mode(), calibration=calibration, facts=told, **options)
        if path is not None:
            artifact.save(path)
        return artifact

    def _told(self) -> dict:
        """Further facts for the artifact."""
        return {}

    def _mode(self) -> str:
        spec = next((t.spec for t in self.recipe if t.spec is not None), None)
        return INT8.mode if spec is None else mode_of(spec.weight_bits, spec.activation_bits)

    def predict(self, x: Any, batch_size: int = 128) -> Any:
        """The model's outputs with quantization simulated, dequantized; what the file computes.

        Args:
            x: Inputs as the model takes them, `(samples, ...)`.
            batch_size: Samples at a time.

        Returns:
            Outputs as float32 arrays, in the structure of the model's.

        Raises:
            ValueError: If the activation ranges have seen no data and there is no `calibration`.
        """
        batch_size = checks.whole("predict", "batch_size", batch_size, 1, 2**31)
        self._need_model()
        self._need_ranges()
        return simulate(self.file_model, self.state, x, batch_size)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """`model.evaluate` with quantization simulated; same arguments, same result."""
        self._need_model()
        self._need_ranges()
        model = self.trained
        held, model.test_function = model.test_function, None
        try:
            with laid(self.network, self.hooked(), Mode.FOLDED):
                return model.evaluate(*args, **kwargs)
        finally:
            # inside fit, validation goes on with the function it has
            model.test_function = held if self._is_running else None

    # keeping

    def save(self, path: Any) -> None:
        """Writes techniques, ranges, masks and the place in the schedule beside the model.

        Args:
            path: A file name; `.tfc` is usual.
        """
        self._need_model()
        self.clock.write()
        save_compression(self, path)

    @classmethod
    def load(cls, path: Any, model: keras.Model | None = None, distill: Any = None) -> "Compression":
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
