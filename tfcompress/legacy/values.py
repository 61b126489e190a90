"""Converts values of a Keras 2 configuration: activations, initializers, regularizers, constraints, dtypes, data.

A name may mean another function than before: `hard_sigmoid` had the slope 1/5 in Keras 2 and has 1/6 now.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tfcompress.layer_table.activations import elementwise
from tfcompress.legacy.refused import NotPorted

_OWN = "Give your own classes and functions: custom_objects={'Name': Name}, written for Keras 3."


@keras.saving.register_keras_serializable("tfcompress")
@elementwise
def hard_sigmoid_of_keras_2(x: Any) -> Any:
    """Returns `clip(0.2 x + 0.5, 0, 1)`, which Keras 2 called hard_sigmoid.

    Example:
        >>> from tfcompress.legacy.values import hard_sigmoid_of_keras_2
        >>> float(hard_sigmoid_of_keras_2(1.0))
        0.699999988079071
    """
    return keras.ops.clip(0.2 * keras.ops.convert_to_tensor(x) + 0.5, 0.0, 1.0)


# Functions for names that mean another function in Keras 3, or none.
_ACTIVATIONS = {"hard_sigmoid": hard_sigmoid_of_keras_2, "softmax_v2": "softmax", "leaky_relu_v2": "leaky_relu"}
_BEHAVIOURS = {"initializer": keras.initializers, "regularizer": keras.regularizers, "constraint": keras.constraints}


@dataclass(frozen=True)
class PortOptions:
    """Options that the caller of a port gives.

    Args:
        custom_objects: Classes and functions by name.
        safe_mode: False allows code from a file.
        functions: Functions of Lambda layers by the layer's path, for a live model.
    """

    custom_objects: dict[str, Any] = field(default_factory=dict)
    safe_mode: bool = True
    functions: dict[str, Callable] = field(default_factory=dict)

    def own(self, entry: dict[str, Any]) -> Any | None:
        """Returns the caller's class for a configuration, or one registered with Keras, or None."""
        registered = entry.get("registered_name") or entry["class_name"]
        for name in (entry["class_name"], registered):
            found = self.custom_objects.get(name) or keras.saving.get_registered_object(name)
            if found is not None:
                return found
        return None


def plain(value: Any) -> Any:
    """Converts the JSON form of tuples, shapes and arrays back to plain Python values.

    Example:
        >>> from tfcompress.legacy.values import plain
        >>> plain({"class_name": "__tuple__", "items": [1, 2]})
        (1, 2)
    """
    if isinstance(value, dict):
        kind = value.get("class_name")
        if kind in ("__tuple__", "TensorShape"):
            items = value["items"] if "items" in value else value["config"]
            return tuple(plain(item) for item in items)
        if kind in ("__tensor__", "__numpy__"):
            return np.asarray(value["config"]["value"], value["config"]["dtype"])
        if kind == "__ellipsis__":
            return Ellipsis
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def dtype(value: Any) -> Any:
    """Returns the name of a dtype or of a mixed-precision policy."""
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        return value["config"].get("name")
    return value


def activation(name: str, class_name: str, value: Any, asked: PortOptions) -> Any:
    """Returns an activation as Keras 3 takes it.

    Args:
        name: The layer's name, for messages.
        class_name: The layer's class in Keras 2, for messages.
        value: A name, or the configuration of a function.
        asked: The caller's options.

    Raises:
        NotPorted: If the function is unknown.
    """
    if isinstance(value, dict):  # such as {"class_name": "function", "config": "relu"}
        value = value["config"] if isinstance(value["config"], str) else value["class_name"]
    if not isinstance(value, str):
        return value
    if value in asked.custom_objects:
        return asked.custom_objects[value]
    try:
        return keras.activations.get(_ACTIVATIONS.get(value, value))
    except ValueError as error:
        raise NotPorted(name, class_name, f"Keras 3 has no activation {value!r}.", _OWN) from error


def behaviour(name: str, class_name: str, key: str, value: Any, asked: PortOptions) -> Any:
    """Returns an initializer, regularizer or constraint of Keras 3.

    An initializer that Keras 3 does not know is left out: the weights come from the file.

    Args:
        name: The layer's name, for messages.
        class_name: The layer's class in Keras 2, for messages.
        key: The argument, such as `kernel_regularizer`.
        value: Its configuration.
        asked: The caller's options.

    Raises:
        NotPorted: If the regularizer or constraint is unknown.
    """
    if not isinstance(value, dict):
        return value
    kind = key.rpartition("_")[2]
    made = asked.own(value) or getattr(_BEHAVIOURS[kind], value["class_name"], None)
    try:
        if made is None:
            raise ValueError(f"there is no {value['class_name']}")
        if not inspect.isclass(made):
            return made
        taken = inspect.signature(made).parameters
        return made(**{k: plain(v) for k, v in (value.get("config") or {}).items() if k in taken})
    except (TypeError, ValueError) as error:
        if kind == "initializer":
            return None
        raise NotPorted(name, class_name, f"Keras 3 does not make its {key}: {error}.", _OWN) from error
