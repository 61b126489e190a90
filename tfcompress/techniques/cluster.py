"""Cluster: the weights of a kernel share a few values, so that the zipped file needs a few bits for each.

Deep Compression, Han et al. 2016: linear or density start, then each step moves the shared values by the mean of their
members' updates; k-means++ start after Arthur and Vassilvitskii 2007.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import keras
import numpy as np

from tfcompress.facts.schedule import finite_number
from tfcompress.mechanics.graph import full_precision
from tfcompress.mechanics.transforms.centroids import Centroids
from tfcompress.mechanics.transforms.mask import Mask
from tfcompress.techniques.base import Kernel, Memory, Moment, Target, Technique

_LLOYD = 20  # rounds of k-means at the start; values of one dimension settle in fewer


def linear(values: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Evenly spaced between the smallest and the largest value."""
    return np.linspace(values.min(), values.max(), k)


def density(values: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """At evenly spaced quantiles, so that every cluster starts with as many members."""
    return np.quantile(values, (np.arange(k) + 0.5) / k)


def plus_plus(values: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++: each next value is drawn in proportion to the squared distance to those there are."""
    chosen = [rng.choice(values)]
    distance = np.square(values - chosen[0])
    for _ in range(k - 1):
        total = distance.sum()
        chosen.append(rng.choice(values, p=distance / total) if total > 0 else chosen[-1])
        distance = np.minimum(distance, np.square(values - chosen[-1]))
    return np.array(chosen)


STARTS: dict[str, Callable] = {"linear": linear, "density": density, "kmeans++": plus_plus}


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class Cluster(Technique):
    """Lets the weights of a kernel share `clusters` values.

    Args:
        clusters: Number of values, 2..256; a zero that is kept comes on top.
        start: "linear", "density" or "kmeans++".
        per_channel: Whether every output channel has values of its own.
        keep_zeros: Whether weights that are exactly zero stay zero; masked weights always do.
        begin: Fraction of the training, 0..1, at which sharing begins.
        seed: Seed of the "kmeans++" start.
        where: Which weights; None for every kernel.
        overrides: Other numbers of clusters by layer name or type; None leaves the layer alone.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> import tfcompress as tfc
        >>> tfc.Cluster(16, overrides={"head": 32}).clusters
        16
    """

    clusters: int = 16
    start: str = "kmeans++"
    per_channel: bool = False
    keep_zeros: bool = True
    begin: float = 0.3
    seed: int = 0

    order = 10

    def __post_init__(self):
        """Validates."""
        super().__post_init__()
        object.__setattr__(self, "clusters", self.stored(self.clusters))
        if self.start not in STARTS:
            raise ValueError(
                f"Cluster: start must be one of {sorted(STARTS)}. Received: start={self.start!r}."
            )
        if not 0 <= finite_number("Cluster", "begin", self.begin) <= 1:
            raise ValueError(
                "Cluster: begin must be a fraction of the training in [0, 1]. "
                f"Received: begin={self.begin}."
            )

    def default(self):
        """The number of clusters."""
        return self.clusters

    def accept(self, value):
        """Validates a number of clusters."""
        if isinstance(value, bool) or not isinstance(value, Integral) or not 2 <= value <= 256:
            raise ValueError(
                f"Cluster: clusters must be an integer in 2..256. Received: clusters={value!r}."
            )
        return int(value)

    def stored(self, value):
        """A Python int."""
        return self.accept(value)

    def transforms(self, target: Target, setting, seed: int) -> list:
        """The shared values."""
        return [Centroids(setting, self.per_channel, target.axes)]

    def action(self, target: Target, setting) -> str:
        """Names the number of values."""
        return f"Cluster {setting} values per {'channel' if self.per_channel else 'kernel'}"

    def advance(self, moment: Moment, kernels: list[Kernel], memory: Memory) -> None:
        """Assigns every weight to the nearest value; the first time, finds the values."""
        if moment.progress < self.begin and not moment.last or memory.is_final:
            return
        for k in kernels:
            # values that were trained and baked stay: at the end nothing can make good another assignment
            if not (moment.last and _is_settled(k)):
                self._assign(k)
        memory.is_final = moment.last

    def _assign(self, k: Kernel):
        shared = k.chain.find(Centroids)
        weight = np.asarray(full_precision(k.chain.variable))
        off = weight == 0 if self.keep_zeros else np.zeros(weight.shape, bool)
        if (mask := k.chain.find(Mask)) is not None:
            off |= np.asarray(mask.mask) == 0
        rows, restore = _rows(weight, shared)
        gone, _ = _rows(off, shared)
        started = float(shared.active) > 0
        before = np.asarray(shared.values(full_precision(k.chain.variable))).reshape(len(rows), -1)[
            :, :-1
        ]
        parts = [
            self._one(
                row[~g], before[i] if started else None, shared.clusters, [self.seed, k.number, i]
            )
            for i, (row, g) in enumerate(zip(rows, gone, strict=True))
        ]
        index, width = np.empty(rows.shape, "int32"), shared.clusters + 1
        values, counts = (
            np.zeros((len(rows), width), "float32"),
            np.zeros((len(rows), width), "float32"),
        )
        for i, (centers, nearest) in enumerate(parts):
            index[i] = shared.clusters
            index[i][~gone[i]] = nearest
            values[i, :-1] = centers
            counts[i] = np.bincount(index[i], minlength=width)
            index[i] += i * width
        shared.index.assign(restore(index))
        shared.centroids.assign(values.reshape(-1))
        shared.counts.assign(counts.reshape(-1))
        shared.active.assign(1.0)

    def _one(self, values, before, k, seed):
        """Returns the values of one row of weights, ascending, and the index of each weight."""
        if not values.size:
            return np.zeros(k, "float32"), np.zeros(0, "int32")
        rng = np.random.default_rng(seed)
        centers = np.sort(
            before if before is not None else STARTS[self.start](values.astype("float64"), k, rng)
        )
        for _ in range(1 if before is not None else _LLOYD):
            index = _nearest(values, centers)
            counts = np.bincount(index, minlength=k)
            sums = np.bincount(index, weights=values, minlength=k)
            centers = np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), centers))
        return centers.astype("float32"), _nearest(values, centers)


def _is_settled(k: Kernel) -> bool:
    """Whether the weights hold their shared values, as they do after a bake."""
    weight = np.asarray(full_precision(k.chain.variable))
    is_active = float(k.chain.find(Centroids).active) > 0
    return is_active and np.array_equal(np.asarray(k.chain.value(lasting=True)), weight)


def _nearest(values: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Index of the nearest of some ascending centers."""
    return np.searchsorted((centers[1:] + centers[:-1]) / 2, values).astype("int32")


def _rows(w: np.ndarray, shared: Centroids):
    """Returns the weight with one row per set of shared values, and the function that undoes it."""
    if not shared.per_channel:
        return w.reshape(1, -1), lambda rows: rows.reshape(w.shape)
    channels = [k for k, letter in enumerate(shared.axes) if letter in "ocmg"]
    order = channels + [k for k in range(w.ndim) if k not in channels]
    turned = w.transpose(order)
    return turned.reshape(shared.channels, -1), lambda rows: np.ascontiguousarray(
        rows.reshape(turned.shape).transpose(np.argsort(order))
    )
