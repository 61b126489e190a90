"""Factorizes convolutions into several smaller ones: over one axis at a time, with fewer channels inside, or both."""

import math
from functools import cached_property
from typing import Any

import numpy as np

from tfcompress.graph.clone import config_of
from tfcompress.low_rank import decompositions
from tfcompress.low_rank.factoring import Factoring
from tfcompress.low_rank.layers import conv, depthwise


class Spatial(Factoring):
    """Factorizes a convolution over two axes into one over the first and one over the second axis.

    A convolution over one axis becomes one over that axis and one of size 1.
    """

    title = "spatial SVD"

    @property
    def _form(self):
        shape = self.kernel.shape
        return shape if len(shape) == 4 else (shape[0], 1, *shape[1:])

    @property
    def full(self) -> int:
        """The largest rank of the kernel as a matrix of (x, inputs) by (y, outputs)."""
        x, y, i, o = self._form
        return min(x * i, y * o)

    def sizes(self, rank):
        """Returns the numbers of weights of the vertical and the horizontal kernel."""
        x, y, i, o = self._form
        return [x * i * rank, y * o * rank]

    def places(self, before, after):
        """Returns the positions of both kernels; the first one changes the size of the first axis only."""
        return [math.prod((after[0], *before[1:])), math.prod(after)]

    @cached_property
    def _factors(self):
        return decompositions.spatial(self.kernel.reshape(self._form), self.full)

    def parts(self, rank):
        """Returns the kernels with the smallest error, by SVD."""
        vertical, horizontal = self._factors
        parts = [vertical[..., :rank], horizontal[:, :, :rank]]
        return parts if self.kernel.ndim == 4 else [p.reshape(-1, *p.shape[2:]) for p in parts]

    def product(self, parts):
        """Returns the outer product of the kernels over the two axes."""
        if self.kernel.ndim == 3:
            return np.einsum("xir,yro->xio", *parts)
        return np.einsum("xzir,zyro->xyio", *parts)

    def lost(self, rank):
        """Returns the share of the dropped singular values, squared."""
        squares = np.sum(self._factors[0].reshape(-1, self.full) ** 2, axis=0) ** 2  # both factors have the root
        return float(squares[rank:].sum() / squares.sum()) if squares.any() else 0.0

    def layers(self, parts):
        """Returns two convolutions, each with the strides and dilation of its axis."""
        config = config_of(self.op)
        geometry = {k: tuple(config[k]) for k in ("kernel_size", "strides", "dilation_rate")}
        first: dict[str, Any] = {k: (v[0], 1)[: len(v)] for k, v in geometry.items()}
        last: dict[str, Any] = {k: (1, *v[1:]) for k, v in geometry.items()}
        padding = config["padding"]
        return [
            conv(self.op, self.part_name("vertical"), parts[0], padding=padding, **first),
            conv(self.op, self.name, parts[1], is_last=True, padding=padding, **last),
        ]


class Tucker(Factoring):
    """Factorizes a convolution into a smaller one between two of size 1 (Tucker)."""

    title = "Tucker"

    @property
    def full(self) -> int:
        """The larger of the numbers of input and of output channels."""
        return max(self.kernel.shape[-2:])

    def ranks(self):
        """Returns pairs of ranks that reduce input and output channels by the same fraction."""
        whole, channels = self.full, self.kernel.shape[-2:]
        pairs = (tuple(max(1, round(n * k / whole)) for n in channels) for k in range(1, whole + 1))
        return list(dict.fromkeys(pairs))

    def clipped(self, rank):
        """Returns a pair of ranks, clipped to the numbers of channels; a number stands for both."""
        pair = (rank, rank) if isinstance(rank, int) else rank
        return tuple(min(r, n) for r, n in zip(pair, self.kernel.shape[-2:], strict=True))

    def sizes(self, rank):
        """Returns the numbers of weights of the input matrix, the core and the output matrix."""
        *space, i, o = self.kernel.shape
        return [i * rank[0], math.prod(space) * math.prod(rank), o * rank[1]]

    def places(self, before, after):
        """Returns the positions of each kernel; the core has the strides."""
        return [math.prod(before), math.prod(after), math.prod(after)]

    def parts(self, rank):
        """Returns the kernels, found by alternating."""
        left, core, right = decompositions.tucker(self.kernel, rank)
        ones = (1,) * (self.kernel.ndim - 2)
        return [left.reshape(*ones, *left.shape), core, right.reshape(*ones, *right.shape)]

    def product(self, parts):
        """Returns the product of the input matrix, the core and the output matrix."""
        left, core, right = parts
        return left.reshape(left.shape[-2:]) @ core @ right.reshape(right.shape[-2:])

    def by_energy(self, energy):
        """Returns the ranks of input and output channels, each by its own spectrum."""
        pair = []
        for spectrum in decompositions.tucker_spectra(self.kernel):
            kept = np.cumsum(spectrum) >= (energy - 1e-12) * spectrum.sum()
            pair.append(int(np.argmax(kept)) + 1)
        return tuple(pair)

    def layers(self, parts):
        """Returns three convolutions; the core has the geometry of the old layer."""
        config = config_of(self.op)
        geometry = {k: config[k] for k in ("kernel_size", "strides", "padding", "dilation_rate")}
        return [
            conv(self.op, self.part_name("in"), parts[0]),
            conv(self.op, self.part_name("core"), parts[1], **geometry),
            conv(self.op, self.name, parts[2], is_last=True),
        ]


