"""What is intercepted inside of layers, and what is not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

from tfcompress.graph.inside.interception import Interception
from tfcompress.graph.keras_private import override_attributes

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def seen(function, x=X):
    """The kinds of operations that a layer with this code computes, and its output."""
    layer, found = L.Lambda(function), []

    def handle(op, number, f, plain, args, kwargs):
        assert op is layer and number == len(found)
        found.append(f.kind)
        return plain(*args, **kwargs)

    interception = Interception(handle)
    with override_attributes([*interception.overrides(), (layer, "call", interception.call_within(layer, layer.call))]):
        made = layer(tf.constant(x))
    return found, np.asarray(made)


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda x: x + 1.0, ["Add"]),
        (lambda x: 1.0 - x, ["Subtract"]),
        (lambda x: ops.add(x, x), ["Add"]),
        (lambda x: tf.add(x, x), ["Add"]),
        (lambda x: ops.softmax(x @ np.ones((4, 2), "float32")), ["Matmul", "Softmax"]),
        (lambda x: x[:, None] * ops.mean(x, axis=-1, keepdims=True), ["GetItem", "Mean", "Multiply"]),
        (lambda x: ops.gelu(x), ["Gelu"]),
        (lambda x: ops.reshape(x, (ops.shape(x)[0] * 2, 2)), ["Reshape"]),
        (lambda x: ops.cast(ops.cast(x, "float16"), "float32"), []),
        (lambda x: ops.cast(x > 0, "float32"), ["Greater", "Cast"]),
        (lambda x: tf.nn.softmax(tf.einsum("ij,kj->ik", x, x)), ["Einsum", "Softmax"]),
        (lambda x: keras.random.normal((3, 4), seed=1) * 1.0, ["Multiply"]),
        (lambda x: ops.convert_to_tensor(x), []),
        (lambda x: tf.compat.v1.image.resize(x[None, :, :, None], (2, 2)), ["GetItem", "Resize"]),
    ],
)
def test_each_operation_counts_once(function, kinds):
    found, made = seen(function)
    assert found == kinds
    np.testing.assert_array_equal(made, np.asarray(function(tf.constant(X))))


def test_a_closed_layer_inside_keeps_its_operations():
    dense, layer, found = L.Dense(2, activation="gelu"), L.Lambda(lambda x: dense(x) + 1.0), []
    dense.build((None, 4))

    def handle(op, number, f, plain, args, kwargs):
        found.append(f.kind)
        return plain(*args, **kwargs)

    interception = Interception(handle)
    calls = [(layer, "call", interception.call_within(layer, layer.call))]
    calls.append((dense, "call", interception.call_within(None, dense.call)))
    with override_attributes([*interception.overrides(), *calls]):
        layer(tf.constant(X))
    assert found == ["Add"]


def test_nested_graphs_are_one_operation():
    def code(x):
        return ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 0.9), (0, x))[1]

    assert seen(code)[0] == ["WhileLoop"]


def test_sizes_do_not_change_the_count():
    def code(x):
        rows = ops.shape(x)[0]
        return ops.reshape(x, (rows * 2 // 2, 2, 2)) + 1.0

    found = []
    layer = L.Lambda(code)

    def handle(op, number, f, plain, args, kwargs):
        found[-1].append(f.kind)
        return plain(*args, **kwargs)

    interception = Interception(handle)
    call = interception.call_within(layer, layer.call)
    with override_attributes([*interception.overrides(), (layer, "call", call)]):
        for shape in ((None, 4), (3, 4)):
            found.append([])
            tf.function(layer).get_concrete_function(tf.TensorSpec(shape))
    assert found[0] == found[1] == ["Reshape", "Add"]


def test_nothing_stays_replaced():
    before = dict(vars(tf.Tensor)), dict(vars(tf)), dict(vars(keras.src.backend.numpy))
    seen(lambda x: x + 1.0)
    assert before == (dict(vars(tf.Tensor)), dict(vars(tf)), dict(vars(keras.src.backend.numpy)))
