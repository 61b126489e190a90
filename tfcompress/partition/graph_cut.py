"""Decides where to cut a sequence of steps, such that few bytes cross and both sides have a fair share of the cost.

Rule of `halving_place`: among the places that leave each side at least a quarter of the cost, the one where the fewest
bytes cross; if there is none, the place nearest to the middle. Rule of `first_part`: the same in a window of small
shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 0.25  # smallest share of the cost on either side of a cut


@dataclass(frozen=True)
class Line:
    """A sequence of steps with their costs, and the places between them where it can be cut.

    Args:
        weights: Cost of each step (MACs or bytes).
        crossing: Bytes that cross a cut behind `k` steps, for k in 0..n.
        whole: Whether a cut behind `k` steps separates no fused operations, for k in 0..n.
    """

    weights: Sequence[int]
    crossing: Sequence[int]
    whole: Sequence[bool]

    def weight(self, start: int, stop: int) -> int:
        """Returns the cost of the steps from `start` up to `stop`."""
        return sum(self.weights[start:stop])

    def shares(self, start: int, stop: int) -> dict[int, float]:
        """Returns, for each place between two steps, the share of the cost before it.

        Places with no cost on one side are left out, and so are those that separate fused operations, unless there are
        no others.
        """
        total, before, found = self.weight(start, stop), 0, {}
        for k in range(start + 1, stop):
            before += self.weights[k - 1]
            if 0 < before < total:
                found[k] = before / total
        whole = {k: share for k, share in found.items() if self.whole[k]}
        return whole or found


def halving_place(line: Line, start: int, stop: int) -> int | None:
    """Returns the place that halves the steps from `start` up to `stop`, or None if one step has all the cost.

    Example:
        >>> from tfcompress.partition.graph_cut import Line, halving_place
        >>> line = Line(weights=[4, 4, 4, 4], crossing=[0, 9, 5, 1, 0], whole=[True] * 5)
        >>> halving_place(line, 0, 4)
        3
    """
    shares = line.shares(start, stop)
    fair = [k for k, share in shares.items() if LEAST <= share <= 1 - LEAST]
    if fair:
        return min(fair, key=lambda k: (line.crossing[k], abs(shares[k] - 0.5), -k))
    return min(shares, key=lambda k: (round(abs(shares[k] - 0.5), 9), line.crossing[k], -k), default=None)


def first_part(line: Line, start: int, share: float) -> int | None:
    """Returns the place behind a small first part of the steps from `start` on, or None if they can't be cut.

    Args:
        line: The steps.
        start: First step to consider.
        share: Wanted share of the cost in the first part, in (0, 1); shares between a quarter of it and 1.5 times it
            are accepted.

    Example:
        >>> from tfcompress.partition.graph_cut import Line, first_part
        >>> line = Line(weights=[2, 2, 4, 4], crossing=[0, 9, 5, 9, 0], whole=[True] * 5)
        >>> first_part(line, 0, 0.25)
        2
    """
    shares = line.shares(start, len(line.weights))
    near = [k for k, found in shares.items() if share / 4 <= found <= share * 1.5]
    if near:
        return min(near, key=lambda k: (line.crossing[k], -k))
    return min(shares, key=lambda k: (round(abs(shares[k] - share), 9), line.crossing[k], -k), default=None)


def cut_places(
    line: Line, parts: int | None = None, budget: int | None = None
) -> tuple[list[int], tuple[int, int] | None]:
    """Halves the costliest segment again and again, until there are enough parts or all are within the budget.

    Args:
        line: The steps.
        parts: Wanted number of parts; None to go by the budget.
        budget: Largest cost of a part.

    Returns:
        The places, in order; and a segment `(start, stop)` that costs too much and can't be halved, or None.
    """
    segments, stuck = [(0, len(line.weights))], None
    while True:
        if parts is not None and len(segments) >= parts:
            return [stop for _, stop in segments[:-1]], None
        heavy = sorted(segments, key=lambda s: (-line.weight(*s), s))
        if budget is not None:
            heavy = [s for s in heavy if line.weight(*s) > budget]
            if not heavy:
                return [stop for _, stop in segments[:-1]], None
        places = {s: halving_place(line, *s) for s in heavy}
        divisible = [s for s in heavy if places[s] is not None]
        if not divisible or (budget is not None and len(divisible) < len(heavy)):
            stuck = next(s for s in heavy if places[s] is None)
            return [stop for _, stop in segments[:-1]], stuck
        start, stop = divisible[0]
        at = segments.index((start, stop))
        segments[at : at + 1] = [(start, places[start, stop]), (places[start, stop], stop)]
