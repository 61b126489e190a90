"""Law: what a reader takes over has the least squared error of all factors and constants."""

import keras
import numpy as np
import pytest

from tfcompress.channels.dependency import groups
from tfcompress.similarity.by_activations import CompareActivations, Moments, collect_moments, reads_op_input
from tfcompress.similarity.by_weights import collect_features
from tfcompress.similarity.candidates import alike

pytestmark = pytest.mark.sampled(3)

L = keras.layers


@pytest.mark.parametrize("is_free", [True, False])
def test_least_squares(is_free):
    values = np.random.default_rng(0).normal(1.0, 2.0, size=(50, 2))
    values[:, 1] += 0.6 * values[:, 0]
    moments = Moments(np.array([4, 7]), is_free, 50, values.sum(axis=0), values.T @ values)
    a = np.stack([values[:, 0], np.ones(50)], axis=1)[:, : 1 + is_free]
    expected = np.linalg.lstsq(a, values[:, 1], rcond=None)[0]
    taken = moments.take(gone=7, kept=4)
    np.testing.assert_allclose([taken.factor, taken.offset][: 1 + is_free], expected, rtol=1e-9)
    assert is_free or taken.offset == 0
    if is_free:
        np.testing.assert_allclose(moments.similarity(), np.corrcoef(values.T), rtol=1e-9)


def test_channels_that_never_change():
    values = np.stack([np.full(9, 3.0), np.full(9, 5.0), np.arange(9.0)], axis=1)
    moments = Moments(np.arange(3), True, 9, values.sum(axis=0), values.T @ values)
    np.testing.assert_allclose(moments.similarity(), [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert moments.take(0, 1).factor == 0 and moments.take(0, 1).offset == pytest.approx(3)


def inputs_of(model, n=6):
    rng = np.random.default_rng(3)
    made = []
    for x in model.inputs:
        size = (n, *x.shape[1:])
        made.append(rng.integers(0, 11, size) if "int" in x.dtype else rng.normal(size=size).astype("float32"))
    return made


def test_sums_are_those_of_what_comes_in(cuttable):
    """Checked on every reader whose input is what a model up to there returns."""
    channels = groups(cuttable)
    found = collect_features(cuttable, channels)
    sets, x = alike(channels, found), inputs_of(cuttable)
    sums = collect_moments(cuttable, found.reads, sets, x)
    seen = 0
    for (n, _), moments in sums.items():
        op = found.reads[n].use.op
        assert reads_op_input(found.reads[n]) and moments.count and np.isfinite(moments.second).all()
        plain = isinstance(op, (L.Dense, L.Conv1D, L.Conv2D, L.Conv3D))
        if not plain or op not in cuttable.layers or len(op._inbound_nodes) > 1:
            continue
        until = keras.Model(cuttable.inputs, op.input)
        values = np.asarray(until(x))
        alive = channels.roots[channels.uses[id(op)].weights["kernel"][-2]]
        expected = values.reshape(-1, values.shape[-1])[:, np.isin(alive, moments.groups)].sum()
        np.testing.assert_allclose(moments.first.sum(), expected, rtol=1e-3, atol=1e-3)
        seen += 1
    assert seen or not any(isinstance(found.reads[n].use.op, L.Dense) for n, _ in sums)


def test_batches_do_not_matter(graph_models, monkeypatch):
    model = graph_models.shaken(graph_models.ALL["flattened"]())
    channels = groups(model)
    found = collect_features(model, channels)
    sets, x = alike(channels, found), inputs_of(model)
    whole = CompareActivations(model, found.reads, sets, x)
    monkeypatch.setattr("tfcompress.similarity.by_activations.BATCH", 2)
    parts = CompareActivations(model, found.reads, sets, x)
    for a, b in zip([*whole.like, *whole.matter], [*parts.like, *parts.matter], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
