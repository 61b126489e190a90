"""Loads MNIST and Fashion-MNIST as float arrays.

They are searched in this order: a path the caller names, `$TFCOMPRESS_DATA`, the Keras cache, a
download through Keras. Only MNIST has a stand-in: digits drawn by `datasets/drawn.py`, labelled as
such wherever they are named.
"""

import gzip
import os
import pathlib
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from tfcompress.datasets.drawn import draw_digits
from tfcompress.datasets.keras_sets import cache_folder, download, one_line
from tfcompress.system.array_files import load_arrays
from tfcompress.text.log import tell

_IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
_UNREADABLE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)
_LARGEST_IDX = 1 << 28  # the largest of the four, 60,000 pictures, has 47 MB


@dataclass(frozen=True)
class Digits:
    """Images of ten classes, with the original split into training and test images.

    Attributes:
        x_train: Images, float32 in 0..1, (n, 28, 28, 1).
        y_train: Classes 0..9, int64, (n,).
        x_test: Images that no training has seen, float32 in 0..1, (m, 28, 28, 1).
        y_test: Their classes, int64, (m,).
        source: Where they come from: "path", "environment", "keras-cache", "download" or "drawn".
        name: What they are: "MNIST", "Fashion-MNIST" or "drawn digits".

    Example:
        >>> import numpy as np
        >>> x, y = np.zeros((2, 28, 28, 1), "float32"), np.array([0, 1])
        >>> Digits(x, y, x, y, source="path", name="MNIST").label
        'MNIST'
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str
    name: str

    @property
    def label(self) -> str:
        """Name of the data, to print next to every figure measured on them."""
        if self.source == "drawn":
            return "drawn digits (made by tfcompress with Pillow; not MNIST)"
        return self.name


def load_mnist(path: str | os.PathLike | None = None, seed: int = 0) -> Digits:
    """Loads MNIST from the first place that has it, or draws a stand-in.

    Args:
        path: `mnist.npz`, or a folder with it or with the four idx files (plain or `.gz`), also
            one level down in `mnist/`. None: `$TFCOMPRESS_DATA` (same forms), then the Keras cache
            (`$KERAS_HOME/datasets/mnist.npz`), then a download through Keras, then drawn digits.
        seed: Seed of the drawn digits; MNIST itself does not depend on it.

    Returns:
        60,000 training and 10,000 test images, or 12,000 and 2,000 where they had to be drawn;
        `source` and `label` say which.

    Raises:
        FileNotFoundError: If `path` or `$TFCOMPRESS_DATA` is given and holds no MNIST.
        ValueError: If a file found there is damaged or is not MNIST.

    Example:
        >>> digits = load_mnist("mnist.npz")  # doctest: +SKIP
        >>> digits.x_train.shape  # doctest: +SKIP
        (60000, 28, 28, 1)
    """
    named = _from_named_place(path, "MNIST", subfolders=("", "mnist"))
    if named is not None:
        return named
    cached = _from_cache(cache_folder() / "mnist.npz", "MNIST")
    if cached is not None:
        return cached
    try:
        return _download("mnist", "MNIST")
    except Exception as error:  # Keras raises a bare Exception when the URL cannot be fetched
        tell(f"tfcompress: MNIST could not be downloaded ({one_line(error)}).")
    tell(
        "tfcompress: No MNIST found: using digits DRAWN by tfcompress instead, which are easier and are not "
        "MNIST. For the real set pass --data FILE (load_mnist(path)) or set TFCOMPRESS_DATA."
    )
    x_train, y_train, x_test, y_test = draw_digits(seed=seed)
    return Digits(x_train, y_train, x_test, y_test, source="drawn", name="drawn digits")


def load_fashion_mnist(path: str | os.PathLike | None = None) -> Digits:
    """Loads Fashion-MNIST (Xiao, Rasul, Vollgraf: "Fashion-MNIST", 2017).

    Args:
        path: Folder with the four idx files (plain or `.gz`) or an npz file. None: the folders
            `fashion_mnist` or `fashion-mnist` in `$TFCOMPRESS_DATA`, then the Keras cache, then a
            download through Keras.

    Returns:
        60,000 training and 10,000 test images, shaped and scaled like MNIST.

    Raises:
        FileNotFoundError: If it is not found. There is no stand-in.
        ValueError: If a file is damaged or holds something else.

    Example:
        >>> load_fashion_mnist("fashion_mnist").name  # doctest: +SKIP
        'Fashion-MNIST'
    """
    # MNIST's idx files have the same names: a shared root is only searched in its subfolders.
    subfolders = ("fashion_mnist", "fashion-mnist") + (("",) if path is not None else ())
    named = _from_named_place(path, "Fashion-MNIST", subfolders, required=path is not None)
    if named is not None:
        return named
    cached = _from_cache(cache_folder() / "fashion-mnist", "Fashion-MNIST")
    if cached is not None:
        return cached
    try:
        return _download("fashion_mnist", "Fashion-MNIST")
    except Exception as error:  # Keras raises a bare Exception when the URL cannot be fetched
        raise FileNotFoundError(
            f"Fashion-MNIST was not found and could not be downloaded ({one_line(error)}). Pass "
            "the folder with its four idx files as path, or set TFCOMPRESS_DATA to a folder that "
            "has them in fashion_mnist/."
        ) from error


def _from_named_place(path, name, subfolders, required=True) -> Digits | None:
    """Reads the place that the caller or the environment names; None if neither names one."""
    source = "path" if path is not None else "environment"
    place = path if path is not None else os.environ.get("TFCOMPRESS_DATA")
    if not place:
        return None
    argument = "path" if source == "path" else "TFCOMPRESS_DATA"
    place = pathlib.Path(place).expanduser()
    if not place.exists():
        raise FileNotFoundError(f"{name}: {argument} names nothing that exists. Received: {place}")
    if place.is_file():
        return _read(place, name, source)
    for folder in (place / subfolder for subfolder in subfolders):
        if (folder / "mnist.npz").is_file() and name == "MNIST":
            return _read(folder / "mnist.npz", name, source)
        if _idx_file(folder, "x_train") is not None:
            return _read(folder, name, source)
    if not required:
        return None
    raise FileNotFoundError(
        f"{name}: no data in the folder {argument} names. Expected mnist.npz or the idx files "
        f"{', '.join(_IDX_FILES.values())} (plain or .gz). Received: {place}"
    )


def _from_cache(place: pathlib.Path, name: str) -> Digits | None:
    """Reads the Keras cache; an incomplete download there is reported and not used."""
    if not place.exists():
        return None
    try:
        return _read(place, name, "keras-cache")
    except (FileNotFoundError, ValueError) as error:
        tell(f"tfcompress: The Keras cache holds no whole {name} ({one_line(error)}); it is not used.")
        return None


def _download(dataset: str, name: str) -> Digits:
    return _digits(download(dataset, name), name, "download", name)


def _read(place: pathlib.Path, name: str, source: str) -> Digits:
    """Reads an npz file or a folder of idx files into checked arrays."""
    try:
        if place.is_dir():
            parts = {part: _read_idx(_idx_file(place, part), part) for part in _IDX_FILES}
        else:
            arrays = load_arrays(place)
            parts = {part: arrays[part] for part in _IDX_FILES}
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        raise ValueError(
            f"{name}: {place} is damaged or is not {name} ({one_line(error)}). Expected an npz "
            f"file with the arrays {', '.join(_IDX_FILES)}, or a folder of idx files."
        ) from error
    return _digits(parts, name, source, place)


def _idx_file(folder: pathlib.Path, part: str) -> pathlib.Path | None:
    for suffix in (".gz", ""):
        file = folder / (_IDX_FILES[part] + suffix)
        if file.is_file():
            return file
    return None


def _read_idx(file: pathlib.Path | None, part: str) -> np.ndarray:
    """Reads one idx file: two zero bytes, type 8 (uint8), rank, big-endian sizes, data."""
    if file is None:
        raise FileNotFoundError(f"{_IDX_FILES[part]} (plain or .gz) is missing beside the others.")
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rb") as stream:
        content = stream.read(_LARGEST_IDX + 1)
    if len(content) > _LARGEST_IDX:
        raise ValueError(f"{file.name} unpacks to more than {_LARGEST_IDX:,} bytes")
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"{file.name} is not an idx file of bytes")
    rank = content[3]
    shape = tuple(np.frombuffer(content, ">u4", rank, 4).tolist())
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _digits(parts: dict[str, np.ndarray], name: str, source: str, place: object) -> Digits:
    """Checks shapes and values, scales bytes to 0..1 and adds the channel axis."""
    for split in ("train", "test"):
        x, y = parts[f"x_{split}"], parts[f"y_{split}"]
        if x.dtype != np.uint8 or x.shape[1:] != (28, 28) or y.shape != x.shape[:1] or not len(x):
            raise ValueError(
                f"{name}: x_{split} must be uint8 (n, 28, 28) and y_{split} (n,). Received: "
                f"{x.dtype} {x.shape} and {y.shape} in {place}"
            )
        if y.dtype.kind not in "iu" or y.min() < 0 or y.max() > 9:
            raise ValueError(f"{name}: y_{split} must hold classes 0..9. Received them in {place}")
    scaled = {
        part: np.divide(value, 255, dtype=np.float32)[..., None] if part.startswith("x") else value.astype(np.int64)
        for part, value in parts.items()
    }
    return Digits(**scaled, source=source, name=name)
