"""One layer as several with smaller kernels between them: the ways to do it, what they cost and what they lose.

Law: at full rank the layers in the place of one give its output; strides, padding and dilation go with the axis they
belong to, bias and activation to the last layer.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property

import keras
import numpy as np

from tfcompress.mechanics import decompose
from tfcompress.mechanics.copying import New
from tfcompress.mechanics.factored_layers import conv, dense, depthwise

Rank = int | tuple[int, int]
PARTS = ("in", "core", "vertical", "horizontal")
"""What the names of new layers end with; the last has the name of the layer."""


@dataclass(eq=False)
class Factoring:
    """A way to factor one layer. Ranks are numbers, of Tucker pairs of numbers.

    Args:
        op: The layer.
        name: Name that the last new layer gets.
        kernel: Its kernel, float64, as Keras holds it.
        calls: Sizes in space before and behind the layer, for each call.
        seed: Seed of what is drawn at random.
        stem: What the names of the other new layers begin with; the name, unless there are such layers already.
    """

    op: keras.layers.Layer
    name: str
    kernel: np.ndarray
    calls: list[tuple[tuple[int, ...], tuple[int, ...]]]
    seed: int = 0
    stem: str = ""
    _lost: dict = field(default_factory=dict)

    @property
    def full(self) -> int:
        """The rank at which nothing is lost."""
        raise NotImplementedError

    def sizes(self, rank: Rank) -> list[int]:
        """Returns the number of weights of each new kernel."""
        raise NotImplementedError

    def places(self, before: tuple[int, ...], after: tuple[int, ...]) -> list[int]:
        """Returns at how many places each new kernel is laid."""
        raise NotImplementedError

    def parts(self, rank: Rank) -> list[np.ndarray]:
        """Returns the new kernels."""
        raise NotImplementedError

    def product(self, parts: list[np.ndarray]) -> np.ndarray:
        """Returns the kernel that the new ones stand for."""
        raise NotImplementedError

    def layers(self, parts: list[np.ndarray]) -> list[New]:
        """Returns the layers in the place of the one."""
        raise NotImplementedError

    def ranks(self) -> list[Rank]:
        """Returns all ranks, smallest first."""
        return list(range(1, self.full + 1))

    def clipped(self, rank: Rank) -> Rank:
        """Returns the rank, but at most the full one."""
        return min(rank if isinstance(rank, int) else min(rank), self.full)

    def macs(self, rank: Rank) -> int:
        """MACs of one sample through the new layers."""
        sizes = self.sizes(rank)
        return sum(math.prod(pair) for call in self.calls for pair in zip(sizes, self.places(*call), strict=True))

    @property
    def own_macs(self) -> int:
        """MACs of one sample through the layer as it is."""
        return sum(self.kernel.size * math.prod(after) for _, after in self.calls)

    def parameters(self, rank: Rank) -> int:
        """Number of weights of the new kernels."""
        return sum(self.sizes(rank))

    def pays(self, rank: Rank) -> bool:
        """Whether the new layers have fewer MACs and fewer weights."""
        return self.macs(rank) < self.own_macs and self.parameters(rank) < self.kernel.size

    def lost(self, rank: Rank) -> float:
        """Returns `||W - W'||^2 / ||W||^2`."""
        if rank not in self._lost:
            whole = float(np.sum(self.kernel**2))
            gap = float(np.sum((self.kernel - self.product(self.parts(rank))) ** 2))
            self._lost[rank] = gap / whole if whole else 0.0
        return self._lost[rank]

    def lost_on(self, rank: Rank, x: np.ndarray) -> float:
        """Returns `||Y - Y'||^2 / ||Y||^2` of the layer's output, before bias and activation, on inputs x."""
        gap = self.kernel - self.product(self.parts(rank))
        whole = float(np.sum(self._output(x, self.kernel) ** 2))
        return float(np.sum(self._output(x, gap) ** 2)) / whole if whole else 0.0

    def _output(self, x, kernel):
        if isinstance(self.op, (keras.layers.Dense, keras.layers.EinsumDense)):  # no convolution_op
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


