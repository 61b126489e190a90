"""Patterns: the count of zeros, where they may stand, and what stays."""

import numpy as np
import pytest

from tfcompress.layer_table.axes import Axes
from tfcompress.sparsity.patterns import Blocks, Groups, lowest_off, pattern

SHAPES = [((7, 5), "io"), ((3, 3, 4, 6), "xyio"), ((3, 3, 5, 2), "xycm"), ((3, 8, 6), "xoi")]


def scores_of(shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype("float32")


@pytest.mark.parametrize("count", [0, 1, 7, 34, 35])
def test_lowest_off_takes_exactly_the_lowest(count):
    scores = scores_of((5, 7))
    mask = lowest_off(scores, count)
    assert mask.shape == scores.shape and mask.dtype == np.float32
    assert int((mask == 0).sum()) == count
    if 0 < count < 35:
        assert scores[mask == 0].max() < scores[mask == 1].min()


def test_ties_go_to_the_lower_index():
    mask = lowest_off(np.array([3.0, 1.0, 1.0, 1.0, 0.0]), 3)
    assert mask.tolist() == [1, 0, 0, 1, 0]
    assert lowest_off(np.ones((3, 3)), 4).reshape(-1).tolist() == [0] * 4 + [1] * 5


@pytest.mark.parametrize("shape, axes", SHAPES)
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.333, 0.5, 0.85, 0.999])
def test_unstructured_zeros_are_exactly_round_of_sparsity_times_size(shape, axes, sparsity):
    scores = scores_of(shape)
    mask = pattern("unstructured").mask(scores, sparsity, axes)
    assert int((mask == 0).sum()) == round(sparsity * scores.size)
    assert set(np.unique(mask)) <= {0.0, 1.0}


@pytest.mark.parametrize("shape, axes", SHAPES)
def test_a_matrix_has_one_column_per_output_channel_and_can_be_undone(shape, axes):
    w = scores_of(shape)
    matrix, restore = Axes(axes).matrix(w)
    outputs = np.prod([s for s, letter in zip(shape, axes, strict=True) if letter in "ocmg"])
    assert matrix.shape[1] == outputs
    np.testing.assert_array_equal(restore(matrix), w)


@pytest.mark.parametrize("name, keep, of", [("2:4", 2, 4), ("1:4", 1, 4), ("4:8", 4, 8)])
@pytest.mark.parametrize("shape, axes", SHAPES)
def test_groups_keep_the_best_of_consecutive_inputs(name, keep, of, shape, axes):
    scores = scores_of(shape)
    mask = pattern(name).mask(scores, 0.5, axes)
    inputs, _ = Axes(axes).matrix(mask)
    values, _ = Axes(axes).matrix(scores)
    whole = len(inputs) // of * of
    for start in range(0, whole, of):
        part, worth = inputs[start : start + of], values[start : start + of]
        assert (part.sum(axis=0) == keep).all()
        for column in range(part.shape[1]):
            on = part[:, column] == 1
            assert worth[on, column].min() > worth[~on, column].max()
    assert (inputs[whole:] == 1).all()  # a rest of fewer than M stays whole


def test_groups_wait_for_the_schedule():
    assert Groups(2, 4).mask(scores_of((8, 3)), 0.0, "io").all()
    assert Groups(2, 4).sparsity == 0.5 and Groups(1, 4).sparsity == 0.75


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("shape, axes", [((8, 12), "io"), ((7, 10), "io"), ((3, 3, 4, 6), "xyio")])
def test_blocks_go_together(shape, axes, sparsity):
    scores = scores_of(shape)
    blocks = Blocks(4, 2)
    mask, _ = Axes(axes).matrix(blocks.mask(scores, sparsity, axes))
    worth, _ = Axes(axes).matrix(scores)
    on, means = [], []
    for r in range(0, mask.shape[0], 4):
        for c in range(0, mask.shape[1], 2):
            tile = mask[r : r + 4, c : c + 2]
            assert tile.min() == tile.max()
            on.append(tile.min() == 1)
            means.append(worth[r : r + 4, c : c + 2].mean())
    on, means = np.array(on), np.array(means)
    assert int((~on).sum()) == round(sparsity * on.size)
    if on.any() and not on.all():
        assert means[on].min() >= means[~on].max() - 1e-6


@pytest.mark.parametrize("shape, axes", SHAPES)
def test_whole_channels_go(shape, axes):
    scores = scores_of(shape)
    mask, _ = Axes(axes).matrix(pattern("channel").mask(scores, 0.5, axes))
    worth, _ = Axes(axes).matrix(scores)
    assert (mask.min(axis=0) == mask.max(axis=0)).all()
    on = mask[0] == 1
    assert int((~on).sum()) == round(0.5 * mask.shape[1])
    assert worth.mean(axis=0)[on].min() >= worth.mean(axis=0)[~on].max()


@pytest.mark.parametrize("name", ["4:2", "4:4", "0:4", "1x1", "0x4", "blocks", "", None, 2.4])
def test_unknown_patterns_are_refused(name):
    with pytest.raises(ValueError, match="pattern must be 'unstructured', 'channel', N:M"):
        pattern(name)
