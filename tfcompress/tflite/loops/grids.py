"""Checks that every variable of a loop has one grid wherever the file names it.

A runtime copies the codes of a variable from one end of a body to the other, whatever scales the tensors there have;
with two of them all outputs are wrong without any error.
"""

import numpy as np

from tfcompress.tflite.schema.flatbuffer import Graph, Model, Tensor


def check_variables(model: Model) -> None:
    """Raises if a variable of a loop has two grids or two shapes.

    Args:
        model: A file as `flatbuffer.read` gives it.

    Raises:
        RuntimeError: In that case.
    """
    for graph in model.graphs:
        for op in (op for op in graph.ops if op.name == "WHILE"):
            cond, body = (model.graphs[number] for number in op.calls)
            ends = (
                (graph, op.inputs),
                (cond, cond.inputs),
                (body, body.inputs),
                (body, body.outputs),
                (graph, op.outputs),
            )
            for place in range(len(op.inputs)):
                _check([_tensor(held, tensors[place]) for held, tensors in ends], op.index, place)


def _tensor(graph: Graph, index: int) -> Tensor:
    return graph.tensors[index]


def _check(tensors: list[Tensor], op: int, place: int) -> None:
    first, *others = tensors
    for other in others:
        if (
            first.shape != other.shape
            or not _same(first.scale, other.scale)
            or not _same(first.zero_point, other.zero_point)
        ):
            raise RuntimeError(
                f"Variable {place} of loop {op} has two grids: {_shown(first)} and {_shown(other)}. This is a bug of "
                "tfcompress, please report it with the model; recurrent='unrolled' converts it without loops."
            )


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    return a is b or a is not None and b is not None and np.array_equal(a, b)


def _shown(tensor: Tensor) -> str:
    grid = "no scale" if tensor.scale is None else f"scale {tensor.scale[0]:.6g}, zero point {tensor.zero_point[0]}"
    return f"{tensor.dtype} {list(tensor.shape)}, {grid}"
