"""Rank allocation: chooses the rank of each layer under a budget for the whole model.

Each layer has a curve of error over MACs saved. The steps along the lower convex hulls of all curves, sorted by slope,
give the order in which saving MACs costs the least error.
"""

from dataclasses import dataclass
from typing import Any

from tfcompress.low_rank.factoring import Factoring, Rank

_POINTS = 16  # ranks tried per layer


@dataclass(frozen=True)
class RankStep:
    """A step that lowers the rank of one layer.

    Args:
        path: The layer.
        rank: Its new rank.
        saved: MACs saved by the step.
        lost: Relative squared error added by the step.
    """

    path: str
    rank: Rank
    saved: int
    lost: float


def steps(factorings: dict[str, Factoring], lost) -> list[RankStep]:
    """Returns the steps from the original layers to the lowest ranks, in the order of least error per MAC saved.

    Args:
        factorings: The layers, by path.
        lost: Function `(path, rank) -> relative squared error` of a layer.
    """
    found = []
    for path, factoring in factorings.items():
        points: list[tuple[int, float, Any]] = [(0, 0.0, None)]
        for rank in _grid([r for r in factoring.ranks() if factoring.pays(r)]):
            points.append((factoring.own_macs - factoring.macs(rank), lost(path, rank), rank))
        hull = _hull(points)
        for (saved, loss, _), (more, worse, rank) in zip(hull, hull[1:], strict=False):
            found.append(RankStep(path, rank, more - saved, worse - loss))
    order = {path: k for k, path in enumerate(factorings)}
    return sorted(found, key=lambda s: (s.lost / s.saved, order[s.path], -s.saved))


def _grid(ranks: list[Rank]) -> list[Rank]:
    """Returns a few of the ranks, from the lowest to the highest, closer together where they are low."""
    if len(ranks) <= _POINTS:
        return ranks
    ratio = len(ranks) ** (1 / (_POINTS - 1))
    return [ranks[k] for k in sorted({min(round(ratio**n), len(ranks)) - 1 for n in range(_POINTS)})]


def _hull(points: list[tuple]) -> list[tuple]:
    """Returns the lower convex hull of points, in order of MACs saved."""
    hull: list[tuple] = []
    for point in sorted(points, key=lambda p: (p[0], p[1])):
        if hull and point[0] == hull[-1][0]:
            continue
        while hull and (point[1] <= hull[-1][1] and hull[-1][2] is not None):
            hull.pop()
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) >= _slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _slope(a, b) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])
