"""Loads CIFAR-10 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009).

It is searched in this order: a path the caller names, `$TFCOMPRESS_DATA`, Keras (its cache or a download). The stand-in
is digits drawn by `datasets/drawn.py` in colour, labelled as such wherever they are named.
"""

import os
import pathlib
from dataclasses import dataclass

import numpy as np

from tfcompress.datasets.drawn import draw_digits
from tfcompress.datasets.keras_sets import download, one_line
from tfcompress.system.array_files import load_arrays
from tfcompress.text.log import tell

_FILE = "cifar10.npz"
_PARTS = ("x_train", "y_train", "x_test", "y_test")
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Pictures:
    """Colour pictures of ten classes, in a training and a test part.

    Attributes:
        x_train: Pictures, uint8 0..255, (n, 32, 32, 3). Bytes, since 50,000 of them as float32 take 600 MB.
        y_train: Classes 0..9, int64, (n,).
        x_test: Pictures that no training has seen, (m, 32, 32, 3).
        y_test: Their classes, int64, (m,).
        classes: Names of the classes.
        source: Where they come from: "path", "environment", "keras" or "drawn".
        name: What they are: "CIFAR-10" or "drawn digits in colour".

    Example:
        >>> x, y = np.zeros((2, 32, 32, 3), "uint8"), np.array([0, 1])
        >>> Pictures(x, y, x, y, classes=("cat", "dog"), source="path", name="CIFAR-10").label
        'CIFAR-10'
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    source: str
    name: str

    @property
    def label(self) -> str:
        """Name of the data, to print next to every figure measured on them."""
        if self.source == "drawn":
            return "drawn digits in colour (made by tfcompress with Pillow; not CIFAR-10)"
        return self.name


def load_cifar10(path: str | os.PathLike | None = None, seed: int = 0) -> Pictures:
    """Loads CIFAR-10 from the first place that has it, or draws a stand-in.

    Args:
        path: A .npz file with x_train, y_train, x_test, y_test, or a folder with `cifar10.npz`, also one level down in
            `cifar10/`; it may hold a part of the set. None: such a folder or file in `$TFCOMPRESS_DATA`, then Keras
            (its cache, or a download of 170 MB), then drawn digits.
        seed: Seed of the drawn digits; CIFAR-10 itself does not depend on it.

    Returns:
        50,000 training and 10,000 test pictures, fewer where the file holds a part, 12,000 and 2,000 where they had to
        be drawn; `source` and `label` say which.

    Raises:
        FileNotFoundError: If `path` is given and holds no CIFAR-10.
        ValueError: If a file found there is damaged or is not CIFAR-10.

    Example:
        >>> load_cifar10("cifar10.npz").x_test.shape  # doctest: +SKIP
        (10000, 32, 32, 3)
    """
    file = _find(path)
    if file is not None:
        return _read(file, "environment" if path is None else "path")
    try:
        return _pictures(download("cifar10", "CIFAR-10"), "keras", "keras.datasets")
    except Exception as error:  # Keras raises a bare Exception when the URL cannot be fetched
        tell(f"tfcompress: CIFAR-10 could not be downloaded ({one_line(error)}).")
    tell(
        "tfcompress: No CIFAR-10 found: using digits DRAWN by tfcompress in colour instead, which are easier and are "
        f"not CIFAR-10. For the real set name a folder with {_FILE} (load_cifar10(path)) or set TFCOMPRESS_DATA."
    )
    return _drawn(seed)


def _find(path: str | os.PathLike | None) -> pathlib.Path | None:
    """Returns the file that the caller or the environment names; None if the environment has none."""
    place = path if path is not None else os.environ.get("TFCOMPRESS_DATA")
    if not place:
        return None
    place = pathlib.Path(place).expanduser()
    # A file in the environment may be MNIST's, which has another name.
    if place.is_file() and (path is not None or place.name == _FILE):
        return place
    for folder in (place, place / "cifar10"):
        if (folder / _FILE).is_file():
            return folder / _FILE
    if path is None:
        return None
    raise FileNotFoundError(f"CIFAR-10: path names no .npz file and no folder with {_FILE}. Received: {place}")


def _read(file: pathlib.Path, source: str) -> Pictures:
    arrays = load_arrays(file)
    missing = [part for part in _PARTS if not isinstance(arrays, dict) or part not in arrays]
    if missing or not isinstance(arrays, dict):
        raise ValueError(f"CIFAR-10: {file} has no array {', '.join(missing)}. Expected {', '.join(_PARTS)}.")
    return _pictures(arrays, source, file)


def _pictures(arrays: dict[str, np.ndarray], source: str, place: object) -> Pictures:
    """Checks shapes and values."""
    labels = {}
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype != np.uint8 or x.shape[1:] != (32, 32, 3) or not len(x) or y.shape not in ((len(x),), (len(x), 1)):
            raise ValueError(
                f"CIFAR-10: x_{part} must be uint8 (n, 32, 32, 3) and y_{part} (n,) or (n, 1). Received: "
                f"{x.dtype} {x.shape} and {y.shape} in {place}"
            )
        if y.dtype.kind not in "iu" or y.min() < 0 or y.max() > 9:
            raise ValueError(f"CIFAR-10: y_{part} must hold classes 0..9. Received others in {place}")
        labels[part] = y.reshape(-1).astype(np.int64)
    parts = arrays["x_train"], labels["train"], arrays["x_test"], labels["test"]
    return Pictures(*parts, classes=_CLASSES, source=source, name="CIFAR-10")


def _drawn(seed: int) -> Pictures:
    """Drawn digits of one colour on a ground of another."""
    x_train, y_train, x_test, y_test = draw_digits(seed=seed)
    rng = np.random.default_rng(seed)

    def coloured(x: np.ndarray) -> np.ndarray:
        ink = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
        front, ground = rng.uniform(0.4, 1.0, (len(x), 1, 1, 3)), rng.uniform(0.0, 0.6, (len(x), 1, 1, 3))
        return np.rint(255 * (ground + (front - ground) * ink)).astype(np.uint8)

    parts = coloured(x_train), y_train, coloured(x_test), y_test
    digits = tuple("zero one two three four five six seven eight nine".split())
    return Pictures(*parts, classes=digits, source="drawn", name="drawn digits in colour")
