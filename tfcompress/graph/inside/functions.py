"""The functions and operators whose calls are operations: those of Keras' backend, of TensorFlow, and of tensors."""

import inspect
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.graph.keras_private import BACKEND_MODULES
from tfcompress.layer_table.operation_names import NO_OPERATION, OF_KERAS, OF_TENSORFLOW, OF_TENSORS, PASSING


@dataclass(frozen=True)
class OperationFunction:
    """A function or operator whose call is an operation.

    Args:
        owner: The module or class that it is read from.
        attribute: Its name there.
        kind: The kind of operation, the name of a row of the layer table.
        plain: The function itself.
        is_swapped: Whether the operator gets its operands the other way round (`__rsub__`).
    """

    owner: Any
    attribute: str
    kind: str
    plain: Callable
    is_swapped: bool = False


@cache
def operation_functions() -> tuple[OperationFunction, ...]:
    """Returns all functions and operators whose calls are operations."""
    return (*_of_keras(), *_of_tensorflow(), *_of_tensors())


@cache
def passing_functions() -> tuple[OperationFunction, ...]:
    """Returns functions that pass a tensor on as it is, but for its gradient or name."""
    found = [(module, name) for module in BACKEND_MODULES for name in PASSING if hasattr(module, name)]
    return tuple(OperationFunction(module, name, _camel(name), getattr(module, name)) for module, name in found)


def _of_keras() -> list[OperationFunction]:
    found = []
    for module in BACKEND_MODULES:
        for name, value in vars(module).items():
            is_own = isinstance(value, types.FunctionType) and value.__module__ == module.__name__
            if is_own and not name.startswith("_") and name not in NO_OPERATION:
                found.append(OperationFunction(module, name, OF_KERAS.get(name, _camel(name)), value))
    return found


def function_name(kind: str) -> str:
    """Returns the name that Keras' function of a kind of operation has.

    Example:
        >>> from tfcompress.graph.inside.functions import function_name
        >>> function_name("ExpandDims")
        'expand_dims'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _of_tensorflow() -> list[OperationFunction]:
    found = []
    for kind, paths in OF_TENSORFLOW.items():
        for path in paths:
            *modules, name = path.split(".")
            owner: Any = tf
            for module in modules:
                owner = getattr(owner, module)
            found.append(OperationFunction(owner, name, kind, getattr(owner, name)))
    return found


def _of_tensors() -> list[OperationFunction]:
    found = []
    for kind, names in OF_TENSORS.items():
        for name in names:
            attribute = f"__{name}__"
            is_swapped = name.startswith("r")
            for owner in (tf.Tensor, tf.Variable):
                if attribute in vars(owner):
                    found.append(OperationFunction(owner, attribute, kind, vars(owner)[attribute], is_swapped))
    return found


def named_arguments(f: OperationFunction, args: tuple, kwargs: dict) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the arguments of a call that are no tensors, and the variables among them, both by name.

    Args:
        f: The function.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """
    named = _bound(f, args, kwargs)
    weights = {name: x for name, x in named.items() if isinstance(x, keras.Variable)}
    plain = {name: _number(x) for name, x in named.items() if name not in weights and not _holds_tensors(_number(x))}
    return plain, weights


def named_arguments_of(f: OperationFunction, args: tuple, kwargs: dict) -> dict[str, Any]:
    """Returns all arguments of a call by name, with those that were not given."""
    return _bound(f, args, kwargs)


def _number(x: Any) -> Any:
    """Returns the number in a constant tensor or array of one value; anything else as it is."""
    value = tf.get_static_value(x) if isinstance(x, tf.Tensor) else x
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else x


def _bound(f: OperationFunction, args: tuple, kwargs: dict) -> dict[str, Any]:
    if isinstance(f.owner, type):
        return {f"x{k + 1}": x for k, x in enumerate(args)} | kwargs
    try:
        bound = inspect.signature(f.plain).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {f"x{k + 1}": x for k, x in enumerate(args)} | kwargs
    bound.apply_defaults()
    return dict(bound.arguments)


def _holds_tensors(x: Any) -> bool:
    return any(isinstance(part, (tf.Tensor, np.ndarray)) for part in keras.tree.flatten(x))


operation_functions()  # found when the module is imported, before anything replaces some of them