class Matrix(Factoring):
    """A Dense layer, or a convolution of size 1, as two."""

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
        return decompose.svd(self.matrix, self.full)

    def parts(self, rank):
        """The nearest ones."""
        a, b = self._factors
        ones = self.kernel.shape[:-2]
        return [a[:, :rank].reshape(*ones, -1, rank), b[:rank].reshape(*(1 for _ in ones), rank, -1)]

    def product(self, parts):
        """Their matrix product."""
        a, b = (p.reshape(-1, p.shape[-1]) for p in parts)
        return (a @ b).reshape(self.kernel.shape)

    def layers(self, parts):
        """Dense and Dense, or convolution and convolution of size 1."""
        first, last = f"{self.stem or self.name}_in", self.name
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

    @property
    def _has_bias(self) -> bool:
        return self.op.bias is not None

    @cached_property
    def _spectrum(self):
        """Values and directions of the covariance; of the products where no bias can take the mean."""
        centre = np.outer(self.mean, self.mean) if self._has_bias else 0.0
        moments = self.moments - centre
        directions = decompose.principal(moments, len(moments))
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


class Spatial(Factoring):
    """A convolution over two axes as one over the first and one over the second; over one axis, and none."""

    @property
    def _form(self):
        shape = self.kernel.shape
        return shape if len(shape) == 4 else (shape[0], 1, *shape[1:])

    @property
    def full(self) -> int:
        """What the kernel's matrix over (x, inputs) and (y, outputs) can have."""
        x, y, i, o = self._form
        return min(x * i, y * o)

    def sizes(self, rank):
        """Vertical, horizontal."""
        x, y, i, o = self._form
        return [x * i * rank, y * o * rank]

    def places(self, before, after):
        """Behind the first, the second axis is as it was."""
        return [math.prod((after[0], *before[1:])), math.prod(after)]

    @cached_property
    def _factors(self):
        return decompose.spatial(self.kernel.reshape(self._form), self.full)

    def parts(self, rank):
        """The nearest ones."""
        vertical, horizontal = self._factors
        parts = [vertical[..., :rank], horizontal[:, :, :rank]]
        return parts if self.kernel.ndim == 4 else [p.reshape(-1, *p.shape[2:]) for p in parts]

    def product(self, parts):
        """Their outer product over the two axes."""
        if self.kernel.ndim == 3:
            return np.einsum("xir,yro->xio", *parts)
        return np.einsum("xzir,zyro->xyio", *parts)

    def layers(self, parts):
        """Each axis takes its strides and dilation with it."""
        config = self.op.get_config()
        geometry = {k: tuple(config[k]) for k in ("kernel_size", "strides", "dilation_rate")}
        first = {k: (v[0], 1)[: len(v)] for k, v in geometry.items()}
        last = {k: (1, *v[1:]) for k, v in geometry.items()}
        padding = config["padding"]
        return [
            conv(self.op, f"{self.stem or self.name}_vertical", parts[0], padding=padding, **first),
            conv(self.op, self.name, parts[1], is_last=True, padding=padding, **last),
        ]


