"""Where a line of steps is cut."""

import numpy as np
import pytest

from tfcompress.partition.graph_cut import LEAST, Line, cut_places, first_part, halving_place


def line_of(weights, crossing=None, whole=None):
    count = len(weights) + 1
    return Line(weights, crossing or [1] * count, whole or [True] * count)


def random_line(seed, count=12):
    rng = np.random.default_rng(seed)
    return line_of(rng.integers(0, 50, count).tolist(), rng.integers(1, 90, count + 1).tolist())


@pytest.mark.parametrize("seed", range(20))
def test_no_fair_place_has_fewer_bytes(seed):
    line = random_line(seed)
    place = halving_place(line, 0, len(line.weights))
    shares = line.shares(0, len(line.weights))
    fair = {k: line.crossing[k] for k, share in shares.items() if LEAST <= share <= 1 - LEAST}
    if fair:
        assert line.crossing[place] == min(fair.values()) and place in fair
    else:
        assert abs(shares[place] - 0.5) == pytest.approx(min(abs(s - 0.5) for s in shares.values()))


def test_without_a_fair_place_the_middle_counts():
    assert halving_place(line_of([1, 9, 1, 90], [0, 5, 1, 9, 0]), 0, 4) == 3
    assert halving_place(line_of([0, 7, 0]), 0, 3) is None


def test_what_belongs_together_is_parted_only_where_nothing_else_is_left():
    weights = [4, 4, 4, 4]
    assert halving_place(line_of(weights, whole=[True, True, False, True, True]), 0, 4) in (1, 3)
    assert halving_place(line_of(weights, whole=[True, False, False, False, True]), 0, 4) == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_budget_is_kept(seed):
    line = random_line(seed)
    budget = max(line.weights) + 20
    places, stuck = cut_places(line, budget=budget)
    assert stuck is None and places == sorted(set(places))
    ends = [0, *places, len(line.weights)]
    assert all(line.weight(a, b) <= budget for a, b in zip(ends, ends[1:], strict=False))


def test_the_number_of_parts_and_what_is_stuck():
    line = line_of([5, 1, 1, 1])
    assert len(cut_places(line, parts=4)[0]) == 3
    assert cut_places(line_of([5, 0]), parts=2) == ([], (0, 2))
    places, stuck = cut_places(line, budget=4)
    assert line.weight(*stuck) == 5 and places


def test_a_first_part_is_small():
    line = line_of([2, 2, 4, 4, 4], [0, 9, 5, 9, 1, 0])
    assert first_part(line, 0, 0.25) == 2
    assert first_part(line, 2, 0.3) == 3
    assert first_part(line, 4, 0.3) is None
    assert first_part(line_of([90, 5, 5]), 0, 0.1) == 1
