"""Scores against definitions written out, and the forms targets may have."""

import numpy as np
import pytest

from tfcompress.evaluate.scores import accuracy, classes, labels, macro_f1, mean_gap


def test_macro_f1_is_the_definition():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 4, 300), rng.integers(1, 6, 300)
    scores = []
    for label in range(6):  # 0 is never predicted, 4 and 5 never true
        tp = np.sum((true == label) & (predicted == label))
        fp = np.sum((true != label) & (predicted == label))
        fn = np.sum((true == label) & (predicted != label))
        scores.append(2 * tp / (2 * tp + fp + fn))
    assert macro_f1(true, predicted) == pytest.approx(np.mean(scores), abs=1e-12)
    assert macro_f1(true, true) == 1.0
    assert accuracy(true, predicted) == np.mean(true == predicted)


def test_classes_of_scores_and_of_a_single_score():
    assert classes(np.array([[0.2, 0.2, 0.1]])).tolist() == [0]
    assert classes(np.array([[0.5], [0.51]])).tolist() == [0, 1]
    assert classes(np.array([[-0.1], [0.1]]), threshold=0.0).tolist() == [0, 1]
    assert classes(np.zeros((2, 3, 4, 5))).shape == (2, 3, 4)
    with pytest.raises(ValueError, match="shape"):
        classes(np.zeros(3))


@pytest.mark.parametrize(
    "y",
    [
        np.array([2, 0]),
        np.array([[2], [0]]),
        np.array([[0, 0, 1], [1, 0, 0]]),
        np.array([2.0, 0.0]),
    ],
)
def test_labels_in_every_form(y):
    assert labels(y, np.zeros((2, 3))).tolist() == [2, 0]


def test_values_to_be_met_are_no_labels():
    assert labels(np.array([[0.5, 0.2, 0.1]]), np.zeros((1, 3))) is None
    assert labels(np.array([0.5]), np.zeros((1, 1))) is None
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        labels(np.array([1, 2, 3]), np.zeros((2, 4)))


def test_mean_gap():
    assert mean_gap(np.float32([1, 2]), np.float32([2, 4])) == 1.5
