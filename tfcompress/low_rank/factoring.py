"""Factoring: a factorization of one layer into several with smaller kernels, with its cost and its error.

At full rank the new layers give the output of the old one. Strides, padding and dilation belong to the layer over the
same axis, bias and activation to the last layer.
"""

import math
from dataclasses import dataclass, field

import keras
import numpy as np

from tfcompress.graph.clone import New
from tfcompress.layer_table.lookup import spec_of

Rank = int | tuple[int, int]
PARTS = ("in", "core", "vertical", "horizontal")
"""Endings of the names of new layers; the last one has the name of the old layer."""


@dataclass(eq=False)
class Factoring:
    """A factorization of one layer, for any rank; a rank is a number, for Tucker a pair of numbers.

    Args:
        op: The layer.
        name: Name of the last new layer.
        kernel: Its kernel, float64, as Keras holds it.
        calls: Spatial sizes before and behind the layer, for each call.
        seed: Seed of random numbers.
        stem: Start of the names of the other new layers; `name`, unless there are such layers already.
    """

    op: keras.layers.Layer
    name: str
    kernel: np.ndarray
    calls: list[tuple[tuple[int, ...], tuple[int, ...]]]
    seed: int = 0
    stem: str = ""
    _lost: dict = field(default_factory=dict)

    title = "factors"
    """Name of the method in reports."""

    @property
    def full(self) -> int:
        """The rank at which nothing is lost."""
        raise NotImplementedError

    def sizes(self, rank: Rank) -> list[int]:
        """Returns the number of weights of each new kernel."""
        raise NotImplementedError

    def places(self, before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
        """Returns the number of positions at which each new kernel is applied."""
        raise NotImplementedError

    def parts(self, rank: Rank) -> list[np.ndarray]:
        """Returns the new kernels."""
        raise NotImplementedError

    def product(self, parts: list[np.ndarray]) -> np.ndarray:
        """Returns the kernel that the new ones multiply to."""
        raise NotImplementedError

    def layers(self, parts: list[np.ndarray]) -> list[New]:
        """Returns the layers that replace the old one."""
        raise NotImplementedError

    def part_name(self, part: str) -> str:
        """Returns the name of a new layer that is not the last."""
        return f"{self.stem or self.name}_{part}"

    def ranks(self) -> list[Rank]:
        """Returns all ranks, smallest first."""
        return list(range(1, self.full + 1))

    def clipped(self, rank: Rank) -> Rank:
        """Returns the rank, but at most the full one."""
        return min(rank if isinstance(rank, int) else min(rank), self.full)

    def macs(self, rank: Rank) -> int:
        """Returns the MACs of the new layers for one sample."""
        sizes = self.sizes(rank)
        return sum(math.prod(pair) for call in self.calls for pair in zip(sizes, self.places(*call), strict=True))

    @property
    def own_macs(self) -> int:
        """MACs of the old layer for one sample."""
        return sum(self.kernel.size * math.prod(after) for _, after in self.calls)

    def parameters(self, rank: Rank) -> int:
        """Returns the number of weights of the new kernels."""
        return sum(self.sizes(rank))

    def pays(self, rank: Rank) -> bool:
        """Returns whether the new layers have fewer MACs and fewer weights."""
        return self.macs(rank) < self.own_macs and self.parameters(rank) < self.kernel.size

    def lost(self, rank: Rank) -> float:
        """Returns the relative squared error of the kernel, `||W - W'||^2 / ||W||^2`."""
        if rank not in self._lost:
            whole = float(np.sum(self.kernel**2))
            gap = float(np.sum((self.kernel - self.product(self.parts(rank))) ** 2))
            self._lost[rank] = gap / whole if whole else 0.0
        return self._lost[rank]

    def lost_on(self, rank: Rank, x: np.ndarray) -> float:
        """Returns the relative squared error of the layer's output on inputs x, `||Y - Y'||^2 / ||Y||^2`.

        The output is taken before bias and activation.
        """
        gap = self.kernel - self.product(self.parts(rank))
        whole = float(np.sum(self._output(x, self.kernel) ** 2))
        return float(np.sum(self._output(x, gap) ** 2)) / whole if whole else 0.0

    def _output(self, x, kernel):
        if spec_of(self.op).axes["kernel"].is_matrix:
            return np.asarray(x, "float64") @ kernel
        return np.asarray(self.op.convolution_op(x.astype("float32"), kernel.astype("float32")), "float64")

    def by_energy(self, energy: float) -> Rank:
        """Returns the smallest rank that keeps this fraction of `||W||^2`."""
        ranks = self.ranks()
        low, high = 0, len(ranks) - 1
        while low < high:
            middle = (low + high) // 2
            if self.lost(ranks[middle]) <= 1 - energy + 1e-12:
                high = middle
            else:
                low = middle + 1
        return ranks[low]