class Tucker(Factoring):
    """A convolution as a small one between two of size 1."""

    @property
    def full(self) -> int:
        """Number of input or output channels, whichever is larger."""
        return max(self.kernel.shape[-2:])

    def ranks(self):
        """Both channels by the same fraction."""
        whole, channels = self.full, self.kernel.shape[-2:]
        pairs = (tuple(max(1, round(n * k / whole)) for n in channels) for k in range(1, whole + 1))
        return list(dict.fromkeys(pairs))

    def clipped(self, rank):
        """A pair; of a number twice the same."""
        pair = (rank, rank) if isinstance(rank, int) else rank
        return tuple(min(r, n) for r, n in zip(pair, self.kernel.shape[-2:], strict=True))

    def sizes(self, rank):
        """Inputs, core, outputs."""
        *space, i, o = self.kernel.shape
        return [i * rank[0], math.prod(space) * math.prod(rank), o * rank[1]]

    def places(self, before, after):
        """Strides are in the core."""
        return [math.prod(before), math.prod(after), math.prod(after)]

    def parts(self, rank):
        """Found by alternating."""
        left, core, right = decompose.tucker(self.kernel, rank)
        ones = (1,) * (self.kernel.ndim - 2)
        return [left.reshape(*ones, *left.shape), core, right.reshape(*ones, *right.shape)]

    def product(self, parts):
        """The core between the matrices."""
        left, core, right = parts
        return left.reshape(left.shape[-2:]) @ core @ right.reshape(right.shape[-2:])

    def by_energy(self, energy):
        """Each side of channels by its own spectrum."""
        pair = []
        for spectrum in decompose.tucker_spectra(self.kernel):
            kept = np.cumsum(spectrum) >= (energy - 1e-12) * spectrum.sum()
            pair.append(int(np.argmax(kept)) + 1)
        return tuple(pair)

    def layers(self, parts):
        """The core has the geometry of the layer."""
        config = self.op.get_config()
        geometry = {k: config[k] for k in ("kernel_size", "strides", "padding", "dilation_rate")}
        return [
            conv(self.op, f"{self.stem or self.name}_in", parts[0]),
            conv(self.op, f"{self.stem or self.name}_core", parts[1], **geometry),
            conv(self.op, self.name, parts[2], is_last=True),
        ]


class Products(Factoring):
    """A convolution as depthwise ones over each axis between two of size 1 (CP)."""

    @property
    def _is_joined(self) -> bool:
        """LiteRT and TensorFlow know no depthwise convolution with two different strides."""
        return self.kernel.ndim == 4 and max(self.op.strides) > 1

    @property
    def full(self) -> int:
        """Each place of the kernel a matrix of its own."""
        *space, i, o = self.kernel.shape
        return math.prod(space) * min(i, o)

    def sizes(self, rank):
        """Inputs, axes, outputs."""
        *space, i, o = self.kernel.shape
        return [n * rank for n in (i, *([math.prod(space)] if self._is_joined else space), o)]

    def places(self, before, after):
        """Axis by axis the size becomes that behind the layer."""
        between = [after] if self._is_joined else [(*after[: k + 1], *before[k + 1 :]) for k in range(len(after))]
        return [math.prod(sizes) for sizes in (before, *between, after)]

    def ranks(self):
        """Those that pay: the others take long to find and are of no use."""
        return [r for r in range(1, self.full + 1) if self.pays(r)] or [1]

    def parts(self, rank):
        """Found by alternating."""
        if rank not in self._found:
            *space, inputs, outputs = decompose.cp(self.kernel, rank, self.seed)
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
        """The sum of the products."""
        first, *middle, last = parts
        space = middle[0][..., 0]
        for part in middle[1:]:
            space = space * part[..., 0]
        return np.einsum("...r,ir,ro->...io", space, first.reshape(first.shape[-2:]), last.reshape(last.shape[-2:]))

    def layers(self, parts):
        """Each axis takes its dilation with it."""
        config, (first, *middle, last) = self.op.get_config(), parts
        made = [conv(self.op, f"{self.stem or self.name}_in", first)]
        names = ["core"] if len(middle) == 1 else ["vertical", "horizontal"]
        for label, kernel in zip(names, middle, strict=True):
            sizes = kernel.shape[:-2]
            rates = tuple(d if n > 1 else 1 for d, n in zip(config["dilation_rate"], sizes, strict=True))
            strides = config["strides"] if len(middle) == 1 else 1
            options = dict(strides=strides, padding=config["padding"], dilation_rate=rates)
            made.append(depthwise(self.op, f"{self.stem or self.name}_{label}", kernel, **options))
        return [*made, conv(self.op, self.name, last, is_last=True)]
