"""Removes channels from a model (`shrink`), or sets the weights that read them to zero (`zeroed`)."""

from typing import Any

import keras
import numpy as np

from tfcompress.channels.dependency import Channels
from tfcompress.channels.rules import ChannelUse
from tfcompress.graph.clone import New, config_of, copy_with_changes, flat_name, operation_of
from tfcompress.graph.keras_private import full_precision
from tfcompress.layer_table.lookup import Left, arguments, weight


def shrink(model: keras.Model, channels: Channels, dead: np.ndarray) -> keras.Model:
    """Returns a smaller model without some channel groups.

    Args:
        model: The model that `channels` was made from; it is not changed.
        channels: Result of `groups(model)`.
        dead: Numbers of the groups to remove.

    Returns:
        A flat model whose output equals that of `zeroed(model, channels, dead)`.

    Raises:
        ValueError: If a number is not that of a removable group, or a layer, which is named, would keep no channel.

    Example:
        >>> import keras
        >>> from tfcompress.channels.dependency import groups
        >>> from tfcompress.channels.shrink import shrink
        >>> layers = [keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")]
        >>> model = keras.Sequential([keras.Input((3,)), *layers])
        >>> found = groups(model)
        >>> [tuple(w.shape) for w in shrink(model, found, found.groups[:3]).get_layer("b").weights]
        [(1, 2), (2,)]
    """
    return shrink_with_map(model, channels, dead)[0]


def shrink_with_map(model: keras.Model, channels: Channels, dead: np.ndarray) -> tuple[keras.Model, dict[int, Any]]:
    """Returns a smaller model as `shrink` does, and the new operation for each old one.

    Returns:
        The smaller model, and by `id(operation)` the operation that replaces it.
    """
    alive = _alive(channels, dead)

    def change(path, op):
        use = channels.uses.get(id(op))
        if use is None or not _touched(use, alive):
            return None
        changed = arguments(op, _left(use, alive))
        if not changed and not _cut_weights(use, alive):
            return None  # nothing in it has a size
        config = {**config_of(op), "name": flat_name(path), **changed}
        return [New(operation_of(op, config), _sliced(op, use, alive), getattr(op, "trainable", True))]

    small, made = copy_with_changes(model, change)
    return small, {key: layers[0] for key, layers in made.items()}


def zeroed(model: keras.Model, channels: Channels, dead: np.ndarray) -> keras.Model:
    """Returns a copy of a model whose weights that read some channel groups are zero.

    Args:
        model: The model that `channels` was made from; it is not changed.
        channels: Result of `groups(model)`.
        dead: Numbers of the groups.

    Returns:
        A flat model of the same size.
    """
    _alive(channels, dead)

    def change(path, op):
        use = channels.uses.get(id(op))
        reads = channels.reads(use) if use is not None else []
        if not any(np.isin(roots, dead).any() for _, _, roots in reads):
            return None
        values = {id(v): np.array(full_precision(v)) for v in op.variables}
        for name, axis, roots in reads:
            value = values[id(weight(op, name))]
            np.moveaxis(value, axis, 0)[np.isin(roots, dead)] = 0.0
        config = {**config_of(op), "name": flat_name(path)}
        return [New(type(op).from_config(config), [values[id(v)] for v in op.variables], op.trainable)]

    return copy_with_changes(model, change)[0]


def remaining_entries(channels: Channels, dead: np.ndarray, op: Any, path: str) -> list[np.ndarray | None]:
    """Returns, for each axis of a weight, which entries stay when groups are removed; None for axes without any."""
    alive, use = channels.alive(dead), channels.uses.get(id(op))
    return [] if use is None else [None if v is None else alive[v] for v in use.weights.get(path, [])]


def _alive(channels: Channels, dead) -> np.ndarray:
    unknown = np.setdiff1d(dead, channels.groups)
    if len(unknown):
        raise ValueError(f"shrink: {unknown.tolist()} are not removable groups. Take numbers from Channels.groups.")
    alive = channels.alive(np.asarray(dead, int))
    for use in channels.uses.values():
        for vector in (use.inner, use.output.vector() if use.output is not None else None):
            if vector is not None and len(vector) and not alive[vector].any():
                raise ValueError(f"shrink: layer {use.path!r} would keep none of its {len(vector)} channels.")
    return alive


def _touched(use: ChannelUse, alive) -> bool:
    vectors = [v for entry in use.weights.values() for v in entry] + [use.inner]
    vectors += [use.output.vector()] if use.output is not None else []
    return any(v is not None and not alive[v].all() for v in vectors)


def _cut_weights(use: ChannelUse, alive) -> bool:
    return any(v is not None and not alive[v].all() for entry in use.weights.values() for v in entry)


def _left(use: ChannelUse, alive) -> Left:
    outputs = alive[use.output.vector()] if use.output is not None else np.array([], bool)
    shape = list(use.output.shape) if use.output is not None else []
    if shape:
        shape[use.output.axis] = None if shape[use.output.axis] is None else int(outputs.sum())
    inner = int(alive[use.inner].sum()) if use.inner is not None else 0
    groups = int(alive[use.groups].sum()) if use.groups is not None else 1
    return Left(int(outputs.sum()), inner, groups, tuple(shape))


def _sliced(op, use: ChannelUse, alive) -> list[np.ndarray]:
    vectors = {id(weight(op, path)): entry for path, entry in use.weights.items()}
    values = []
    for variable in getattr(op, "variables", ()):
        value = np.asarray(full_precision(variable))
        for axis, vector in enumerate(vectors.get(id(variable), ())):
            if vector is not None:
                value = np.compress(alive[vector], value, axis)
        values.append(value)
    return values
