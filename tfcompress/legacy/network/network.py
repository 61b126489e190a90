"""Rebuilds a Functional or Sequential model of Keras 2 with layers of Keras 3."""

from typing import Any

import keras

from tfcompress.legacy.network import tensorflow_ops
from tfcompress.legacy.network.layers import layer
from tfcompress.legacy.network.replay import Replay
from tfcompress.legacy.ported import Ported, plain_name
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.values import PortOptions, dtype, plain

_MODELS = ("Functional", "Model")


def network(entry: dict[str, Any], asked: PortOptions, path: str = "") -> Ported:
    """Builds a model, with random weights.

    Args:
        entry: `class_name` and `config`.
        asked: The caller's options.
        path: Names of the models around it, joined by `/`.

    Returns:
        The model and the layers in it.

    Raises:
        NotPorted: If something in it has no equivalent in Keras 3; the layer is named.
    """
    config = entry["config"]
    if entry["class_name"] == "Sequential":
        return _sequential(entry, asked, path)
    if entry["class_name"] not in _MODELS and not (isinstance(config, dict) and "output_layers" in config):
        raise NotPorted(
            "",
            f"the model of class {entry['class_name']!r}",
            "a subclassed model is code, which no configuration contains.",
        )
    return _functional(entry, asked, path)


def inside(entry: dict[str, Any], path: str, asked: PortOptions) -> Ported:
    """Builds a layer or a nested model.

    Args:
        entry: `class_name` and `config`.
        path: Names of the models around it, joined by `/`.
        asked: The caller's options.
    """
    name = _name(entry)
    here = f"{path}/{name}" if path else name
    config = entry["config"]
    if entry["class_name"] in tensorflow_ops.CLASSES:
        return Ported(name, entry["class_name"], None)
    if entry["class_name"] in ("Sequential", *_MODELS) or isinstance(config, dict) and "output_layers" in config:
        return network(entry, asked, here)
    return layer(entry, here, asked, lambda e, p: inside(e, p, asked))


def _name(entry):
    config = entry["config"]
    return (
        entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or entry["class_name"].lower()
    )


def _functional(entry, asked, path):
    config = entry["config"]
    parts, inputs = [], {}
    for each in config["layers"]:
        if each["class_name"] == "InputLayer":
            inputs[_name(each)] = _input(_name(each), each["config"])
        else:
            parts.append((each, inside(each, path, asked)))
    _unique([part for _, part in parts], set(map(plain_name, inputs)))
    replay = Replay(inputs, parts, config["output_layers"])
    replay.run()
    model = keras.Model(
        replay.structure(config["input_layers"]),
        replay.structure(config["output_layers"]),
        name=plain_name(config.get("name") or "model"),
    )
    if not config.get("trainable", True):
        model.trainable = False
    return Ported(_name(entry), entry["class_name"], model, [part for _, part in parts])


def _sequential(entry, asked, path):
    config = entry["config"]
    entries = config if isinstance(config, list) else config["layers"]  # a list before Keras 2.2.3
    name = _name(entry)
    parts = [inside(each, path, asked) for each in entries if each["class_name"] != "InputLayer"]
    _unique(parts, set())
    start = _start(name, entry, entries, parts)
    layers = [part.layer for part in parts]
    if any(part.layer is None for part in parts):
        raise NotPorted(name, "Sequential", "a raw TensorFlow call stands in it.")
    try:
        model = keras.Sequential([start, *layers], name=plain_name(name))
    except Exception as error:  # errors of many types; find the layer, for its name
        _fail_by_name(start, parts)
        raise NotPorted(name, "Sequential", f"Keras 3 does not build it: {error}") from error
    if isinstance(config, dict) and not config.get("trainable", True):
        model.trainable = False
    return Ported(name, "Sequential", model, parts)


def _fail_by_name(x, parts):
    for part in parts:
        try:
            x = part.layer(x)
        except Exception as error:
            raise NotPorted(part.name, part.class_name, f"Keras 3 does not call it: {error}") from error


def _start(name, entry, entries, parts):
    """Returns the input of a Sequential model: from an InputLayer, the first layer's shape, or the built shape."""
    first = entries[0] if entries else {"class_name": "", "config": {}}
    if first["class_name"] == "InputLayer":
        return _input(_name(first), first["config"])
    config = first["config"] if isinstance(first["config"], dict) else {}
    wrapped = config.get("layer") or {}
    shape = config.get("batch_input_shape") or (wrapped.get("config") or {}).get("batch_input_shape")
    if shape is None and parts and isinstance(parts[0].layer, keras.Model):
        tensor = parts[0].layer.inputs[0]
        return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{plain_name(parts[0].name)}_input")
    if shape is None:
        built = entry.get("build_config") or {}
        own = entry["config"] if isinstance(entry["config"], dict) else {}
        shape = own.get("build_input_shape") or built.get("input_shape")
    if shape is None:
        raise NotPorted(
            name,
            "Sequential",
            "the shape of its input is unknown: it was stored before it was built.",
            "Load it where it was made, call it on a batch of data, and store it again.",
        )
    kind = dtype(config.get("dtype")) or "float32"
    kind = "float32" if kind.startswith("mixed") else kind
    return keras.Input(batch_shape=tuple(plain(shape)), dtype=kind, name=f"{plain_name(_name(first))}_input")


def _input(name, config):
    for key in ("sparse", "ragged"):
        if config.get(key):
            raise NotPorted(name, "InputLayer", f"LiteRT has no {key} tensors.", "Make the input dense.")
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    if shape is None:
        raise NotPorted(name, "InputLayer", "it has no shape.")
    kind = dtype(config.get("dtype")) or "float32"
    if kind == "string":
        raise NotPorted(name, "InputLayer", "no integer file can take strings.", "Start the model behind the look-up.")
    return keras.Input(batch_shape=tuple(plain(shape)), dtype=kind, name=plain_name(name))


def _unique(parts, taken):
    """Renames layers whose names have become equal, because slashes were replaced."""
    for part in parts:
        name = plain_name(part.name)
        if part.layer is not None:
            name, number = part.layer.name, 1
            while name in taken:
                name, number = f"{part.layer.name}_{number}", number + 1
            if name != part.layer.name:
                part.layer.name = name
        taken.add(name)
