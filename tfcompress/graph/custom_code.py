"""What code of the user's does inside a model: whose weights it reads, what it draws at random.

Layers that the table of facts knows do neither, so only a model with others is traced for it.
"""

from dataclasses import dataclass, field

import keras

from tfcompress.graph.export_substitutes import convertible
from tfcompress.graph.keras_private import has_graph
from tfcompress.graph.random_ops import Draws, drawing
from tfcompress.graph.trace import Trace, trace
from tfcompress.graph.tree import containers, leaves
from tfcompress.layer_table.lookup import spec_of


@dataclass(frozen=True)
class OwnCode:
    """What was found.

    Args:
        borrowed: Owner's path and reader's path of every weight that another operation reads, by the weight's id.
        draws: Names of the random functions by the path of the layer.
        traced: The trace; None where none was needed.
    """

    borrowed: dict[int, tuple[str, str]] = field(default_factory=dict)
    draws: dict[str, list[str]] = field(default_factory=dict)
    traced: Trace | None = None


def own_code(model: keras.Model) -> OwnCode:
    """Returns what code of the user's does in a built model, computed as in an export."""
    if not _has_unknown(model):
        return OwnCode()
    with drawing(Draws()), convertible(is_integer=True):
        traced = trace(model)
    paths = {id(op): path for path, op in (*containers(model), *leaves(model))}
    noticed = traced.noticed
    return OwnCode(
        {id(v): (paths[id(owner)], paths.get(id(reader), model.name)) for v, owner, reader in noticed.borrowed},
        {paths.get(key, model.name): sorted(names) for key, names in noticed.drawing.items()},
        traced,
    )


def check_no_borrowed(model: keras.Model, who: str) -> None:
    """Raises if an operation reads another one's weight, which no copy of the model would.

    Args:
        model: A built model.
        who: Who asks, for the error.

    Raises:
        ValueError: In that case.
    """
    found = list(own_code(model).borrowed.values())
    if found:
        owner, reader = found[0]
        raise ValueError(
            f"{who}: layer {reader!r} reads a weight of layer {owner!r} (tied weights), which a copy with other shapes "
            "or wrapped layers would not. Use the callback tfc.Compression with Prune, Cluster or Quantize, which "
            "works on the model as it is, or give each layer a weight of its own."
        )


def _has_unknown(model: keras.Model) -> bool:
    """Whether code of the user's runs in the model: a layer or an operation nobody described, a call of a model's."""
    held = [op for _, op in containers(model)]
    return not all(map(has_graph, [model, *held])) or not all(spec_of(op).is_known for _, op in leaves(model))
