"""How weights, products of two activations and operations on places pass channels on."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from tfcompress.channels.dependency import groups
from tfcompress.channels.shrink import shrink, zeroed
from tfcompress.graph.flat.layers import AlongBatch, Weight

EYE = np.tril(np.ones((6, 6), "float32"))


def model(middle, width=8, shape=(6, 4)):
    """Dense, some operations, Dense."""
    i = keras.Input(shape)
    return keras.Model(i, L.Dense(3, name="last")(middle(L.Dense(width, name="wide")(i))))


def heads(x):
    return ops.transpose(ops.reshape(x, (-1, 6, 4, 2)), (0, 2, 1, 3))


def joined(x):
    return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, 6, 8))


PASSING = {
    "weight added": lambda x: x + Weight((1, 6, 8))(x),
    "weight of one axis": lambda x: x * Weight((8,), leading=True)(x),
    "weight in front": lambda x: ops.concatenate([AlongBatch()(Weight((1, 1, 8))(x), x), x], axis=1),
    "matrix in front": lambda x: ops.matmul(EYE, x),
    "scores": lambda x: ops.matmul(ops.softmax(ops.matmul(L.Dense(5)(x), ops.ones((5, 6)))), x),
    "einsum of scores": lambda x: ops.einsum("bqk,bke->bqe", ops.softmax(L.Dense(6)(x)), x),
    "heads": lambda x: joined(ops.matmul(ops.softmax(ops.matmul(heads(x), ops.swapaxes(heads(x), 2, 3))), heads(x))),
    "constant of all heads": lambda x: joined(heads(x) * np.arange(12, dtype="float32").reshape(1, 1, 6, 2)),
    "split in two": lambda x: ops.multiply(*ops.split(x, 2, axis=-1)),
    "split elsewhere": lambda x: ops.add(*ops.split(x, 2, axis=1)),
    "stack": lambda x: ops.sum(ops.stack([x, ops.relu(x)], axis=1), axis=1),
    "stack behind": lambda x: ops.sum(ops.stack([x, ops.relu(x)], axis=-1), axis=-1),
    "roll of places": lambda x: ops.roll(x, 2, axis=1),
    "take of places": lambda x: ops.take(x, np.array([0, 3]), axis=1),
    "pad of places": lambda x: ops.pad(x, [[0, 0], [1, 1], [0, 0]]),
    "choice": lambda x: ops.where(x > 0, x, 0.1 * x),
    "windows": lambda x: ops.reshape(ops.relu(ops.reshape(x, (-1, 3, 8))), (-1, 6, 8)),
    "softmax of places": lambda x: ops.softmax(x, axis=1),
}
KEEPING = {
    "sum over channels": lambda x: ops.matmul(x, ops.swapaxes(x, 1, 2)),
    "matrix behind": lambda x: ops.matmul(x, np.ones((8, 5), "float32")),
    "einsum over channels": lambda x: ops.einsum("bqe,bke->bqk", x, x),
    "two axes of channels": lambda x: ops.reshape(ops.einsum("bte,btf->btef", x, x), (-1, 6, 64)),
    "split at places": lambda x: ops.concatenate(ops.split(x, [3], axis=-1)[::-1], axis=-1),
    "roll of channels": lambda x: ops.roll(x, 2, axis=-1),
    "take of channels": lambda x: ops.take(x, np.array([7, 6, 5, 4, 3, 2, 1, 0]), axis=-1),
    "pad of channels": lambda x: ops.pad(x, [[0, 0], [0, 0], [1, 0]]),
    "softmax of channels": lambda x: ops.softmax(x, axis=-1),
    "constant along channels": lambda x: x * np.arange(8, dtype="float32"),
}


@pytest.mark.parametrize("middle", PASSING.values(), ids=PASSING)
def test_channels_pass_and_can_be_cut(middle):
    net = model(middle)
    for v in net.variables:
        v.assign(np.random.default_rng(v.shape[0]).normal(size=v.shape))
    found = groups(net)
    assert "wide" not in found.kept()
    dead = np.unique(found.made_by()["wide"])[:1]
    small, masked = shrink(net, found, dead), zeroed(net, found, dead)
    x = np.random.default_rng(0).normal(size=(5, 6, 4)).astype("float32")
    assert small.get_layer("wide").units < 8
    assert np.abs(small(x) - masked(x)).max() <= 1e-5 * max(1, np.abs(masked(x)).max())
    assert np.abs(masked(x) - net(x)).max() > 1e-3


@pytest.mark.parametrize("middle", KEEPING.values(), ids=KEEPING)
def test_channels_that_meet_by_number_or_in_a_sum_are_kept(middle):
    assert "wide" in groups(model(middle)).kept()


def test_numbers_of_entries_are_no_channels():
    i = keras.Input((4,))
    numbers = Weight((1, 6), weight_dtype="int32", name="numbers")
    net = keras.Model(i, L.Dense(2)(L.Embedding(6, 5, name="table")(numbers(i))))
    assert len(groups(net).groups) == 5


@pytest.mark.parametrize(
    "into, out", [("btd,dhe->bthe", "bthe,hed->btd"), ("btd,hde->bthe", "bthe,hed->btd")], ids=["last", "first"]
)
def test_heads_of_einsum_dense_are_cut_as_a_whole(into, out):
    i = keras.Input((6, 4))
    x = L.EinsumDense(into, (None, 3, 5), bias_axes="he", activation="relu", name="wide")(i)
    net = keras.Model(i, L.EinsumDense(out, (None, 2), bias_axes="d", name="last")(x))
    found = groups(net)
    assert len(found.groups) == 3
    small, masked = shrink(net, found, found.groups[:1]), zeroed(net, found, found.groups[:1])
    x = np.random.default_rng(0).normal(size=(5, 6, 4)).astype("float32")
    assert small.get_layer("wide").kernel.shape[into.split(",")[1].index("h")] == 2
    assert np.abs(small(x) - masked(x)).max() <= 1e-5
