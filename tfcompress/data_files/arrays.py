"""Inputs and labels that were read, in the form that a model takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

Input = tuple[str, tuple[int | None, ...], str]  # name, shape without the batch axis, type
Inputs = np.ndarray | dict[str, np.ndarray]


@dataclass(frozen=True)
class Arrays:
    """Inputs and labels of a file or folder.

    Attributes:
        x: Inputs to train on, (n, ...); for a model with several inputs a dict of them by name.
        y: Their labels, or None.
        x_test: Inputs to evaluate on, or None.
        y_test: Their labels, or None.
        classes: Names of the classes 0, 1, ... where folders or a table name them.
        name: Name of the file or folder, without its path.
        notes: What was changed or left out while reading, a sentence each.
    """

    x: Inputs
    y: np.ndarray | None = None
    x_test: Inputs | None = None
    y_test: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    name: str = ""
    notes: tuple[str, ...] = ()

    def held_out(self) -> tuple[Inputs, np.ndarray | None]:
        """Returns the data to evaluate on: the test part if there is one, else all."""
        return (self.x, self.y) if self.x_test is None else (self.x_test, self.y_test)

    def scaled(self, inputs: Sequence[Input], scale: float = 1.0, offset: float = 0.0) -> "Arrays":
        """Scales the float inputs; integers, such as token ids, stay as they are.

        Args:
            inputs: Name, shape and type of each input of the model.
            scale: Factor on the values.
            offset: Added after that.

        Returns:
            The same data; scaled inputs are float32.

        Raises:
            ValueError: If the model takes only integers, so that there is nothing to scale.
        """
        if (scale, offset) == (1.0, 0.0):
            return self
        floats = {name for name, _, dtype in inputs if not is_whole(dtype)}
        if not floats:
            name, _, dtype = inputs[0]
            raise ValueError(f"--scale, --offset: input {name!r} takes {dtype} numbers as they are. Leave them out.")

        def part(x: Inputs | None) -> Inputs | None:
            if isinstance(x, Mapping):
                return {name: _scaled(a, scale, offset) if name in floats else a for name, a in x.items()}
            return None if x is None else _scaled(x, scale, offset)

        return replace(self, x=part(self.x), x_test=part(self.x_test))


def is_whole(dtype: str) -> bool:
    """Whether an input takes whole numbers.

    >>> is_whole("int32"), is_whole("float32"), is_whole("bfloat16")
    (True, False, False)
    """
    return dtype.startswith(("int", "uint", "bool"))


def count_of(x: Inputs) -> int:
    """Returns the number of samples.

    >>> count_of({"a": np.zeros((5, 2)), "b": np.zeros((5, 1))})
    5
    """
    return len(next(iter(x.values())) if isinstance(x, Mapping) else x)


def chosen(x: Inputs, rows: np.ndarray) -> Inputs:
    """Returns some of the samples.

    >>> chosen(np.array([5, 6, 7]), np.array([0, 2]))
    array([5, 7])
    """
    return {name: array[rows] for name, array in x.items()} if isinstance(x, Mapping) else x[rows]


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


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Returns the shape of a batch as text.

    >>> shape_text((8, None))
    '(n, 8, any)'
    """
    return f"({', '.join(['n', *('any' if size is None else str(size) for size in shape)])})"


def _scaled(x: np.ndarray, scale: float, offset: float) -> np.ndarray:
    return np.multiply(x, scale, dtype=np.float32) + np.float32(offset)
