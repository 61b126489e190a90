"""Opens the layers of one's own in a model before its graph is changed."""

import warnings

import keras

from tfcompress.graph.flat.flatten import flat
from tfcompress.graph.inside.opened import open_layers
from tfcompress.graph.keras_private import children, has_graph
from tfcompress.techniques.protocol.hook_values import Left


def flat_copy(model: keras.Model, who: str) -> tuple[keras.Model, tuple[Left, ...]]:
    """Returns a copy of a model in which layers of one's own are replaced by what is inside of them.

    A warning names those that can't be replaced, around which the graph stays as it is.

    Args:
        model: A built model; it is not changed.
        who: Name of the caller, for the warning.

    Returns:
        The copy, and a row for each layer that stays whole, with the reason.

    Raises:
        ValueError: If the model is subclassed and its own call can't be replaced.
    """
    found = flat(model)
    rows = {path: Left(path or model.name, f"stays whole, since it {why}") for path, why in found.whole.items()}
    frozen = [row for path, row in rows.items() if path not in found.passing]
    if frozen:
        told = "; ".join(f"{row.layer} {row.reason}" for row in frozen)
        warnings.warn(f"{who}: nothing changes inside of some layers, and little around them: {told}.", stacklevel=4)
    return found.model, tuple(rows.values())


def has_layers_inside(model: keras.Model) -> bool:
    """Whether a model's graph has layers of one's own with other layers inside, which can't be wrapped from outside."""
    return has_graph(model) and any(children(op) for _, op in open_layers(model))
