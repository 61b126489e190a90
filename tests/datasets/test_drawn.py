"""Drawn digits are seeded, balanced, in range, all different, and can be told apart."""

import numpy as np
import pytest

from tfcompress.datasets.drawn import draw_digits


@pytest.fixture(scope="module")
def drawn():
    return draw_digits(train=2_000, test=500, seed=3)


def test_form(drawn):
    x_train, y_train, x_test, y_test = drawn
    for x, y, count in ((x_train, y_train, 2_000), (x_test, y_test, 500)):
        assert x.shape == (count, 28, 28, 1) and x.dtype == np.float32
        assert x.min() == 0.0 and 0.9 < x.max() <= 1.0
        assert y.dtype == np.int64 and np.bincount(y).tolist() == [count // 10] * 10


def test_one_seed_one_set(drawn):
    again = draw_digits(train=2_000, test=500, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    other = draw_digits(train=2_000, test=500, seed=4)
    assert not np.array_equal(drawn[0], other[0])


def test_no_image_is_drawn_twice(drawn):
    images = np.concatenate([drawn[0], drawn[2]])
    assert len({image.tobytes() for image in images}) == len(images)


def test_the_digit_stays_inside_the_frame(drawn):
    """Ink on the border means that a digit was cut: hardly any may touch it."""
    x = drawn[0][..., 0]
    border = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], axis=1)
    assert (border.max(axis=1) > 0.5).mean() < 0.02


def test_classes_can_be_told_apart(drawn):
    """Nearest of 2,000 images by pixels: far above the 10 % of a guess."""
    x_train, y_train, x_test, y_test = drawn
    a, b = x_train.reshape(2_000, -1), x_test.reshape(500, -1)
    distance = (a**2).sum(1) - 2 * b @ a.T
    assert (y_train[distance.argmin(axis=1)] == y_test).mean() > 0.6


@pytest.mark.parametrize("counts", [{"train": 0}, {"test": -1}, {"train": 2.5}])
def test_bad_counts(counts):
    with pytest.raises(ValueError, match="must be a positive integer"):
        draw_digits(**counts)
