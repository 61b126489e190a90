"""Ranges of codes against three ways in which runtimes round."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.arithmetic import add_ranges, clip_range, full, requantize_range, rescale_range


def fixed(factor):
    fraction, exponent = np.frexp(np.float64(factor))
    return int(np.round(fraction * 2**31)), int(exponent)


def twice_rounded(values, factor):
    """gemmlowp: doubling high product, then a rounding shift; halves away from zero."""
    multiplier, shift = fixed(factor)
    product = (values << max(shift, 0)) * multiplier
    high = np.sign(product) * ((np.abs(product) + 2**30) >> 31)
    down = max(-shift, 0)
    return np.sign(high) * ((np.abs(high) + (1 << down >> 1)) >> down)


def once_rounded(values, factor):
    multiplier, shift = fixed(factor)
    total = 31 - shift
    return (values * multiplier + (1 << (total - 1))) >> total


def float_rounded(values, factor):
    """XNNPACK: a float32 product, halves to even."""
    return np.rint(values.astype(np.float32) * np.float32(factor)).astype(np.int64)


@pytest.mark.parametrize("factor", [0.7, 0.31, 0.0123, 1 / 256, 3.4e-4, 1.9])
def test_every_way_of_rounding_lies_in_the_range(factor):
    rng = np.random.default_rng(0)
    near_halves = np.rint((np.arange(-140, 140) + 0.5) / factor).astype(np.int64)
    values = np.concatenate([near_halves, near_halves - 1, near_halves + 1, rng.integers(-150, 150, 500), [0]])
    low, high = requantize_range(values, values, factor, 3)
    for rounded in (twice_rounded, once_rounded, float_rounded):
        found = rounded(values, factor) + 3
        assert (low <= found).all() and (found <= high).all()
    assert (high - low <= 1).all()
    assert (low == high).mean() > 0.3
    assert low[-1] == high[-1] == 3


def test_an_accumulator_that_may_overflow_is_anything():
    low, high = requantize_range(np.array([-(2**40), 0]), np.array([0, 2**33]), 1e-9, 0)
    assert low.tolist() == [-128, -128]
    assert high.tolist() == [127, 127]


def test_conversion_and_sum_are_exact_at_zero_point():
    at_zero = np.array([5]), np.array([5])
    assert [end.tolist() for end in rescale_range(at_zero, 0.37, (5, -9), error=0.5)] == [[-9], [-9]]
    found = add_ranges(at_zero, (np.array([-3]), np.array([-3])), (0.8, 1.3), (5, -3, 11))
    assert [end.tolist() for end in found] == [[11], [11]]


def test_a_sum_holds_all_sums():
    rng = np.random.default_rng(1)
    for _ in range(50):
        ends = np.sort(rng.integers(-128, 128, (2, 2)), axis=1)
        factors, zeros = rng.uniform(-2, 2, 2), rng.integers(-20, 20, 3)
        a, b = (rng.integers(low, high + 1, 200) for low, high in ends)
        exact = (a - zeros[0]) * factors[0] + (b - zeros[1]) * factors[1]
        low, high = add_ranges(*((np.array([x]), np.array([y])) for x, y in ends), tuple(factors), tuple(zeros))
        codes = np.rint(exact) + zeros[2]
        assert low[0] <= codes.min() and codes.max() <= high[0]


def test_clips():
    kinds = schema.ActivationFunctionType
    span = np.array([-400, -5, 10]), np.array([300, -2, 20])
    low, high = clip_range(span, kinds.RELU, 0.1, -1)
    assert (low.tolist(), high.tolist()) == ([-1, -1, 10], [127, -1, 20])
    low, high = clip_range(span, kinds.RELU6, 0.5, 0)
    assert (low.tolist(), high.tolist()) == ([0, 0, 10], [12, 0, 12])
    low, high = clip_range(span, kinds.TANH, 0.5, 0)
    assert (low.tolist(), high.tolist()) == tuple(end.tolist() for end in full(3))
