"""Lists the layers of a model whose calls are recorded, also those inside of layers that the table knows in part."""

from dataclasses import dataclass
from typing import Any

import keras

from tfcompress.graph.inside.opened import can_open, open_layers
from tfcompress.graph.keras_private import children, has_graph
from tfcompress.graph.tree import containers, leaves


@dataclass(frozen=True)
class Part:
    """A layer or operation of a model.

    Args:
        path: Its path.
        op: The layer or operation.
        is_open: Whether its call is code of its own, which is looked into.
    """

    path: str
    op: Any
    is_open: bool


def parts(model: keras.Model) -> list[Part]:
    """Returns the layers and operations of a model, but for models whose call is a graph."""
    opened = {id(op) for _, op in open_layers(model)}
    found: dict[int, Part] = {}
    for path, op in (*containers(model), *leaves(model)):
        if not has_graph(op):
            found[id(op)] = Part(path, op, id(op) in opened)
    waiting = list(found.values())
    while waiting:
        part = waiting.pop()
        for child in children(part.op) if part.is_open else ():
            if id(child) not in found and not has_graph(child):
                found[id(child)] = Part(f"{part.path}/{child.name}", child, can_open(child))
                waiting.append(found[id(child)])
    return list(found.values())
