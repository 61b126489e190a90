"""compress and Session: compresses a model whose layers are wrapped, so that Keras can train, save and share it.

Transforms, techniques and clock are the same as in the callback; only wrapper layers take the place of hooks.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from tfcompress.calibration.evidence import evidence
from tfcompress.export.finite import check_weights
from tfcompress.export.loading import load_model
from tfcompress.graph.clone import copied
from tfcompress.graph.custom_code import check_no_borrowed
from tfcompress.session_layers.wrapping import is_wrapped, read_counters, unwrap_layers, wrap_layers
from tfcompress.techniques.protocol.hook_values import Change
from tfcompress.techniques.protocol.own_layers import flat_copy, has_layers_inside
from tfcompress.techniques.recipe import Recipe, fingerprint
from tfcompress.training.callback import Compression
from tfcompress.training.carriers import WrapperLayers
from tfcompress.training.logs import described
from tfcompress.training.plan import Plan, Row, make_plan
from tfcompress.training.run import CompressionRun
from tfcompress.validation import checks

_OPTIONS = ("update_every", "learning_rate", "seed", "verbose", "logs")
_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics")


class Session:
    """Compresses a model of wrapper layers while it trains; made by `tfc.compress`.

    Attributes:
        model: The model to compile and train: wrapper layers, saved and loaded by Keras as it is.
        callbacks: The callbacks to pass to `fit`.
        plan: What is done to each weight and activation.
    """

    def __init__(
        self, plain: keras.Model, plan: Plan, recipe: Recipe, operated: Sequence[tuple] = (), **options: Any
    ) -> None:
        self.plan = plan
        self.model = wrap_layers(plain, plan.state, fingerprint(recipe))
        carrier = WrapperLayers(plan, plain, recipe, operated)
        self.callback = Compression.carrying(CompressionRun([t for t in recipe if t.is_gradual], carrier, **options))
        self.callbacks = [self.callback]
        self.callback.set_model(self.model)

    def summary(self) -> str:
        """Returns a text: what is done to the model by kind, how far training is, and what was reached."""
        return self.callback.summary()

    def __repr__(self) -> str:
        return described(self.callback.run, "Session")

    def finish(self) -> keras.Model:
        """Brings the techniques to the end of their schedules and returns the plain model with its final weights.

        Channels that were masked during training are removed.

        Returns:
            An ordinary Keras model of ordinary layers; `tfc.convert` finds the trained activation ranges on it.
        """
        return self.callback.finish()

    def convert(self, path: Any = None, calibration: Any = None, **options: Any) -> Any:
        """Finishes and converts to a verified `.tflite` file; arguments as for `Compression.convert`."""
        return self.callback.convert(path, calibration, **options)

    def predict(self, x: Any, batch_size: int = 128) -> Any:
        """Returns the outputs with quantization simulated as in the file, dequantized."""
        return self.callback.predict(x, batch_size)

    def training(self, epochs: int = 1, steps: int | None = None) -> Any:
        """Compresses `session.model` in a training loop of your own, as `Compression.training` does."""
        return self.callback.training(epochs, steps)

    def step(self) -> None:
        """Counts one step of a loop of your own, as `Compression.step` does."""
        self.callback.step()


def compress(
    model: Any, recipe: Any, data: Any = None, *, labels: Any = None, loss: Any = None, **options: Any
) -> Session:
    """Wraps a copy of a model for compression and returns the session to train it with.

    The given model is not changed. The callback `tfc.Compression` works on a live model; take a session for a model
    that is saved half-way, shared, or given to code that does not know this library.

    Args:
        model: A built Functional or Sequential model, the path of one, or a session's model that was saved and
            loaded. Masks, clusters and ranges of the latter are taken over; its schedules continue with the same
            recipe, and start anew with another one.
        recipe: A technique, a list of them, or a `Recipe`. Those that change the graph do so at once, in their order.
        data: Representative data, which sets the activation ranges before the first step; techniques that change the
            graph may look at it too.
        labels: Labels of the same samples, for techniques that look at the loss to change the graph.
        loss: The loss for these; default: the one the model was compiled with.
        **options: Further options of `tfc.Compression` (`update_every`, `learning_rate`, `seed`, `verbose`, `logs`).

    Returns:
        The session.

    Raises:
        ValueError: If the model is subclassed, so that it can't be rebuilt with wrappers, unless a technique changes
            the graph and its call can be followed.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((8,)), *layers])
        >>> session = tfc.compress(model, [tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
        >>> session.model.compile("adam", "mse")
        >>> x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
        >>> _ = session.model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=session.callbacks)
        >>> int((session.finish().layers[1].kernel.numpy() == 0).sum())
        64
    """
    recipe = Recipe(recipe)
    strange = sorted(set(options) - set(_OPTIONS))
    if strange:
        raise TypeError(
            f"compress: there is no argument {', '.join(strange)}. Further options are {', '.join(_OPTIONS)}."
        )
    Compression([t for t in recipe if t.is_gradual], calibration=data, **options)  # checks them before any work
    checks.data("compress", "labels", labels)
    _check_loss(loss)
    model = load_model(model)
    _warn_of_steps(model)
    check_weights(model, "compress")
    before = clock = None
    with model.distribute_strategy.scope():
        if is_wrapped(model):
            clock = read_counters(model)
            model, before = unwrap_layers(model)
        check_no_borrowed(model, "compress")
        opens = any(t.shape_changing for t in recipe) or has_layers_inside(model)
        plain, whole = flat_copy(model, "compress") if opens else (copied(model)[0], ())
        goes_on = clock is not None and clock["recipe"] == fingerprint(recipe)
        # a session's model that was saved has its graph changed already
        operated = [] if goes_on else _operated(model, plain, recipe, data, labels, loss, options)
        plain = operated[-1][1].model if operated else plain
        rows = [(name, done.rows) for name, done in operated]
        plan = make_plan(plain, [t for t in recipe if t.is_gradual], options.get("seed", 0), can_cut=True)
        plan.rows[:0] = [_row(name, row) for name, found in [("compress", whole), *rows] for row in found]
        if before is not None:
            _carry(before, plan.state, goes_on)
        return Session(plain, plan, recipe, rows, calibration=data, **options)


def _check_loss(loss: Any) -> None:
    if isinstance(loss, str):
        try:
            keras.losses.get(loss)
        except ValueError as error:
            raise ValueError(f"compress: loss must be a loss of Keras. Received: loss={loss!r}.") from error
    elif loss is not None and not callable(loss):
        checks.refuse(TypeError, "compress", "loss", "a loss function, the name of one of Keras, or None", loss)


def _operated(
    model: keras.Model, plain: keras.Model, recipe: Any, data: Any, labels: Any, loss: Any, options: Any
) -> list[tuple]:
    """Applies every technique of a recipe that changes the graph before training."""
    surgeries = [t for t in recipe if t.shape_changing and not t.is_gradual]
    if not surgeries:
        return []
    given = evidence(model, data, labels, loss, options.get("seed", 0), verbose=options.get("verbose", 1))
    done = []
    for technique in surgeries:
        done.append((technique.name, technique.operate(done[-1][1].model if done else plain, given)))
    return done


def _row(name: str, row: Any) -> Row:
    if isinstance(row, Change):
        figures = "" if row.before is None else f" {row.before} -> {row.after}"
        return Row(row.layer, "(graph)", f"{name}: {row.what}{figures}")
    return Row(row.layer, "(graph)", f"{name}: {row.reason}", is_treated=False)


def _warn_of_steps(model: keras.Model) -> None:
    own = [n for n in _STEPS if getattr(type(model), n) is not getattr(keras.Model, n)]
    if own:
        warnings.warn(
            f"tfc.compress: the session's model is a plain keras.Model; {', '.join(own)} of "
            f"{type(model).__name__} are not part "
            "of it. The callback tfc.Compression keeps them, or give them to a class around the session's model: "
            f"{type(model).__name__}(session.model.inputs, session.model.outputs).",
            stacklevel=3,
        )


def _carry(before: Any, state: Any, goes_on: bool) -> None:
    """Copies masks, clusters and ranges to the same transforms of the same places, and counters if training goes on."""
    old = _places(before)
    for key, mine in _places(state).items():
        theirs = old.get(key)
        shapes = [[v.shape for v in x.variables] for x in (mine, theirs) if x is not None]
        if len(shapes) == 2 and shapes[0] == shapes[1]:
            for a, b in zip(mine.variables, theirs.variables, strict=True):
                a.assign(b)
    if goes_on:
        for name in ("step", "total", "progress"):
            getattr(state, name).assign(getattr(before, name))


def _places(state: Any) -> dict[tuple, Any]:
    found = {(t.path, c.path, type(x)): x for t, c, x in state.find(object)}
    found |= {("input", k, type(s)): s for k, s in enumerate(state.inputs) if s is not None}
    for t in state.op_plans:
        found |= {(t.path, *place, type(s)): s for place, s in t.ranges().items()}
    return found
