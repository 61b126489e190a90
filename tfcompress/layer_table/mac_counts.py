"""Counts the multiply-accumulate operations (MACs) of layers where they are not kernel size times output positions.

These are layers with other shapes inside than outside, and those that multiply two activations. Shapes are those of one
sample, with a batch of 1; None stands for a size, or a whole tensor, that is not known.
"""

import math
from collections.abc import Callable
from typing import Any

from tfcompress.layer_table.weights import weight

Shape = tuple[int | None, ...] | None
Count = Callable[[Any, list[Shape], Shape], int | None]


def first_shape(op: Any, inputs: list[Shape]) -> tuple[int | None, ...]:
    """Returns the shape of the first input of an operation.

    Raises:
        ValueError: If it is not known.
    """
    if not inputs or inputs[0] is None:
        raise ValueError(
            f"macs: the input of layer {op.name!r} comes from outside of any layer, so its "
            "shape is not known. Count the MACs of the converted artifact."
        )
    return inputs[0]


def product(op: Any, sizes: tuple[int | None, ...]) -> int:
    """Returns the product of sizes.

    Raises:
        ValueError: If one of them is unknown (None).
    """
    if None in sizes:
        raise ValueError(
            f"macs: layer {op.name!r} has an unknown dimension: {tuple(sizes)}. "
            "Build the model with fixed sizes, for instance keras.Input((224, 224, 3))."
        )
    return math.prod(sizes)


def einsum_dense(layer: Any, inputs: list[Shape], output: Shape, count: Count) -> int:
    """Counts the MACs of EinsumDense: one for each combination of indices."""
    kernel = tuple(weight(layer, "kernel").shape)
    return _indices(layer, layer.equation, [first_shape(layer, inputs), kernel])


def einsum(op: Any, inputs: list[Shape], output: Shape, count: Count) -> int | None:
    """Counts the MACs of `keras.ops.einsum`; None for more than two operands, which may be paired in several ways."""
    shapes = [*inputs, *(tuple(v.shape) for v in getattr(op, "weights", {}).values())]
    if len(shapes) != 2 or None in shapes:
        return None
    equation = getattr(op, "subscripts", None) or op.equation
    ranks = [len(term.strip()) for term in equation.split("->")[0].split(",")]
    in_order = "..." in equation or [len(shape) for shape in shapes] == ranks
    return _indices(op, equation, shapes if in_order else shapes[::-1])


def matmul(op: Any, inputs: list[Shape], output: Shape, count: Count) -> int:
    """Counts the MACs of `keras.ops.matmul`."""
    return product(op, output) * product(op, first_shape(op, inputs)[-1:])


def dot(layer: Any, inputs: list[Shape], output: Shape, count: Count) -> int:
    """Counts the MACs of Dot."""
    axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return product(layer, output) * product(layer, (first_shape(layer, inputs)[axis],))


def time_distributed(layer: Any, inputs: list[Shape], output: Shape, count: Count) -> int | None:
    """Counts the MACs of the layer inside TimeDistributed, once per step."""
    first = first_shape(layer, inputs)
    each = count(layer.layer, [(1, *first[2:])], (1, *output[2:]))
    return None if each is None else each * product(layer, first[1:2])


def multi_head(layer: Any, inputs: list[Shape], output: Shape, count: Count) -> int:
    """Counts the MACs of MultiHeadAttention."""
    config = layer.get_config()
    return _heads(layer, inputs, output, "", layer.num_heads * (config["key_dim"] + config["value_dim"]))


def grouped_heads(layer: Any, inputs: list[Shape], output: Shape, count: Count) -> int:
    """Counts the MACs of GroupQueryAttention, where each group of query heads shares keys and values."""
    return _heads(layer, inputs, output, "_", layer.num_query_heads * 2 * layer.head_dim)


def _heads(layer, inputs, output, prefix: str, each: int) -> int:
    """Counts the MACs of the projections, of the scores (query times key) and of the result (weights times value)."""
    queries = product(layer, output[1:-1])
    keys = product(layer, first_shape(layer, inputs[1:] or inputs)[1:-1])
    rows = {"query": queries, "key": keys, "value": keys, "output": queries}
    total = sum(times * math.prod(weight(layer, f"{prefix}{name}_dense/kernel").shape) for name, times in rows.items())
    return total + queries * keys * each


def _indices(op: Any, equation: str, shapes: list[tuple[int | None, ...]]) -> int:
    """Multiplies the sizes of all indices of an einsum."""
    sizes: dict[str, int | None] = {}
    terms = equation.replace(" ", "").split("->")[0].split(",")
    for term, shape in zip(terms, shapes, strict=True):
        head, _, tail = term.partition("...")
        free = len(shape) - len(head) - len(tail)
        # Dimensions behind `...` are counted from the right, as in broadcasting.
        names = [*head, *(f"...{free - k}" for k in range(free)), *tail]
        for name, size in zip(names, shape, strict=True):
            sizes[name] = size if sizes.get(name, 1) == 1 else sizes[name]
    return product(op, tuple(sizes.values()))
