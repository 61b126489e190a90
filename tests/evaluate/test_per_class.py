"""Counts by class against counts made here one by one."""

import keras
import numpy as np
import pytest

from tfcompress.evaluate.compare import compare
from tfcompress.evaluate.per_class import changes, class_accuracy, confusion_matrix, confusions, drawn


def answers(classes, count, seed=0):
    """Right classes and answers, about two thirds of them right; some classes do not occur."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, count)
    return true, np.where(rng.random(count) < 0.65, true, rng.integers(0, classes, count))


@pytest.mark.parametrize(("classes", "count"), [(2, 50), (10, 400), (1000, 700)])
def test_counts_are_those_of_a_loop(classes, count):
    true, predicted = answers(classes, count)
    expected = np.zeros((classes, classes), int)
    for t, p in zip(true, predicted, strict=True):
        expected[t, p] += 1
    numbers, matrix = confusion_matrix(true, predicted)
    assert numbers.tolist() == sorted({*true.tolist(), *predicted.tolist()})
    np.testing.assert_array_equal(matrix, expected[np.ix_(numbers, numbers)])
    found = class_accuracy(true, predicted)
    assert list(found) == sorted(set(true.tolist()))
    for c, (samples, share) in found.items():
        assert samples == expected[c].sum() and share == expected[c, c] / expected[c].sum()
    off = [(-expected[i, j], i, j) for i in range(classes) for j in range(classes) if i != j and expected[i, j]]
    wanted = [{"true": i, "predicted": j, "count": -n, "share": -n / expected[i].sum()} for n, i, j in sorted(off)[:7]]
    assert confusions(true, predicted, 7) == wanted


def test_labels_that_no_model_answers_with_count_as_classes():
    numbers, matrix = confusion_matrix(np.array([-1, 255, 3]), np.array([3, 3, 3]))
    assert numbers.tolist() == [-1, 3, 255] and matrix[:, 1].tolist() == [1, 1, 1]


def test_without_mistakes_there_are_no_confusions():
    assert confusions(np.arange(5), np.arange(5), 3) == []


def test_pixels_count_as_samples_do():
    true, predicted = answers(4, 240)
    flat, square = (
        class_accuracy(true, predicted),
        class_accuracy(true.reshape(2, 12, 10), predicted.reshape(2, 12, 10)),
    )
    assert flat == square
    assert confusions(true, predicted, 5) == confusions(true.reshape(2, 12, 10), predicted.reshape(2, 12, 10), 5)


def test_changes_are_each_of_one_kind():
    true, before = answers(5, 300)
    after = answers(5, 300, seed=1)[1]
    found = changes(before, after, true)
    kinds = [
        "same" if b == a else "lost" if b == t else "won" if a == t else "other"
        for t, b, a in zip(true, before, after, strict=True)
    ]
    for kind in ("lost", "won", "other"):
        assert found[kind].tolist() == [each == kind for each in kinds]
    assert found["changed"].tolist() == [each != "same" for each in kinds]
    assert list(changes(before, after)) == ["changed"]


def test_a_draw_is_the_same_for_the_same_seed():
    rows = np.arange(0, 200, 2)
    first = drawn(rows, 10, seed=3)
    assert len(set(first.tolist())) == 10 and set(first) <= set(rows) and sorted(first) == first.tolist()
    assert first.tolist() == drawn(rows, 10, seed=3).tolist() != drawn(rows, 10, seed=4).tolist()


def test_a_comparison_keeps_the_answers(small_net, net_files, net_images):
    y = np.arange(len(net_images)) % 3
    found = compare(small_net, {"int8": net_files[1]}, (net_images, keras.ops.one_hot(y, 3)), latency=False, verbose=0)
    given = found.answers
    np.testing.assert_array_equal(given.predicted[0], small_net.predict(net_images, verbose=0).argmax(-1))
    np.testing.assert_array_equal(given.true, y)
    assert given.count == 3 and given.by_sample and given.inputs is net_images
    assert found["int8"]["accuracy"] == np.mean(given.predicted[1] == y)
    targets = np.random.default_rng(0).normal(size=(len(net_images), 3))
    assert compare(small_net, {"int8": net_files[1]}, (net_images, targets), latency=False, verbose=0).answers is None
    without = compare(small_net, {"int8": net_files[1]}, net_images, latency=False, verbose=0).answers
    assert without.true is None and len(without.predicted) == 2
