"""Sparsity patterns: turn scores and a sparsity into a mask, with zeros only where the pattern allows them.

Names: `unstructured`, `N:M` (at most N weights in M consecutive inputs of an output), `RxC` (blocks of R inputs by C
outputs) and `channel` (whole output channels). A new pattern is one class with `mask`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfcompress.layer_table.axes import Axes
from tfcompress.text.printable import shown

_NM, _BLOCK = re.compile(r"([0-9]{1,4}):([0-9]{1,4})"), re.compile(r"([0-9]{1,4})x([0-9]{1,4})")


def as_matrix(values: np.ndarray, axes: str) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Returns a weight as a matrix (inputs, output channels), and the inverse function."""
    return Axes(axes).matrix(values)


@dataclass(frozen=True)
class Unstructured:
    """Zeros anywhere: exactly `round(sparsity * n)` weights of the lowest scores."""

    def mask(self, scores: np.ndarray, sparsity: float, axes: str) -> np.ndarray:
        """Returns the mask, ones where weights stay; ties go to the lower index."""
        return lowest_off(scores, round(sparsity * scores.size))


@dataclass(frozen=True)
class Groups:
    """N:M sparsity: of every M consecutive inputs of an output channel the N with the highest scores stay.

    Inputs that don't fill a last group of M stay.
    """

    keep: int
    of: int

    @property
    def sparsity(self) -> float:
        """Fraction of zeros if the inputs fill all groups."""
        return 1 - self.keep / self.of

    def mask(self, scores: np.ndarray, sparsity: float, axes: str) -> np.ndarray:
        """Returns the mask; all ones while `sparsity` is still 0."""
        if sparsity <= 0:
            return np.ones(scores.shape, "float32")
        matrix, restore = as_matrix(scores, axes)
        whole = matrix.shape[0] // self.of * self.of
        groups = matrix[:whole].reshape(-1, self.of, matrix.shape[1])
        order = np.argsort(groups, axis=1, kind="stable")
        mask = np.ones(matrix.shape, "float32")
        np.put_along_axis(mask[:whole].reshape(groups.shape), order[:, : self.of - self.keep], 0.0, axis=1)
        return restore(mask)


@dataclass(frozen=True)
class Blocks:
    """Block sparsity: blocks of inputs by outputs become zero as a whole, lowest mean score first."""

    rows: int
    columns: int

    def mask(self, scores: np.ndarray, sparsity: float, axes: str) -> np.ndarray:
        """Returns the mask with `round(sparsity * blocks)` blocks of zeros; blocks at the edge may be smaller."""
        matrix, restore = as_matrix(scores, axes)
        down, across = -(-matrix.shape[0] // self.rows), -(-matrix.shape[1] // self.columns)
        padding = (
            (0, down * self.rows - matrix.shape[0]),
            (0, across * self.columns - matrix.shape[1]),
        )
        tiles = np.pad(matrix, padding, constant_values=np.nan).reshape(down, self.rows, across, self.columns)
        means = np.nanmean(tiles, axis=(1, 3))
        kept = lowest_off(means, round(sparsity * means.size))
        mask = np.repeat(np.repeat(kept, self.rows, 0), self.columns, 1)[: matrix.shape[0], : matrix.shape[1]]
        return restore(mask)


@dataclass(frozen=True)
class Channels:
    """Channel sparsity: `round(sparsity * channels)` output channels become zero, lowest mean score first.

    One channel always stays.
    """

    def mask(self, scores: np.ndarray, sparsity: float, axes: str) -> np.ndarray:
        """Returns the mask."""
        matrix, restore = as_matrix(scores, axes)
        off = min(round(sparsity * matrix.shape[1]), matrix.shape[1] - 1)
        kept = lowest_off(matrix.mean(axis=0), off)
        return restore(np.broadcast_to(kept, matrix.shape).astype("float32"))


def pattern(name: str):
    """Returns the pattern with a name.

    Raises:
        ValueError: If there is no such pattern.

    Example:
        >>> pattern("2:4")
        Groups(keep=2, of=4)
    """
    named = {"unstructured": Unstructured(), "channel": Channels()}
    if name in named:
        return named[name]
    if (found := _NM.fullmatch(str(name))) and 0 < int(found[1]) < int(found[2]):
        return Groups(int(found[1]), int(found[2]))
    if (found := _BLOCK.fullmatch(str(name))) and int(found[1]) * int(found[2]) > 1:
        return Blocks(int(found[1]), int(found[2]))
    raise ValueError(
        "Prune: pattern must be 'unstructured', 'channel', N:M with 0 < N < M such as '2:4', or a block "
        "RxC such as '4x4'. "
        f"Received: pattern={shown(name)}."
    )


def lowest_off(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns a mask of ones with exactly `count` zeros at the lowest scores; among equals, at the lower index."""
    mask = np.ones(scores.size, "float32")
    flat = scores.reshape(-1)
    if count > 0:
        bar = np.partition(flat, count - 1)[count - 1]
        below = np.flatnonzero(flat < bar)
        level = np.flatnonzero(flat == bar)[: count - below.size]
        mask[below] = 0.0
        mask[level] = 0.0
    return mask.reshape(scores.shape)
