"""Factorizes Dense layers and convolutions of size 1 into two, by their weights (SVD) or by data (PCA)."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfcompress.graph.clone import New
from tfcompress.layer_table.lookup import spec_of
from tfcompress.low_rank import decompositions
from tfcompress.low_rank.factoring import Factoring
from tfcompress.low_rank.layers import conv, dense


class Matrix(Factoring):
    """Factorizes a Dense layer, or a convolution of size 1, into two by SVD."""

    title = "SVD"

    @property
    def matrix(self) -> np.ndarray:
        """The kernel as a matrix (inputs, outputs)."""
        return self.kernel.reshape(-1, self.kernel.shape[-1])

    @property
    def full(self) -> int:
        """The smaller of the numbers of inputs and of outputs."""
        return min(self.matrix.shape)

    def sizes(self, rank):
        """Returns the numbers of weights: inputs times rank, rank times outputs."""
        return [n * rank for n in self.matrix.shape]

    def places(self, before, after):
        """Returns the positions of both kernels; the first has the strides."""
        return [math.prod(after)] * 2

    @cached_property
    def _factors(self):
        return decompositions.svd(self.matrix, self.full)

    def parts(self, rank):
        """Returns the kernels with the smallest error, by SVD."""
        a, b = self._factors
        ones = self.kernel.shape[:-2]
        return [a[:, :rank].reshape(*ones, -1, rank), b[:rank].reshape(*(1 for _ in ones), rank, -1)]

    def product(self, parts):
        """Returns the matrix product of the kernels."""
        a, b = (p.reshape(-1, p.shape[-1]) for p in parts)
        return (a @ b).reshape(self.kernel.shape)

    def lost(self, rank):
        """Returns the share of the dropped singular values, squared."""
        squares = np.sum(self._factors[0].reshape(-1, self.full) ** 2, axis=0) ** 2  # both factors have the root
        return float(squares[rank:].sum() / squares.sum()) if squares.any() else 0.0

    def layers(self, parts):
        """Returns two Dense layers, or two convolutions of size 1."""
        first, last = self.part_name("in"), self.name
        if spec_of(self.op).axes["kernel"].is_matrix:
            return [dense(self.op, first, parts[0]), dense(self.op, last, parts[1], is_last=True)]
        geometry = {k: self.op.get_config()[k] for k in ("kernel_size", "strides", "padding", "dilation_rate")}
        return [conv(self.op, first, parts[0], **geometry), conv(self.op, last, parts[1], is_last=True)]


@dataclass(eq=False)
class Principal(Matrix):
    """Factorizes a Dense layer into two by the principal components of its outputs on data.

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
        """Eigenvalues and directions of the outputs' covariance; without a bias, of their mean products."""
        centre = np.outer(self.mean, self.mean) if self._has_bias else 0.0
        moments = self.moments - centre
        directions = decompositions.principal(moments, len(moments))
        return np.maximum(np.einsum("or,op,pr->r", directions, moments, directions), 0.0), directions

    def parts(self, rank):
        """Returns the kernel projected on the directions, and the directions; the bias takes the lost mean."""
        directions = self._spectrum[1][:, :rank]
        return [self.matrix @ directions, directions.T]

    def lost(self, rank):
        """Returns the relative squared error of the outputs on the data that the directions come from."""
        values = self._spectrum[0]
        whole = float(np.trace(self.moments))
        return float(values[rank:].sum()) / whole if whole > 0 else 0.0

    def lost_on(self, rank, x):
        """Returns the error on the data that the directions come from; `x` is not used."""
        return self.lost(rank)

    def layers(self, parts):
        """Returns two layers as without data; the last bias also adds the part of the mean that the rank loses."""
        first, last = super().layers(parts)
        if self._has_bias:
            kernel, bias = last.weights
            last = New(last.layer, [kernel, bias + self.mean - self.mean @ parts[1].T @ parts[1]], last.trainable)
        return [first, last]
