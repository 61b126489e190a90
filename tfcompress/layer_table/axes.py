"""What the axes of a weight mean, read in one place.

Each axis has a letter, which stands in rows of the layer table and nowhere else:

    i        input channel                      o    output channel
    c        one channel, in and out            m    multiplier: how often a channel comes out
    x y z    space                              v    vocabulary
    g        gates of a recurrent cell          j    input channel within a group, or what else is never cut
    n d      heads that the layer makes inside, and the dimensions of a head
    r e      what it reads of its own inside: recurrent units or heads, and dimensions of a head
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

LETTERS = "iocmxyzgndrevj"
_MADE = frozenset("ocmgnd")  # what the layer makes; each output channel sums over the rest
_READ = frozenset("ire")  # channels that come from elsewhere and may be cut there
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
        """Positions of what the layer makes: an entry of these axes is one output channel, one scale, one sum."""
        return self._at(_MADE)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Positions that one output channel sums over."""
        return tuple(k for k, letter in enumerate(self) if letter not in _MADE)

    @property
    def reads(self) -> tuple[int, ...]:
        """Positions of channels that other layers make, or units that this one makes inside."""
        return self._at(_READ)

    @property
    def new(self) -> tuple[int, ...]:
        """Positions of channels, units and heads that come up in this layer."""
        return self._at(_SCORED)

    @property
    def inner(self) -> tuple[int, ...]:
        """Positions of units or heads that live inside the layer."""
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
        """Position of a channel that goes in and out, None without one."""
        return self.index("c") if "c" in self else None

    @property
    def gates(self) -> tuple[int, ...]:
        """Positions of the gates of a recurrent cell, one after the other on one axis."""
        return self._at(frozenset("g"))

    @property
    def heads(self) -> tuple[int, ...]:
        """Positions of the heads that the layer makes inside."""
        return self._at(frozenset("n"))

    @property
    def has_one_output_axis(self) -> bool:
        """Whether not more than one axis counts output channels."""
        return self.count("o") <= 1

    @property
    def is_plain(self) -> bool:
        """Whether it is neither a table that is looked up, nor split into gates or heads."""
        return not set(self) & set("vgnd")

    @property
    def is_grouped(self) -> bool:
        """Whether it reads its input group by group."""
        return "j" in self

    @property
    def is_table(self) -> bool:
        """Whether it is looked up, and multiplies nothing."""
        return "v" in self

    @property
    def has_gates(self) -> bool:
        """Whether an axis holds the gates of a recurrent cell one after the other."""
        return bool(self.gates)

    @property
    def has_multiplier(self) -> bool:
        """Whether a channel comes out several times."""
        return "m" in self

    @property
    def mixes(self) -> bool:
        """Whether every output channel reads every input channel."""
        return "i" in self and "o" in self

    @property
    def is_transposed(self) -> bool:
        """Whether it is the kernel of a transposed convolution, which lays itself at each place of the input."""
        return "o" in self and self.find("o") < self.find("i")

    @property
    def is_matrix(self) -> bool:
        """Whether it is the kernel of a Dense layer, `(input channels, output channels)`."""
        return self == "io"

    @property
    def is_convolution(self) -> bool:
        """Whether it is the kernel of a convolution that mixes channels, all of them or those of a group."""
        return self.replace("j", "i") in ("xio", "xyio", "xyzio")

    def filled(self, rank: int) -> "Axes":
        """Returns the axes of a weight with more of them in front, which are never cut."""
        return Axes(self.rjust(rank, "j"))

    def without(self, axis: int) -> "Axes":
        """Returns the axes that are left when one goes."""
        return Axes(self[:axis] + self[axis + 1 :])

    def number_of_outputs(self, shape: Sequence[int]) -> int:
        """Returns how many output channels a weight of this shape has."""
        return math.prod(shape[k] for k in self.outputs)

    def number_of_inputs(self, shape: Sequence[int]) -> int:
        """Returns how many input channels a weight of this shape reads, in a group."""
        return math.prod(n for n, letter in zip(shape, self, strict=True) if letter in "icj")

    def shape_of_outputs(self, shape: Sequence[int]) -> list[int]:
        """Returns the shape in which one number for each output channel is broadcast over the weight."""
        return [n if k in self.outputs else 1 for k, n in enumerate(shape)]

    def shape_of_inputs(self, shape: Sequence[int]) -> list[int]:
        """Returns the shape in which one number for each input channel is broadcast over the weight."""
        return [n if letter in "ic" else 1 for n, letter in zip(shape, self, strict=True)]

    @property
    def beside_inputs(self) -> tuple[int, ...]:
        """Positions of all but the input channel."""
        return tuple(k for k, letter in enumerate(self) if letter not in "ic")

    def matrix(self, w: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
        """Returns a weight as `(inputs of an output, outputs)`, and the function that undoes it.

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
