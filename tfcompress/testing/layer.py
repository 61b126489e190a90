"""check_layer: checks a layer type of your own that `tfc.describe` describes."""

import os
import tempfile

import keras
import numpy as np

from tfcompress.channels.dependency import groups
from tfcompress.channels.shrink import shrink, zeroed
from tfcompress.export.loading import load_model
from tfcompress.layer_table.lookup import has_weight, spec_of, weight
from tfcompress.techniques.quantize import Quantize
from tfcompress.testing.promises import check_registered, require_promise
from tfcompress.testing.trials import SAMPLES, check_equal
from tfcompress.training.callback import Compression
from tfcompress.validation import checks

_ROUNDING = 1e-5  # of the largest output: float sums in another order


def check_layer(
    layer: keras.layers.Layer, input_shape: tuple[int, ...], data: np.ndarray | None = None, steps: float = 1
) -> None:
    """Checks a layer type that `tfc.describe` describes: axes, channels, saving, the integer file.

    Args:
        layer: A layer with one input and one output.
        input_shape: Shape of a sample.
        data: Samples `(n, *input_shape)`; None for random numbers.
        steps: Steps of the output's scale by which the file may differ from its simulation; 1 allows for rounding.

    Raises:
        AssertionError: If something does not hold; the sentence says what.
        TypeError: If it is no layer.

    Example:
        >>> import keras, tfcompress as tfc
        >>> @keras.saving.register_keras_serializable("mine")
        ... class Project(keras.layers.Layer):
        ...     def build(self, shape):
        ...         self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
        ...     def call(self, x):
        ...         return x @ self.kernel
        >>> tfc.describe(Project, flow="mix", kernel="io")
        >>> tfc.testing.check_layer(Project(), (8,))
    """
    if not isinstance(layer, keras.layers.Layer):
        checks.refuse(TypeError, "check_layer", "layer", "a Keras layer", layer)
    who = type(layer).__name__
    if isinstance(input_shape, int) or not all(isinstance(size, int) for size in input_shape):
        checks.refuse(TypeError, "check_layer", "input_shape", "a tuple of numbers, without the batch", input_shape)
    if data is None:
        data = np.random.default_rng(0).normal(size=(SAMPLES, *input_shape)).astype("float32")
    model = _around(layer, input_shape)
    spec = spec_of(layer)
    require_promise(
        spec.is_known, f"{who}: its channels are not described. Describe it: tfc.describe({who}, flow=..., ...)"
    )
    for path, letters in spec.axes.items():
        if has_weight(layer, path):
            rank = len(weight(layer, path).shape)
            require_promise(
                len(letters) <= rank,
                f"{who}: axes of weight {path!r} must be at most {rank} letters. Received: {letters!r}",
            )
    check_registered(type(layer))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        same = np.array_equal(load_model(path).predict(data, verbose=0), model.predict(data, verbose=0))
    require_promise(same, f"{who}: after saving and loading it gives different values")
    _check_cut(model, data, who)
    compression = Compression(Quantize("int8"), calibration=data, verbose=0)
    compression.set_model(model)
    compression.finish()
    if not spec.float_ops and spec.outside is None:
        check_equal(compression.convert(calibration=data), compression, data, who, steps)


def _around(layer: keras.layers.Layer, input_shape: tuple[int, ...]) -> keras.Model:
    """Returns a model with the layer between a layer that makes channels and one that reads them."""
    x = inputs = keras.Input(input_shape)
    x = layer(keras.layers.Dense(input_shape[-1], name="before")(x) if len(input_shape) < 4 else x)
    x = x if len(x.shape) == 2 else keras.layers.Flatten(name="flat")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="after")(x))


def _check_cut(model: keras.Model, data: np.ndarray, who: str) -> None:
    """Checks that a model without every third channel equals the model that does not read these channels."""
    channels = groups(model)
    dead = channels.groups[::3][: max(len(channels.groups) - 1, 0)]
    if len(dead) < 1 or len(channels.groups) < 2:
        return
    try:
        small, same = (f(model, channels, dead).predict(data, verbose=0) for f in (shrink, zeroed))
    except ValueError as error:
        raise AssertionError(
            f"{who}: its channels can't be removed: {error} Check its axis letters, flow, width and resize in "
            "tfc.describe"
        ) from error
    gap, most = float(np.abs(small - same).max()), float(np.abs(same).max())
    require_promise(
        gap <= _ROUNDING * max(most, 1.0),
        f"{who}: with channels removed the model differs by {gap:.3g} from the one that does not read them. Check its "
        "axis letters and flow in tfc.describe",
    )
