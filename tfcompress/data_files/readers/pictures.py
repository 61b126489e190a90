"""Reads folders of pictures with Pillow, at the size of the model's input."""

import numpy as np

from tfcompress.calibration.image_folder import SUFFIXES, picture_form, read_picture
from tfcompress.data_files.arrays import Arrays, Input
from tfcompress.data_files.class_folders import Part, layout_of
from tfcompress.data_files.reader import Reader, Source

WHAT = "a folder of pictures"


def read(source: Source) -> Arrays:
    """Reads the pictures of a folder, by class where it has class folders.

    Args:
        source: The folder, and the model's input.

    Returns:
        Pictures as uint8 (n, height, width, channels), 0..255, resized with bilinear interpolation.

    Raises:
        ValueError: If a picture can't be read, or the model takes no pictures.
    """
    given = source.one_input(WHAT)
    layout = layout_of(source, READER)
    test = layout.test
    return Arrays(
        _decoded(source, layout.train, given),
        layout.train.labels,
        None if test is None else _decoded(source, test, given),
        None if test is None else test.labels,
        layout.classes,
        notes=layout.notes,
    )


def _decoded(source: Source, part: Part, given: Input) -> np.ndarray:
    _, shape, _ = given
    size, mode = picture_form(shape, source.named)
    pixels = np.empty((len(part.files), *shape), np.uint8)
    for row, path in enumerate(part.files):
        pixels[row] = read_picture(path, size, mode, source.named).reshape(shape)
    return pixels


READER = Reader(what=WHAT, suffixes=SUFFIXES, in_folders=True, read=read)