class Products(Factoring):
    """Factorizes a convolution into depthwise ones over each axis, between two of size 1 (CP)."""

    title = "CP"

    @property
    def _is_joined(self) -> bool:
        """Whether both axes share one depthwise kernel, since TensorFlow and LiteRT have none with unequal strides."""
        return self.kernel.ndim == 4 and max(self.op.strides) > 1

    @property
    def full(self) -> int:
        """A rank at which every kernel is exact: the sum of the ranks of its channel matrices at each position."""
        *space, i, o = self.kernel.shape
        return math.prod(space) * min(i, o)

    def sizes(self, rank):
        """Returns the numbers of weights of the input matrix, the depthwise kernels and the output matrix."""
        *space, i, o = self.kernel.shape
        return [n * rank for n in (i, *([math.prod(space)] if self._is_joined else space), o)]

    def places(self, before, after):
        """Returns the positions of each kernel; each depthwise one changes the size of its axis."""
        between = [after] if self._is_joined else [(*after[: k + 1], *before[k + 1 :]) for k in range(len(after))]
        return [math.prod(sizes) for sizes in (before, *between, after)]

    def ranks(self):
        """Returns the ranks that make the layer cheaper; the others take long to compute and are of no use."""
        return [r for r in range(1, self.full + 1) if self.pays(r)] or [1]

    def parts(self, rank):
        """Returns the kernels, found by alternating least squares."""
        if rank not in self._found:
            *space, inputs, outputs = decompositions.cp(self.kernel, rank, self.seed)
            self._found[rank] = self._shaped(space, inputs, outputs)
        return self._found[rank]

    @cached_property
    def _found(self) -> dict:
        return {}

    def _shaped(self, space, inputs, outputs):
        axes = len(space)
        if self._is_joined:
            middle = [np.einsum("xr,yr->xyr", *space)[..., None]]
        else:
            forms = [[-1 if j == k else 1 for j in range(axes)] for k in range(axes)]
            middle = [f.reshape(*form, f.shape[-1], 1) for f, form in zip(space, forms, strict=True)]
        ones = (1,) * axes
        return [inputs.reshape(*ones, *inputs.shape), *middle, outputs.T.reshape(*ones, *outputs.T.shape)]

    def product(self, parts):
        """Returns the sum of the products."""
        first, *middle, last = parts
        space = middle[0][..., 0]
        for part in middle[1:]:
            space = space * part[..., 0]
        return np.einsum("...r,ir,ro->...io", space, first.reshape(first.shape[-2:]), last.reshape(last.shape[-2:]))

    def layers(self, parts):
        """Returns the convolutions, each depthwise one with the dilation of its axis."""
        config, (first, *middle, last) = config_of(self.op), parts
        made = [conv(self.op, self.part_name("in"), first)]
        names = ["core"] if len(middle) == 1 else ["vertical", "horizontal"]
        for label, kernel in zip(names, middle, strict=True):
            sizes = kernel.shape[:-2]
            rates = tuple(d if n > 1 else 1 for d, n in zip(config["dilation_rate"], sizes, strict=True))
            strides = config["strides"] if len(middle) == 1 else 1
            options = dict(strides=strides, padding=config["padding"], dilation_rate=rates)
            made.append(depthwise(self.op, self.part_name(label), kernel, **options))
        return [*made, conv(self.op, self.name, last, is_last=True)]
