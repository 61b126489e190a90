"""Centring: digits of MNIST stay, ink of any size and place becomes one of them."""

import numpy as np
import pytest

from tfcompress.android.centring import centre


def test_digits_of_mnist_stay_as_they_are(mnist):
    digits = np.rint(mnist.x_test[:1000, ..., 0] * 255).astype(np.uint8)
    assert all(np.array_equal(centre(digit), digit) for digit in digits)


def blot(rng):
    """Random ink in a random place of a random picture."""
    height, width = rng.integers(30, 200, 2)
    image = np.zeros((height, width), np.uint8)
    top, left = rng.integers(0, height - 20), rng.integers(0, width - 20)
    image[top : top + rng.integers(5, 20), left : left + rng.integers(5, 20)] = rng.integers(192, 256)
    return image


def test_place_and_margin_do_not_matter():
    rng = np.random.default_rng(0)
    for _ in range(50):
        image = blot(rng)
        rows, columns = np.nonzero(image)
        ink = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert np.array_equal(centre(image), centre(ink))
        assert np.array_equal(centre(image), centre(np.pad(image, 7)))


def test_whole_enlargements_do_not_matter():
    rng = np.random.default_rng(1)
    for _ in range(20):
        image = blot(rng)
        assert np.array_equal(centre(image), centre(image.repeat(3, 0).repeat(3, 1)))


def test_the_longer_side_is_twenty_and_nothing_is_cut():
    rng = np.random.default_rng(2)
    for _ in range(50):
        digit = centre(blot(rng))
        rows, columns = np.nonzero(digit)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        assert digit.dtype == np.uint8 and digit.shape == (28, 28)


def test_the_centre_of_mass_is_in_the_middle():
    image = np.zeros((100, 100), np.uint8)
    image[10:90, 48:52] = 255
    image[10:20, 48:64] = 255
    digit = centre(image).astype(float)
    for axis in (0, 1):
        mass = digit.sum(axis=1 - axis)
        assert abs(mass @ np.arange(28) / mass.sum() - 14) <= 0.5


def test_faint_ink_becomes_bright_and_bright_ink_stays():
    image = np.zeros((40, 40), np.uint8)
    image[10:30, 10:20] = 40
    assert centre(image).max() == 255
    image[10:30, 10:20] = 200
    assert centre(image).max() == 200


def test_nothing_gives_nothing():
    assert not centre(np.zeros((9, 9), np.uint8)).any()
    dots = np.zeros((500, 500), np.uint8)
    dots[0, 0] = dots[-1, -1] = 1  # averaged away
    assert not centre(dots).any()


@pytest.mark.parametrize("image", [np.zeros((5, 5)), np.zeros((5, 5), np.int8)])
def test_other_types_are_refused(image):
    with pytest.raises(TypeError, match="uint8"):
        centre(image)


@pytest.mark.parametrize("shape", [(5,), (0, 5), (5, 5, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="shape"):
        centre(np.zeros(shape, np.uint8))
