"""Finds channels that can be compared, because the same weights read them, and compares them by their weights."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfcompress.channels.dependency import Channels
from tfcompress.similarity.by_weights import SimilarityFeatures
from tfcompress.similarity.linear_forms import ChannelReader, along, value_of
from tfcompress.similarity.merge import ChannelReplacement


@dataclass(frozen=True)
class ComparableGroups:
    """A set of channel groups that can be compared, because they occur along the same axes of weights.

    Args:
        layers: Paths of the operations that make them.
        groups: Their numbers.
        exact: Paths of operations where their magnitude counts, not only their direction.
    """

    layers: tuple[str, ...]
    groups: np.ndarray
    exact: tuple[str, ...]


def alike(channels: Channels, likeness: SimilarityFeatures) -> list[ComparableGroups]:
    """Returns sets of channel groups that can be compared: those that occur along the same axes of weights.

    Args:
        channels: Channel groups of a model.
        likeness: Result of `collect_features(model, channels)`.

    Returns:
        Sets of two groups or more, in order of the graph.
    """
    where: dict[int, list[tuple[int, int]]] = {g: [] for g in channels.groups.tolist()}
    entries = [channels.roots[f.labels] for f in likeness.features] + [r.roots for r in likeness.reads]
    for number, roots in enumerate(entries):
        for group, count in zip(*np.unique(roots, return_counts=True), strict=True):
            if int(group) in where:
                where[int(group)].append((number, int(count)))
    layers: dict[int, list[str]] = {g: [] for g in where}
    for path, made in channels.made_by().items():
        for group in np.unique(made).tolist():
            if group in layers:
                layers[group].append(path)
    sets: dict[tuple, list[int]] = {}
    for group in where:
        sets.setdefault((tuple(layers[group]), tuple(where[group])), []).append(group)
    features = likeness.features
    return [
        ComparableGroups(
            paths, np.array(found), tuple(dict.fromkeys(features[k].path for k, _ in at if _is_exact(features, k)))
        )
        for (paths, at), found in sets.items()
        if len(found) > 1 and paths
    ]


def _is_exact(features, number) -> bool:
    return number < len(features) and features[number].is_exact


def places(roots: np.ndarray, found: np.ndarray) -> np.ndarray | None:
    """Returns the positions of groups along an axis, `(groups, positions of each)`, or None if there are none."""
    order = np.argsort(roots, kind="stable")
    order = order[np.isin(roots[order], found)]
    return order.reshape(len(found), -1) if len(order) else None


def similarity(channels: Channels, likeness: SimilarityFeatures, family: ComparableGroups) -> np.ndarray:
    """Returns the similarity of groups by their weights, `(groups, groups)`, at most 1.

    It is the cosine of directions; where magnitude counts, `2 a.b / (a.a + b.b)`, which is 1 for equal vectors only.
    The smallest value over all features is taken.
    """
    least = np.ones((len(family.groups),) * 2)
    for feature in likeness.features:
        at = places(channels.roots[feature.labels], family.groups)
        if at is None:
            continue
        rows = feature.rows[at].reshape(len(at), -1)
        product = rows @ rows.T
        size = np.diag(product)
        # the squared norm of a group's directions is the number of its positions that are not all zero
        both = np.add.outer(size, size) / 2 if feature.is_exact else np.maximum.outer(size, size)
        least = np.minimum(least, np.where(both > 0, product / np.where(both > 0, both, 1.0), 1.0))
    return least


def reach(
    reads: list[ChannelReader], family: ComparableGroups, spread: Callable[[int, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Returns the effect of groups on their readers, `(groups,)`: squared weights times squared values.

    Args:
        reads: All readers.
        family: The groups.
        spread: Function `(number of the reader, positions) -> ` squared size of the values there.
    """
    total = np.zeros(len(family.groups))
    for number, read in enumerate(reads):
        at = places(read.roots, family.groups)
        if at is not None:
            squares = (along(value_of(read.use.op, read.path), read.axis) ** 2).sum(axis=1)
            total += (squares[at] * spread(number, at)).sum(axis=1)
    return total


class CompareWeights:
    """Compares channels by the weights that make them.

    Args:
        channels: Channel groups of a model.
        likeness: Result of `collect_features(model, channels)`.
        families: Sets of channel groups to compare.
    """

    def __init__(self, channels: Channels, likeness: SimilarityFeatures, families: list[ComparableGroups]):
        self._reads = likeness.reads
        self.like = [similarity(channels, likeness, f) for f in families]
        self.matter = [reach(self._reads, f, lambda n, at: self._reads[n].size[at] ** 2) for f in families]
        self._at = {int(g): (f, k) for f, family in enumerate(families) for k, g in enumerate(family.groups)}

    def take(self, number: int, gone: int, kept: int) -> ChannelReplacement:
        """Returns the factor by which a reader replaces a removed channel: the ratio of its size to that of the other.

        Channels that are only similar get the full ratio too, because behind ReLU all channels are positive and
        correlate more than their weights do; channels of opposite direction get 0.
        """
        read = self._reads[number]
        large, small = (read.size[read.roots == g] for g in (gone, kept))
        (f, j), (_, k) = self._at[gone], self._at[kept]
        is_alike = self.like[f][j, k] > 0
        return ChannelReplacement(is_alike * np.divide(large, small, out=np.zeros(len(small)), where=small > 0))
