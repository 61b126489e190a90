"""Scales and centres a drawing like an MNIST digit: in a 20 x 20 box, centre of mass in the middle of 28 x 28.

It uses integer arithmetic only, so that every program that follows the steps gives the same bytes, as the Android
demo does. After Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998.
"""

import numpy as np

SIDE = 28
BOX = 20
_FAINT = 192  # a digit whose brightest pixel is below it is stretched; no digit of MNIST is


def centre(image: np.ndarray) -> np.ndarray:
    """Turns a drawing into a 28 x 28 picture like those of MNIST.

    1. Box: the smallest rectangle with all pixels above 0, w x h; m = max(w, h). Without any, the result is empty.
    2. Size: nw = max(1, (40 w + m) div 2m), nh alike: the longer side becomes 20.
    3. Area average: a target pixel is the mean of the source rectangle it covers, rounded half up.
    4. Stretch, if the largest value M is below 192: v = (510 v + M) div 2M. If M is 0, the result is empty.
    5. Place: left = (30 T - S) div 2T with T the sum of v and S that of v (2 column + 1), within 0..28 - nw;
       top alike. This brings the centre of mass next to the middle of pixel (14, 14), where MNIST has it.

    `div` rounds down. Of MNIST's 10,000 test digits 9,996 are returned unchanged. Step 4 is not part of MNIST's
    method: strokes of a thin pen would be fainter than any digit of the training data.

    Args:
        image: uint8 (height, width), 0 is the background and 255 full ink.

    Returns:
        uint8 (28, 28).

    Raises:
        TypeError: If the pixels are not uint8.
        ValueError: If it is not a picture of at least one pixel.

    Example:
        >>> image = np.zeros((100, 200), np.uint8)
        >>> image[10:90, 30:50] = 255  # a thick one
        >>> digit = centre(image)
        >>> rows, columns = np.nonzero(digit)
        >>> rows.min(), rows.max(), columns.min(), columns.max()
        (np.int64(5), np.int64(24), np.int64(12), np.int64(16))
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise TypeError(f"centre: image must be uint8, 0 to 255. Received: {image.dtype}.")
    if image.ndim != 2 or not image.size:
        raise ValueError(f"centre: image must have shape (height, width). Received: shape {image.shape}.")
    result = np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = np.nonzero(image)
    if not len(rows):
        return result
    box = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.int64)
    digit = _stretched(_scaled(box))
    if digit is None:
        return result
    top, left = (_start(digit.sum(axis=1 - axis)) for axis in (0, 1))
    height, width = digit.shape
    result[top : top + height, left : left + width] = digit
    return result


def _scaled(box: np.ndarray) -> np.ndarray:
    """Scales by area average to a size whose longer side is 20."""
    longest = max(box.shape)
    weights = [_overlaps(size, max(1, (2 * BOX * size + longest) // (2 * longest))) for size in box.shape]
    total = weights[0] @ box @ weights[1].T
    area = box.size
    return (2 * total + area) // (2 * area)


def _overlaps(source: int, target: int) -> np.ndarray:
    """Returns how much of each source pixel each target pixel covers, in 1/target of a source pixel."""
    edges_from = np.arange(source + 1) * target
    edges_to = np.arange(target + 1) * source
    low = np.maximum(edges_to[:-1, None], edges_from[None, :-1])
    high = np.minimum(edges_to[1:, None], edges_from[None, 1:])
    return np.maximum(high - low, 0)


def _stretched(values: np.ndarray) -> np.ndarray | None:
    largest = int(values.max())
    if largest >= _FAINT:
        return values
    return (2 * 255 * values + largest) // (2 * largest) if largest else None


def _start(profile: np.ndarray) -> int:
    """Returns the first row or column of the digit in the result, from its sums over rows or columns."""
    total, moment = int(profile.sum()), int(profile @ (2 * np.arange(len(profile)) + 1))
    start = ((SIDE + 2) * total - moment) // (2 * total)
    return min(max(start, 0), SIDE - len(profile))
