"""Mask: weight times mask, and no gradient for what is masked."""

import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.transforms.mask import Mask


def test_all_ones_at_the_start_and_exact_zeros_afterwards():
    mask = Mask("io")
    w = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_array_equal(mask(w), w)
    off = np.arange(20).reshape(5, 4) % 3 == 0
    mask.mask.assign(~off)
    np.testing.assert_array_equal(mask(w), np.where(off, 0.0, w))


def test_masked_weights_get_no_gradient():
    mask = Mask("io")
    mask.build((2, 2))
    mask.mask.assign([[1, 0], [0, 1]])
    w = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(w)
        y = tf.reduce_sum(3.0 * mask(w))
    np.testing.assert_array_equal(tape.gradient(y, w), [[3, 0], [0, 3]])
    assert not mask.trainable_variables
