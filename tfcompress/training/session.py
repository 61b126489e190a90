"""compress and Session: a model with the techniques as wrapper layers, an ordinary Keras model to train, save and share.

The same transforms, techniques and clock as in the callback; only what carries them differs.
"""

from types import SimpleNamespace

import keras

from tfcompress.deploy.loading import load_model
from tfcompress.mechanics.graph import rebuild
from tfcompress.mechanics.wrapper import is_wrapped, unwrapped, wrapped
from tfcompress.training.callback import Compression
from tfcompress.training.plan import Plan, make_plan
from tfcompress.training.recipe import Recipe

_NOTHING = SimpleNamespace(treatments=[], inputs=[])


class Session:
    """A compression under way. Made by `tfc.compress`.

    Attributes:
        model: The model to compile and train: wrapper layers, saved and loaded by Keras as it is.
        callbacks: To be passed to `fit`.
        plan: What is done to each weight and activation.
    """

    def __init__(self, plain: keras.Model, plan: Plan, recipe: Recipe, **options):
        self.plan = plan
        self._plain = plain
        self.model = wrapped(plain, plan.state)
        self.callback = _WrappedCompression(recipe, plan, plain, **options)
        self.callbacks = [self.callback]
        self.callback.set_model(self.model)

    def finish(self) -> keras.Model:
        """Brings the techniques to their end and returns the plain model with its final weights.

        Returns:
            An ordinary Keras model of ordinary layers; `tfc.convert` finds the trained activation ranges on it.
        """
        self.callback.finish()
        self.plan.state.hang(self._plain)
        return self._plain

    def convert(self, path=None, calibration=None, **options):
        """`finish`, then the proven `.tflite` file; arguments as for `Compression.convert`."""
        self.finish()
        return self.callback.convert(path, calibration, **options)

    def predict(self, x, batch_size: int = 128):
        """Outputs with quantization simulated as in the file, dequantized."""
        return self.callback.predict(x, batch_size)


class _WrappedCompression(Compression):
    """The callback of a session: the treatments lie in the wrappers, so nothing is laid over live layers."""

    def __init__(self, recipe, plan: Plan, plain: keras.Model, **options):
        super().__init__(recipe, **options)
        self._given, self._plain = plan, plain

    def _make_plan(self, model):
        return self._given

    def _hooked(self):
        return _NOTHING

    @property
    def file_model(self):
        """The plain model inside the wrappers."""
        return self._plain

    def evaluate(self, *args, **kwargs):
        """`evaluate` of the session's model, whose wrappers simulate quantization by themselves."""
        return self.model.evaluate(*args, **kwargs)


def compress(model, recipe, data=None, **options) -> Session:
    """Prepares a model for a compression that is trained as a model of its own.

    The given model is not changed. Where the callback `tfc.Compression` works on a live model, a session is what can be saved
    half-way, shared, and given to code that knows nothing of the library.

    Args:
        model: A built Functional or Sequential model, the path of one, or a session's model that was saved and loaded (its
            masks, clusters and ranges go on where they are).
        recipe: A technique, a list of them, or a `Recipe`.
        data: Representative data that sets the activation ranges before the first step.
        **options: Further options of `tfc.Compression` (`update_every`, `learning_rate`, `seed`, `verbose`).

    Returns:
        The session.

    Raises:
        ValueError: If the model is subclassed, so that it can't be rebuilt with wrappers.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(2)])
        >>> session = tfc.compress(model, [tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
        >>> session.model.compile("adam", "mse")
        >>> x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
        >>> _ = session.model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=session.callbacks)
        >>> int((session.finish().layers[1].kernel.numpy() == 0).sum())
        64
    """
    recipe = Recipe(recipe)
    model = load_model(model)
    before = None
    if is_wrapped(model):
        model, before = unwrapped(model)
    plain = _cloned(model)
    for technique in recipe:
        if technique.shape_changing:
            plain = technique.surgery(plain, data)
    plan = make_plan(plain, [t for t in recipe if not t.shape_changing], options.get("seed", 0))
    if before is not None:
        _carry(before, plan.state)
    return Session(plain, plan, recipe, calibration=data, **options)


def _cloned(model: keras.Model) -> keras.Model:
    """A flat copy with layers of its own and the same weights."""

    def replace(path, op):
        if not isinstance(op, keras.layers.Layer):
            return op
        config = op.get_config()
        config["name"] = path.replace("/", "_").replace(":", "_")
        copy = type(op).from_config(config)
        copies.append((op, copy))
        return copy

    copies: list[tuple] = []
    flat = rebuild(model, replace)
    for op, copy in copies:
        copy.set_weights(op.get_weights())
        copy.trainable = op.trainable
    return flat


def _carry(before, state) -> None:
    """Takes over masks, clusters and ranges where the same transform treats the same weight."""
    old = {(t.path, c.path, type(x)): x for t, c, x in before.find(object)}
    for t, c, x in state.find(object):
        found = old.get((t.path, c.path, type(x)))
        if found is not None and [v.shape for v in found.variables] == [v.shape for v in x.variables]:
            x.set_weights(found.get_weights())
    if len(before.ranges) == len(state.ranges):
        for mine, theirs in zip(state.ranges, before.ranges, strict=True):
            if len(mine.variables) == len(theirs.variables):
                mine.set_weights(theirs.get_weights())
