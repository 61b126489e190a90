"""Draws digits with Pillow's own font, for machines without MNIST.

Glyph at one of several stroke widths -> random perspective map (scale, rotation, shear, shift,
tilt) -> 28x28 -> a gap, contrast and noise. A stand-in to run the demo on, not a benchmark: one
font is easier than handwriting, so results must be labelled as made with drawn digits.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SIDE = 28  # pixels of the result
_CANVAS = 84  # pixels of the glyph's canvas: three times finer than the result
_STROKES = (0, 1, 2, 3, 4)  # pixels added around the glyph's outline on its canvas


def draw_digits(
    train: int = 12_000, test: int = 2_000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draws a balanced set of the digits 0..9.

    Args:
        train: Number of training images.
        test: Number of test images; they are drawn after the training images, from one stream.
        seed: Seed of everything random; the same seed draws the same images.

    Returns:
        x_train, y_train, x_test, y_test: images float32 in 0..1 (n, 28, 28, 1), bright on dark
        like MNIST; classes int64 (n,).

    Raises:
        ValueError: If `train` or `test` is not a positive number.

    Example:
        >>> x_train, y_train, x_test, y_test = draw_digits(train=20, test=10)
        >>> x_train.shape, sorted(y_test.tolist())
        ((20, 28, 28, 1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    for name, count in (("train", train), ("test", test)):
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"draw_digits: {name} must be a positive integer. Received: {count}")
    rng = np.random.default_rng(seed)
    glyphs = {(digit, stroke): _glyph(digit, stroke) for digit in range(10) for stroke in _STROKES}
    x_train, y_train = _draw(train, glyphs, rng)
    x_test, y_test = _draw(test, glyphs, rng)
    return x_train, y_train, x_test, y_test


def _draw(count: int, glyphs: dict, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y = rng.permutation(np.arange(count) % 10)
    strokes = rng.choice(_STROKES, count)
    maps = _perspective_maps(count, rng)
    x = np.empty((count, _SIDE, _SIDE), np.float32)
    for i in range(count):
        image = glyphs[int(y[i]), int(strokes[i])]
        x[i] = image.transform((_SIDE, _SIDE), Image.Transform.PERSPECTIVE, maps[i], Image.Resampling.BILINEAR)
    x[_gaps(count, rng)] = 0
    x *= rng.uniform(0.55, 1.0, (count, 1, 1)).astype(np.float32) / 255
    x += rng.normal(0.0, 1.0, x.shape).astype(np.float32) * rng.uniform(0, 0.12, (count, 1, 1))
    return np.clip(x, 0.0, 1.0, out=x)[..., None], y.astype(np.int64)


def _perspective_maps(count: int, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Draws perspective maps: eight coefficients each, from a pixel of the result to the glyph's canvas."""
    zoom = _CANVAS / _SIDE / rng.uniform(0.72, 1.05, (2, count))
    angle = np.deg2rad(rng.uniform(-25, 25, count))
    shear = rng.uniform(-0.45, 0.45, count)
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = zoom[0] * (cos - shear * sin), zoom[0] * (-sin - shear * cos)
    d, e = zoom[1] * sin, zoom[1] * cos
    centre = _SIDE / 2 + rng.uniform(-2, 2, (2, count))  # of the digit, in result pixels
    g, h = rng.uniform(-0.008, 0.008, (2, count))  # tilt towards the eye, per result pixel
    # The denominator g x + h y + 1 is kept at 1 in the centre, so that the digit stays in place.
    scale = 1 - g * centre[0] - h * centre[1]
    a, b = a + g * _CANVAS / 2, b + h * _CANVAS / 2
    d, e = d + g * _CANVAS / 2, e + h * _CANVAS / 2
    c = _CANVAS / 2 - a * centre[0] - b * centre[1]
    f = _CANVAS / 2 - d * centre[0] - e * centre[1]
    return list(zip(*(value / scale for value in (a, b, c, d, e, f, g, h)), strict=True))


def _gaps(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws a square of 2 to 4 pixels in the middle part of about every third image, (count, 28, 28)."""
    low = rng.integers(6, 20, (2, count, 1))
    size = rng.integers(2, 5, (count, 1)) * (rng.random((count, 1)) < 1 / 3)
    rows, columns = ((low[k] <= np.arange(_SIDE)) & (np.arange(_SIDE) < low[k] + size) for k in (0, 1))
    return rows[:, :, None] & columns[:, None, :]


def _glyph(digit: int, stroke: int) -> Image.Image:
    """Draws one digit, centred by its ink, 60 canvas pixels high: MNIST's 20 of 28."""
    font = ImageFont.load_default(72)
    image = Image.new("L", (3 * _CANVAS, 3 * _CANVAS))
    ImageDraw.Draw(image).text((_CANVAS, _CANVAS), str(digit), fill=255, font=font, stroke_width=stroke)
    ink = image.crop(image.getbbox())
    height = 60
    width = max(1, round(ink.width * height / ink.height))
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    canvas.paste(
        ink.resize((width, height), Image.Resampling.LANCZOS),
        ((_CANVAS - width) // 2, (_CANVAS - height) // 2),
    )
    return canvas
