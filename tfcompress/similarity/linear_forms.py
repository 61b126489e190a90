"""Describes channels as linear forms `linear . basis + constant`, with a basis that all channels of a tensor share.

Before ReLU or pooling a form is split into direction and size: channels of one direction differ by a factor, which can
be moved into the weights that read them. Before a sigmoid or a gate the whole form counts.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.channels.rules import ChannelUse
from tfcompress.graph.keras_private import full_precision
from tfcompress.layer_table.lookup import LayerSpec, weight


@dataclass(frozen=True)
class Feature:
    """Vectors that channels are compared by, at one operation.

    Args:
        path: The operation where they are compared.
        labels: `(positions,)`: the channel label at each position.
        rows: `(positions, length)`: a vector for each; of norm 1 or 0 where only the direction counts.
        is_exact: Whether the magnitude counts as well.
    """

    path: str
    labels: np.ndarray
    rows: np.ndarray
    is_exact: bool


@dataclass(frozen=True)
class ChannelReader:
    """An axis of a weight that reads channels.

    Args:
        use: The operation.
        path: Path of the weight.
        axis: Number of the axis.
        roots: `(positions,)`: the channel group at each position.
        size: `(positions,)`: size of the channel read there, relative to others of the same direction.
    """

    use: ChannelUse
    path: str
    axis: int
    roots: np.ndarray
    size: np.ndarray


@dataclass
class Stream:
    """The linear forms of the channels of one tensor.

    Args:
        axis: Their axis, counted from the end.
        labels: `(channels,)`; None if they can't be distinguished or not be removed.
        linear: `(channels, length)`.
        constant: `(channels,)`.
        shape: Shape of the tensor without batch.
    """

    axis: int
    labels: np.ndarray | None
    linear: np.ndarray
    constant: np.ndarray
    shape: tuple[int | None, ...]

    @property
    def rows(self) -> np.ndarray:
        """Linear parts and constants as one array."""
        return np.column_stack([self.linear, self.constant])

    def restart(self, size: np.ndarray) -> None:
        """Takes the tensor itself as the new basis, in which channels differ by their size only."""
        self.linear, self.constant = size[:, None], np.zeros(len(size))

    def sizes(self, count: int) -> np.ndarray:
        """Returns the sizes of `count` channels, after directions were split off."""
        return np.broadcast_to(self.linear[:, 0], (count,))


def plain(shape: tuple[int | None, ...]) -> Stream:
    """Returns the stream of a tensor whose channels can't be removed."""
    return Stream(-1, None, np.ones((1, 1)), np.zeros(1), shape)


@dataclass(frozen=True)
class StreamCall:
    """One call of an operation, with streams in place of tensors."""

    path: str
    op: Any
    spec: LayerSpec
    use: ChannelUse
    args: tuple
    kwargs: dict
    shapes: list[tuple[int | None, ...]]

    @property
    def given(self) -> list[Stream]:
        """The streams among the arguments."""
        return [x for x in keras.tree.flatten((self.args, self.kwargs)) if isinstance(x, Stream)]

    @property
    def numbers(self) -> list:
        """The constants among the arguments."""
        given = keras.tree.flatten((self.args, self.kwargs))
        return [x for x in given if not isinstance(x, (Stream, bool, str)) and x is not None]

    def filled(self, tensor) -> tuple[tuple, dict]:
        """Returns the arguments with a tensor in the place of each stream."""
        return keras.tree.map_structure(lambda x: tensor if isinstance(x, Stream) else x, (self.args, self.kwargs))


def split_direction(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the direction and size of each row; the direction of a zero row is zero."""
    size = np.linalg.norm(rows, axis=1)
    return rows / np.where(size > 0, size, 1.0)[:, None], size


def value_of(op: Any, path: str) -> np.ndarray:
    """Returns a weight as float64."""
    return np.asarray(full_precision(weight(op, path)), "float64")


def along(value: np.ndarray, axis: int) -> np.ndarray:
    """Returns a weight as a matrix with one row for each position along an axis."""
    return np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)


def taps(kernel: np.ndarray) -> np.ndarray:
    """Returns a depthwise kernel `(..., channels, multiplier)` as one row for each channel it makes."""
    *_, channels, multiplier = kernel.shape
    return kernel.reshape(-1, channels * multiplier).T


def scales(function, shape: tuple[int, ...]) -> bool:
    """Returns whether a function is positively homogeneous, `f(s x) = s f(x)` for s > 0, as tested on some numbers.

    Args:
        function: Function `tensor -> tensor`.
        shape: Shape of a tensor to try it on.

    Example:
        >>> scales(keras.activations.leaky_relu, (8,)), scales(keras.activations.relu6, (8,))
        (True, False)
    """
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    y = np.asarray(function(keras.ops.convert_to_tensor(x)))
    for s in (2.0**-12, 2.0**12):  # powers of two, so that scaling does not round
        if not np.allclose(np.asarray(function(keras.ops.convert_to_tensor(x * s))), y * s, rtol=1e-5, atol=0):
            return False
    return True
