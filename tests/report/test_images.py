"""Inputs that are pictures become PNGs of the same pixels; others are not taken for pictures."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tfcompress.report.images import pictures, png, thumbnail

CODES = np.random.default_rng(0).integers(0, 256, (6, 12, 10, 3)).astype(np.uint8)
CODES[0, 0, 0] = (0, 255, 0)
ROWS = np.array([1, 4])


def pixels(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.mark.parametrize(
    "x",
    [
        CODES,
        CODES.astype("float32"),
        CODES / 255,
        (CODES / 127.5 - 1).astype("float32"),
        np.moveaxis(CODES / 255, -1, 1),
        {"tokens": np.zeros((6, 5), int), "image": CODES},
        (CODES / 255 - 0.45) / 0.225,  # standardized: shown from the smallest to the largest value
    ],
)
def test_pixels_are_those_of_the_input(x):
    found = pictures(x, ROWS)
    assert found.shape == (2, 12, 10, 3)
    for image, row in zip(found, ROWS, strict=True):
        np.testing.assert_array_equal(pixels(png(image)), CODES[row])


def test_grey_squares_are_pictures():
    found = pictures(np.repeat(CODES[:, :1, :1, 0], 28, 1).repeat(28, 2) / 255, ROWS)
    assert found.shape == (2, 28, 28, 1) and pixels(png(found[0])).shape == (28, 28)


@pytest.mark.parametrize("shape", [(6, 20), (6, 20, 16), (6, 8, 8), (6, 12, 12, 7), (6, 2, 2, 2, 3), (0, 8, 8, 3)])
def test_other_inputs_are_no_pictures(shape):
    assert pictures(np.zeros(shape), np.array([], int)) is None


def test_equal_values_are_drawn_too():
    assert np.isfinite(pictures(np.full((2, 8, 8, 1), 7.0), np.array([0]))).all()


def test_large_pictures_are_reduced():
    assert pixels(thumbnail(np.zeros((400, 200, 3)))).shape == (96, 48, 3)
    assert pixels(thumbnail(np.zeros((28, 28, 1)))).shape == (28, 28)
