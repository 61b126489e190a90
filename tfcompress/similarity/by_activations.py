"""Compares channels by their correlation on data, and finds how to approximate one channel from another.

For two channels x and y, `y ~ factor * x + offset` has the least squared error for `factor = cov(x, y) / var(x)` and
`offset = mean(y) - factor * mean(x)`; without an offset for `factor = sum(x y) / sum(x x)`.
"""

from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.graph.keras_private import float32, takes_training
from tfcompress.graph.rebuild import walk
from tfcompress.layer_table.lookup import has_weight, spec_of
from tfcompress.similarity.candidates import ComparableGroups, places, reach
from tfcompress.similarity.linear_forms import ChannelReader
from tfcompress.similarity.merge import ChannelReplacement, takes_constant

BATCH = 64
_STILL = 1e-12  # a variance below this share of the mean square is rounding error
_SOURCES = {"query_dense": ("query", 0), "value_dense": ("value", 1), "key_dense": ("key", 2)}


@dataclass
class Moments:
    """Sums of values and of products of channels, over all data that one reader reads.

    Args:
        groups: Numbers of the channel groups.
        is_free: Whether the reader's bias can take an offset.
        count: Number of values of each group.
        first: `(groups,)`: sums of values.
        second: `(groups, groups)`: sums of products.
    """

    groups: np.ndarray
    is_free: bool
    count: int
    first: np.ndarray
    second: np.ndarray

    def products(self) -> np.ndarray:
        """Returns the covariances `(groups, groups)`, or mean products if there is no offset."""
        mean = self.first / self.count
        return self.second / self.count - (np.outer(mean, mean) if self.is_free else 0.0)

    def similarity(self) -> np.ndarray:
        """Returns the correlations `(groups, groups)`.

        Two channels that never change have correlation 1; one that never changes has 0 with all others.
        """
        product = self.products()
        spread = np.sqrt(np.maximum(np.diag(product), 0.0))
        still = spread**2 <= _STILL * np.diag(self.second) / self.count
        size = np.where(still, 1.0, spread)
        value = np.where(still[:, None] | still[None, :], 0.0, product / np.outer(size, size))
        value[np.ix_(still, still)] = 1.0
        return np.clip(value, -1.0, 1.0)

    def take(self, gone: int, kept: int) -> ChannelReplacement:
        """Returns the factor and offset by which the reader approximates the group `gone` from the group `kept`."""
        j, k = (int(np.flatnonzero(self.groups == g)[0]) for g in (gone, kept))
        mean = self.first / self.count
        shift = np.outer(mean[[j, k]], mean[[k]])[:, 0] if self.is_free else np.zeros(2)
        both, square = self.second[[j, k], k] / self.count - shift
        factor = both / square if square > _STILL * self.second[k, k] / self.count else 0.0
        return ChannelReplacement(factor, mean[j] - factor * mean[k] if self.is_free else 0.0)


def reads_op_input(read: ChannelReader) -> bool:
    """Returns whether a weight reads the input of its operation, not a state inside."""
    return spec_of(read.use.op).axes[read.path].input_channel == read.axis


def collect_moments(
    model: keras.Model, reads: list[ChannelReader], families: list[ComparableGroups], x: list[np.ndarray]
) -> dict[tuple[int, int], Moments]:
    """Runs a model on data and sums moments of the channels that its weights read.

    Args:
        model: A built Functional or Sequential model.
        reads: Readers of its channels.
        families: Sets of channel groups to compare.
        x: One array `(n, ...)` per input, in the order of the model's call.

    Returns:
        Moments by `(number of the reader, number of the family)`.
    """
    found: dict[tuple[int, int], Moments] = {}
    where: dict[tuple[int, int], np.ndarray] = {}
    for n, read in enumerate(reads):
        for f, family in enumerate(families):
            at = places(read.roots, family.groups)
            if at is not None and reads_op_input(read):
                size = len(family.groups)
                where[n, f] = at
                found[n, f] = Moments(family.groups, takes_constant(read), 0, np.zeros(size), np.zeros((size, size)))
    of = {}
    for n, f in found:
        of.setdefault(id(reads[n].use.op), {}).setdefault(n, []).append(f)

    def visit(path, op, args, kwargs, outputs):
        for n, numbers in of.get(id(op), {}).items():
            values = _read(op, reads[n], args, kwargs)
            for f in numbers:
                _add(found[n, f], values, where[n, f])
        return op(*args, **(kwargs | ({"training": False} if takes_training(op) else {})))

    with float32(model):
        for start in range(0, len(x[0]), BATCH):
            walk(model, [keras.ops.convert_to_tensor(a[start : start + BATCH]) for a in x], visit)
    return found


def _read(op, read: ChannelReader, args, kwargs) -> np.ndarray:
    """Returns the values that a weight multiplies at each position of its axis: `(n, positions)`."""
    name, place = _SOURCES.get(read.path.split("/")[0], ("", 0))
    if name == "key" and len(args) < 3 and kwargs.get("key") is None:
        name, place = "value", 1
    tensor = kwargs[name] if name in kwargs else args[place] if len(args) > place else kwargs.get("inputs")
    tensor = keras.tree.flatten(tensor)[0]
    inner = getattr(op, "layer", op) if read.path.startswith("layer/") else op
    if has_weight(inner, "depthwise_kernel"):
        tensor = _depthwise(inner, tensor, is_each=inner is not op)
    values = np.asarray(tensor, "float64")
    values = values.reshape(-1, values.shape[-1])
    return np.repeat(values, len(read.roots) // values.shape[-1], axis=1)


def _depthwise(layer, tensor, is_each):
    if is_each:  # to the layer inside, each step is a sample
        tensor = keras.ops.reshape(tensor, (-1, *tensor.shape[2:]))
    return keras.ops.depthwise_conv(
        tensor, layer.depthwise_kernel, layer.strides, layer.padding, layer.data_format, layer.dilation_rate
    )


def _add(moments: Moments, values: np.ndarray, at: np.ndarray) -> None:
    rows = np.moveaxis(values[:, at], 1, -1).reshape(-1, len(at))
    moments.count += len(rows)
    moments.first += rows.sum(axis=0)
    moments.second += rows.T @ rows


class CompareActivations:
    """Compares channels by their values on data.

    Args:
        model: The model.
        reads: Readers of its channels.
        families: Sets of channel groups to compare.
        x: One array `(n, ...)` per input, in the order of the model's call.
    """

    def __init__(
        self, model: keras.Model, reads: list[ChannelReader], families: list[ComparableGroups], x: list[np.ndarray]
    ):
        self._moments = collect_moments(model, reads, families, x)
        self._family = {int(g): f for f, family in enumerate(families) for g in family.groups}
        self.like, self.matter = [], []
        for f, family in enumerate(families):
            seen = {n: m for (n, of), m in self._moments.items() if of == f}
            self.like.append(np.minimum.reduce([m.similarity() for m in seen.values()]))
            spread = {n: np.maximum(np.diag(m.products()), 0.0)[:, None] for n, m in seen.items()}
            own = reach(reads, family, lambda n, at, spread=spread: spread[n])  # type: ignore[misc]  # of this round
            self.matter.append(own)

    def take(self, number: int, gone: int, kept: int) -> ChannelReplacement:
        """Returns the factor and constant of least squared error by which a reader replaces a removed channel."""
        return self._moments[number, self._family[gone]].take(gone, kept)
