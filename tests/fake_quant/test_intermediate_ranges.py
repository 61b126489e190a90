"""Values inside an integer form: on their grids, with bounds that follow one another."""

import numpy as np
import pytest
import tensorflow as tf

from tfcompress.fake_quant.intermediate_ranges import IntermediateRanges, scale_channels
from tfcompress.fake_quant.transforms.ranges import APPLY, OBSERVE, TRAIN, ActivationRange


def inside(how=APPLY, exports=False, folds=False, **spans):
    ranges = {}
    for name, (low, high) in spans.items():
        ranges[name] = ActivationRange()
        ranges[name].low.assign(low)
        ranges[name].high.assign(high)
        ranges[name].seen.assign(1.0)
    return IntermediateRanges(ranges, 8, how, exports, folds)


def codes(values, low, high):
    return (np.asarray(values) - low) / ((high - low) / 255.0)


def test_named_values_are_on_the_grid_of_their_range():
    x = tf.constant(np.random.default_rng(0).uniform(-3.0, 3.0, 2000).astype("float32"))
    got = codes(inside(a=(-1.0, 1.55))("a", x), -1.0, 1.55)  # steps of 0.01
    assert np.unique(np.round(got)).size > 200 and np.abs(got - np.round(got)).max() < 1e-3
    assert np.isclose(got.min(), 0.0, atol=1e-3) and np.isclose(got.max(), 255.0)
    assert np.array_equal(inside()("nobody's", x), x)  # a node of a session, whose ranges nobody kept


@pytest.mark.parametrize("exports", [False, True])
def test_known_bounds_saturate(exports):
    grid = inside(exports=exports)
    got = codes(grid.fixed(tf.linspace(-1.0, 2.0, 50), 0.0, 1.0), 0.0, 1.0)
    assert got.min() == 0.0 and np.isclose(got.max(), 255.0) and np.abs(got - np.round(got)).max() < 1e-3


def test_nothing_is_rounded_while_ranges_look_on():
    grid = inside(OBSERVE, a=(0.0, 0.0))
    x = tf.constant([0.1234567, 5.4321])
    assert np.array_equal(grid("a", x), x) and np.array_equal(grid.fixed(x, 0.0, 1.0), [x[0], 1.0])
    assert np.isclose(grid.high("a"), 5.4321)


def test_a_range_follows_training_and_its_bound_is_known_at_once():
    grid = inside(TRAIN, a=(0.0, 0.0))
    grid.ranges["a"].seen.assign(0.0)
    grid("a", tf.constant([0.5, 3.0]))
    assert np.isclose(grid.high("a"), 3.0)


@pytest.mark.parametrize("exports", [False, True])
def test_the_root_of_zero_is_the_largest_code(exports):
    grid = inside(exports=exports)
    got = np.asarray(grid.rsqrt(tf.constant([0.0, 1e-9, 0.25, 1.0, 4.0]), 4.0))
    assert np.allclose(got, [2.0, 2.0, 2.0, 1.0, 0.5], atol=2.0 / 255.0)


def test_an_export_gets_numbers():
    grid = inside(exports=True, a=(-1.0, 3.0))
    assert isinstance(grid.high("a"), float) and grid.least(1.0, grid.high("a")) == 1.0
    assert float(inside(a=(-1.0, 3.0)).least(1.0, tf.constant(3.0))) == 1.0


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 5), (2, 3, 4, 5), (2, 2, 2, 3, 5)])
def test_a_pair_per_channel(shape):
    rng = np.random.default_rng(0)
    x, factor, shift = (rng.normal(size=s).astype("float32") for s in (shape, 5, 5))
    assert np.allclose(scale_channels(tf.constant(x), factor, shift), x * factor + shift, atol=1e-5)
    grid = inside(a=(-4.0, 4.0))
    assert np.allclose(grid.by_channel(tf.constant(x), None, shift, "a"), x + shift, atol=1e-5)
    assert np.allclose(grid.by_channel(tf.constant(x), factor, None, "a"), x * factor, atol=1e-5)


def test_averages_are_on_the_grid_of_the_input():
    x = tf.linspace(-1.0, 1.55, 60)
    grid = IntermediateRanges({}, 8, APPLY, exports=False, folds=True, source=(-1.0, 1.55))  # steps of 0.01
    got = codes(grid.average(x), -1.0, 1.55)
    assert np.abs(got - np.round(got)).max() < 1e-3 and np.abs(grid.average(x) - x).max() < 0.0051
    assert np.array_equal(inside().average(x), x)


def test_a_folded_shift_lies_on_the_grid_of_the_file():
    grid = inside(folds=True, a=(-4.0, 4.0))
    factor, shift = np.float32([0.5, 2.0]), np.float32([0.123456, -0.7])
    got = np.asarray(grid.by_channel(tf.zeros((1, 2)), factor, shift, "a"))[0]
    steps = got / (factor * 8.0 / (255.0 * 127.0))
    assert np.abs(steps - np.round(steps)).max() < 1e-3 and np.abs(got - shift).max() < 1e-3
