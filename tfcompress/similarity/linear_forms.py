"""A channel as numbers: `linear . basis + constant`, a basis that all channels of a tensor share.

Behind ReLU or pooling a channel's direction and its size part: channels of one direction differ by a factor, which the
weights that read them can take. Before a sigmoid or a gate all of it counts.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.channels.rules import Use
from tfcompress.graph.keras_private import full_precision
from tfcompress.layer_table.lookup import LayerSpec, weight


@dataclass(frozen=True)
class Feature:
    """Something by which channels are compared.

    Args:
        path: The operation where it matters.
        labels: `(places,)`: the channel at each place.
        rows: `(places, length)`: a vector for each; of length 1 or 0 where only its direction matters.
        is_exact: Whether its size matters as well.
    """

    path: str
    labels: np.ndarray
    rows: np.ndarray
    is_exact: bool


@dataclass(frozen=True)
class Read:
    """An axis of a weight that reads channels.

    Args:
        use: The operation.
        path: Path of the weight.
        axis: Number of the axis.
        roots: `(places,)`: the group at each place.
        size: `(places,)`: how large the channel is that comes in there, next to others of the same direction.
    """

    use: Use
    path: str
    axis: int
    roots: np.ndarray
    size: np.ndarray


@dataclass
class Stream:
    """What is known of the channels of one tensor.

    Args:
        axis: Their axis, counted from the end.
        labels: `(channels,)`; None where they can't be told apart, or not be cut.
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
        """Both as one array."""
        return np.column_stack([self.linear, self.constant])

    def restart(self, size: np.ndarray) -> None:
        """Makes the tensor as it is the basis, channels differing by their size only."""
        self.linear, self.constant = size[:, None], np.zeros(len(size))

    def sizes(self, count: int) -> np.ndarray:
        """Sizes of a tensor that was parted, of `count` channels."""
        return np.broadcast_to(self.linear[:, 0], (count,))


def plain(shape: tuple[int | None, ...]) -> Stream:
    """Returns the stream of a tensor whose channels can't be cut."""
    return Stream(-1, None, np.ones((1, 1)), np.zeros(1), shape)


@dataclass(frozen=True)
class StreamCall:
    """One call of an operation on streams."""

    path: str
    op: Any
    spec: LayerSpec
    use: Use
    args: tuple
    kwargs: dict
    shapes: list[tuple[int | None, ...]]

    @property
    def given(self) -> list[Stream]:
        """The streams that it is given."""
        return [x for x in keras.tree.flatten((self.args, self.kwargs)) if isinstance(x, Stream)]

    @property
    def numbers(self) -> list:
        """The constants that it is given."""
        given = keras.tree.flatten((self.args, self.kwargs))
        return [x for x in given if not isinstance(x, (Stream, bool, str)) and x is not None]

    def filled(self, tensor) -> tuple[tuple, dict]:
        """Returns the arguments with a tensor in the place of each stream."""
        return keras.tree.map_structure(lambda x: tensor if isinstance(x, Stream) else x, (self.args, self.kwargs))


def parted(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns direction and size of each row; a row of zeros has none."""
    size = np.linalg.norm(rows, axis=1)
    return rows / np.where(size > 0, size, 1.0)[:, None], size


def value_of(op: Any, path: str) -> np.ndarray:
    """Returns a weight as float64."""
    return np.asarray(full_precision(weight(op, path)), "float64")


def along(value: np.ndarray, axis: int) -> np.ndarray:
    """Returns a weight as one row for each place on an axis."""
    return np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)


def taps(kernel: np.ndarray) -> np.ndarray:
    """Returns a depthwise kernel `(..., channels, multiplier)` as one row for each channel it makes."""
    *_, channels, multiplier = kernel.shape
    return kernel.reshape(-1, channels * multiplier).T


def scales(function, shape: tuple[int, ...]) -> bool:
    """Whether an operation's result grows by s > 0 when what it is given does, as tried on a few numbers.

    Args:
        function: Function `tensor -> tensor`.
        shape: Shape of a tensor to try it on.

    Example:
        >>> scales(keras.activations.leaky_relu, (8,)), scales(keras.activations.relu6, (8,))
        (True, False)
    """
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    y = np.asarray(function(keras.ops.convert_to_tensor(x)))
    for s in (2.0**-12, 2.0**12):  # powers of two: nothing is rounded
        if not np.allclose(np.asarray(function(keras.ops.convert_to_tensor(x * s))), y * s, rtol=1e-5, atol=0):
            return False
    return True
