"""Nodes get the names of the layers they stand for, never one that is taken; what Keras keeps to itself is there."""

import keras
import pytest

from tfcompress.legacy.network.nodes import mask_of, name_nodes

pytestmark = pytest.mark.legacy


def test_the_names_that_keras_does_not_publish():
    x = keras.Input((3,))
    y = keras.ops.relu(x)
    history = y._keras_history
    assert history.operation._inbound_nodes[history.node_index].input_tensors == [x]
    assert keras.layers.Embedding(4, 2, mask_zero=True)(x)._keras_mask is not None


def test_nodes_are_named_up_to_the_layers():
    x = keras.layers.Dense(2, name="dense")(keras.Input((3,), name="x"))
    y = keras.ops.relu(keras.ops.add(x, 1.0))
    taken, seen = {"x", "dense", "wanted"}, set()
    name_nodes([y, None], "wanted", taken, seen)
    operation = y._keras_history.operation
    before = operation._inbound_nodes[0].input_tensors[0]._keras_history.operation
    assert (operation.name, before.name) == ("wanted_1", "wanted_2") and x._keras_history.operation.name == "dense"
    name_nodes([y], "other", taken, seen)
    assert operation.name == "wanted_1" and taken == {"x", "dense", "wanted", "wanted_1", "wanted_2"}


def test_masks():
    x = keras.Input((3,))
    assert mask_of(x) is None and mask_of(None) is None
    assert mask_of(keras.layers.Embedding(4, 2, mask_zero=True)(x)).dtype == "bool"
