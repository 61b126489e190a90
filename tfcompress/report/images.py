"""Makes small PNGs of a model's inputs, where they are pictures."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

_LONGEST = 96  # pixels of a sample on a page
_SEEN = 256  # samples that the range of the values is taken of


def pictures(x: Any, rows: np.ndarray) -> np.ndarray | None:
    """Returns some of a model's inputs as pictures.

    Values 0..1, -1..1 and 0..255 are shown as they are; others, such as standardized ones, from the smallest to the
    largest.

    Args:
        x: Inputs, (n, height, width, channels), (n, channels, height, width) or grey (n, side, side); or a mapping of
            several, of which the first pictures are taken.
        rows: Numbers of the wanted samples.

    Returns:
        Values 0..1, (rows, height, width, 1 or 3); None if the inputs are no pictures.

    Example:
        >>> pictures(np.full((5, 8, 8, 1), 255, np.uint8), np.array([0, 3])).shape
        (2, 8, 8, 1)
        >>> pictures(np.zeros((5, 20)), np.array([0])) is None
        True
    """
    if isinstance(x, Mapping):
        return next((found for one in x.values() if (found := pictures(one, rows)) is not None), None)
    x = np.asarray(x)
    to_last = _channels_last(x)
    if to_last is None or not len(x):
        return None
    low, high = _range(x)
    return np.clip((to_last(x[rows]).astype(np.float32) - low) / (high - low), 0.0, 1.0)


def png(image: np.ndarray, longest: int | None = None) -> str:
    """Returns a picture as PNG in base64.

    Args:
        image: Values 0..1, (height, width, 1 or 3).
        longest: Pixels of the longer side that a larger picture is reduced to; None keeps its size.

    Returns:
        The bytes of the file in base64.

    Example:
        >>> png(np.zeros((2, 2, 1)))[:6]
        'iVBORw'
    """
    codes = np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)
    drawing = Image.fromarray(codes[..., 0] if codes.shape[-1] == 1 else codes)
    if longest is not None and max(drawing.size) > longest:
        drawing.thumbnail((longest, longest))
    stream = io.BytesIO()
    drawing.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def thumbnail(image: np.ndarray) -> str:
    """Returns a picture as PNG in base64, no larger than a sample on a page.

    >>> thumbnail(np.zeros((400, 200, 3)))[:6]
    'iVBORw'
    """
    return png(image, _LONGEST)


def _channels_last(x: np.ndarray) -> Any:
    """Returns the function that brings samples into (n, height, width, channels); None if they are no pictures."""
    if x.ndim == 4 and x.shape[-1] in (1, 3) and min(x.shape[1:3]) > 3:
        return np.asarray
    if x.ndim == 4 and x.shape[1] in (1, 3) and min(x.shape[2:]) > 3:
        return lambda part: np.moveaxis(part, 1, -1)
    # A square of numbers may be a grey picture; a small one is as well a sequence of vectors.
    if x.ndim == 3 and x.shape[1] == x.shape[2] >= 16:
        return lambda part: part[..., None]
    return None


def _range(x: np.ndarray) -> tuple[float, float]:
    if x.dtype == np.uint8:
        return 0.0, 255.0
    some = x[np.linspace(0, len(x) - 1, min(len(x), _SEEN)).astype(int)]
    low, high = float(some.min()), float(some.max())
    if low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    if low >= -1.0 and high <= 1.0:
        return -1.0, 1.0
    if low >= 0.0 and 32.0 <= high <= 255.0:
        return 0.0, 255.0
    return low, high if high > low else low + 1.0
