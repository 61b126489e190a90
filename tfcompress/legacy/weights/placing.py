"""Assigns stored weights to the layers of a ported model, all of them, by order, count, shape and name.

Keras 2 stored trainable weights before the others, for a nested model those of all its layers; some versions stored
layer by layer. The order that agrees with shapes and names is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import keras
import numpy as np

from tfcompress.legacy.ported import Ported, plain_name
from tfcompress.legacy.refused import NotPorted

# A stored weight: its name in Keras 2 ("block/conv/kernel:0") and its value.
Stored = Sequence[tuple[str, np.ndarray]]

_NAMES = {"kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel", "bias", "gamma", "beta", "alpha"}
_NAMES |= {"moving_mean", "moving_variance", "embeddings", "mean", "variance", "count"}
_DAMAGED = "The file is damaged, or its layers and weights are of two models: store the model again where it was made."


def place(model: Ported, stored: dict[str, Stored]) -> None:
    """Assigns stored weights to a model.

    Args:
        model: A ported model.
        stored: Weights by the name of each layer of the model, nested models with those of all their layers.

    Raises:
        NotPorted: If a weight is missing, is left over, or does not fit; the layer is named.
    """
    parts = {part.name: part for part in model.inside}
    for name, weights in stored.items():
        if len(weights) and name not in parts:
            raise NotPorted(name, "unknown", "the file has weights for it, the model has no such layer.", _DAMAGED)
    for name, part in parts.items():
        _place_layer(part, stored.get(name, ()))


def _place_layer(part: Ported, weights: Stored) -> None:
    orders = _orders(part)
    if len(weights) != len(orders[0]):
        expected = ", ".join(f"{leaf.name}/{v.name}" for leaf, v in orders[0]) or "none"
        raise NotPorted(
            part.name,
            part.class_name,
            f"it has {len(orders[0])} weights ({expected}), the file has {len(weights)}.",
            _DAMAGED,
        )
    weights = [(name, value) for name, value in weights]
    faults = [_fault(order, weights) for order in orders]
    if all(faults):
        leaf, reason = faults[0]
        raise NotPorted(leaf.name, leaf.class_name, reason, _DAMAGED)
    for (leaf, variable), (_, value) in zip(orders[faults.index(None)], weights, strict=True):
        variable.assign(_value(leaf, variable, value))
    finish(part)


def finish(part: Ported) -> None:
    """Updates values that layers compute from their weights (Normalization)."""
    for leaf in part.leaves():
        if isinstance(leaf.layer, keras.layers.Normalization):
            leaf.layer.finalize_state()


def _orders(part: Ported) -> list[list[tuple[Ported, keras.Variable]]]:
    """Returns the orders in which a layer's weights may have been stored, the usual one first."""
    leaves = part.leaves()
    train = [(leaf, v) for leaf in leaves for v in leaf.layer.trainable_weights]
    still = [(leaf, v) for leaf in leaves for v in leaf.layer.non_trainable_weights]
    whole = [(leaf, v) for leaf in leaves for v in leaf.layer.weights]
    # a model that was frozen as a whole: first the weights that are trainable in a layer that is not frozen
    able = [pair for pair in whole if not _is_statistic(pair[1])]
    rest = [pair for pair in whole if _is_statistic(pair[1])]
    return [train + still, whole, able + rest]


def _is_statistic(variable):
    return variable.name in ("moving_mean", "moving_variance", "mean", "variance", "count")


def _fault(order, weights):
    """Returns the first layer whose weight does not fit and why, or None."""
    names = {leaf.name for leaf, _ in order}
    for (leaf, variable), (name, value) in zip(order, weights, strict=True):
        words = re.sub(r":\d+$", "", name).split("/")
        last = re.sub(r"_\d+$", "", words[-1])
        known = [word for word in words if word in names]
        shape = _value(leaf, variable, value).shape
        if tuple(shape) != tuple(variable.shape):
            return (
                leaf,
                f"{variable.name} has the shape {tuple(variable.shape)}, {name!r} in the file {tuple(value.shape)}.",
            )
        if last in _NAMES and not last.endswith(variable.name) or known and leaf.name not in known:
            return leaf, f"the file has {name!r} where {leaf.name}/{variable.name} is expected."
    return None


def _value(leaf: Ported, variable: keras.Variable, value: np.ndarray) -> np.ndarray:
    """Returns a weight in the form of Keras 3; only the layers of cuDNN stored theirs in another form."""
    gates = {"CuDNNLSTM": 4, "CuDNNGRU": 3}.get(leaf.class_name)
    if gates is None:
        return value
    if variable.name == "bias":  # two biases, of which LSTM needs the sum only
        both = value.reshape(2, -1)
        return both.sum(axis=0) if gates == 4 else both
    parts = np.split(value, gates, axis=1)
    is_turned = variable.name != "recurrent_kernel"
    return np.concatenate([p.T.reshape(p.shape, order="F") if is_turned else p.T for p in parts], axis=1)


def snake_case(class_name: str) -> str:
    """Returns a class name as Keras writes it into files.

    Example:
        >>> from tfcompress.legacy.weights.placing import snake_case
        >>> snake_case("BatchNormalization"), snake_case("PReLU"), snake_case("Conv2D")
        ('batch_normalization', 'p_re_lu', 'conv2d')
    """
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", plain_name(name)).lower()
