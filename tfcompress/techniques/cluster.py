"""Cluster: weight clustering lets the weights of a kernel share a few values, so that a zipped file is small.

After "Deep Compression", Han et al. 2016: k-means on the trained weights assigns each weight to a cluster once; from
then on each step moves a shared value by the mean of its members' updates. Only weights whose mask changes are
assigned anew. The k-means++ start is that of Arthur and Vassilvitskii 2007.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import keras
import numpy as np

from tfcompress.fake_quant.transforms.centroids import Centroids
from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.file_formats import INT8
from tfcompress.graph.keras_private import full_precision
from tfcompress.techniques.base import Kernel, Memory, Moment, Target, Technique
from tfcompress.validation import checks

_FRACTION = "It is a fraction of the training."
_MOST = INT8.activations.count  # values that the codes of one byte tell apart
_LLOYD = 20  # rounds of k-means at the start; values of one dimension settle in fewer


def linear(values: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Returns start values spaced evenly between the smallest and the largest weight."""
    return np.linspace(values.min(), values.max(), k)


def density(values: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Returns start values at evenly spaced quantiles, so that every cluster starts with as many members."""
    return np.quantile(values, (np.arange(k) + 0.5) / k)


def plus_plus(values: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Returns start values by k-means++: each is drawn in proportion to its squared distance from those before it."""
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
    """Clusters the weights of a kernel, so that they share `clusters` values.

    Args:
        clusters: Number of values, 2..256; zeros that are kept are one value more.
        start: "linear", "density" or "kmeans++".
        per_channel: Whether every output channel has values of its own.
        keep_zeros: Whether weights that are exactly zero stay zero; masked weights always do.
        begin: Fraction of the training, 0..1, at which weights are assigned to clusters; late,
            because until then they train freely.
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
    begin: float = 0.8
    seed: int = 0

    order = 10

    def __post_init__(self) -> None:
        """Validates the fields."""
        super().__post_init__()
        self.set(
            clusters=self.stored(self.clusters),
            start=checks.choice("Cluster", "start", self.start, sorted(STARTS)),
            per_channel=checks.flag("Cluster", "per_channel", self.per_channel),
            keep_zeros=checks.flag("Cluster", "keep_zeros", self.keep_zeros),
            begin=checks.number("Cluster", "begin", self.begin, least=0, most=1, hint="As a fraction of the training."),
            seed=checks.seed("Cluster", self.seed),
        )

    def default(self) -> Any:
        """Returns the number of clusters."""
        return self.clusters

    def accept(self, value: Any) -> int:
        """Validates a number of clusters."""
        if not isinstance(value, Integral) or isinstance(value, bool) or not 2 <= int(value) <= _MOST:
            checks.refuse(ValueError, "Cluster", "clusters", f"an integer in 2..{_MOST}", value)
        return int(value)

    def stored(self, value: Any) -> Any:
        """Returns a validated number of clusters as a Python int."""
        return self.accept(value)

    def transforms(self, target: Target, setting: Any, seed: int) -> list:
        """Returns the transform that makes weights share values."""
        return [Centroids(setting, self.per_channel, target.axes)]

    def action(self, target: Target, setting: Any) -> str:
        """Names the number of values."""
        return f"Cluster {setting} values per {'channel' if self.per_channel else 'kernel'}"

    def advance(self, moment: Moment, kernels: list[Kernel], memory: Memory) -> None:
        """Assigns weights to clusters when `begin` is reached; afterwards only follows changes of the masks."""
        if moment.progress < self.begin and not moment.last or memory.is_final:
            return
        for k in kernels:
            # weights restored at the end (from an earlier epoch) need an assignment of their own
            if not _is_active(k) or moment.last and not _is_baked(k):
                self._assign(k)
            else:
                _follow_mask(k)
        memory.is_final = moment.last

    def _assign(self, k: Kernel) -> None:
        """Assigns every weight to the nearest shared value, after k-means from the current or first values."""
        shared, weight = k.chain.find(Centroids), _weight(k)
        rows, restore = _rows(weight, shared)
        gone, _ = _rows(self._off(k, weight), shared)
        before = _values(k) if _is_active(k) else [None] * len(rows)
        index, values = np.full(rows.shape, shared.clusters), np.zeros((len(rows), shared.clusters))
        for i, (row, g) in enumerate(zip(rows, gone, strict=True)):
            seed = [self.seed, k.number, i]
            values[i], index[i][~g] = self._one(row[~g], before[i], shared.clusters, seed)
        _store(shared, values, index, restore)

    def _off(self, k: Kernel, weight: Any) -> Any:
        """Returns which weights are zero and stay zero."""
        mask = k.chain.find(Mask)
        off = weight == 0 if self.keep_zeros else np.zeros(weight.shape, bool)
        if mask is not None:
            return off | (np.asarray(full_precision(mask.mask)) == 0)
        if self.keep_zeros and _is_active(k):
            off |= _local(k) == k.chain.find(Centroids).clusters
        return off

    def _one(self, values: Any, before: Any, k: Any, seed: list[int]) -> Any:
        """Returns the values of one row of weights, ascending, and the index of each weight."""
        if not values.size:
            return np.zeros(k), np.zeros(0, int)
        distinct = np.unique(values)
        if distinct.size <= k:  # clustered already: an earlier training's values stay as they are
            index = np.searchsorted(distinct, values)
            return np.pad(distinct, (0, k - distinct.size), "edge"), index
        if before is None:
            rng = np.random.default_rng(seed)
            before = STARTS[self.start](values.astype("float64"), k, rng)
        centers = np.sort(before)
        for _ in range(_LLOYD):
            index = _nearest(values, centers)
            counts = np.bincount(index, minlength=k)
            sums = np.bincount(index, weights=values, minlength=k)
            centers = np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), centers))
        return centers, _nearest(values, centers)


def _follow_mask(k: Kernel) -> None:
    """Moves weights that are masked now out of their cluster, and unmasked ones to the nearest cluster."""
    mask, shared, weight = k.chain.find(Mask), k.chain.find(Centroids), _weight(k)
    if mask is None:
        return
    zero, local, off = shared.clusters, _local(k), np.asarray(full_precision(mask.mask)) == 0
    back = ~off & (local == zero) & (weight != 0)
    if not (back.any() or (off & (local != zero)).any()):
        return
    local[off] = zero
    rows, restore = _rows(weight, shared)
    index, joins, values = _rows(local, shared)[0].copy(), _rows(back, shared)[0], _values(k)
    for i in np.flatnonzero(joins.any(axis=1)):
        order = np.argsort(values[i], kind="stable")
        index[i][joins[i]] = order[_nearest(rows[i][joins[i]], values[i][order])]
    _store(shared, values, index, restore)


def _store(shared: Centroids, values: np.ndarray, index: np.ndarray, restore: Callable) -> None:
    """Stores shared values `(rows, clusters)` and the cluster of each weight, `(rows, weights of a row)`."""
    width = shared.clusters + 1
    counts = np.stack([np.bincount(row, minlength=width) for row in index])
    offset = np.arange(len(index))[:, None] * width
    shared.index.assign(restore((index + offset).astype("int32")))
    shared.centroids.assign(np.pad(values, ((0, 0), (0, 1))).reshape(-1))
    shared.counts.assign(counts.reshape(-1))
    shared.active.assign(1.0)


def _weight(k: Kernel) -> np.ndarray:
    return np.asarray(k.chain.plain())


def _values(k: Kernel) -> np.ndarray:
    """Returns the current shared values, `(rows, clusters)`."""
    shared = k.chain.find(Centroids)
    values = np.asarray(shared.values(k.chain.plain()))
    return values.reshape(-1, shared.clusters + 1)[:, :-1]


def _local(k: Kernel) -> np.ndarray:
    """Returns the number of each weight's cluster within its row, in the weight's shape."""
    shared = k.chain.find(Centroids)
    return np.asarray(full_precision(shared.index)) % (shared.clusters + 1)


def _is_active(k: Kernel) -> bool:
    return float(full_precision(k.chain.find(Centroids).active)) > 0


def _is_baked(k: Kernel) -> bool:
    """Returns whether the weights equal their shared values, bit for bit."""
    return np.array_equal(np.asarray(k.chain.value(lasting=True)), _weight(k))


def _nearest(values: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Returns the index of the nearest center for each value; centers ascend."""
    return np.searchsorted((centers[1:] + centers[:-1]) / 2, values)


def _rows(w: np.ndarray, shared: Centroids) -> Any:
    """Returns the weight as a matrix with one row per set of shared values, and the inverse function."""
    if not shared.per_channel:
        return w.reshape(1, -1), lambda rows: rows.reshape(w.shape)
    matrix, restore = shared.axes.matrix(w)
    return matrix.T, lambda rows: restore(rows.T)
