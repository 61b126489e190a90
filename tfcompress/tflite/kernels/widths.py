"""Finds operations of a file that the runtime computes wrong or not at all because their weights are narrow."""

from collections.abc import Iterable, Iterator

from tfcompress.tflite.kernels.table import KERNELS, Kernel, kernel_for
from tfcompress.tflite.schema.element_types import fills_bytes, is_packed
from tfcompress.tflite.schema.flatbuffer import Graph, Model, Op, Tensor
from tfcompress.tflite.weight_tensors import KERNEL_INPUTS

_ROWS_OUT = ("EMBEDDING_LOOKUP", "GATHER", "DEQUANTIZE")  # their other input, if any, holds places


class UnsupportedWidth(ValueError):
    """Raised where a file has an operation whose weights are too narrow for its kernel: answers would be wrong.

    Args:
        operations: A sentence for each of them.

    Attributes:
        operations: These sentences.

    Example:
        ```python
        try:
            tfc.slim("w4a16.tflite")
        except tfc.UnsupportedWidth as error:
            print(error.operations)
        ```
    """

    exit_code = 3  # of the command line: the file is refused, the call was right

    def __init__(self, operations: Iterable[str]) -> None:
        self.operations = tuple(operations)
        lines = "\n".join(f"  {each}" for each in self.operations)
        super().__init__(
            f"{len(self.operations)} operation(s) of this file have weights of a width that their kernel in LiteRT "
            f"does not compute, some without an error:\n{lines}\nMake the file again with these layers at one of the "
            "widths named, or at 8 bits with 8-bit activations."
        )

    def __reduce__(self) -> tuple:
        return UnsupportedWidth, (self.operations,)


def check_widths(model: Model) -> None:
    """Raises if a file has an operation whose weights are too narrow for its kernel.

    Args:
        model: The file.

    Raises:
        UnsupportedWidth: In that case.
    """
    if found := tuple(unsupported_widths(model)):
        raise UnsupportedWidth(found)


def unsupported_widths(model: Model) -> Iterator[str]:
    """Yields a sentence for each operation of a file that no kernel is known to compute right.

    Weights in blocks with a scale each are left to the runtime, and so is what is no weight.

    Args:
        model: The file.
    """
    for graph in model.graphs:
        for op in graph.ops:
            for tensor in _narrow(graph, op):
                if _row(graph, op, tensor) is None:
                    yield _sentence(graph, op, tensor)


def needed_runtime(model: Model) -> str:
    """Returns the first version whose kernels compute all widths of a file; empty if any does.

    Args:
        model: The file.
    """
    rows = [_row(graph, op, tensor) for graph in model.graphs for op in graph.ops for tensor in _weights(graph, op)]
    return max((row.since for row in rows if row is not None), key=version_numbers, default="")


def version_numbers(version: str) -> tuple[int, ...]:
    """Returns the numbers of a version, for comparisons; those that are left out are 0.

    Example:
        >>> version_numbers("2.9") < version_numbers("2.14.0")
        True
    """
    numbers = [int(part) if part.isdigit() else 0 for part in version.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def _weights(graph: Graph, op: Op) -> Iterator[Tensor]:
    places = (0,) if op.name == "DEQUANTIZE" else KERNEL_INPUTS.get(op.name, ())
    for place in places:
        if place < len(op.inputs) and op.inputs[place] >= 0 and graph.tensors[op.inputs[place]].is_constant:
            yield graph.tensors[op.inputs[place]]


def _narrow(graph: Graph, op: Op) -> Iterator[Tensor]:
    """Constants of several codes a byte, whatever operation reads them."""
    if op.is_custom:
        return
    for index in dict.fromkeys(op.inputs):
        tensor = graph.tensors[index] if index >= 0 else None
        if tensor is not None and is_packed(tensor.dtype) and tensor.is_constant and tensor.scale is not None:
            yield tensor


def _row(graph: Graph, op: Op, weights: Tensor) -> Kernel | None:
    other = _activations(graph, op, weights)
    if other is None or weights.scale is None:
        return None
    is_even = fills_bytes(weights.shape[-1] if weights.shape else 1, weights.dtype)
    return kernel_for(op.name, weights.dtype, other.dtype, weights.scale.size > 1, len(other.shape), is_even)


def _activations(graph: Graph, op: Op, weights: Tensor) -> Tensor | None:
    if op.name in _ROWS_OUT:
        return graph.tensors[op.outputs[0]] if op.outputs else None
    # the first input that is neither the weights nor the sizes of TRANSPOSE_CONV
    place = 2 if op.name == "TRANSPOSE_CONV" else 0
    others = [i for i in op.inputs[place:] if i >= 0 and i != weights.index]
    return graph.tensors[others[0]] if others else None


def _sentence(graph: Graph, op: Op, weights: Tensor) -> str:
    other = _activations(graph, op, weights)
    beside = "" if other is None else f" and {other.dtype} {'output' if op.name in _ROWS_OUT else 'activations'}"
    scales = "a scale for each channel" if weights.scale is not None and weights.scale.size > 1 else "one scale"
    right = sorted({f"{row.weights} weights with {row.activations}" for row in KERNELS if row.op == op.name})
    known = f"computed right are {', '.join(right)}" if right else "no narrow weights are known to work there"
    return f"op {op.index} {op.name}: {weights.dtype} weights ({scales}){beside}; {known}."
