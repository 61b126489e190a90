"""Activation ranges: FakeQuant's grid, moving means, percentiles, learned bounds, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfcompress.fake_quant.transforms.ranges import (
    APPLY,
    OBSERVE,
    TRAIN,
    ActivationRange,
    LearnedRange,
    PercentileRange,
    fake_quant,
)

KINDS = [ActivationRange, PercentileRange, LearnedRange]


def batches(count=5, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0.3, 1.0 + k, (16, 9)).astype("float32") for k in range(count)]


@pytest.mark.parametrize("bits", [2, 4, 8, 12, 16])
@pytest.mark.parametrize("low, high", [(-1.0, 1.0), (0.0, 6.0), (-0.31, 2.2)])
def test_the_grid_is_that_of_fakequant(bits, low, high):
    x = np.linspace(-3, 8, 333).astype("float32")
    got = np.asarray(fake_quant(x, tf.constant(low), tf.constant(high), bits))
    np.testing.assert_array_equal(got, tf.quantization.fake_quant_with_min_max_args(x, low, high, bits))
    # Jacob et al. 2018: the zero point is an integer, so 0 is on the grid and the span is kept
    scale = (high - low) / (2**bits - 1)
    zero = np.clip(np.round(-low / scale), 0, 2**bits - 1)
    want = (np.clip(np.round(x / scale) + zero, 0, 2**bits - 1) - zero) * scale
    np.testing.assert_allclose(got, want, atol=scale * 1.001)
    assert np.unique(got).size <= 2**bits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("positive, symmetric", [(False, False), (True, False), (False, True)])
def test_bounds_straddle_zero_whatever_was_seen(kind, positive, symmetric):
    for x in (np.full((4, 3), 5.0), np.full((4, 3), -5.0), np.zeros((4, 3))):
        made = kind(bits=8, positive=positive, symmetric=symmetric)
        y = np.asarray(made(x.astype("float32"), how=TRAIN))
        low, high = made.limits()
        assert low <= 0 <= high and high > low and np.isfinite(y).all()
        assert not symmetric or low == -high
        np.testing.assert_array_equal(made(x.astype("float32")), y)  # applied as trained


def test_a_moving_range_is_a_plain_mean_first_and_an_exponential_one_later():
    made = ActivationRange(momentum=0.75)
    low = high = 0.0
    for n, x in enumerate(batches(9)):
        made(x, how=TRAIN)
        keep = min(0.75, n / (n + 1))
        low, high = keep * low + (1 - keep) * x.min(), keep * high + (1 - keep) * x.max()
        np.testing.assert_allclose(made.limits(), (low, high), rtol=1e-5)


def test_observing_takes_the_widest_and_changes_nothing():
    made = ActivationRange()
    xs = batches()
    for x in xs:
        np.testing.assert_array_equal(made(x, how=OBSERVE), x)
    np.testing.assert_allclose(made.limits(), (min(x.min() for x in xs), max(x.max() for x in xs)), rtol=1e-6)
    assert made.is_set and not ActivationRange().is_set


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9, 100.0])
def test_percentiles_are_numpys(percentile):
    x = np.random.default_rng(0).standard_t(2, size=(50, 40)).astype("float32")
    made = PercentileRange(percentile=percentile)
    made(x, how=TRAIN)
    low = np.percentile(x, 100 - percentile, method="lower")
    high = np.percentile(x, percentile, method="higher")
    np.testing.assert_allclose(made.limits(), (low, high), rtol=1e-6)


def test_a_percentile_of_many_values_is_taken_of_an_even_sample():
    x = np.random.default_rng(0).normal(size=(64, 4096)).astype("float32")
    made = PercentileRange(percentile=99.0)
    made(x, how=TRAIN)
    np.testing.assert_allclose(made.limits(), np.percentile(x, [1, 99]), rtol=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compiled", [False, True])
def test_batches_of_any_size_in_a_graph_and_under_xla(kind, compiled):
    made, plain = kind(), kind()
    step = tf.function(
        lambda x: made(x, how=TRAIN),
        input_signature=[tf.TensorSpec((None, 9))],
        jit_compile=compiled,
    )
    for x in (batches(1)[0], batches(1)[0][:5]):
        np.testing.assert_allclose(step(tf.constant(x)), plain(x, how=TRAIN), atol=1e-5)
    np.testing.assert_allclose(made.limits(), plain.limits(), rtol=1e-5)


def test_percentile_observation_is_the_mean_over_batches():
    made = PercentileRange(percentile=100.0)
    xs = batches()
    for x in xs:
        made(x, how=OBSERVE)
    np.testing.assert_allclose(
        made.limits(), (np.mean([x.min() for x in xs]), np.mean([x.max() for x in xs])), rtol=1e-5
    )


def trained(made, x, gradient, steps=1, rate=0.05):
    """Trains the bounds by gradient descent on `sum(gradient * output)`."""
    for _ in range(steps):
        with tf.GradientTape() as tape:
            t = tf.constant(x)
            tape.watch(t)
            y = tf.reduce_sum(made(t, how=TRAIN) * gradient)
        back = tape.gradient(y, t)
        for variable, noted in made.own_weights():
            variable.assign(variable - rate * noted)
            noted.assign(tf.zeros_like(noted))
    return back


def test_a_learned_range_starts_at_the_first_batch():
    made, x = LearnedRange(), batches(1)[0]
    made(x, how=TRAIN)
    np.testing.assert_allclose(made.limits(), (x.min(), x.max()), rtol=1e-5)


@pytest.mark.parametrize("wanted", ["wider", "narrower"])
def test_a_learned_range_follows_the_loss(wanted):
    x = np.linspace(-2, 2, 201).astype("float32")
    made = LearnedRange()
    made(x / 2, how=OBSERVE)  # starts at -1..1, so that x is cut off
    sign = -np.sign(x) if wanted == "wider" else np.sign(x)  # the loss falls as |output| grows
    trained(made, x, sign.astype("float32"), steps=30)
    low, high = made.limits()
    if wanted == "wider":
        assert low < -1.02 and high > 1.02
    else:
        assert -0.98 < low < 0 < high < 0.98


def test_the_noted_gradient_is_lsqs_for_cut_off_values():
    x = np.array([-3.0, -0.5, 0.5, 3.0, 3.0], "float32")
    made = LearnedRange()
    made(np.array([-1.0, 1.0], "float32"), how=OBSERVE)
    with tf.GradientTape() as tape:
        t = tf.constant(x)
        tape.watch(t)
        y = tf.reduce_sum(made(t, how=TRAIN))
    assert not made.trainable_variables
    # d/dlow counts the values below, d/dhigh those above; d(low)/da = low, d(high)/db = high
    want = np.array([-1.0 * 1, 1.0 * 2]) / np.sqrt(x.size * 255)
    np.testing.assert_array_equal(tape.gradient(y, t), [0, 1, 1, 0, 0])  # none where it is cut off
    np.testing.assert_allclose(made.gradients, want, rtol=0.02)


@pytest.mark.parametrize("kind", [ActivationRange, PercentileRange])
def test_moving_ranges_pass_the_gradient_straight_through(kind):
    x = tf.constant(batches(1)[0])
    made = kind()
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(made(x, how=TRAIN) * 2.0)
    np.testing.assert_array_equal(tape.gradient(y, x), np.full(x.shape, 2.0))


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_makes_the_same_again(kind):
    made = kind(bits=4, momentum=0.9, positive=True)
    again = kind.from_config(made.get_config())
    assert again.get_config() | {"name": ""} == made.get_config() | {"name": ""}


@pytest.mark.parametrize("kind", KINDS)
def test_export_has_the_same_numbers_as_attributes(kind):
    made, x = kind(), batches(1)[0]
    made(x, how=TRAIN)
    graph = tf.function(lambda x: made(x, export=True)).get_concrete_function(tf.TensorSpec(x.shape))
    (node,) = [op for op in graph.graph.get_operations() if op.type == "FakeQuantWithMinMaxArgs"]
    np.testing.assert_allclose((node.get_attr("min"), node.get_attr("max")), made.limits(), rtol=1e-6)
    np.testing.assert_allclose(graph(tf.constant(x)), made(x, how=APPLY), atol=1e-5)
