"""Dense layers and convolutions of size 1 as products of two matrices, by their weights or by what data show."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfcompress.graph.clone import New
from tfcompress.low_rank import decompositions
from tfcompress.low_rank.factoring import Factoring
from tfcompress.low_rank.layers import conv, dense


class Matrix(Factoring):
    """A Dense layer, or a convolution of size 1, as two."""

    title = "SVD"

    @property
    def matrix(self) -> np.ndarray:
        """The kernel as (inputs, outputs)."""
        return self.kernel.reshape(-1, self.kernel.shape[-1])

    @property
    def full(self) -> int:
        """Number of inputs or of outputs, whichever is smaller."""
        return min(self.matrix.shape)

    def sizes(self, rank):
        """Inputs times rank, rank times outputs."""
        return [n * rank for n in self.matrix.shape]

    def places(self, before, after):
        """Strides are in the first."""
        return [math.prod(after)] * 2

    @cached_property
    def _factors(self):
        return decompositions.svd(self.matrix, self.full)

    def parts(self, rank):
        """The nearest ones."""
        a, b = self._factors
        ones = self.kernel.shape[:-2]
        return [a[:, :rank].reshape(*ones, -1, rank), b[:rank].reshape(*(1 for _ in ones), rank, -1)]

    def product(self, parts):
        """Their matrix product."""
        a, b = (p.reshape(-1, p.shape[-1]) for p in parts)
        return (a @ b).reshape(self.kernel.shape)

    def lost(self, rank):
        """What the left out singular values are of all."""
        squares = np.sum(self._factors[0].reshape(-1, self.full) ** 2, axis=0) ** 2  # both factors have the root
        return float(squares[rank:].sum() / squares.sum()) if squares.any() else 0.0

    def layers(self, parts):
        """Dense and Dense, or convolution and convolution of size 1."""
        first, last = self.part_name("in"), self.name
        if not hasattr(self.op, "kernel_size"):
            return [dense(self.op, first, parts[0]), dense(self.op, last, parts[1], is_last=True)]
        geometry = {k: self.op.get_config()[k] for k in ("kernel_size", "strides", "padding", "dilation_rate")}
        return [conv(self.op, first, parts[0], **geometry), conv(self.op, last, parts[1], is_last=True)]


@dataclass(eq=False)
class Principal(Matrix):
    """A Dense layer as two, by the directions in which its outputs vary most on data.

    Args:
        mean: Mean of the outputs without bias `(o,)`.
        moments: Mean of their products `(o, o)`.
    """

    mean: np.ndarray = None
    moments: np.ndarray = None

    title = "PCA"

    @property
    def _has_bias(self) -> bool:
        return self.op.bias is not None

    @cached_property
    def _spectrum(self):
        """Values and directions of the covariance; of the products where no bias can take the mean."""
        centre = np.outer(self.mean, self.mean) if self._has_bias else 0.0
        moments = self.moments - centre
        directions = decompositions.principal(moments, len(moments))
        return np.maximum(np.einsum("or,op,pr->r", directions, moments, directions), 0.0), directions

    def parts(self, rank):
        """The kernel seen along the directions, and the directions; what the mean loses is for the bias."""
        directions = self._spectrum[1][:, :rank]
        return [self.matrix @ directions, directions.T]

    def lost(self, rank):
        """Relative output error on the data that the directions come from."""
        values = self._spectrum[0]
        whole = float(np.trace(self.moments))
        return float(values[rank:].sum()) / whole if whole > 0 else 0.0

    def lost_on(self, rank, x):
        """The same: the data were looked at already."""
        return self.lost(rank)

    def layers(self, parts):
        """As without data, and the mean's loss in the bias."""
        first, last = super().layers(parts)
        if self._has_bias:
            kernel, bias = last.weights
            last = New(last.layer, [kernel, bias + self.mean - self.mean @ parts[1].T @ parts[1]], last.trainable)
        return [first, last]
