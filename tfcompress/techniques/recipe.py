"""Recipe: a list of techniques that can be written to JSON and read again."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras

from tfcompress.file_formats import INT8, mode_of
from tfcompress.moved_modules import today_by_first_name
from tfcompress.system.atomic import write_files
from tfcompress.techniques.base import Technique
from tfcompress.text.printable import shown
from tfcompress.validation import strict_json
from tfcompress.validation.checks import WrongKind
from tfcompress.validation.registration import register_classes
from tfcompress.validation.restoring import made


class Recipe(list):
    """A list of techniques.

    Args:
        techniques: One technique, or several.

    Raises:
        TypeError: If something in it is not a technique.
        ValueError: If one kind of technique comes twice.

    Example:
        >>> import tfcompress as tfc
        >>> recipe = tfc.Recipe([tfc.Prune(0.8), tfc.Cluster(16), tfc.Quantize("int8")])
        >>> tfc.Recipe.from_json(recipe.to_json()) == recipe
        True
    """

    def __init__(self, techniques: Technique | Iterable[Technique] = ()) -> None:
        # an array without dimensions is an Iterable by its type, but iter() of it raises an error
        single = isinstance(techniques, Technique | str | bytes) or not _is_iterable(techniques)
        found: list[Any] = [techniques] if single else list(techniques)  # type: ignore[arg-type]  # `single` has looked
        for t in found:
            if not isinstance(t, Technique):
                raise TypeError(
                    "A recipe holds techniques such as tfc.Prune(0.8), tfc.Cluster(16), "
                    "tfc.Quantize('int8'), tfc.Distill(teacher). "
                    f"Received: {shown(t)} of type {type(t).__name__}."
                )
        kinds = [type(t) for t in found if t.is_gradual]
        for kind in set(kinds):
            if kinds.count(kind) > 1:
                raise ValueError(
                    "A recipe holds each technique once; only those that change the network's shape may come again. "
                    f"Received: {kinds.count(kind)} x {kind.__name__}. "
                    "For different settings by layer use its `overrides`."
                )
        super().__init__(found)

    @property
    def mode(self) -> str:
        """Format of the file that it trains for, a mode of `tfc.convert`; "int8" if nothing is quantized."""
        spec = next((t.spec for t in self if t.spec is not None), None)
        return INT8.mode if spec is None else mode_of(spec.weight_bits, spec.activation_bits)

    def to_json(self) -> str:
        """Returns the recipe as JSON text.

        Raises:
            ValueError: If a technique holds something that JSON can't (a condition in code, a live
                teacher).
        """
        text = json.dumps([keras.saving.serialize_keras_object(t) for t in self], indent=1, allow_nan=False)
        strict_json.parse(text.encode("utf-8", "surrogatepass"))  # refuses text that could not be read again
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> "Recipe":
        """Makes a recipe from JSON text that `to_json` wrote.

        Raises:
            TypeError: If it is no text.
            ValueError: If the text is no recipe, names what is no technique, or has a key twice.
        """
        if not isinstance(text, str | bytes):
            raise TypeError(f"A recipe is JSON text. Received: {shown(text)} of type {type(text).__name__}.")
        try:
            found = strict_json.parse_recipe(text)
        except ValueError as error:
            raise ValueError(
                f"A recipe is JSON text, written by Recipe.to_json. Received text that is not JSON: {error}"
            ) from error
        if not isinstance(found, list):
            raise ValueError(f"A recipe is a JSON list of techniques. Received: {type(found).__name__}.")
        register_classes()
        return cls([_technique(entry, number) for number, entry in enumerate(found)])

    def save(self, path: str | os.PathLike) -> None:
        """Writes the recipe to a JSON file."""
        write_files({path: (self.to_json() + "\n").encode()})

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Recipe":
        """Reads a recipe file."""
        try:
            return cls.from_json(Path(path).read_bytes())
        except (TypeError, ValueError) as error:
            raise _alike(error, f"{os.fspath(path)}: {error}") from error


def fingerprint(recipe: Recipe) -> str:
    """Returns a hash of 16 digits that identifies a recipe; the same for the same recipe in every release.

    Techniques that are not saved (teachers) do not count, since they don't affect the schedule.
    """
    lasting = Recipe([t for t in recipe if t.is_saved])
    try:
        text = lasting.to_json()
    except ValueError:  # a choice in code has no JSON, only its repr
        text = repr(list(lasting))
    for then, now in today_by_first_name().items():  # fingerprints of that release, which its sessions hold, have them
        text = text.replace(f'"module": "{now}"', f'"module": "{then}"')
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_iterable(value: Any) -> bool:
    try:
        iter(value)
    except TypeError:
        return False
    return True


def _technique(entry: Any, number: int) -> Technique:
    """Makes one technique of a recipe; refuses a class that is not registered as a technique."""
    name = entry.get("registered_name") if isinstance(entry, dict) else None
    kind = keras.saving.get_registered_object(name) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, Technique)):
        known = sorted(k.__name__ for k in Technique.__subclasses__())
        raise ValueError(
            f"Entry {number} of the recipe is no technique: registered_name={shown(name)}. Known are "
            f"{', '.join(known)}; a technique of your own must be imported first, and registered "
            "with keras.saving.register_keras_serializable."
        )
    config = entry.get("config")
    try:
        return made(kind, config)
    except (TypeError, ValueError) as error:
        raise _alike(error, f"Entry {number} of the recipe: {error}") from error


def _alike(error: Exception, text: str) -> Exception:
    """Returns an error of the same kind with another text; other error classes may not take just a text."""
    return WrongKind(text) if isinstance(error, TypeError) else ValueError(text)
