"""A recipe: a list of techniques that goes to JSON and back."""

import importlib
import json
import os
import pkgutil
from collections.abc import Iterable
from pathlib import Path

import keras

from tfcompress import techniques
from tfcompress.deploy.atomic import write_files
from tfcompress.techniques.base import Technique


class Recipe(list):
    """A list of techniques.

    Args:
        techniques: One technique, or several.

    Raises:
        TypeError: If something in it is not a technique.

    Example:
        >>> import tfcompress as tfc
        >>> recipe = tfc.Recipe([tfc.Prune(0.8), tfc.Cluster(16), tfc.Quantize("int8")])
        >>> tfc.Recipe.from_json(recipe.to_json()) == recipe
        True
    """

    def __init__(self, techniques: Technique | Iterable[Technique] = ()):
        found = [techniques] if isinstance(techniques, Technique) else list(techniques)
        for t in found:
            if not isinstance(t, Technique):
                raise TypeError(
                    "A recipe holds techniques such as tfc.Prune(0.8), tfc.Cluster(16), tfc.Quantize('int8'), tfc.Distill(teacher). "
                    f"Received: {t!r} of type {type(t).__name__}."
                )
        kinds = [type(t) for t in found]
        for kind in set(kinds):
            if kinds.count(kind) > 1:
                raise ValueError(
                    f"A recipe holds each technique once. Received: {kinds.count(kind)} x {kind.__name__}. "
                    "For different settings by layer use its `overrides`."
                )
        super().__init__(found)

    def to_json(self) -> str:
        """Returns the recipe as JSON text.

        Raises:
            ValueError: If a technique holds something that JSON can't (a condition in code, a live teacher).
        """
        return json.dumps([keras.saving.serialize_keras_object(t) for t in self], indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Inverse of `to_json`.

        Raises:
            ValueError: If the text is no recipe.
        """
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"A recipe is JSON text, written by Recipe.to_json. Received text that is not JSON: {error}."
            ) from error
        _register()
        if not isinstance(found, list):
            raise ValueError(
                f"A recipe is a JSON list of techniques. Received: {type(found).__name__}."
            )
        return cls([keras.saving.deserialize_keras_object(t) for t in found])

    def save(self, path: str | os.PathLike) -> None:
        """Writes the recipe to a JSON file."""
        write_files({path: (self.to_json() + "\n").encode()})

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Recipe":
        """Reads a recipe file."""
        return cls.from_json(Path(path).read_text(encoding="utf-8"))


def _register() -> None:
    """Imports every technique, so that Keras knows the classes a recipe file names."""
    for module in pkgutil.iter_modules(techniques.__path__):
        importlib.import_module(f"{techniques.__name__}.{module.name}")
