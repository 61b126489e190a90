"""Compiles a ported model as the Keras 2 model was, if Keras 3 has the same optimizer, loss and metrics.

The optimizer starts without state.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras

from tfcompress.legacy.values import plain

# Keys of old optimizers that don't matter to the new one.
_SILENT = {"name", "is_legacy_optimizer", "jit_compile", "dtype", "fn", "initial_accumulator_value"}
_SPEED = {"lr": "learning_rate"}


def compile_as_before(model: keras.Model, config: dict[str, Any] | None, custom_objects: dict[str, Any]) -> None:
    """Compiles a model as the old one was compiled; does nothing if it was not.

    Args:
        model: A ported model.
        config: `training_config` of an `.h5` file or `compile_config` of a `.keras` file.
        custom_objects: The caller's losses and metrics by name.

    Raises:
        ValueError: If a part has no equivalent in Keras 3; it is named.
    """
    config = config or {}
    optimizer = config.get("optimizer_config") or config.get("optimizer")
    if not config or not (optimizer or config.get("loss")):
        return
    arguments = {
        "optimizer": _optimizer(optimizer),
        "loss": _each(config.get("loss"), lambda entry: _made(entry, keras.losses, custom_objects)),
        "loss_weights": config.get("loss_weights"),
    }
    for key in ("metrics", "weighted_metrics"):
        found = _each(config.get(key), lambda entry: _metric(entry, custom_objects))
        # one output in a list of its own: [["accuracy"]]
        alone = isinstance(found, list) and len(found) == 1 and isinstance(found[0], list)
        arguments[key] = found[0] if alone else found
    model.compile(**{key: value for key, value in arguments.items() if value is not None})


def _each(structure, make):
    """Applies `make` to every entry in a list, or in a dict by output."""
    if isinstance(structure, (list, tuple)):
        return [_each(entry, make) for entry in structure]
    if isinstance(structure, dict) and "class_name" not in structure:
        return {key: _each(entry, make) for key, entry in structure.items()}
    return None if structure is None else make(structure)


def _optimizer(entry):
    if entry is None or isinstance(entry, str):
        return entry
    name = entry["class_name"].rpartition(">")[2]
    made = getattr(keras.optimizers, name, None)
    if made is None:
        raise ValueError(f"Keras 3 has no optimizer {name!r}")
    config = {_SPEED.get(key, key): plain(value) for key, value in entry["config"].items()}
    if config.pop("decay", 0.0):
        raise ValueError(f"the optimizer {name} has decay, which is a schedule of the learning rate in Keras 3")
    if isinstance(config.get("learning_rate"), dict):
        schedule = config["learning_rate"]
        kind = getattr(keras.optimizers.schedules, schedule["class_name"], None)
        if kind is None:
            raise ValueError(f"Keras 3 has no schedule {schedule['class_name']!r}")
        config["learning_rate"] = kind(**{k: plain(v) for k, v in schedule["config"].items() if v is not None})
    return _called(made, name, {key: value for key, value in config.items() if value is not None})


def _metric(entry, custom_objects):
    if isinstance(entry, dict) and entry["class_name"] in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        name, function = entry["config"].get("name"), entry["config"].get("fn")
        if name in ("accuracy", "acc"):  # Keras chooses the kind of accuracy by the loss; the file may name another
            return "accuracy"
        entry = function if isinstance(function, str) else name
    return _made(entry, keras.metrics, custom_objects)


def _made(entry, home, custom_objects):
    """Returns a loss or metric from its name or configuration."""
    name = entry if isinstance(entry, str) else entry["class_name"]
    if name in custom_objects:
        return custom_objects[name]
    if isinstance(entry, str):
        home.get(entry)  # raises a ValueError that names it
        return entry
    if entry["class_name"] == "function":
        return _made(entry["config"], home, custom_objects)
    made = getattr(home, name, None)
    if not inspect.isclass(made):
        raise ValueError(f"Keras 3 has no {name!r}")
    config = {key: plain(value) for key, value in entry["config"].items() if value not in (None, "auto")}
    return _called(made, name, config)


def _called(made, name, config):
    taken = set(inspect.signature(made.__init__).parameters)
    lost = {k: v for k, v in config.items() if k not in taken and k not in _SILENT and v not in (None, False, 0)}
    if lost:
        raise ValueError(f"Keras 3 has nothing for {lost} of {name}")
    return made(**{k: v for k, v in config.items() if k in taken})
