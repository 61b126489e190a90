"""Chooses the channel groups to remove: by share, by a budget of MACs or parameters, or by measured latency.

Groups of channels of the same layers are a family. A layer keeps a multiple of `round_to` channels, because runtimes
compute channels in blocks, and at least one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfcompress.channels.dependency import Channels

LEVELS = (0.75, 0.5, 0.25)  # widths at which a family's latency is measured
TRIES = 16  # most choices whose latency is measured


@dataclass(frozen=True)
class Family:
    """Channel groups of the same layers, with their scores.

    Args:
        layers: Paths of the operations that make them.
        groups: Their numbers, lowest score first.
        scores: Their scores, in the same order.
        round_to: The family keeps a multiple of this many groups.
    """

    layers: tuple[str, ...]
    groups: np.ndarray
    scores: np.ndarray
    round_to: int

    @property
    def most(self) -> int:
        """Largest number of groups that can be removed."""
        return max(0, len(self.groups) - self.round_to)

    def allowed(self, cut: int) -> int:
        """Returns the largest allowed number of groups to remove that is not above `cut`."""
        count, block = len(self.groups), self.round_to
        kept = max(block, -(-(count - min(cut, count)) // block) * block)
        return max(0, count - kept)

    def steps(self) -> list[int]:
        """Returns all allowed numbers of groups to remove, from 0 on."""
        return sorted({self.allowed(cut) for cut in range(len(self.groups) + 1)})


def families(channels: Channels, scores: dict[int, float], round_to: int, may: Callable[[str], bool]) -> list[Family]:
    """Sorts channel groups into families.

    Args:
        channels: Channel groups of a model.
        scores: Score of each group.
        round_to: A layer keeps a multiple of this many channels.
        may: Function `(path of an operation) -> bool`: whether its channels may be removed.

    Returns:
        The families whose channels may be removed, in order of the graph.

    Raises:
        ValueError: If one of them has groups without a score.
    """
    layers: dict[int, list[str]] = {}
    can = set(channels.groups.tolist())
    made = channels.made_by()
    for path, of_layer in made.items():
        for group in can.intersection(np.unique(of_layer).tolist()):
            layers.setdefault(group, []).append(path)
    by: dict[tuple[str, ...], list[int]] = {}
    for group in sorted(layers):
        by.setdefault(tuple(layers[group]), []).append(group)
    found = []
    for paths, groups in by.items():
        if all(may(path) for path in paths):
            if not all(g in scores for g in groups):
                raise ValueError(
                    f"PruneChannels: the criterion gives no scores for channels of {', '.join(paths)}. Choose another "
                    "one, such as 'l1', or leave these layers out with `where`."
                )
            worth = np.array([scores[g] for g in groups])
            order = np.argsort(worth, kind="stable")
            block = round_to // math.gcd(round_to, _channels_each(made, paths, groups))
            found.append(Family(paths, np.array(groups)[order], worth[order], block))
    return found


def _channels_each(made: dict[str, np.ndarray], paths: tuple[str, ...], groups: list[int]) -> int:
    """Returns how many channels of each layer go with one group, such as those of a head; 1 where that differs."""
    counts = {int((made[path] == group).sum()) for path in paths for group in groups}
    return counts.pop() if len(counts) == 1 else 1


def removed_groups(chosen: list[tuple[Family, int]]) -> np.ndarray:
    """Returns the numbers of the groups to remove, given how many of each family."""
    parts = [family.groups[:cut] for family, cut in chosen]
    return np.sort(np.concatenate(parts)) if parts else np.array([], int)


def by_share(found: list[Family], share: Callable[[Family], float]) -> list[tuple[Family, int]]:
    """Chooses a share of every family by itself."""
    return [(f, f.allowed(round(share(f) * len(f.groups)))) for f in found]


def by_rank(found: list[Family], count: int, price: np.ndarray | None = None) -> list[tuple[Family, int]]:
    """Chooses the `count` groups of the lowest scores, of all families together, as far as `round_to` allows.

    Args:
        found: Families.
        count: Number of groups to remove.
        price: Cost of each group, by its number; if given, scores are divided by the costs.

    Returns:
        How many groups of each family to remove.
    """
    owner = np.concatenate([np.full(len(f.groups), k) for k, f in enumerate(found)])
    # groups of a family belong to the same layers: one price for all keeps their order
    prices = [1.0 if price is None else max(float(price[f.groups].mean()), 1e-12) for f in found]
    worth = np.concatenate([f.scores / paid for f, paid in zip(found, prices, strict=True)])
    # the last groups of a family stay whatever their scores
    free = np.concatenate([np.arange(len(f.groups)) < f.most for f in found])
    order = np.argsort(np.where(free, worth, np.inf), kind="stable")[: min(count, int(free.sum()))]
    cuts = np.bincount(owner[order], minlength=len(found))
    return [(f, f.allowed(int(cut))) for f, cut in zip(found, cuts, strict=True)]


def by_budget(
    pick: Callable[[float], list[tuple[Family, int]]], cost: Callable[[np.ndarray], float], budget: float, name: str
) -> list[tuple[Family, int]]:
    """Chooses as few groups as keep a budget.

    Args:
        pick: Function of the share of groups to remove, 0..1.
        cost: Function `(removed groups) -> cost`, which falls as more are removed.
        budget: Largest cost.
        name: Name of the cost, for the error.

    Returns:
        How many groups of each family to remove.

    Raises:
        ValueError: If the budget can't be kept.
    """
    least = cost(removed_groups(pick(1.0)))
    if least > budget:
        raise ValueError(
            f"PruneChannels: {name} can't fall to {budget:g}; with all removable channels removed, {least:g} are left. "
            "Raise the budget, lower round_to, or cut layers and ranks as well (tfc.DropLayers, tfc.LowRank)."
        )
    low, high = 0.0, 1.0
    if cost(removed_groups(pick(0.0))) <= budget:
        return pick(0.0)
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (low, middle) if cost(removed_groups(pick(middle))) <= budget else (middle, high)
    return pick(high)


def by_latency(
    found: list[Family], measure: Callable[[list[np.ndarray]], list[float]], budget: Callable[[float], float]
) -> tuple[list[tuple[Family, int]], float, float]:
    """Chooses the groups that save most measured time for the least score (after Yang et al., "NetAdapt", 2018).

    Each family's latency is measured at a few widths; the savings of several families are added up, and checked by
    measuring the result, with a lower aim if it is too slow. The whole model is measured along with every result and
    only the ratio of the two counts, because on a busy machine latencies of different moments can't be compared.

    Args:
        found: Families.
        measure: Function of several sets of removed groups: latency of the model without each, in microseconds.
        budget: Function `(latency of the whole model) -> latency to reach`.

    Returns:
        How many groups of each family to remove, latency before and after.

    Raises:
        ValueError: If the latency can't be reached.
    """
    points = [(k, cut) for k, f in enumerate(found) for cut in sorted({f.allowed(_cut(f, w)) for w in LEVELS} - {0})]
    whole, *times = measure([removed_groups([]), *(removed_groups([(found[k], cut)]) for k, cut in points)])
    saved = [_savings(f, [(c, whole - t) for (j, c), t in zip(points, times, strict=True) if j == k])
             for k, f in enumerate(found)]  # fmt: skip
    goal = aim = budget(whole)
    best, chosen = whole, []
    for _ in range(TRIES):
        before, chosen = chosen, _greedy(found, saved, whole - aim)
        if chosen != before:  # families keep whole blocks: a lower aim may choose the same again
            again, now = measure([removed_groups([]), removed_groups(chosen)])
            now *= whole / again
            best = min(best, now)
        if now <= goal:
            return chosen, whole, now
        if all(cut == f.steps()[-1] for f, cut in chosen):
            break
        aim -= max(1.1 * (now - goal), (whole - goal) / TRIES)
    raise ValueError(
        f"PruneChannels: latency can't fall to {goal:.1f} us without channels; {whole:.1f} us before, {best:.1f} us "
        "at best. Raise the budget, lower round_to, or cut layers as well (tfc.DropLayers)."
    )


def _cut(family: Family, width: float) -> int:
    return round((1 - width) * len(family.groups))


def _savings(family: Family, measured: list[tuple[int, float]]) -> np.ndarray:
    """Returns the microseconds saved at each allowed step, interpolated from measured ones; they never decrease."""
    steps = np.array(family.steps(), float)
    if not measured:
        return np.zeros(len(steps))
    cuts, times = np.array([(0, 0.0), *measured], float).T
    times = np.maximum.accumulate(np.maximum(times, 0.0))
    slope = times[-1] / cuts[-1]
    return np.where(steps <= cuts[-1], np.interp(steps, cuts, times), times[-1] + slope * (steps - cuts[-1]))


def _greedy(found: list[Family], saved: list[np.ndarray], wanted: float) -> list[tuple[Family, int]]:
    """Chooses, again and again, the family and number of steps that save most time for the lost score."""
    at, total = [0] * len(found), 0.0
    lost = [np.concatenate([[0.0], np.cumsum(f.scores)])[f.steps()] for f in found]
    while total < wanted:
        options = [
            (k, j, (saved[k][j] - saved[k][at[k]]) / max(lost[k][j] - lost[k][at[k]], 1e-12))
            for k in range(len(found))
            for j in range(at[k] + 1, len(saved[k]))
            if saved[k][j] > saved[k][at[k]]
        ]
        if not options:
            return [(f, f.steps()[-1]) for f in found]
        k, j, _ = max(options, key=lambda option: option[2])  # the first among equals: the fewest channels
        total += saved[k][j] - saved[k][at[k]]
        at[k] = j
    return [(f, f.steps()[place]) for f, place in zip(found, at, strict=True)]
