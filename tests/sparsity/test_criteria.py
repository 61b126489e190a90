"""Criteria: what each one makes of a weight and of the noted gradients, and the user's own."""

import numpy as np
import pytest
import tensorflow as tf

from tfcompress.fake_quant.transforms.scores import STATISTICS, ScoredMask
from tfcompress.sparsity import criteria
from tfcompress.sparsity.criteria import Evidence


@pytest.fixture
def evidence():
    rng = np.random.default_rng(0)
    weight, noted = rng.normal(size=(2, 6, 4)).astype("float32")
    return Evidence(weight, noted, np.random.default_rng(5))


def test_magnitude_is_the_absolute_value(evidence):
    np.testing.assert_array_equal(criteria.find("magnitude")(evidence), np.abs(evidence.weight))


def test_random_is_uniform_repeatable_and_blind_to_the_weight(evidence):
    score = criteria.find("random")
    first = score(evidence)
    again = score(Evidence(evidence.weight * 7, None, np.random.default_rng(5)))
    np.testing.assert_array_equal(first, again)
    assert first.shape == evidence.weight.shape and 0 <= first.min() and first.max() < 1
    assert (first != score(Evidence(evidence.weight, None, np.random.default_rng(6)))).any()


@pytest.mark.parametrize("name", STATISTICS)
def test_gradient_criteria_give_what_the_tap_noted(name, evidence):
    assert criteria.needs_gradient(name)
    np.testing.assert_array_equal(criteria.find(name)(evidence), evidence.noted)


def test_magnitude_and_random_need_no_tap():
    assert not criteria.needs_gradient("magnitude") and not criteria.needs_gradient("random")


def test_a_criterion_of_ones_own(evidence):
    @criteria.criterion("test of ones own")
    def squared(evidence):
        return np.square(evidence.weight)

    found = criteria.find("test of ones own")
    assert found is squared and not criteria.needs_gradient("test of ones own")
    np.testing.assert_array_equal(found(evidence), evidence.weight**2)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match=r"must be one of .*'magnitude'.*Received.*'magnitud'"):
        criteria.find("magnitud")


def test_a_criterion_with_gradients_of_ones_own_notes_what_it_asks_for():
    for name, summed, expected in (("test mean", False, 0.19), ("test sum", True, 2.0)):
        criteria.criterion(name, gradient=lambda w, g: tf.ones_like(g), summed=summed)(lambda evidence: evidence.noted)
        assert criteria.needs_gradient(name)
        mask = ScoredMask(name, axes="io")
        w = tf.Variable(np.ones((2, 3), "float32"))
        for _ in range(2):
            with tf.GradientTape() as tape:
                total = tf.reduce_sum(mask(w))
            tape.gradient(total, w)
        np.testing.assert_allclose(mask.score.numpy(), np.full((2, 3), expected), rtol=1e-5)


def test_a_mask_of_a_criterion_that_nobody_registered_is_told():
    with pytest.raises(
        ValueError, match=r"statistic must be the name of a criterion with gradients.*'no such'.*Import"
    ):
        ScoredMask("no such")
    with pytest.raises(ValueError, match=r"summed=True sums the figures of gradient="):
        criteria.criterion("x", summed=True)
    with pytest.raises(TypeError, match="gradient must be a function"):
        criteria.criterion("x", gradient=3)
