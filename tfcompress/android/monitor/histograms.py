"""Counts values in histograms, and measures how far two histograms are from each other."""

import math
from collections.abc import Sequence

import numpy as np

# Finer near 1: most confidences of a good model are above 0.99.
CONFIDENCE_EDGES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
LATENCY_EDGES_US = (0, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)


def counts(values: Sequence[float] | np.ndarray, edges: Sequence[float], open_end: bool = False) -> list[int]:
    """Counts values by bin: `edges[i] <= value < edges[i + 1]`.

    Args:
        values: Numbers.
        edges: Ascending.
        open_end: Add a bin for everything from the last edge on. Without it the last bin includes its upper edge.

    Returns:
        One count a bin; their sum is the number of values.

    Raises:
        ValueError: If edges do not ascend or a value lies outside.

    Example:
        >>> counts([0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 1.0])
        [1, 3]
        >>> counts([3, 700], [0, 10, 100], open_end=True)
        [1, 0, 1]
    """
    limits = np.asarray(edges, np.float64)
    numbers = np.asarray(values, np.float64)
    if len(limits) < 2 or (np.diff(limits) <= 0).any():
        raise ValueError(f"counts: edges must be at least two and ascend. Received: {list(edges)}.")
    if not ((numbers >= limits[0]) & ((numbers <= limits[-1]) | open_end)).all():
        raise ValueError(f"counts: a value lies outside of {limits[0]:g} to {limits[-1]:g}, or is no number.")
    places = np.searchsorted(limits, numbers, side="right") - 1
    if not open_end:
        places = np.minimum(places, len(limits) - 2)
    return np.bincount(places, minlength=len(limits) - 1 + open_end).tolist()


def stability_index(seen: Sequence[int], expected: Sequence[int]) -> float:
    """Returns the population stability index: `sum (p - q) ln(p / q)`, 0 for equal histograms.

    N. Siddiqi, "Credit Risk Scorecards", Wiley 2006. Half a count is added to every bin of both, so that an empty
    bin has a logarithm (Jeffreys' prior of a multinomial).

    Args:
        seen: Counts.
        expected: Counts in the same bins.

    Returns:
        0 or more, in nats.

    Raises:
        ValueError: If there are no bins, not as many, a negative count, or one of the histograms is empty.

    Example:
        >>> stability_index([10, 20], [100, 200]) < 0.001
        True
    """
    p, q = (_fractions(values, 0.5) for values in _pair(seen, expected))
    return float(np.sum((p - q) * np.log(p / q)))


def shannon_distance(seen: Sequence[int], expected: Sequence[int]) -> float:
    """Returns the Jensen-Shannon distance: root of the divergence in bits, 0 for equal and 1 for disjoint histograms.

    J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1), 1991.

    Args:
        seen: Counts.
        expected: Counts in the same bins.

    Returns:
        0..1.

    Raises:
        ValueError: As for `stability_index`.

    Example:
        >>> shannon_distance([1, 0], [0, 1])
        1.0
    """
    p, q = (_fractions(values, 0.0) for values in _pair(seen, expected))
    middle = (p + q) / 2
    return math.sqrt(max(0.0, (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2))


def stability_noise(seen: Sequence[int], expected: Sequence[int]) -> float:
    """Returns the stability index that chance alone exceeds once in twenty times, if nothing has changed.

    Of two samples of n and m from one distribution over b bins the index is near (1/n + 1/m) times a chi-squared
    variable with b - 1 degrees of freedom (B. Yurdakul, "Statistical Properties of Population Stability Index",
    Western Michigan University 2018); its 95 % point by Wilson and Hilferty, 1931. Bins empty in both do not count.

    Args:
        seen: Counts.
        expected: Counts in the same bins.

    Returns:
        0 or more.

    Raises:
        ValueError: As for `stability_index`.

    Example:
        >>> round(stability_noise([50, 50], [5000, 5000]), 3)
        0.038
    """
    one, other = _pair(seen, expected)
    degrees = max(1, int(np.count_nonzero(one + other)) - 1)
    spread = 2 / (9 * degrees)
    chi_squared = degrees * (1 - spread + 1.6448536269514722 * math.sqrt(spread)) ** 3
    return float((1 / one.sum() + 1 / other.sum()) * chi_squared)


def _pair(seen: Sequence[int], expected: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(seen, np.float64), np.asarray(expected, np.float64)
    if one.ndim != 1 or one.shape != other.shape or not one.size:
        raise ValueError(f"histograms: must have the same bins. Received: {one.size} and {other.size} counts.")
    if min(one.min(), other.min()) < 0 or not one.sum() or not other.sum():
        raise ValueError("histograms: counts must not be negative, and not all be 0.")
    return one, other


def _fractions(values: np.ndarray, added: float) -> np.ndarray:
    return (values + added) / (values + added).sum()


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> float:
    some = p > 0
    return float(np.sum(p[some] * np.log2(p[some] / q[some])))
