"""Deserializes values of a stored configuration, only of registered dataclasses.

Keras' own reader imports any module that a file names, which is unsafe for a recipe from an unknown source.
"""

import dataclasses
import functools
from typing import Any

import keras

from tfcompress.text.printable import shown
from tfcompress.validation import checks

_DEEPEST = 16


def restored(value: Any, depth: int = 0) -> Any:
    """Deserializes a value.

    Args:
        value: The result of `keras.saving.serialize_keras_object`, or plain values.
        depth: How deep it is nested in others.

    Returns:
        The value; objects of registered classes, tuples, dicts, lists and plain values, nested in any way.

    Raises:
        ValueError: If it names a class that is not registered, or is nested too deep.
        TypeError: If a class does not accept the stored values.

    Example:
        >>> from tfcompress.schedules.shapes import Constant
        >>> restored(keras.saving.serialize_keras_object((Constant(0.5), "a")))
        (Constant(level=0.5), 'a')
    """
    if depth > _DEEPEST:
        raise ValueError(f"the value is nested more than {_DEEPEST} deep.")
    if isinstance(value, list | tuple):
        return type(value)(restored(each, depth + 1) for each in value)
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__tuple__":
        config = value.get("config")
        held = config.get("value") if isinstance(config, dict) else None
        if not isinstance(held, list):
            raise ValueError(f"a tuple must hold a list of values. Received: {shown(value)}.")
        return tuple(restored(each, depth + 1) for each in held)
    if "class_name" in value and "config" in value:
        return _object(value, depth)
    return {key: restored(each, depth + 1) for key, each in value.items()}


def _object(value: dict, depth: int) -> Any:
    name = value.get("registered_name")
    kind = keras.saving.get_registered_object(name) if isinstance(name, str) else None
    # schedules, choices, schemes and techniques are dataclasses; layers are registered too, and not wanted here
    if not dataclasses.is_dataclass(kind):
        raise ValueError(
            f"{shown(value.get('class_name'))} with registered_name={shown(name)} is no registered dataclass."
        )
    return made(kind, value["config"], depth)


def made(kind: Any, config: dict, depth: int = 0) -> Any:
    """Deserializes an object of a class from its stored configuration.

    Raises:
        ValueError: If a key is none of its fields, or a value is refused.
        TypeError: If a value is of another type.
    """
    if not isinstance(config, dict):
        raise ValueError(f"{kind.__name__}: config must be an object. Received: {shown(config)}.")
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    if strange := sorted(set(config) - set(fields)):
        raise ValueError(f"{kind.__name__} has no fields {shown(strange)}. It has {', '.join(sorted(fields))}.")
    if needed := [name for name, field in fields.items() if name not in config and _is_needed(field)]:
        raise ValueError(f"{kind.__name__}: {', '.join(needed)} must be given. Received: {shown(config)}.")
    ready = {}
    for key, each in config.items():
        ready[key] = checks.within(kind.__name__, key, functools.partial(restored, each, depth + 1))
    return kind.from_config(ready)


def _is_needed(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
