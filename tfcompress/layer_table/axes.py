"""The meaning of the axes of a weight, given by one letter for each axis.

Letters are written in the rows of the layer table and nowhere else:

    i        input channel                      o    output channel
    c        one channel, in and out            m    multiplier: how often a channel comes out
    x y z    space                              v    vocabulary
    g        gates of a recurrent cell          j    input channel within a group, or another axis that is never cut
    n d      heads that the layer computes inside, and the dimensions of a head
    r e      inputs from inside the layer: recurrent units or heads, and the dimensions of a head
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

LETTERS = "iocmxyzgndrevj"
_MADE = frozenset("ocmgnd")  # axes of outputs; each output channel sums over the other axes
_READ = frozenset("ire")  # channels computed elsewhere, where they may be cut
_SCORED = frozenset("ogn")  # new channels, units, heads
_INNER = frozenset("nr")
_SPACE = frozenset("xyz")


class Axes(str):
    """The axes of a weight: a letter each, in the order of its shape.

    Example:
        >>> Axes("xyio").outputs, Axes("xyio").inputs
        ((3,), (0, 1, 2))
        >>> Axes("xyoi").is_transposed
        True
    """

    __slots__ = ()

    def _at(self, letters: frozenset) -> tuple[int, ...]:
        return tuple(k for k, letter in enumerate(self) if letter in letters)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Positions of the output axes: each entry of them is one output channel, with one sum and one scale."""
        return self._at(_MADE)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Positions of the axes that one output channel sums over."""
        return tuple(k for k, letter in enumerate(self) if letter not in _MADE)

    @property
    def reads(self) -> tuple[int, ...]:
        """Positions of the channels that are read: from other layers, or units and heads from inside this layer."""
        return self._at(_READ)

    @property
    def new(self) -> tuple[int, ...]:
        """Positions of the channels, units and heads that this layer introduces."""
        return self._at(_SCORED)

    @property
    def inner(self) -> tuple[int, ...]:
        """Positions of units or heads inside the layer."""
        return self._at(_INNER)

    @property
    def space(self) -> tuple[int, ...]:
        """Positions of spatial axes."""
        return self._at(_SPACE)

    @property
    def input_channel(self) -> int | None:
        """Position of the input channel, None without one."""
        return self.index("i") if "i" in self else None

    @property
    def output_channel(self) -> int | None:
        """Position of the (first) output channel, None without one."""
        return self.index("o") if "o" in self else None

    @property
    def kept_channel(self) -> int | None:
        """Position of a channel that is both input and output (depthwise kernels, per-channel factors); else None."""
        return self.index("c") if "c" in self else None

    @property
    def gates(self) -> tuple[int, ...]:
        """Positions of the axes that hold the gates of a recurrent cell, one after the other."""
        return self._at(frozenset("g"))

    @property
    def heads(self) -> tuple[int, ...]:
        """Positions of the heads that the layer computes inside."""
        return self._at(frozenset("n"))

    @property
    def has_one_output_axis(self) -> bool:
        """Whether not more than one axis counts output channels."""
        return self.count("o") <= 1

    @property
    def is_plain(self) -> bool:
        """Whether it is neither a lookup table, nor split into gates or heads."""
        return not set(self) & set("vgnd")

    @property
    def is_grouped(self) -> bool:
        """Whether each output channel reads only the input channels of a group."""
        return "j" in self

    @property
    def is_table(self) -> bool:
        """Whether it is a lookup table (an embedding), which multiplies nothing."""
        return "v" in self

    @property
    def has_gates(self) -> bool:
        """Whether an axis holds the gates of a recurrent cell one after the other."""
        return bool(self.gates)

    @property
    def has_multiplier(self) -> bool:
        """Whether an input channel becomes several output channels (depth multiplier)."""
        return "m" in self

    @property
    def mixes(self) -> bool:
        """Whether every output channel reads every input channel."""
        return "i" in self and "o" in self

    @property
    def is_transposed(self) -> bool:
        """Whether it is the kernel of a transposed convolution."""
        return "o" in self and self.find("o") < self.find("i")

    @property
    def is_matrix(self) -> bool:
        """Whether it is the kernel of a Dense layer, `(input channels, output channels)`."""
        return self == "io"

    @property
    def is_convolution(self) -> bool:
        """Whether it is the kernel of a convolution over all channels or those of a group, not a depthwise one."""
        return self.replace("j", "i") in ("xio", "xyio", "xyzio")

    def filled(self, rank: int) -> "Axes":
        """Returns the axes of a weight of higher rank, with axes in front that are never cut."""
        return Axes(self.rjust(rank, "j"))

    def without(self, axis: int) -> "Axes":
        """Returns the axes without one of them."""
        return Axes(self[:axis] + self[axis + 1 :])

    def number_of_outputs(self, shape: Sequence[int]) -> int:
        """Returns how many output channels a weight of this shape has."""
        return math.prod(shape[k] for k in self.outputs)

    def number_of_inputs(self, shape: Sequence[int]) -> int:
        """Returns how many input channels a weight of this shape reads, in a group."""
        return math.prod(n for n, letter in zip(shape, self, strict=True) if letter in "icj")

    def shape_of_outputs(self, shape: Sequence[int]) -> list[int]:
        """Returns the shape with which one number for each output channel is broadcast over the weight."""
        return [n if k in self.outputs else 1 for k, n in enumerate(shape)]

    def shape_of_inputs(self, shape: Sequence[int]) -> list[int]:
        """Returns the shape with which one number for each input channel is broadcast over the weight."""
        return [n if letter in "ic" else 1 for n, letter in zip(shape, self, strict=True)]

    @property
    def beside_inputs(self) -> tuple[int, ...]:
        """Positions of all axes but the input channel."""
        return tuple(k for k, letter in enumerate(self) if letter not in "ic")

    def matrix(self, w: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Reshapes a weight to a matrix `(inputs of an output, outputs)`; returns it and the inverse function.

        Example:
            >>> w = np.zeros((3, 3, 8, 16))
            >>> matrix, restore = Axes("xyio").matrix(w)
            >>> matrix.shape, restore(matrix).shape
            ((72, 16), (3, 3, 8, 16))
        """
        order = [*self.inputs, *self.outputs]
        turned = w.transpose(order)

        def restore(matrix):
            return np.ascontiguousarray(matrix.reshape(turned.shape).transpose(np.argsort(order)))

        return turned.reshape(math.prod(w.shape[k] for k in self.inputs), -1), restore
