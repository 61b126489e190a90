"""Finds the variables of a layer by the paths that rows of the layer table use."""

import keras


def weight(layer: object, path: str) -> keras.Variable:
    """Returns the variable of `layer` at an attribute path such as `kernel` or `cell/kernel`.

    Raises:
        ValueError: If there is no such variable, or the layer is not built.
    """
    found = _at(layer, path)
    if not isinstance(found, keras.Variable):
        raise ValueError(
            f"Layer {getattr(layer, 'name', layer)!r} has no weight {path!r}. "
            "Build the model first (call it once on data), or correct the path given to `describe`."
        )
    return found


def has_weight(layer: object, path: str) -> bool:
    """Whether a layer has a variable at an attribute path (a bias, for example, may be absent)."""
    return isinstance(_at(layer, path), keras.Variable)


def _at(layer, path):
    found = layer
    for name in path.split("/"):
        holder, found = found, found[int(name)] if name.isdigit() else getattr(found, name, None)
    if not isinstance(found, keras.Variable) and isinstance(holder, keras.layers.Layer):
        # with a LoRA adapter the attribute is the sum; the weight itself has the same name
        return next((v for v in holder.variables if v.name == path.split("/")[-1]), found)
    return found
