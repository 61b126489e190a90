"""Data files of the command line: arrays from .npz and .npy, scaled and shaped for a model."""

import math
import pathlib
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from tfcompress.deploy.array_sizes import check_sizes
from tfcompress.facts.printable import shown


@dataclass(frozen=True)
class Arrays:
    """What a data file holds.

    Attributes:
        x: Inputs to learn from, (n, ...).
        y: Their labels, or None.
        x_test: Inputs to judge by, or None.
        y_test: Their labels, or None.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None

    def held_out(self) -> tuple[np.ndarray, np.ndarray | None]:
        """What to judge by: the test part where there is one, else everything."""
        return (self.x, self.y) if self.x_test is None else (self.x_test, self.y_test)


def read_arrays(path: str, scale: str = "1") -> Arrays:
    """Reads a data file.

    Args:
        path: `.npz` with `x` (and `y`), or with `x_train` (`y_train`, `x_test`, `y_test`) like
            Keras' own; or `.npy` with the inputs alone.
        scale: Factor on the inputs, a number or a fraction such as "1/255".

    Returns:
        The arrays; inputs as float32 when scaled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds none of these arrays, or `scale` is no number.

    Example:
        >>> import tempfile, os
        >>> path = os.path.join(tempfile.mkdtemp(), "data.npz")
        >>> np.savez(path, x=np.full((3, 2), 255, "uint8"), y=[0, 1, 0])
        >>> read_arrays(path, "1/255").x.max()
        np.float32(1.0)
    """
    factor = factor_of(scale)
    found = _load(pathlib.Path(path))
    names = ("x_train", "y_train") if "x_train" in found else ("x", "y")
    if names[0] not in found:
        raise ValueError(
            f"{path}: expected arrays x (and y), or x_train, y_train, x_test, y_test. "
            f"Found: {', '.join(sorted(found)) or 'none'}"
        )
    x, y = found[names[0]], found.get(names[1])
    x_test, y_test = found.get("x_test"), found.get("y_test")
    for part, labels in ((x, y), (x_test, y_test)):
        if part is not None and labels is not None and len(part) != len(labels):
            raise ValueError(f"{path}: {len(part)} inputs have {len(labels)} labels")
    return Arrays(_scaled(x, factor), y, _scaled(x_test, factor), y_test)


def fit_shape(x: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    """Adds the channel axis to grey images (n, height, width) where a model wants it.

    Args:
        x: Inputs, (n, ...).
        shape: The model's input shape without the batch axis.

    Returns:
        `x`, or `x[..., None]` if only that fits.

    Example:
        >>> fit_shape(np.zeros((5, 28, 28)), (28, 28, 1)).shape
        (5, 28, 28, 1)
    """
    return x[..., None] if shape[-1:] == (1,) and x.ndim == len(shape) else x


def factor_of(scale: str) -> float:
    """Reads a factor.

    Args:
        scale: A number or a fraction.

    Returns:
        Its value.

    Raises:
        ValueError: If it is neither.

    Example:
        >>> factor_of("1/4")
        0.25
    """
    above, stroke, below = str(scale).partition("/")
    try:
        factor = float(above) / (float(below) if stroke else 1.0)
    except (ValueError, ZeroDivisionError):
        factor = math.nan
    if not math.isfinite(factor) or factor == 0:
        raise ValueError(
            f"--scale must be a number or a fraction such as 1/255, finite and not 0. Received: {shown(scale)}"
        )
    return factor


def _load(path: pathlib.Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        # Opened here: NumPy leaves a file open that is no whole archive.
        with open(path, "rb") as stream:
            check_sizes(stream)
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            with loaded:
                return {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path}: is no whole .npz or .npy file of plain arrays: {error}") from None


def _scaled(x: np.ndarray | None, factor: float) -> np.ndarray | None:
    if x is None or factor == 1.0:
        return x
    return np.multiply(x, factor, dtype=np.float32)
