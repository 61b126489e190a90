"""Names the graph nodes of `keras.ops` calls, and reads the masks of symbolic tensors.

Keras numbers such nodes by itself and may choose the name of a layer of the file, which no graph allows. Uses private
names of Keras; `tests/legacy/test_nodes.py` pins each of them.
"""

from collections.abc import Iterable
from typing import Any

import keras


def mask_of(tensor: Any) -> Any:
    """Returns the mask of a symbolic tensor, which says which steps count, or None."""
    return getattr(tensor, "_keras_mask", None)


def name_nodes(tensors: Iterable[Any], name: str, taken: set[str], seen: set[int]) -> None:
    """Names the operations that made tensors, back to the layers that feed them.

    Args:
        tensors: Symbolic tensors; those without history are left alone.
        name: Name of the last operation; others get a number appended.
        taken: Names in use; the new ones are added.
        seen: Ids of operations that have their name; the new ones are added.
    """
    waiting = list(tensors)
    while waiting:
        history = getattr(waiting.pop(), "_keras_history", None)
        if history is None or isinstance(history.operation, keras.layers.Layer) or id(history.operation) in seen:
            continue
        free, number = name, 1
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        history.operation.name = free
        taken.add(free)
        seen.add(id(history.operation))
        waiting += history.operation._inbound_nodes[history.node_index].input_tensors
