"""A flat copy of a model: layers of its own with the same weights, nested models opened."""

import keras

from tfcompress.mechanics.graph import full_precision, rebuild


def copied(model: keras.Model) -> tuple[keras.Model, dict[int, object]]:
    """Copies a Functional or Sequential model.

    Layers of nested models get names with the model's name in front. State that draws random numbers is copied as
    well, so copy and model drop the same units in the same step.

    Args:
        model: A built model; it is not changed.

    Returns:
        The copy, and the copied operation by `id(operation)` (operations without state are the same objects).

    Raises:
        ValueError: If the model is subclassed, so that it has no graph to rebuild.
    """
    copies: dict[int, tuple] = {}

    def replace(path, op):
        copies[id(op)] = (op, _copy(path, op))
        return copies[id(op)][1]

    flat = rebuild(model, replace)
    for op, copy in copies.values():
        if copy is op:
            continue
        for mine, theirs in zip(copy.variables, op.variables, strict=True):
            mine.assign(full_precision(theirs))
        copy.trainable = op.trainable
        for mine, theirs in zip(_inside(copy), _inside(op), strict=True):
            mine.trainable = theirs.trainable
    return flat, {key: copy for key, (_, copy) in copies.items()}


def _copy(path, op):
    # code can't be copied through a configuration, and has no state of its own
    if not isinstance(op, keras.layers.Layer) or isinstance(op, keras.layers.Lambda):
        return op
    config = op.get_config()
    config["name"] = path.replace("/", "_").replace(":", "_")
    return type(op).from_config(config)


def _inside(layer):
    return layer._flatten_layers(include_self=False)
