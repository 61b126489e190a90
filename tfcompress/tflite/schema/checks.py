"""Checks that a `.tflite` file does not contradict itself: shapes, contents, quantization, arguments, order.

A runtime may crash at a contradiction instead of refusing the file, so these are checked when a file is read. What a
later operation version may do differently is left to the runtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfcompress.file_formats import Codes
from tfcompress.tflite.schema.element_types import bytes_of, numpy_type
from tfcompress.tflite.schema.op_shapes import check_shapes
from tfcompress.tflite.schema.op_signatures import LEAST, OPTIONAL, RANKS

if TYPE_CHECKING:
    from tfcompress.tflite.schema.flatbuffer import Graph, Op, Tensor

# No activation is larger on the devices these files are for, and the runtime counts with 32 bits in places.
LARGEST_BYTES = 2**31 - 1
# The product of two scales may underflow, so 0 is the scale of some biases. TensorFlow's 16-bit mode gives it to what
# was zero for all samples.
_MAY_HAVE_ZERO_SCALE = ("int16", "int32", "int64", "uint32", "uint64")
_CODES = {"int2": Codes(2).limits, "int4": Codes(4).limits, "uint4": (0, Codes(4).steps)}


def check_tensor(tensor: Tensor, zero_points: np.ndarray, has_details: bool) -> None:
    """Raises if shape, contents and quantization of a tensor are not possible.

    Args:
        tensor: The tensor.
        zero_points: Its zero points as stored: none, or as many as scales.
        has_details: Whether its quantization says more than scales, such as blocks.

    Raises:
        ValueError: In that case; the tensor is named.
    """
    try:
        _check_shape(tensor)
        _check_contents(tensor)
        is_plain = tensor.is_float or tensor.is_constant or has_details
        if tensor.scale is None and zero_points.size and not is_plain:
            raise ValueError(f"it has {zero_points.size} zero points and no scale")
        if tensor.scale is not None and not tensor.is_float:
            _check_quantization(tensor, zero_points, has_details)
    except ValueError as error:
        raise ValueError(f"tensor {tensor.index} ({tensor.name!r:.60}): {error}") from None


def check_graph(graph: Graph) -> None:
    """Raises if an operation lacks arguments or reads a tensor before it is written, or an output is never written.

    Args:
        graph: The graph; its numbers of tensors exist or are -1.

    Raises:
        ValueError: In that case; the operation is named.
    """
    _check_ends(graph)
    written = {tensor.index for tensor in graph.tensors if _is_there(tensor)} | set(graph.inputs)
    made: set[int] = set()
    for op in graph.ops:
        _check_arguments(graph, op)
        if not op.is_custom:
            check_shapes(graph, op)
        for index in op.inputs:
            if index >= 0 and index not in written:
                raise ValueError(f"{_title(op)} reads tensor {index}, which nothing has written by then")
        for index in op.outputs:
            tensor = graph.tensors[index]
            if index in made or tensor.is_constant or index in graph.inputs and not tensor.is_variable:
                raise ValueError(f"{_title(op)} writes tensor {index}, which has contents already")
            if tensor.is_variable and min(tensor.shape_signature, default=0) < 0:
                # the runtime allocates state once, and writes behind it when its size grows
                raise ValueError(f"{_title(op)} writes the state {index}, whose shape {tensor.shape_signature} is open")
        made |= {index for index in op.outputs if not graph.tensors[index].is_variable}
        written |= set(op.outputs)
    for index in graph.outputs:
        if index not in written:
            raise ValueError(f"output tensor {index} of graph {graph.subgraph} is never written")


def check_calls(calls: Sequence[Iterable[int]]) -> None:
    """Raises if a graph calls one that does not exist, or calls itself directly or through others.

    Args:
        calls: For each graph, the numbers of those that its operations call.

    Raises:
        ValueError: In that case.
    """
    for number, called in enumerate(calls):
        for other in called:
            if not 0 <= other < len(calls):
                raise ValueError(f"graph {number} calls graph {other}, which does not exist")
    open_graphs, done = set(range(len(calls))), set()
    while open_graphs:
        ready = {number for number in open_graphs if set(calls[number]) <= done}
        if not ready:
            raise ValueError(f"graph {min(open_graphs)} calls itself")
        done |= ready
        open_graphs -= ready


def check_passing(op: Op, graph: Graph, called: Sequence[Graph]) -> None:
    """Raises if the graphs of a branch or a loop take or give other types than their operation.

    Args:
        op: The operation.
        graph: Its graph.
        called: The graphs that it runs, in the order of its options.

    Raises:
        ValueError: In that case; the runtime would copy bytes of one type into a tensor of another.
    """
    if op.name not in ("IF", "WHILE"):
        return
    given = op.inputs[1:] if op.name == "IF" else op.inputs
    pairs = [(given, other.inputs, other) for other in called]
    # the first graph of a loop says whether it goes on
    pairs += [(op.outputs, other.outputs, other) for other in (called if op.name == "IF" else called[1:])]
    for outer, inner, other in pairs:
        for index, at in zip(outer, inner, strict=False):
            types = graph.tensors[index].dtype, other.tensors[at].dtype
            if types[0] != types[1]:
                raise ValueError(
                    f"{_title(op)} has tensor {index} of the type {types[0]}, which is {types[1]} in graph "
                    f"{other.subgraph}"
                )


def check_signature(name: str, entry: dict[str, Any], graphs: Sequence[Graph]) -> None:
    """Raises if a signature names a graph that does not exist, or tensors that are not its inputs and outputs.

    Args:
        name: Name of the signature.
        entry: `inputs` and `outputs` by name, and `subgraph`.
        graphs: All graphs.

    Raises:
        ValueError: In that case.
    """
    if not 0 <= entry["subgraph"] < len(graphs):
        raise ValueError(f"signature {name!r:.60} is that of graph {entry['subgraph']}, which does not exist")
    graph = graphs[entry["subgraph"]]
    for kind, ends in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        for key, index in entry[kind].items():
            if index not in ends:
                raise ValueError(
                    f"signature {name!r:.60} calls tensor {index} {key!r:.60}, which is none of its {kind}"
                )


def _title(op: Op) -> str:
    return f"operation {op.index} ({op.name:.60})"


def _is_there(tensor: Tensor) -> bool:
    # contents of zero elements take no bytes
    return tensor.is_constant or tensor.is_variable or 0 in tensor.shape


def _check_shape(tensor: Tensor) -> None:
    for shape, least in ((tensor.shape, 0), (tensor.shape_signature, -1)):
        if min(shape, default=0) < least:
            raise ValueError(f"no tensor has the shape {shape}")
    if len(tensor.shape) != len(tensor.shape_signature) or any(
        stated not in (-1, size) for size, stated in zip(tensor.shape, tensor.shape_signature, strict=True)
    ):
        raise ValueError(f"its shape {tensor.shape} and the signature of it {tensor.shape_signature} contradict")
    needed = bytes_of(tensor.shape, tensor.dtype)
    if needed > LARGEST_BYTES and not tensor.is_constant:
        raise ValueError(f"its shape {tensor.shape} takes {needed:,} bytes, at most {LARGEST_BYTES:,} are read")


def _check_contents(tensor: Tensor) -> None:
    needed = bytes_of(tensor.shape, tensor.dtype)
    if tensor.is_constant and not tensor.is_sparse and tensor.dtype not in ("string", "resource", "variant"):
        if needed != tensor.buffer_bytes:
            raise ValueError(
                f"its shape {tensor.shape} and type {tensor.dtype} need {needed:,} bytes, its buffer holds "
                f"{tensor.buffer_bytes:,}"
            )


def _zero_where(tensor: Tensor, is_without: np.ndarray) -> bool:
    """Whether the channels without a scale hold zeros; TensorFlow's 16-bit mode gives them none."""
    if not is_without.any() or not tensor.is_constant or numpy_type(tensor.dtype) is None or is_without.size == 1:
        return False
    codes = np.moveaxis(tensor.data, tensor.quantized_dimension, 0)
    return len(codes) == is_without.size and not codes[is_without].any()


