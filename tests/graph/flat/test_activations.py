"""Activation functions of one's own that take each value for itself are found by what they call."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

from tfcompress.channels.dependency import groups
from tfcompress.graph.flat.activations import takes_each_value
from tfcompress.graph.flat.flatten import flat


@pytest.mark.parametrize(
    "function, each",
    [
        (lambda x: x * ops.sigmoid(1.702 * x), True),
        (lambda x: keras.activations.gelu(x, approximate=True), True),
        (lambda x: 0.5 * x * (1 + tf.math.tanh(0.8 * x)), True),
        (lambda x: ops.where(x > 0, x, 0.1 * x), True),
        (lambda x: ops.softmax(x), False),
        (lambda x: x - ops.mean(x, axis=-1, keepdims=True), False),
        (lambda x: x * np.arange(5, dtype="float32"), False),
        (lambda x: ops.flip(x, axis=-1), False),
        (lambda x: tf.raw_ops.Softmax(logits=x), False),
        (lambda x: x + keras.random.normal((), seed=keras.random.SeedGenerator(1)), False),
        (lambda x: ops.reshape(x, (-1, 5)), False),
        (lambda x: 1 / 0, False),
    ],
)
def test_what_a_function_looks_at(function, each):
    assert takes_each_value(function) is each


def test_widths_behind_such_a_function_are_cut_in_flat_models(own_layers):
    class Wide(L.Layer):
        def __init__(self):
            super().__init__(name="mine")
            self.wide = L.Dense(8, activation=lambda x: x * ops.sigmoid(1.702 * x))

        def call(self, x):
            return self.wide(x) * 2.0

    assert len(groups(flat(own_layers.stack(Wide(), L.Dense(3))).model).groups) == 8
