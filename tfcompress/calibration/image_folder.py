"""Reads calibration samples from a folder of pictures with Pillow.

All pictures below the folder are candidates (class folders included), in the order of their
paths; where there are more than asked for, they are taken at even distances, so that a folder
sorted by class gives all classes.
"""

import os
import struct
from pathlib import Path

import numpy as np

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def evenly(count: int, limit: int) -> np.ndarray:
    """Returns at most `limit` of the numbers 0 ... count - 1, at even distances, first and last included.

    >>> evenly(10, 4).tolist()
    [0, 3, 6, 9]
    >>> evenly(3, 100).tolist()
    [0, 1, 2]
    """
    if count <= limit:
        return np.arange(count)
    return np.linspace(0, count - 1, limit).round().astype(np.int64)


def read_images(
    folder: str | os.PathLike,
    shape: tuple[int | None, ...],
    limit: int,
    scale: float = 1.0,
    offset: float = 0.0,
) -> list[np.ndarray]:
    """Reads pictures from a folder, in the shape of one model input.

    Args:
        folder: the folder; sub-folders are searched too.
        shape: (height, width, channels) of the input, or (height, width) for grey.
        limit: the largest number of pictures to read.
        scale: factor on the pixel values 0..255: 1 / 255 for a model trained on 0..1.
        offset: added after `scale`: `scale=1/127.5, offset=-1` for a model trained on -1..1.

    Returns:
        float32 arrays (1, *shape), resized with bilinear interpolation.

    Raises:
        ValueError: if the shape is not that of a picture, no picture is found, or one cannot be
            read.
    """
    size, mode = picture_form(shape)
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(
            f"calibration: the folder {os.fspath(folder)!r} holds no picture. Accepted: {', '.join(sorted(SUFFIXES))}."
        )
    samples = []
    for index in evenly(len(paths), limit):
        pixels = read_picture(paths[index], size, mode)
        values = pixels.astype(np.float32) * np.float32(scale) + np.float32(offset)
        samples.append(values.reshape(1, *shape))
    return samples


def picture_form(shape: tuple[int | None, ...], owner: str = "calibration") -> tuple[tuple[int, int], str]:
    """Returns the size and the mode that pictures need for a model input.

    Args:
        shape: (height, width, channels) of the input, or (height, width) for grey.
        owner: the argument or flag that named the pictures, for the error.

    Returns:
        (width, height) and Pillow's mode.

    Raises:
        ValueError: if the shape is not that of a picture.

    Example:
    >>> picture_form((28, 32, 3))
    ((32, 28), 'RGB')
    """
    channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or None in shape or channels not in _MODES:
        raise ValueError(
            f"{owner}: an image folder fits an input of fixed shape (height, width, channels) "
            f"with 1, 3 or 4 channels. Received: input shape {shape}. Give an array instead."
        )
    return (shape[1], shape[0]), _MODES[channels]


def read_picture(path: str | os.PathLike, size: tuple[int, int], mode: str, owner: str = "calibration") -> np.ndarray:
    """Reads one picture at the size of a model input.

    Args:
        path: the picture.
        size: (width, height); pictures of another size are resized with bilinear interpolation.
        mode: Pillow's mode to convert it to: "L", "RGB" or "RGBA".
        owner: the argument or flag that named the pictures, for the error.

    Returns:
        uint8 array (height, width) or (height, width, channels).

    Raises:
        ValueError: if it cannot be read, or has more than 8 bits per channel.
    """
    from PIL import Image  # where pictures are read, since other data need no Pillow

    # Its readers raise errors of many types; to it, pictures of some hundred megapixels are bombs.
    damage = (OSError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
    path = os.fspath(path)
    try:
        with Image.open(path) as image:
            # Pillow cuts 16- and 32-bit values off at 255 instead of scaling them.
            if image.mode.startswith(("I", "F")):
                raise ValueError(
                    f"{owner}: {path!r} has more than 8 bits per channel (Pillow mode "
                    f"{image.mode!r}). Give an array scaled the way the model was trained."
                )
            return np.asarray(image.convert(mode).resize(size, Image.Resampling.BILINEAR))
    except damage as error:
        reason = str(error).replace(f" {path!r}", "")
        raise ValueError(
            f"{owner}: the picture {path!r} cannot be read: {reason}. Take it out of the folder, or save it again."
        ) from error
