"""Merges similar channels: chooses which are merged, and changes the weights of their readers.

A channel that is a positive multiple of another, everywhere up to its readers, can be merged without any change of the
output: its readers' weights are added to those for the other (Srinivas and Babu, "Data-free parameter pruning", 2015).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.channels.dependency import Channels, groups
from tfcompress.channels.shrink import shrink
from tfcompress.graph.clone import New, config_of, copy_with_changes, flat_name
from tfcompress.graph.keras_private import full_precision
from tfcompress.layer_table.lookup import has_weight, spec_of, weight
from tfcompress.similarity.linear_forms import ChannelReader, value_of


@dataclass(frozen=True)
class ChannelReplacement:
    """How a reader replaces a removed channel: by `factor` times the channel that stays, plus a constant."""

    factor: np.ndarray | float
    offset: float = 0.0


def merges(likeness: np.ndarray, weight: np.ndarray) -> Iterator[tuple[float, int, int]]:
    """Yields merges of sets of channels, the cheapest pair of sets first, until one set is left.

    The similarity of two sets is that of their least similar members; merging costs `min(weights) * (1 - similarity)`.

    Args:
        likeness: `(n, n)`: similarity of channels.
        weight: `(n,)`: importance of each channel.

    Yields:
        Cost and the numbers of two sets; the second is part of the first from then on.

    Example:
        >>> import numpy as np
        >>> likeness = np.array([[1, 0.1, 0.9], [0.1, 1, 0.2], [0.9, 0.2, 1]])
        >>> [(i, j) for _, i, j in merges(likeness, np.ones(3))]
        [(0, 2), (0, 1)]
    """
    like, weight, count = likeness.astype("float64"), weight.astype("float64"), len(weight)
    cost = np.minimum(weight[:, None], weight[None, :]) * (1 - like)
    cost[np.tril_indices(count)] = np.inf
    for _ in range(count - 1):
        i, j = divmod(int(np.argmin(cost)), count)
        yield float(cost[i, j]), i, j
        like[i] = like[:, i] = np.minimum(like[i], like[j])
        weight[i] += weight[j]
        cost[j, :] = cost[:, j] = np.inf
        row = np.minimum(weight[i], weight) * (1 - like[i])
        open_row, open_column = np.isfinite(cost[i]), np.isfinite(cost[:, i])
        cost[i, open_row], cost[open_column, i] = row[open_row], row[open_column]


def representatives(likeness: np.ndarray, weight: np.ndarray, joined: list[tuple[int, int]]) -> dict[int, int]:
    """Returns, for every merged channel, the channel that stays: the one most similar to the rest of its set."""
    sets = {k: [k] for k in range(len(weight))}
    for i, j in joined:
        sets[i] += sets.pop(j)
    into = {}
    for members in sets.values():
        members = sorted(members)
        lost = ((1 - likeness[np.ix_(members, members)]) * weight[members][:, None]).sum(axis=0)
        kept = members[int(np.argmin(lost))]
        into.update({k: kept for k in members if k != kept})
    return into


def takes_constant(read: ChannelReader) -> bool:
    """Returns whether a reader's bias can take the constant that replaces a channel; exact except at padding."""
    axes = spec_of(read.use.op).axes[read.path]
    if axes.input_channel != read.axis or axes.is_transposed:
        return False
    return has_weight(read.use.op, _bias(read)) or _can_get_bias(read.use.op)


def _bias(read: ChannelReader) -> str:
    return read.path[: read.path.rfind("/") + 1] + "bias"


def _can_get_bias(op) -> bool:
    spec = spec_of(op)
    return (
        "bias" in spec.axes
        and spec.axes["bias"].output_channel is not None
        and config_of(op).get("use_bias") is False
        and len(op.variables) == len(spec.kernels)
    )


def merge_channel_groups(
    model: keras.Model,
    channels: Channels,
    reads: list[ChannelReader],
    into: dict[int, int],
    take: Callable[[int, int, int], ChannelReplacement],
) -> keras.Model:
    """Returns a model in which some channel groups are merged into others.

    Args:
        model: The model that `channels` was made from; it is not changed.
        channels: Its channel groups.
        reads: Readers, from `likeness`.
        into: For each group to remove the group that stays; both occur along the same axes of weights.
        take: Function `(number of the reader, removed group, remaining group) -> Take`.

    Returns:
        A flat, smaller model.
    """
    values: dict[int, dict[str, np.ndarray]] = {}
    for number, read in enumerate(reads):
        gone = [g for g in into if (read.roots == g).any()]
        if gone:
            _take_over(values.setdefault(id(read.use.op), {}), read, into, gone, lambda g, k, n=number: take(n, g, k))

    def change(path, op):
        if id(op) not in values:
            return None
        new = values[id(op)]
        kept = {id(weight(op, name)): value for name, value in new.items() if has_weight(op, name)}
        config = {**config_of(op), "name": flat_name(path)}
        weights = [kept.get(id(v), np.asarray(full_precision(v))) for v in op.variables]
        if "bias" in new and not has_weight(op, "bias"):
            config["use_bias"] = True
            weights.append(new["bias"])
        return [New(type(op).from_config(config), weights, op.trainable)]

    wide, made = copy_with_changes(model, change)
    found = groups(wide)
    return shrink(wide, found, _same(channels, found, made, list(into)))


def _take_over(values, read, into, gone, take) -> None:
    op, path = read.use.op, read.path
    before = np.moveaxis(value_of(op, path), read.axis, 0)
    after = np.moveaxis(values.setdefault(path, value_of(op, path)), read.axis, 0)  # a view: written in place
    shift = np.zeros(before.shape[1:])
    for group in gone:
        at, to = np.flatnonzero(read.roots == group), np.flatnonzero(read.roots == into[group])
        taken = take(group, into[group])
        factor = np.broadcast_to(taken.factor, (len(at),)).reshape(-1, *(1,) * (before.ndim - 1))
        after[to] += factor * before[at]
        shift += taken.offset * before[at].sum(axis=0)
    if shift.any():
        _shift_bias(values, read, shift)


def _shift_bias(values, read, shift) -> None:
    shift = shift.sum(axis=spec_of(read.use.op).axes[read.path].without(read.axis).space)
    path = _bias(read)
    known = value_of(read.use.op, path) if has_weight(read.use.op, path) else np.zeros(shift.shape)
    bias = values.setdefault(path, known)
    target = bias[0] if bias.ndim > shift.ndim else bias  # a GRU has a bias for its input and one for its state
    target += shift


def _same(old: Channels, new: Channels, made: dict[int, tuple], gone: list[int]) -> np.ndarray:
    """Returns the numbers that groups of the old model have in the new one."""
    uses = {key: new.uses[id(layers[0])] for key, layers in made.items()}
    dead = [np.array([], int)]
    for key, use in old.uses.items():
        for name in ("inner", "output"):
            mine, theirs = getattr(use, name), getattr(uses[key], name)
            if mine is not None:
                mine, theirs = (x if name == "inner" else x.vector() for x in (mine, theirs))
                dead.append(new.roots[theirs[np.isin(old.roots[mine], gone)]])
    return np.unique(np.concatenate(dead))
