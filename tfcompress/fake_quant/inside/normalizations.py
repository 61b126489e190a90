"""Finds normalizations that a layer writes in single operations, which int8 would ruin if it took them one by one.

On one scale for all vectors the mean square of most of them rounds to zero. So the last operation, `x * rsqrt(v)` or
`x / sqrt(v)`, is computed as the normalization that it is (`layer_table/integer_rewrites.py`), from `x` alone.
"""

from dataclasses import dataclass
from typing import Any

from tfcompress.graph.graph import Graph
from tfcompress.graph.trace import Call
from tfcompress.layer_table.lookup import spec_of

INSIDE = ("magnitude", "spread", "inverse", "eased")
"""Values inside that need a range; the last only where something is added to the variance."""


@dataclass(frozen=True)
class Normalization:
    """A normalization that ends in one operation.

    Args:
        axes: The axes of the mean.
        epsilon: What is added to the variance.
        place: Number of the argument that is divided.
    """

    axes: tuple[int, ...]
    epsilon: float
    place: int


def find_normalizations(graph: Graph[Call]) -> dict[int, Normalization]:
    """Returns the normalizations of a graph by the id of the operation in which each ends."""
    found = {}
    for call in graph.nodes:
        if graph.times(call.op) == 1 and (made := _Search(graph).at(call)) is not None:
            found[id(call.op)] = made
    return found


class _Search:
    def __init__(self, graph: Graph[Call]):
        self.graph = graph

    def at(self, call: Call) -> Normalization | None:
        """Returns the normalization that ends in a call; None if none does."""
        spec = spec_of(call.op)
        if len(call.inputs) != 2 or not (spec.product or spec.is_quotient):
            return None
        for place in (0, 1) if spec.product else (0,):
            value, root = call.inputs[place], call.inputs[1 - place]
            inside = self._under_root(root, spec.is_quotient)
            if inside is not None and (axes := self._axes(inside[0], value)) is not None:
                return Normalization(axes, inside[1], place)
        return None

    def _maker(self, tensor, function: str) -> Call | None:
        maker = None if tensor is None else self.graph.maker(tensor)
        return maker if maker is not None and spec_of(maker.op).function == function else None

    def _under_root(self, tensor, is_divisor: bool) -> tuple[Any, float] | None:
        """Returns the variance under the root that a tensor is, and what is added to it."""
        root = self._maker(tensor, "square root" if is_divisor else "reciprocal root")
        if root is None and not is_divisor:
            over = self._maker(tensor, "reciprocal")
            root = None if over is None else self._maker(over.inputs[0], "square root")
        if root is None:
            return None
        added = None if root.inputs[0] is None else self.graph.maker(root.inputs[0])
        if added is not None and spec_of(added.op).is_sum and len(added.inputs) == 1:
            epsilon = _constant(added.op)
            return None if epsilon is None or epsilon <= 0.0 else (added.inputs[0], epsilon)
        return root.inputs[0], 0.0

    def _axes(self, variance, value) -> tuple[int, ...] | None:
        """Returns the axes of a variance if it is that of a value."""
        mean = self._maker(variance, "mean")
        if mean is not None and self._squared(mean.inputs[0]) == value and value is not None:
            return _axes_of(mean.op)
        spread = self._maker(variance, "variance") or self._maker(variance, "moments")
        centred = self._maker(value, "difference")
        if spread is None or centred is None or len(centred.inputs) != 2 or centred.inputs[0] != spread.inputs[0]:
            return None
        around = self._maker(centred.inputs[1], "mean") or self._maker(centred.inputs[1], "moments")
        same = around is not None and around.inputs[0] == spread.inputs[0]
        return _axes_of(spread.op) if same and _axes_of(around.op) == _axes_of(spread.op) else None

    def _squared(self, tensor):
        """Returns the tensor whose square a tensor is."""
        square = self._maker(tensor, "square")
        if square is not None:
            return square.inputs[0]
        product = None if tensor is None else self.graph.maker(tensor)
        if product is None or not spec_of(product.op).product or len(product.inputs) != 2:
            return None
        return product.inputs[0] if product.inputs[0] == product.inputs[1] else None


def _axes_of(op) -> tuple[int, ...] | None:
    axes = getattr(op, "axes", None) if hasattr(op, "axes") else getattr(op, "axis", None)
    if axes is None or not getattr(op, "keepdims", False):
        return None
    return tuple(axes) if isinstance(axes, (list, tuple)) else (axes,)


def _constant(op) -> float | None:
    """Returns the number among the arguments of an operation."""
    numbers = [x for x in getattr(op, "arguments", {}).values() if isinstance(x, (int, float)) and x is not True]
    return float(numbers[0]) if len(numbers) == 1 else None
