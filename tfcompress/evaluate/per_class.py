"""Counts answers by class: accuracy of each class, confusions, and what changed against the original."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Answers:
    """The classes that the models of a comparison named on its data.

    Attributes:
        predicted: Class numbers of each model in the order of the rows, the original first, each (n, ...).
        true: Right class numbers in the same shape, or None without labels.
        count: Number of classes that the models answer with.
        inputs: What they were asked: an array, or a mapping of several by name.
    """

    predicted: tuple[np.ndarray, ...]
    true: np.ndarray | None = None
    count: int = 0
    inputs: Any = None

    @property
    def by_sample(self) -> bool:
        """Whether each sample has one class; False where each pixel or each step has one."""
        return self.predicted[0].ndim == 1


def class_accuracy(true: np.ndarray, predicted: np.ndarray) -> dict[int, tuple[int, float]]:
    """Returns for each class how many samples it has and the fraction of them that got it.

    Args:
        true: Right class numbers, any shape.
        predicted: Class numbers of the same shape.

    Returns:
        (samples, accuracy) by number of each class that occurs in `true`, ascending.

    Example:
        >>> class_accuracy(np.array([0, 0, 4]), np.array([0, 1, 4]))
        {0: (2, 0.5), 4: (1, 1.0)}
    """
    classes, place = np.unique(true, return_inverse=True)
    samples = np.bincount(place.ravel(), minlength=len(classes))
    right = np.bincount(place.ravel()[(true == predicted).ravel()], minlength=len(classes))
    return {int(c): (int(n), float(r / n)) for c, n, r in zip(classes, samples, right, strict=True)}


def confusion_matrix(true: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts how often each class was taken for each.

    Args:
        true: Right class numbers, any shape.
        predicted: Class numbers of the same shape.

    Returns:
        The classes that occur in either, ascending, (k,); and counts (k, k), the right class by row.

    Example:
        >>> classes, counts = confusion_matrix(np.array([0, 0, 2]), np.array([0, 2, 2]))
        >>> classes.tolist(), counts.tolist()
        ([0, 2], [[1, 1], [0, 1]])
    """
    classes = np.union1d(true, predicted)
    rows, columns = np.searchsorted(classes, true.ravel()), np.searchsorted(classes, predicted.ravel())
    counts = np.bincount(rows * len(classes) + columns, minlength=len(classes) ** 2)
    return classes, counts.reshape(len(classes), len(classes))


def confusions(true: np.ndarray, predicted: np.ndarray, most: int) -> list[dict[str, Any]]:
    """Returns the most frequent confusions.

    Args:
        true: Right class numbers, any shape.
        predicted: Class numbers of the same shape.
        most: At most this many.

    Returns:
        `true`, `predicted`, `count` and `share` (of the samples of the right class, 0..1) each, the most frequent
        first, equally frequent ones by class.

    Example:
        >>> confusions(np.array([0, 0, 2]), np.array([0, 2, 2]), 5)
        [{'true': 0, 'predicted': 2, 'count': 1, 'share': 0.5}]
    """
    wrong = true != predicted
    pairs, counts = np.unique(np.stack([true[wrong], predicted[wrong]], axis=-1), axis=0, return_counts=True)
    samples = dict(zip(*np.unique(true, return_counts=True), strict=True))
    return [
        {
            "true": int(pairs[i, 0]),
            "predicted": int(pairs[i, 1]),
            "count": int(counts[i]),
            "share": float(counts[i] / samples[pairs[i, 0]]),
        }
        for i in np.argsort(-counts, kind="stable")[:most]
    ]


def changes(before: np.ndarray, after: np.ndarray, true: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Finds the answers that a model changed against the model it came from.

    Args:
        before: Class numbers of the original, any shape.
        after: Class numbers of the other model, same shape.
        true: Right class numbers, same shape; or None.

    Returns:
        Flags in that shape: `changed`; with labels also `lost` (right before, wrong now), `won` (wrong before, right
        now) and `other` (another wrong class).

    Example:
        >>> found = changes(np.array([0, 1, 1]), np.array([0, 0, 2]), np.array([0, 1, 2]))
        >>> {name: flags.tolist() for name, flags in found.items() if name != "other"}
        {'changed': [False, True, True], 'lost': [False, True, False], 'won': [False, False, True]}
    """
    changed = before != after
    if true is None:
        return {"changed": changed}
    lost, won = changed & (before == true), changed & (after == true)
    return {"changed": changed, "lost": lost, "won": won, "other": changed & ~lost & ~won}


def drawn(rows: Sequence[int] | np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """Draws some of the rows at random, the same ones for the same seed.

    Args:
        rows: Row numbers.
        most: At most this many.
        seed: Seed of the draw.

    Returns:
        The drawn row numbers, ascending.

    Example:
        >>> drawn([4, 7, 9], 5), len(drawn(range(100), 5))
        (array([4, 7, 9]), 5)
    """
    rows = np.asarray(rows, np.int64)
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
