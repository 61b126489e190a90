"""Softmax, ranks and confidence."""

import numpy as np
import pytest

from tfcompress.android.monitor.confidence import confidences, softmax, top_k


def test_softmax_is_a_distribution_and_shifts_do_not_matter():
    x = np.random.default_rng(0).normal(0, 30, (50, 10))
    p = softmax(x)
    assert np.allclose(p.sum(axis=-1), 1, atol=1e-15) and (p >= 0).all()
    assert np.allclose(softmax(x + 1000), p, rtol=1e-9, atol=0)
    assert np.array_equal(p.argmax(-1), x.argmax(-1))


@pytest.mark.parametrize("x", [[], [np.nan, 0.0], [np.inf, 0.0]])
def test_softmax_refuses(x):
    with pytest.raises(ValueError, match="softmax"):
        softmax(np.array(x))


def test_top_k_is_a_stable_order():
    scores = np.random.default_rng(1).integers(0, 4, 30)
    order = top_k(scores, 30)
    assert sorted(order) == list(range(30))
    for first, second in zip(order, order[1:], strict=False):
        assert (-scores[first], first) < (-scores[second], second)


@pytest.mark.parametrize("k", [0, 4, -1])
def test_top_k_refuses(k):
    with pytest.raises(ValueError, match="k must be from 1 to 3"):
        top_k(np.zeros(3), k)
    with pytest.raises(ValueError, match="numbers"):
        top_k(np.array([np.nan]), 1)


def test_confidences():
    x = np.random.default_rng(2).normal(0, 3, (20, 5))
    sure = confidences(x, "logits")
    assert np.array_equal(sure, confidences(softmax(x), "probabilities"))
    assert ((sure >= 0.2) & (sure <= 1)).all()
    assert confidences(np.array([[1.0039, -0.2]]), "probabilities").tolist() == [1.0]
    with pytest.raises(ValueError, match="semantic"):
        confidences(x, "scores")
