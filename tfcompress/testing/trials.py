"""Runs short trainings and conversions for the checks."""

from typing import Any

import keras
import numpy as np

from tfcompress.fake_quant.transforms.base import FIXED_POINT
from tfcompress.graph.clone import copied
from tfcompress.graph.keras_private import full_precision
from tfcompress.techniques.base import Technique
from tfcompress.techniques.quantize import Quantize
from tfcompress.testing.promises import require_promise
from tfcompress.training.callback import Compression

SAMPLES = 64


def small_model() -> keras.Model:
    """Returns a model of convolution, BatchNormalization, ReLU and two Dense layers, with 4 outputs."""
    layers = keras.layers
    inner = [layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
    outer = [layers.Dense(24, activation="relu"), layers.Dense(4)]
    return keras.Sequential([keras.Input((8, 8, 2)), *inner, *outer])


def data(model: keras.Model, seed: int) -> list[np.ndarray]:
    """Returns random samples, one array per input."""
    rng, found = np.random.default_rng(seed), []
    for x in model.inputs:
        shape = (SAMPLES, *(8 if size is None else size for size in x.shape[1:]))
        integer = "int" in x.dtype
        found.append(rng.integers(0, 2, shape).astype(x.dtype) if integer else rng.normal(size=shape).astype("float32"))
    return found


def given(model: keras.Model, seed: int) -> Any:
    """Returns random samples in the form that the model's call takes."""
    if len(model.inputs) == 1:
        return data(model, seed)[0]
    return keras.tree.pack_sequence_as(keras.tree.map_structure(lambda _: 0, model.input), data(model, seed))


def recipe_of(technique: Technique) -> list[Technique]:
    """Returns the technique, with int8 quantization behind it unless it quantizes itself."""
    return [technique] if technique.spec is not None else [technique, Quantize("int8")]


def short_fit(technique: Technique, model: keras.Model, seed: int) -> tuple[keras.Model, Compression]:
    """Trains a copy of a model for a short time under a technique and in int8, and returns it with its compression."""
    keras.utils.set_random_seed(seed)
    copy = copied(model)[0]
    copy.compile(keras.optimizers.Adam(1e-3), "mse", jit_compile=False)
    x = given(copy, seed)
    goal = keras.tree.map_structure(lambda y: 0.5 * np.asarray(y), model.predict(x, verbose=0))
    compression = Compression(recipe_of(technique), seed=seed, verbose=0)
    copy.fit(x, goal, epochs=2, batch_size=16, verbose=0, shuffle=False, callbacks=[compression])
    return copy, compression


def check_values(compression: Compression, who: str) -> None:
    """Checks that weights have their final values at the end of training."""
    told = [note for note in compression.notes if "changed after the training's end" in note]
    require_promise(
        not told,
        f"{who}: a second pass through its transforms changes the weights. f(f(w)) must equal f(w) to "
        f"{FIXED_POINT:g} of the largest |w|, and zeros must stay; check them by tfc.testing.check_transform",
    )
    before = [np.array(full_precision(chain.variable)) for chain in compression.state.chains()]
    compression.finish()
    after = [np.array(full_precision(chain.variable)) for chain in compression.state.chains()]
    same = all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    require_promise(same, f"{who}: finish() after the training changes the weights once more")
    require_promise(all(np.isfinite(w).all() for w in after), f"{who}: weights are not finite after training")


def converted(compression: Compression, seed: int) -> Any:
    """Converts a compression to an integer file."""
    return compression.convert(calibration=given(compression.file_model, seed))


def check_equal(artifact: Any, compression: Compression, x: Any, who: str, steps: float) -> None:
    """Checks that a file is fully integer and gives the outputs of its simulation."""
    require_promise(artifact.is_integer, f"{who}: the file is not fully integer: {artifact.float_ops}")
    theirs = keras.tree.flatten(compression.predict(x))
    for mine, their, spec in zip(keras.tree.flatten(artifact.predict(x)), theirs, artifact.outputs, strict=True):
        gap = float(np.abs(np.asarray(mine, "float64") - np.asarray(their, "float64")).max()) / spec.scale
        require_promise(
            gap <= steps * 1.001,
            f"{who}: the file differs from its simulation by {gap:.1f} steps of output {spec.name!r}; at most "
            f"{steps:g} can be explained by rounding",
        )
