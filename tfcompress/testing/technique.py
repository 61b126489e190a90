"""check_technique: checks a technique of your own."""

import dataclasses
import os
import re
import tempfile
from typing import Any

import keras
import numpy as np

from tfcompress.export.loading import load_model
from tfcompress.graph.clone import copied
from tfcompress.graph.keras_private import full_precision
from tfcompress.selection import Where
from tfcompress.techniques.base import Technique
from tfcompress.techniques.recipe import Recipe
from tfcompress.testing.promises import check_registered, require_promise
from tfcompress.testing.trials import (
    check_equal,
    check_values,
    converted,
    data,
    given,
    recipe_of,
    short_fit,
    small_model,
)
from tfcompress.training.callback import Compression
from tfcompress.training.session import compress
from tfcompress.validation import checks


def check_technique(technique: Technique, model: keras.Model | None = None, seed: int = 0, steps: float = 1) -> None:
    """Checks a technique: declaration, JSON, training, saving, the integer file.

    It trains a copy of the model a few times, for some seconds each.

    Args:
        technique: The technique.
        model: A built Functional or Sequential model that it treats; None for a small convolutional net.
        seed: Seed of data and weights.
        steps: Steps of the output's scale by which the file may differ from its simulation; 1 allows for rounding.

    Raises:
        AssertionError: If something does not hold; the sentence says what.
        TypeError: If it is no technique.
        ValueError: If it treats nothing of the model, or the model can't be trained or converted.

    Example:
        >>> import tfcompress as tfc
        >>> tfc.testing.check_technique(tfc.Prune(0.5))
    """
    if not isinstance(technique, Technique):
        checks.refuse(TypeError, "check_technique", "technique", "an object of a subclass of tfc.Technique", technique)
    who = technique.name
    _check_declaration(technique)
    if technique.is_saved:
        _check_json(technique)
    keras.utils.set_random_seed(seed)
    model = small_model() if model is None else model
    if technique.shape_changing:
        _check_shape_change(technique, model, seed)
        return
    trained, compression = short_fit(technique, model, seed)
    check_values(compression, who)
    _check_selection(technique, model, compression.plan.kernels[who], seed)
    artifact = converted(compression, seed)
    check_equal(artifact, compression, given(trained, seed), who, steps)
    _check_zeros(artifact, compression, who)
    _, again = short_fit(technique, model, seed)
    require_promise(
        converted(again, seed).content == artifact.content,
        f"{who}: two trainings with the same seeds give different files",
    )
    if technique.is_saved:
        _check_saved(compression, trained, artifact.content, seed, who)
        _check_session(technique, model, seed)


def _check_declaration(technique: Technique) -> None:
    kind: Any = type(technique)
    who = technique.name
    has_fields = bool(vars(kind).get("__annotations__"))
    require_promise(
        not has_fields or "__dataclass_params__" in vars(kind),
        f"{who}: its fields take effect only in a dataclass. Write @dataclass(frozen=True) above the class",
    )
    require_promise(
        kind.__dataclass_params__.frozen, f"{who}: a technique must be frozen. Write @dataclass(frozen=True)"
    )
    check_registered(kind)
    require_promise(
        dataclasses.replace(technique) == technique, f"{who}: a copy made from its own fields is not equal to it"
    )


def _check_json(technique: Technique) -> None:
    text = Recipe(technique).to_json()
    again = Recipe.from_json(text)
    require_promise(
        again == Recipe(technique), f"{technique.name}: read from JSON it is not equal to the original: {again[0]!r}"
    )
    require_promise(again.to_json() == text, f"{technique.name}: written to JSON a second time the text is different")


def _check_selection(technique: Technique, model: keras.Model, kernels: list, seed: int) -> None:
    """Checks that a layer which `where` or `overrides` leaves out is left alone."""
    names = [kernel.name.removesuffix(f"/{kernel.chain.path}").rpartition("/")[-1] for kernel in kernels]
    if len(set(names)) < 2:  # with one layer left out there would be nothing to compress
        return
    who, pattern, others = technique.name, re.escape(names[0]), technique.where or Where()
    narrower: dict[str, Any] = {
        "where": dataclasses.replace(others, skip=(*others.skip, pattern)),
        "overrides": {**(technique.overrides or {}), pattern: None},
    }
    for field, value in narrower.items():
        compression = Compression(recipe_of(dataclasses.replace(technique, **{field: value})), seed=seed, verbose=0)
        compression.set_model(copied(model)[0])
        require_promise(
            kernels[0].name not in [kernel.name for kernel in compression.plan.kernels[who]],
            f"{who}: it treats {kernels[0].name}, which {field}={value!r} leaves out. In `setting`, call "
            "super().setting(target) first and return what it returns if that is a Skip",
        )


def _check_zeros(artifact: Any, compression: Compression, who: str) -> None:
    zeros = sum(int((kernel == 0).sum()) for kernel in artifact.kernels().values())
    held = sum(int((np.asarray(full_precision(c.variable)) == 0).sum()) for c in compression.state.chains())
    require_promise(zeros >= held, f"{who}: of {held} zeros in the weights only {zeros} are in the file")


def _check_saved(compression: Compression, model: keras.Model, content: bytes, seed: int, who: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "compression.tfc")
        compression.save(path)
        loaded = Compression.load(path, model)
    mine, theirs = ([np.array(full_precision(v)) for v in c.state.variables] for c in (compression, loaded))
    same = len(mine) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
    require_promise(same, f"{who}: state is different after saving and loading")
    require_promise(
        converted(loaded, seed).content == content, f"{who}: after saving and loading it gives a different file"
    )


def _check_session(technique: Technique, model: keras.Model, seed: int) -> None:
    session = compress(model, [technique], verbose=0, seed=seed)
    x = given(model, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "session.keras")
        session.model.save(path)
        loaded = load_model(path)
    one, two = (keras.tree.flatten(m.predict(x, verbose=0)) for m in (session.model, loaded))
    same = all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    require_promise(same, f"{technique.name}: after saving and loading, a session's model gives different values")


def _check_shape_change(technique: Technique, model: keras.Model, seed: int) -> None:
    who, x = technique.name, given(model, seed)
    before = [np.array(full_precision(v)) for v in model.variables]
    y = keras.tree.flatten(model.predict(x, verbose=0))
    small = compress(model, technique, data(model, seed), labels=y[0], loss="mse", seed=seed, verbose=0)
    same = all(np.array_equal(a, full_precision(v)) for a, v in zip(before, model.variables, strict=True))
    require_promise(same, f"{who}: the given model must not be changed; operate on a copy")
    made = keras.tree.flatten(small.finish().predict(x, verbose=0))
    shapes = [[v.shape for v in each] for each in (y, made)]
    require_promise(shapes[0] == shapes[1], f"{who}: outputs must keep their shapes {shapes[0]}. Received: {shapes[1]}")
    require_promise(all(np.isfinite(v).all() for v in made), f"{who}: outputs are not finite")
    require_promise(
        small.convert(calibration=x).is_integer, f"{who}: the file of the changed model is not fully integer"
    )