def _check_quantization(tensor: Tensor, zero_points: np.ndarray, has_details: bool) -> None:
    scale = np.asarray(tensor.scale)
    may_be_zero = tensor.dtype in _MAY_HAVE_ZERO_SCALE or _zero_where(tensor, scale == 0)
    bad = ~np.isfinite(scale) | (scale < 0 if may_be_zero else scale <= 0)
    if bad.any():
        raise ValueError(f"{scale[bad][0]} is no scale")
    if zero_points.size not in (0, scale.size):
        raise ValueError(f"it has {scale.size} scales and {zero_points.size} zero points")
    lowest, highest = _limits(tensor.dtype)
    for zero_point in (zero_points.min(initial=0), zero_points.max(initial=0)):
        if not lowest <= zero_point <= highest:
            raise ValueError(f"{zero_point} is no zero point of the type {tensor.dtype}")
    if scale.size == 1 or has_details or not tensor.shape:
        return
    # Files for microcontrollers may name a dimension of the kernel in the bias, which has one only.
    dimension = 0 if len(tensor.shape) == 1 else tensor.quantized_dimension
    if not 0 <= dimension < len(tensor.shape) or tensor.shape[dimension] != scale.size:
        raise ValueError(f"{scale.size} scales along dimension {dimension} do not fit its shape {tensor.shape}")


def _limits(dtype: str) -> tuple[int, int]:
    if dtype in _CODES:
        return _CODES[dtype]
    kind = numpy_type(dtype)
    if kind is None:
        raise ValueError(f"quantized tensors of the type {dtype} are not read")
    limits = np.iinfo(kind) if kind.kind in "iu" else np.iinfo(np.int64)
    return int(limits.min), int(limits.max)


def _check_ends(graph: Graph) -> None:
    for kind, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            if index < 0:
                raise ValueError(f"an {kind} of graph {graph.subgraph} is tensor {index}")
    for index in graph.inputs:
        if graph.tensors[index].is_constant:
            raise ValueError(f"input tensor {index} of graph {graph.subgraph} has contents in the file")


def _check_arguments(graph: Graph, op: Op) -> None:
    if min(op.outputs, default=0) < 0 and not op.is_custom:
        raise ValueError(f"an output of {_title(op)} is tensor -1")
    least_inputs, least_outputs = LEAST.get(op.name, (0, 0))
    if len(op.inputs) < least_inputs or len(op.outputs) < least_outputs:
        raise ValueError(
            f"{_title(op)} has {len(op.inputs)} inputs and {len(op.outputs)} outputs; it needs {least_inputs} and "
            f"{least_outputs}"
        )
    if op.is_custom:
        return
    optional = OPTIONAL.get(op.name, ())
    for position, index in enumerate(op.inputs):
        if index < 0 and position not in optional and not op.name.startswith("BUILTIN_"):
            raise ValueError(f"input {position} of {_title(op)} is tensor {index}")
    for position, rank in RANKS.get(op.name, {}).items():
        tensor = graph.tensors[op.inputs[position]]
        if tensor.is_constant and len(tensor.shape) != rank:
            raise ValueError(f"input {position} of {_title(op)} must have {rank} dimensions, not {tensor.shape}")
