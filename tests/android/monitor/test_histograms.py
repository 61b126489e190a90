"""Counts lose nothing; distances are those of their definitions, and chance is told from change."""

import math

import numpy as np
import pytest

from tfcompress.android.monitor.histograms import (
    CONFIDENCE_EDGES,
    LATENCY_EDGES_US,
    counts,
    shannon_distance,
    stability_index,
    stability_noise,
)


def test_counts_agree_with_numpy():
    values = np.random.default_rng(0).random(1000)
    assert counts(values, CONFIDENCE_EDGES) == np.histogram(values, CONFIDENCE_EDGES)[0].tolist()
    late = np.random.default_rng(1).gamma(2, 3000, 1000)
    open_ended = np.histogram(late, [*LATENCY_EDGES_US, np.inf])[0].tolist()
    assert counts(late, LATENCY_EDGES_US, open_end=True) == open_ended
    assert counts([], CONFIDENCE_EDGES) == [0] * 11


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_values_outside_are_refused(value):
    with pytest.raises(ValueError, match="outside of 0 to 1"):
        counts([value], CONFIDENCE_EDGES)


@pytest.mark.parametrize("edges", [[0], [0, 0], [1, 0]])
def test_edges_must_ascend(edges):
    with pytest.raises(ValueError, match="edges"):
        counts([0], edges)


def test_equal_histograms_have_no_distance():
    seen = [3, 0, 7, 90]
    assert stability_index(seen, seen) == 0 and shannon_distance(seen, seen) == 0
    assert shannon_distance(seen, [count * 10 for count in seen]) == 0


def test_the_index_is_its_formula():
    p, q = np.array([20.5, 80.5]) / 101, np.array([50.5, 50.5]) / 101
    expected = float(((p - q) * np.log(p / q)).sum())
    assert stability_index([20, 80], [50, 50]) == pytest.approx(expected)
    assert stability_index([50, 50], [20, 80]) == pytest.approx(expected)


def test_the_distance_is_symmetric_and_bounded():
    rng = np.random.default_rng(2)
    for _ in range(50):
        one, other = rng.integers(0, 5, 6) + np.eye(6, dtype=int)[rng.integers(6)], rng.integers(1, 5, 6)
        distance = shannon_distance(one, other)
        assert 0 <= distance <= 1 and distance == pytest.approx(shannon_distance(other, one))
    assert shannon_distance([5, 0, 0], [0, 2, 2]) == 1.0


def test_chance_exceeds_the_noise_about_once_in_twenty_times():
    rng = np.random.default_rng(3)
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    above = 0
    for _ in range(2000):
        one, other = rng.multinomial(400, shares), rng.multinomial(4000, shares)
        above += stability_index(one, other) > stability_noise(one, other)
    assert 0.03 < above / 2000 < 0.07


@pytest.mark.parametrize("seen, expected", [([1], [1, 2]), ([], []), ([-1, 2], [1, 1]), ([0, 0], [1, 1])])
@pytest.mark.parametrize("measure", [stability_index, shannon_distance, stability_noise])
def test_bad_histograms(measure, seen, expected):
    with pytest.raises(ValueError, match="histograms"):
        measure(seen, expected)
