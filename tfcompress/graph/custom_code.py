"""Finds what custom layers of a model do inside their calls: weights of other layers they read, random numbers.

Layers in the layer table do neither, so only models with other layers are traced for it.
"""

from dataclasses import dataclass, field

import keras

from tfcompress.graph.export_substitutes import substitute_operations
from tfcompress.graph.keras_private import has_graph
from tfcompress.graph.random_ops import Draws, replace_draws
from tfcompress.graph.trace import Trace, fresh_traces, trace
from tfcompress.graph.tree import containers, leaves
from tfcompress.layer_table.lookup import spec_of


@dataclass(frozen=True)
class UserCode:
    """Weights of other layers that custom code of a model reads, and random numbers that it draws.

    Args:
        borrowed: Owner's path and reader's path of every weight that another operation reads, by the weight's id.
        draws: Names of the random functions by the path of the layer that calls them.
        traced: The trace; None where none was needed.
    """

    borrowed: dict[int, tuple[str, str]] = field(default_factory=dict)
    draws: dict[str, list[str]] = field(default_factory=dict)
    traced: Trace | None = None


def find_custom_code(model: keras.Model) -> UserCode:
    """Finds what custom code does in a built model, by a trace of it as in an export."""
    if not _has_unknown(model):
        return UserCode()
    with replace_draws(Draws()), substitute_operations(is_integer=True), fresh_traces():
        traced = trace(model, opens=True)
    paths = _paths(model)
    drawing = {paths.get(key, model.name): sorted(names) for key, names in traced.noticed.drawing.items()}
    return UserCode(_borrowed(model, traced), drawing, traced)


def borrowed_weights(model: keras.Model) -> dict[int, tuple[str, str]]:
    """Returns owner's path and reader's path of every weight that another operation reads, by the weight's id."""
    return _borrowed(model, trace(model, opens=True)) if _has_unknown(model) else {}


def _borrowed(model: keras.Model, traced: Trace) -> dict[int, tuple[str, str]]:
    paths, found = _paths(model), traced.noticed.borrowed
    return {id(v): (paths[id(owner)], paths.get(id(reader), model.name)) for v, owner, reader in found}


def _paths(model: keras.Model) -> dict[int, str]:
    return {id(op): path for path, op in (*containers(model), *leaves(model))}


def check_no_borrowed(model: keras.Model, who: str) -> None:
    """Checks that no operation reads a weight of another one (tied weights), which is lost in a copy of the model.

    Args:
        model: A built model.
        who: Name of the caller, for the error.

    Raises:
        ValueError: If one does; the message names both layers.
    """
    found = list(borrowed_weights(model).values())
    if found:
        owner, reader = found[0]
        raise ValueError(
            f"{who}: layer {reader!r} reads a weight of layer {owner!r} (tied weights), which a copy with other shapes "
            "or wrapped layers would not. Use the callback tfc.Compression with Prune, Cluster or Quantize, which "
            "works on the model as it is, or give each layer a weight of its own."
        )


def _has_unknown(model: keras.Model) -> bool:
    """Whether custom code runs in the model: an operation outside the layer table, or a subclassed model."""
    held = [op for _, op in containers(model)]
    return not all(map(has_graph, [model, *held])) or not all(spec_of(op).is_known for _, op in leaves(model))
