"""Compression: the callback that compresses a model while `fit` trains it.

The model stays the same object, compiled as it was. The techniques' transforms replace the calls of its layers
during each step and are removed between steps. At the end the weights hold their final values, and `convert` writes
the integer file.
"""

import copy
from typing import Any

import keras

from tfcompress.training.callback_order import RunCallback, running_list, surround_callbacks
from tfcompress.training.checkpoint import load_compression
from tfcompress.training.logs import BRIEF, described, report
from tfcompress.training.run import CompressionRun
from tfcompress.training.runners.fit import Fit
from tfcompress.training.runners.loop import Loop


def _of_run(name: str, text: str) -> property:
    """Returns a property of the callback that reads and sets the same attribute of its run."""
    return property(lambda self: getattr(self.run, name), lambda self, value: setattr(self.run, name, value), doc=text)


class Compression(RunCallback):
    """Compresses a model while `fit` trains it.

    Args:
        techniques: One technique, a list of them, or a `Recipe`.
        calibration: Representative data (what `tfc.convert` takes) that sets the activation ranges
            before the first step; None lets the first batches set them.
        update_every: Steps between two updates of masks and clusters; None for about a hundred
            updates in the training.
        learning_rate: Learning rate for variables that the techniques add to the model: learned
            ranges, adapters of feature distillation.
        seed: Seed of the random numbers that techniques draw.
        verbose: 0 prints nothing; 1 prints the plan before training, folded to a few lines where it is long, and one
            line after it; 2 prints the plan in full.
        logs: What `logs` hold after an epoch: "brief", the sparsity and how much the activation ranges moved
            (`range_change`, the largest move of a bound as a share of its range); or "full", every bound of every
            range too.

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
        logs: str = BRIEF,
    ) -> None:
        options = {"calibration": calibration, "update_every": update_every, "learning_rate": learning_rate}
        super().__init__(CompressionRun(techniques, **options, seed=seed, verbose=verbose, logs=logs))

    @classmethod
    def carrying(cls, run: CompressionRun) -> "Compression":
        """Returns a callback for a run that already exists, as `tfc.compress` makes one."""
        made = cls.__new__(cls)
        RunCallback.__init__(made, run)
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Returns a callback of the same settings for another training; model, teachers and data are not copied."""
        made = copy.copy(self)
        memo[id(self)] = made
        made.run = self.run.twin()
        return made

    plan = _of_run("plan", "What is done to each weight and activation; None before a model is known.")
    state = _of_run("state", "Step counters, transforms and ranges.")
    clock = _of_run("clock", "How far the training is; None before a model is known.")
    notes = _of_run("notes", "What is printed when training ends, one sentence each.")
    recipe = _of_run("recipe", "The techniques.")
    calibration = _of_run("calibration", "Representative data that sets the activation ranges.")
    update_every = _of_run("update_every", "Steps between two updates of masks and clusters.")
    learning_rate = _of_run("learning_rate", "Learning rate for variables that the techniques add to the model.")
    seed = _of_run("seed", "Seed of the random numbers that techniques draw.")
    verbose = _of_run("verbose", "Whether the plan and the result are printed.")
    logs = _of_run("logs", "What `logs` hold after an epoch.")
    network = _of_run("network", "The model that is compressed.")
    trained = _of_run("trained", "The model that trains: the network, or a model that holds it.")
    file_model = _of_run("file_model", "The plain model that is converted to a file.")
    memories = _of_run("memories", "Technique name to what it remembers of the model.")
    laps = _of_run("laps", "Which weights follow the schedules by which clock.")

    def summary(self) -> str:
        """Returns a text: what is done to the model, a line for each kind, how far training is, and what was reached.

        Example:
            >>> import keras, tfcompress as tfc
            >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(2)])
            >>> compression = tfc.Compression(tfc.Prune(0.5))
            >>> compression.set_model(model)
            >>> print(compression.summary().splitlines()[-1])
            0 % of the schedule: 160 weights compressed; 0 of the 160 under a mask are zero (sparsity 0)
        """
        return report(self.run)

    def __repr__(self) -> str:
        return described(self.run, "Compression")

    # attaching

    def set_model(self, model: keras.Model) -> None:
        """Makes the plan for a built model and attaches the state to it, so that checkpoints hold it.

        Keras calls this at the start of `fit`; a model that is built by its first batch gets its
        plan then. Call it yourself to see `plan` before training, before `model.load_weights` of
        a checkpoint whose masks, ranges and schedule are to be continued, or to name the network to
        compress inside a model that only holds it (a GAN, a contrastive learner, a distiller):
        `compression.set_model(trainer.network)`, then `trainer.fit(..., callbacks=[compression])`.

        The plan is made anew each time: layers that have become trainable are included, and
        masks, clusters and ranges that exist are continued.

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
            self.run.asked = model
        self._bind(model)

    def _bind(self, model: keras.Model) -> None:
        super().set_model(model)
        if model is not None:
            self.run.bind(model)

    def resume(self, model: keras.Model, checkpoint: Any) -> None:
        """Loads a checkpoint of an earlier training with the same techniques, to continue from it.

        Args:
            model: The model, built.
            checkpoint: Path of the `.keras` or `.weights.h5` file; weights, masks, clusters, ranges
                and the place in the schedule come from it.
        """
        self._bind(model)
        self.run.need_model()
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)  # or Keras could not load it
        model.load_weights(checkpoint)

    # training

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Installs the step functions on the model.

        A `BackupAndRestore` among the callbacks has loaded its checkpoint by now, or does so right after.
        """
        if self.run.loop is not None:
            raise RuntimeError("Compression: fit was called inside `with compression.training(...)`. Use one of them.")
        callbacks = running_list(self)
        self.run.is_surrounded = callbacks is not None
        others = surround_callbacks(callbacks, self.run) if callbacks is not None else []
        self.run.is_alone = not others
        epochs, steps = self.params.get("epochs", 1), self.params.get("steps")
        self.run.fit = Fit(self.run, self.model, callbacks, others, epochs, steps)
        self.run.fit.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes the number of the epoch to the run."""
        self.run.begin_epoch(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends the epoch, where no callback could be put before all others to do it."""
        if not self.run.is_surrounded:
            self.run.finalize_epoch(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Ends the training, where no callbacks could be put around all others to do it."""
        if not self.run.is_surrounded:
            self.run.finalize_training()
            self.run.close()

    def training(self, epochs: int = 1, steps: int | None = None) -> Loop:
        """Compresses a network in a training loop of your own (`GradientTape`, `train_on_batch`).

        While the block runs, each call of the network computes the compressed network, with
        `training=True` or without; `step()` advances the schedules. A step function of yours must be
        traced inside the block, not before it.

        Args:
            epochs: Number of epochs.
            steps: Steps per epoch, that is calls of `step()`.

        Returns:
            A context manager. When the block ends, the techniques apply their final values; after an
            exception continue with `finish()`, `convert()` or another block.

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
        self.run.need_model()
        if self.run.loop is not None or self.run.is_fitted:
            raise RuntimeError("Compression.training: a training with this compression is running already.")
        self.run.is_alone = True
        return Loop(self.run, epochs, steps, given=self)

    def step(self) -> None:
        """Counts one step of a loop of your own; call it after each step of the optimizer.

        Raises:
            RuntimeError: Outside of `with compression.training(...)`.
        """
        if self.run.loop is None:
            raise RuntimeError(
                "Compression.step belongs into `with compression.training(epochs=..., steps=...):`; fit counts its "
                "steps by itself."
            )
        self.run.loop.step()

    # afterwards

    def finish(self) -> keras.Model:
        """Returns the model with its final weights and without hooks.

        Needed after an exception in `fit`, or when something assigned weights afterwards; otherwise
        it changes nothing.

        Returns:
            The same model.
        """
        return self.run.finish()

    def convert(self, path: Any = None, calibration: Any = None, mode: str | None = None, **options: Any) -> Any:
        """Converts the trained model to a `.tflite` file and verifies that it computes what was trained.

        Args:
            path: Where to save; None to only return the artifact.
            calibration: Representative data; needed without `Quantize`, and where operations have
                inner values that no range was trained for. The file is compared with the model and
                with the simulation on it. None for the data that the compression itself was given.
            mode: As for `tfc.convert`; None for the mode that the recipe's `Quantize` asks for,
                "int8" without one.
            **options: Further options of `tfc.convert`.

        Returns:
            The `Artifact`.

        Raises:
            ValueError: If the training diverged, so that weights are not finite; what `tfc.convert` raises.
        """
        return self.run.convert(path, calibration, mode, **options)

    def predict(self, x: Any, batch_size: int = 128) -> Any:
        """Returns the outputs of the model with quantization simulated: what the file computes, dequantized.

        Args:
            x: Inputs as the model takes them, `(samples, ...)`.
            batch_size: Samples at a time.

        Returns:
            Outputs as float32 arrays, in the structure of the model's outputs.

        Raises:
            ValueError: If the activation ranges have seen no data and there is no `calibration`.
        """
        return self.run.predict(x, batch_size)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Runs `model.evaluate` with quantization simulated; same arguments, same kind of result."""
        return self.run.evaluate(*args, **kwargs)

    # saving

    def save(self, path: Any) -> None:
        """Writes techniques, ranges, masks and the progress of the schedules to a file of its own.

        Args:
            path: A file name; `.tfc` is usual.
        """
        self.run.save(path)

    @classmethod
    def load(cls, path: Any, model: keras.Model | None = None, distill: Any = None) -> "Compression":
        """Loads a compression that `save` wrote.

        Args:
            path: The file.
            model: The model it belongs to (the same architecture); None to give it later with
                `set_model`.
            distill: A `Distill` to continue training with, for teachers are not in the file; None to
                continue without.

        Returns:
            A compression that converts, predicts and continues to train as the saved one would.
        """
        return load_compression(cls, path, model, distill)
