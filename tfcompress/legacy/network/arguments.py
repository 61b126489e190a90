"""Translates arguments of layers from Keras 2 to Keras 3: one row for each class that changed.

A key that Keras 3 does not know is left out only if its value does not affect the output; otherwise the layer is
refused. If a file is older than a key, the row gives the value that was the rule then.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras

from tfcompress.legacy.refused import NotPorted


@dataclass(frozen=True)
class ArgumentChanges:
    """Differences of a layer class between Keras 2 and Keras 3.

    Args:
        now: Its name in Keras 3, if it is another one.
        renamed: New names of keys.
        unused: Keys that the class wrote but never read.
        absent: Values of keys that older files don't have.
        refused: Why the class can't be ported, and the way out; empty if it can.
    """

    now: str = ""
    renamed: dict[str, str] = field(default_factory=dict)
    unused: frozenset[str] = frozenset()
    absent: dict[str, Any] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


_KERNEL = frozenset(f"kernel_{what}" for what in ("initializer", "regularizer", "constraint"))
_UNROLLED = ArgumentChanges(absent={"reset_after": False})
_LOCAL = ("Keras 3 has no layer whose kernel differs from place to place.", "Put a Conv layer there and train it.")
_TABLE = (
    "it keeps a table of strings or numbers outside of the weights, and no integer file can hold it.",
    "Look values up before the model, and start the model at the layer behind.",
)
_TFMOT = (
    "it is a wrapper of tensorflow-model-optimization.",
    "Take the wrappers off first: tfcompress.legacy.tfmot.strip(model) on the live model.",
)
_TRAINED_RANGES = (
    "it is a wrapper of tensorflow-model-optimization that holds ranges, which no plain layer does.",
    "Make the file from the live model with tfcompress.legacy.tfmot.tflite(model).",
)

ROWS: dict[str, ArgumentChanges] = {
    "BatchNormalizationV1": ArgumentChanges(now="BatchNormalization"),
    "BatchNormalizationV2": ArgumentChanges(now="BatchNormalization"),
    "SyncBatchNormalization": ArgumentChanges(now="BatchNormalization", absent={"synchronized": True}),
    "DepthwiseConv1D": ArgumentChanges(unused=_KERNEL),
    "DepthwiseConv2D": ArgumentChanges(unused=_KERNEL),
    "SeparableConv1D": ArgumentChanges(unused=_KERNEL),
    "SeparableConv2D": ArgumentChanges(unused=_KERNEL),
    "LeakyReLU": ArgumentChanges(renamed={"alpha": "negative_slope"}),
    "ThresholdedReLU": ArgumentChanges(now="ReLU", renamed={"theta": "threshold"}),
    "GRU": _UNROLLED,
    "GRUCell": _UNROLLED,
    "GRUV2": ArgumentChanges(now="GRU", absent={"reset_after": True}),
    "LSTMV2": ArgumentChanges(now="LSTM"),
    "CuDNNGRU": ArgumentChanges(
        now="GRU", absent={"reset_after": True, "activation": "tanh", "recurrent_activation": "sigmoid"}
    ),
    "CuDNNLSTM": ArgumentChanges(now="LSTM", absent={"activation": "tanh", "recurrent_activation": "sigmoid"}),
    "LocallyConnected1D": ArgumentChanges(refused=_LOCAL),
    "LocallyConnected2D": ArgumentChanges(refused=_LOCAL),
    "DenseFeatures": ArgumentChanges(refused=_TABLE),
    "IntegerLookup": ArgumentChanges(refused=_TABLE),
    "StringLookup": ArgumentChanges(refused=_TABLE),
    "TextVectorization": ArgumentChanges(refused=_TABLE),
    "ClusterWeights": ArgumentChanges(refused=_TFMOT),
    "PruneLowMagnitude": ArgumentChanges(refused=_TFMOT),
    "QuantizeLayer": ArgumentChanges(refused=_TRAINED_RANGES),
    "QuantizeWrapper": ArgumentChanges(refused=_TRAINED_RANGES),
    "QuantizeWrapperV2": ArgumentChanges(refused=_TRAINED_RANGES),
}

# Keys that Keras 3 does not know, and which of their values don't affect the output.
_HARMLESS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("batch_input_shape", "input_length", "implementation", "fused", "softmax_robust_masking", "build_input_shape"),
        lambda value: True,
    ),
    **dict.fromkeys(
        ("query_shape", "key_shape", "value_shape", "autocast", "input_spec", "trainable"), lambda value: True
    ),
    **dict.fromkeys(("time_major", "causal", "dynamic"), lambda value: not value),
    "groups": lambda value: value == 1,
    "num_constants": lambda value: not value,
    "output_padding": lambda value: value is None,
    "zero_output_for_mask": lambda value: not value,
}
# Axes that Keras 2 wrote as a list and Keras 3 wants as a number.
_ONE_AXIS = ("BatchNormalization",)


def renamed(name: str, class_name: str, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns a layer's class in Keras 3 and its arguments by their names there.

    Args:
        name: The layer's name, for messages.
        class_name: Its class in Keras 2.
        config: Its configuration in Keras 2.

    Raises:
        NotPorted: If the class has no port.

    Example:
        >>> from tfcompress.legacy.network.arguments import renamed
        >>> renamed("act", "LeakyReLU", {"alpha": 0.1})
        ('LeakyReLU', {'negative_slope': 0.1})
    """
    row = ROWS.get(class_name, ArgumentChanges())
    if row.refused:
        raise NotPorted(name, class_name, *row.refused)
    config = {row.renamed.get(key, key): value for key, value in config.items() if key not in row.unused}
    config = row.absent | config
    now = row.now or class_name
    if now in _ONE_AXIS and isinstance(config.get("axis"), (list, tuple)):
        if len(config["axis"]) != 1:
            raise NotPorted(name, class_name, f"Keras 3 takes one axis. Received: axis={config['axis']}.")
        config["axis"] = config["axis"][0]
    return now, config


def known(name: str, class_name: str, layer_class: type, config: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments that a class of Keras 3 takes, without those that don't affect the output.

    Args:
        name: The layer's name, for messages.
        class_name: Its class in Keras 2, for messages.
        layer_class: Its class in Keras 3.
        config: Arguments by their names in Keras 3.

    Raises:
        NotPorted: If an argument that affects the output would be lost.
    """
    accepted = _accepted(layer_class)
    kept = {}
    for key, value in config.items():
        if key in accepted:
            kept[key] = value
        elif value is not None and not _HARMLESS.get(key, lambda value: False)(value):
            raise NotPorted(name, class_name, f"Keras 3 has nothing for {key}={value!r}.")
    return kept


def _accepted(layer_class: type) -> set[str]:
    names: set[str] = set()
    for base in layer_class.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters
            names |= set(parameters)
            if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()) or base is keras.layers.Layer:
                break  # this constructor passes no keyword arguments on
    return names - {"self", "args", "kwargs"}
