"""Loads the function of a Lambda layer from a file: Python code, loaded only for callers who trust the file."""

import base64
import marshal
import types
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.values import plain


def function_of(name: str, config: dict[str, Any], custom_objects: dict[str, Any]) -> Any:
    """Returns the function of a Lambda layer.

    Its code can use the names `tf`, `np`, `keras`, `K` (the old `keras.backend`) and those of the custom objects.

    Args:
        name: The layer's name, for messages.
        config: Its configuration.
        custom_objects: Functions and classes by name.

    Raises:
        NotPorted: If the function is stored by a name that `custom_objects` lacks, or its code is of another version of
            Python.
    """
    function = config["function"]
    if isinstance(function, dict):  # newer files: {"class_name": "__lambda__" or "function", "config": ...}
        function = function["config"]
    if isinstance(function, dict):
        function = [function["code"], function.get("defaults"), function.get("closure")]
    if isinstance(function, str):
        if function in custom_objects:
            return custom_objects[function]
        raise NotPorted(
            name,
            "Lambda",
            f"its function is stored by name only: {function!r}.",
            f"Give custom_objects={{{function!r}: ...}}.",
        )
    code, defaults, closure = function
    try:
        code = marshal.loads(base64.b64decode(code))
    except (ValueError, EOFError, TypeError) as error:
        raise NotPorted(name, "Lambda", f"its code was written by another version of Python ({error}).") from error
    names = {"tf": tf, "tensorflow": tf, "np": np, "numpy": np, "keras": keras, "K": _old_backend()}
    return types.FunctionType(
        code,
        {"__builtins__": __builtins__, **names, **custom_objects},
        argdefs=None if defaults is None else tuple(plain(defaults)),
        closure=None if closure is None else tuple(types.CellType(value) for value in plain(closure)),
    )


def _old_backend():
    # Keras 3 keeps the functions of the old keras.backend for `tf.keras.backend`
    return tf.keras.backend
