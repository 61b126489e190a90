"""Channel labels: mark the channels of tensors, so that channels that can only be removed together share a group.

A tensor has one label per channel; an operation on the tensor is applied to the array of labels as well, so that no
index mapping is needed. Joining two channels joins their labels; label 0 marks channels that can't be removed.
"""

from dataclasses import dataclass

import numpy as np

KEPT = 0


@dataclass(frozen=True)
class Signal:
    """The channel labels of one tensor.

    Args:
        labels: Array of the tensor's rank without batch; an axis along which labels do not change has size 1. At most
            one axis is longer.
        shape: Shape of the tensor without batch, None where a size is open.
    """

    labels: np.ndarray
    shape: tuple[int | None, ...]

    @property
    def axis(self) -> int:
        """The channel axis, counted from the end (the last axis if there is just one label)."""
        longer = [k - self.labels.ndim for k, n in enumerate(self.labels.shape) if n > 1]
        return longer[0] if longer else -1

    def vector(self) -> np.ndarray:
        """Returns the labels along the channel axis, one per channel."""
        if not self.shape:
            return self.labels.reshape(-1)
        return np.broadcast_to(self.labels.reshape(-1), (self.shape[self.axis],))


def signal(vector: np.ndarray, shape: tuple[int | None, ...], axis: int = -1) -> Signal:
    """Returns the signal of a tensor whose channels lie along one axis."""
    rank = len(shape)
    if not rank or (len(vector) and (vector == vector[0]).all()):
        return Signal(np.full((1,) * rank, vector[0] if len(vector) else KEPT), shape)
    form = [1] * rank
    form[axis] = len(vector)
    return Signal(np.asarray(vector).reshape(form), shape)


class Labels:
    """Holds the labels of a whole model and joins those of channels that can only be removed together."""

    def __init__(self):
        self._parents = [KEPT]
        self._kept: list[tuple[int, str, str]] = []  # label, operation, reason

    def fresh(self, count: int) -> np.ndarray:
        """Returns new labels."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def join(self, a: np.ndarray, b: np.ndarray, who: str, why: str) -> None:
        """Joins labels pair by pair; a label that is joined with label 0 can't be removed."""
        a, b = np.broadcast_arrays(a, b)
        for x, y in {(int(x), int(y)) for x, y in zip(a.ravel(), b.ravel(), strict=True) if x != y}:
            if x == KEPT or y == KEPT:
                self._kept.append((max(x, y), who, why))
                continue
            x, y = self._root(x), self._root(y)
            self._parents[max(x, y)] = min(x, y)

    def keep(self, labels: np.ndarray, who: str, why: str) -> None:
        """Marks labels of channels that can't be removed."""
        self._kept.extend((int(x), who, why) for x in np.unique(labels) if x != KEPT)

    def _root(self, x: int) -> int:
        while self._parents[x] != x:
            self._parents[x] = self._parents[self._parents[x]]
            x = self._parents[x]
        return x

    def roots(self) -> tuple[np.ndarray, dict[int, tuple[str, str]]]:
        """Returns the group of each label, and the reasons of those that can't be removed.

        The group is 0 for a label that can't be removed; its reason names the operation that prevents it and why.
        """
        found = np.array([self._root(x) for x in range(len(self._parents))])
        first: dict[int, tuple[str, str]] = {}
        for label, who, why in self._kept:
            first.setdefault(int(found[label]), (who, why))
        reasons = {label: first[int(root)] for label, root in enumerate(found) if int(root) in first}
        return np.where(np.isin(found, list(first)), KEPT, found), reasons
