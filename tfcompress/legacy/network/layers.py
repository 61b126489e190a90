"""Makes a layer of Keras 3 from the configuration of a layer of Keras 2."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

from tfcompress.legacy.functions import function_of
from tfcompress.legacy.network.arguments import known, renamed
from tfcompress.legacy.ported import Ported, plain_name
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.values import PortOptions, activation, behaviour, dtype, plain

_INNER = ("layer", "backward_layer", "cell")
_BEHAVIOURS = ("_initializer", "_regularizer", "_constraint")

# Builds what is nested in a configuration: (entry, path) -> Ported.
Inside = Callable[[dict[str, Any], str], Ported]


def layer(entry: dict[str, Any], path: str, asked: PortOptions, inside: Inside) -> Ported:
    """Makes a layer of Keras 3.

    Args:
        entry: `class_name`, `config` and, in newer files, `module` and `registered_name`.
        path: Names of the models around it and its own, joined by `/`.
        asked: The caller's options.
        inside: Builds layers nested in the configuration.

    Returns:
        The layer, not built.

    Raises:
        NotPorted: If Keras 3 has no such layer, or not with these arguments.
    """
    class_name, config = entry["class_name"], dict(entry["config"])
    name = config.get("name") or entry.get("name") or class_name.lower()
    if class_name == "Lambda":
        return Ported(name, class_name, _lambda(name, config, path, asked))
    own = asked.own(entry)
    if own is not None:
        return Ported(name, class_name, _own(name, own, entry))
    now, config = renamed(name, class_name, config)
    made = getattr(keras.layers, now, None)
    if not inspect.isclass(made) or not issubclass(made, keras.layers.Layer):
        remedy = "If it is a class of yours, give it, written for Keras 3: custom_objects={" + f"{class_name!r}: ...}}."
        raise NotPorted(name, class_name, "Keras 3 has no such layer.", remedy)
    parts: dict[str, Ported] = {}

    def part(key, nested):
        parts[key] = inside(nested, path)
        return parts[key].layer

    values = {
        key: _value(name, class_name, key, value, asked, part)
        for key, value in known(name, class_name, made, config).items()
    }
    values = {key: value for key, value in values.items() if value is not None or not key.endswith("_initializer")}
    values["name"] = plain_name(name)
    try:
        built: Any = made(**values)
        if config.get("trainable") is False:
            built.trainable = False
        return _with_parts(name, class_name, built, parts)
    except NotPorted:
        raise
    except Exception as error:  # constructors raise errors of many types; the layer is named
        raise NotPorted(name, class_name, f"Keras 3 does not make it: {_line(error)}") from error


def _value(name, class_name, key, value, asked, part):
    """Returns an argument as Keras 3 takes it; `part(key, entry)` builds a nested layer."""
    if key == "dtype":
        return dtype(value)
    if key.endswith("activation"):
        if isinstance(value, dict) and isinstance(value.get("config"), dict):  # a layer as activation
            return part(key, value)
        return activation(name, class_name, value, asked)
    if key.endswith(_BEHAVIOURS):
        return behaviour(name, class_name, key, value, asked)
    if key in _INNER and isinstance(value, dict):
        return part(key, value)
    if key == "cells":
        return [part(key, cell) for cell in value]
    return plain(value)


def _with_parts(name, class_name, made, parts):
    """Returns a ported layer, with the layers inside it if it is a wrapper.

    Bidirectional makes two layers of its own out of the one that it is given.
    """
    if isinstance(made, keras.layers.Bidirectional):
        both = [made.forward_layer, made.backward_layer]
        return Ported(name, class_name, made, [Ported(one.name, parts["layer"].class_name, one) for one in both])
    if isinstance(made, keras.layers.Wrapper):
        return Ported(name, class_name, made, [parts["layer"]])
    return Ported(name, class_name, made)


def _lambda(name, config, path, asked):
    if not asked.safe_mode:
        function = asked.functions.get(path) or function_of(name, config, asked.custom_objects)
        shape = config.get("output_shape") if config.get("output_shape_type", "raw") == "raw" else None
        return keras.layers.Lambda(
            function,
            output_shape=None if shape is None else tuple(plain(shape)),
            arguments=plain(config.get("arguments") or {}),
            name=plain_name(name),
            dtype=dtype(config.get("dtype")),
        )
    raise NotPorted(
        name,
        "Lambda",
        "a Lambda layer is code, and code from a file can do anything.",
        "If you trust the file, call load_model(path, safe_mode=False).",
    )


def _own(name, own: Any, entry) -> Any:
    if not (isinstance(own, type) and issubclass(own, keras.layers.Layer)):
        raise NotPorted(
            name,
            entry["class_name"],
            f"what custom_objects has for it is no layer of Keras 3: {own!r}.",
            "Write the class for Keras 3 (keras.layers.Layer).",
        )
    config = {k: dtype(v) if k == "dtype" else plain(v) for k, v in entry["config"].items() if k != "batch_input_shape"}
    try:
        kind: Any = own
        return kind.from_config({**config, "name": plain_name(name)})
    except Exception as error:  # the caller's code raises what it likes; the layer is named
        raise NotPorted(
            name, entry["class_name"], f"its class does not take the configuration: {_line(error)}"
        ) from error


def _line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
