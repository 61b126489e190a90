"""Laws: merging equal channels changes no output; sets are merged in a fixed order, the most alike first."""

import keras
import numpy as np
import pytest

from tfcompress.channels.dependency import groups
from tfcompress.channels.shrink import shrink
from tfcompress.similarity.by_weights import collect_features
from tfcompress.similarity.merge import (
    ChannelReplacement,
    merge_channel_groups,
    merges,
    representatives,
    takes_constant,
)

pytestmark = pytest.mark.sampled(4)

L = keras.layers


def random_likeness(n=7, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def test_merges_leave_one_set_and_never_get_cheaper():
    like = random_likeness()
    made = list(merges(like, np.ones(7)))
    assert len(made) == 6 and sorted(j for _, _, j in made) == sorted({j for _, _, j in made})
    costs = [c for c, _, _ in made]
    assert costs == sorted(costs) and costs[0] == pytest.approx(1 - (like - 2 * np.eye(7)).max())


def test_sets_are_as_alike_as_their_least_alike_members():
    like = np.array([[1, 0.9, 0.0, 0.0], [0.9, 1, 0.8, 0.0], [0.0, 0.8, 1, 0.7], [0.0, 0.0, 0.7, 1]])
    # 2 is like 1, but not like 0 that 1 is joined with
    assert [(i, j) for _, i, j in merges(like, np.ones(4))] == [(0, 1), (2, 3), (0, 2)]


def test_what_matters_little_merges_first():
    like = np.array([[1, 0.9, 0.1], [0.9, 1, 0.1], [0.1, 0.1, 1]])
    assert next(merges(like, np.array([1.0, 1.0, 0.01])))[1:] == (0, 2)


def test_the_representative_loses_least():
    like = np.array([[1, 0.9, 0.5], [0.9, 1, 0.9], [0.5, 0.9, 1]])
    assert representatives(like, np.ones(3), [(0, 1), (0, 2)]) == {0: 1, 2: 1}
    assert representatives(like, np.array([1.0, 1.0, 50.0]), [(0, 1), (0, 2)]) == {0: 2, 1: 2}
    assert representatives(like, np.ones(3), []) == {}


def pairs(channels):
    """In each layer the second group goes into the first, if both stand in the same places."""
    return {
        int(own[1]): int(own[0])
        for made in channels.made_by().values()
        if len(own := np.unique(made[made != 0])) > 1 and len({int((made == g).sum()) for g in own}) == 1
    }


def test_taking_nothing_over_is_cutting(cuttable, graph_models):
    found = groups(cuttable)
    into, x = pairs(found), graph_models.batch(cuttable)
    reads = collect_features(cuttable, found).reads
    before = [np.array(w) for w in cuttable.weights]
    small = merge_channel_groups(cuttable, found, reads, into, lambda n, gone, kept: ChannelReplacement(0.0))
    assert graph_models.gap(small(x), shrink(cuttable, found, np.array(sorted(into)))(x)) <= 1e-6
    assert all(np.array_equal(a, np.array(w)) for a, w in zip(before, cuttable.weights, strict=True))


def test_what_a_reader_takes_over():
    layers = [L.Dense(3, name="a"), L.Dense(2, name="b", use_bias=False)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    kernel = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    model.layers[1].set_weights([kernel])
    found = groups(model)
    a, b, c = found.groups.tolist()
    small = merge_channel_groups(
        model,
        found,
        collect_features(model, found).reads,
        {b: a, c: a},
        lambda n, g, k: ChannelReplacement(2.0, 0.5 * (g == c)),
    )
    new_kernel, bias = small.get_layer("b").get_weights()
    np.testing.assert_allclose(new_kernel, [kernel[0] + 2 * kernel[1] + 2 * kernel[2]])
    np.testing.assert_allclose(bias, 0.5 * kernel[2])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (L.Conv1D(2, 3), True),
        (L.Conv1D(2, 3, use_bias=False), True),
        (L.Conv1DTranspose(2, 3, strides=2), False),
        (L.SeparableConv1D(2, 3), True),
        (L.GRU(2), True),
        (L.LSTM(2, use_bias=False), False),
    ],
)
def test_where_a_constant_can_go(layer, expected, graph_models):
    x = inputs = keras.Input((8, 3))
    made = layer(L.Conv1D(4, 1, name="a")(x))
    model = keras.Model(inputs, L.Dense(2)(made if len(made.shape) == 2 else L.Flatten()(made)))
    graph_models.shaken(model)
    found = groups(model)
    reads = collect_features(model, found).reads
    (number,) = [n for n, r in enumerate(reads) if r.use.op is layer and len(r.roots) == 4]
    assert takes_constant(reads[number]) is expected
    if not expected:
        return
    own = found.made_by()["a"].tolist()
    # a channel that is the constant 0.7
    kernel, bias = model.get_layer("a").get_weights()
    kernel[..., 1], bias[1] = 0.0, 0.7
    model.get_layer("a").set_weights([kernel, bias])
    # the pointwise half of a separable convolution reads what the depthwise half makes of it
    times = np.array(layer.depthwise_kernel)[:, 1].sum() if isinstance(layer, L.SeparableConv1D) else 1.0
    small = merge_channel_groups(
        model, found, reads, {own[1]: own[0]}, lambda n, g, k: ChannelReplacement(0.0, 0.7 * times)
    )
    x = graph_models.batch(model)
    assert graph_models.gap(small(x), model(x)) <= 1e-5
