"""Centroids: shared values are the means of their members; baking twice changes nothing."""

import numpy as np
import pytest
import tensorflow as tf

from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.layer_table.axes import Axes


def assigned(w, index, k, per_channel=False, axes="io", anchor=0.0):
    """Centroids with a given assignment whose anchors are all `anchor`."""
    layer = Centroids(k, per_channel, axes)
    layer.build(w.shape)
    layer.index.assign(index)
    slots = layer.centroids.shape[0]
    layer.centroids.assign(np.full(slots, anchor, "float32"))
    layer.counts.assign(np.bincount(np.reshape(index, -1), minlength=slots))
    layer.active.assign(1.0)
    return layer


@pytest.fixture
def w():
    # sizes far apart: `w + (shared - w)` would not be `shared` in float32
    rng = np.random.default_rng(0)
    return (rng.normal(size=(40, 6)) * 10.0 ** rng.integers(-4, 3, (40, 6))).astype("float32")


def test_inactive_it_hands_the_weight_through(w):
    layer = Centroids(4, axes="io")
    np.testing.assert_array_equal(layer(w), w)


@pytest.mark.parametrize("anchor", [0.0, 0.7])
def test_values_are_the_means_of_the_members(w, anchor):
    index = np.random.default_rng(1).integers(0, 5, w.shape)  # cluster 4 of 4 is the zero
    layer = assigned(w, index, 4, anchor=anchor)
    got = np.asarray(layer(w))
    for k in range(4):
        np.testing.assert_allclose(got[index == k], w[index == k].mean(), rtol=2e-4, atol=1e-5)
        assert np.unique(got[index == k]).size == 1
    assert (got[index == 4] == 0).all()


def test_each_channel_has_values_of_its_own(w):
    k, channels = 3, w.shape[1]
    inside = np.random.default_rng(2).integers(0, k, w.shape)
    layer = assigned(w, inside + np.arange(channels) * (k + 1), k, per_channel=True)
    got = np.asarray(layer(w))
    for c in range(channels):
        for j in range(k):
            members = inside[:, c] == j
            np.testing.assert_allclose(got[members, c], w[members, c].mean(), rtol=1e-4, atol=1e-5)


def test_settled_and_baked_it_changes_nothing_any_more(w):
    index = np.random.default_rng(1).integers(0, 5, w.shape)
    layer = assigned(w, index, 4)
    baked = np.asarray(layer(w))
    layer.settle(w)
    for _ in range(3):
        np.testing.assert_array_equal(layer(baked), baked)
        layer.settle(baked)


def test_a_baked_kernel_of_any_size_stays_bit_for_bit():
    values = np.array([0.1, -0.3, 0.7], "float32")
    index = np.random.default_rng(3).integers(0, 3, (500, 400))
    layer = assigned(values[index], index, 3)
    layer.centroids.assign([*values, 0.0])
    np.testing.assert_array_equal(layer(values[index]), values[index])


def test_the_gradient_passes_straight_through(w):
    layer = assigned(w, np.zeros(w.shape, int), 2)
    x = tf.constant(w)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(layer(x) * w)
    np.testing.assert_array_equal(tape.gradient(y, x), w)


def test_an_empty_cluster_keeps_its_anchor(w):
    layer = assigned(w, np.zeros(w.shape, int), 3, anchor=0.25)
    np.testing.assert_array_equal(np.asarray(layer.values(w))[1:3], 0.25)


def test_state_of_release_0_1_that_knew_one_channel_is_loaded():
    """Attention kernels (16 channels of two heads) had one row of values then; what is read stays the same."""
    rng = np.random.default_rng(0)
    w = rng.normal(size=(5, 2, 8)).astype("float32")
    index = rng.integers(0, 4, w.shape)
    values = rng.normal(size=5).astype("float32")
    stored = {"0": index.astype("int32"), "1": values, "2": np.bincount(index.reshape(-1), minlength=5), "3": 1.0}
    layer = Centroids(4, True, Axes("ind"))
    layer.build(w.shape)
    layer.load_own_variables(stored)
    means = np.array([w[index == k].mean() for k in range(4)])
    np.testing.assert_allclose(layer(w), means[index], rtol=1e-6)
