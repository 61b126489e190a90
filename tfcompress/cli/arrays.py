"""Reads data files for the command line: arrays from .npz and .npy, scaled and shaped for a model."""

import math
from dataclasses import dataclass

import numpy as np
from absl import flags

from tfcompress.system.array_files import load_arrays
from tfcompress.text.printable import shown


@dataclass(frozen=True)
class Arrays:
    """Inputs and labels of a data file.

    Attributes:
        x: Inputs to train on, (n, ...).
        y: Their labels, or None.
        x_test: Inputs to evaluate on, or None.
        y_test: Their labels, or None.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None

    def held_out(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the data to evaluate on: the test part if there is one, else all."""
        return (self.x, self.y) if self.x_test is None else (self.x_test, self.y_test)


def define_scaling(values: flags.FlagValues, what: str = "the inputs") -> None:
    """Defines the flags `--scale` and `--offset`.

    Args:
        values: Flags to add them to.
        what: Name of the values they change, for the help.
    """
    flags.DEFINE_string("scale", "1", f"Factor on {what}, such as 1/255.", flag_values=values)
    flags.DEFINE_string("offset", "0", f"Added to {what} after --scale, such as -1.", flag_values=values)


def read_arrays(path: str, scale: str = "1", offset: str = "0") -> Arrays:
    """Reads inputs and labels from a data file.

    Args:
        path: `.npz` with `x` (and `y`), or with `x_train` (`y_train`, `x_test`, `y_test`) like
            Keras' own; or `.npy` with the inputs alone.
        scale: Factor on the inputs, a number or a fraction such as "1/255".
        offset: Added to them after that.

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
    factors = factor_of(scale), factor_of(offset, "--offset")
    found = _load(path)
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
    return Arrays(_scaled(x, *factors), y, _scaled(x_test, *factors), y_test)


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


def factor_of(scale: str, flag: str = "--scale") -> float:
    """Reads a factor from the text of a flag.

    Args:
        scale: A number or a fraction.
        flag: The flag it was given with, for the error.

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
    if not math.isfinite(factor) or (factor == 0 and flag == "--scale"):
        raise ValueError(
            f"{flag} must be a number or a fraction such as 1/255, finite"
            f"{' and not 0' if flag == '--scale' else ''}. Received: {shown(scale)}"
        )
    return factor


def _load(path: str) -> dict[str, np.ndarray]:
    loaded = load_arrays(path)
    return {"x": loaded} if isinstance(loaded, np.ndarray) else loaded


def _scaled(x: np.ndarray | None, factor: float, offset: float) -> np.ndarray | None:
    if x is None or (factor, offset) == (1.0, 0.0):
        return x
    return np.multiply(x, factor, dtype=np.float32) + np.float32(offset)
