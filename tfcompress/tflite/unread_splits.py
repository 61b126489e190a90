"""Makes splits integer that TensorFlow's converter leaves float because one of their outputs is not read.

The first step of an unrolled LSTM multiplies its forget gate with a state of zeros, so that this part of the gates is
not used. With the same graph and data, the quantizer of TensorFlow 2.21 gives an unused part the scale of the others in
some calls and not in others; without it the whole operation stays float, and a QUANTIZE of one scale follows each part.
Splitting floats and then quantizing them at one scale gives the same codes as quantizing first, and dequantizing and
quantizing again at one scale changes no code; so the split can work on codes.
"""

import copy
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.packing import pack_model, unpack_file
from tfcompress.tflite.schema.flatbuffer import Graph, Op, Tensor, read

_PLACES = {"SPLIT": 1, "SPLIT_V": 0, "UNPACK": 0}  # operation: place of what it cuts among its inputs
_VERSION = 2  # of all three, for int8: tensorflow/lite/tools/versioning/op_version.cc


@dataclass(frozen=True)
class _Split:
    """A split of floats that can work on codes.

    Attributes:
        op: The operation.
        source: The tensor of codes that it gets dequantized; None where its input never was codes.
        parts: For each output the tensor of codes that it is quantized to, None for an output that is not read.
        casts: Indices of the operations before and after it that nothing else needs.
    """

    op: Op
    source: int | None
    parts: tuple[int | None, ...]
    casts: tuple[int, ...]


def with_integer_splits(content: bytes) -> bytes:
    """Makes splits work on integer codes instead of floats, where both give the same outputs.

    Args:
        content: The bytes of a `.tflite` file as the converter made it.

    Returns:
        The bytes of a file with the same outputs; the same bytes where there is no such split.

    Raises:
        ValueError: If the content is no such file.

    Example:
        >>> from tfcompress.tflite.unread_splits import with_integer_splits
        >>> with_integer_splits(b"no file")
        Traceback (most recent call last):
        ValueError: not a .tflite file...
    """
    found = {graph.subgraph: splits for graph in read(content).graphs if (splits := _splits(graph))}
    if not found:
        return content
    model = unpack_file(content)
    for number, splits in found.items():
        graph = model.subgraphs[number]
        graph.operators = _operators(model, graph, splits)
    return pack_model(model)


def _splits(graph: Graph) -> list[_Split]:
    makers, readers = graph.producers(), graph.consumers()
    return [split for op in graph.ops if op.name in _PLACES and (split := _split(graph, op, makers, readers))]


def _split(graph: Graph, op: Op, makers: dict[int, Op], readers: dict[int, tuple[Op, ...]]) -> _Split | None:
    cut = op.inputs[_PLACES[op.name]]
    if graph.tensors[cut].dtype != "float32" or set(op.outputs) & set(graph.outputs):
        return None
    after = [readers.get(part, ()) for part in op.outputs]
    if any(len(ops) > 1 or any(o.name != "QUANTIZE" for o in ops) for ops in after):
        return None
    parts = tuple(ops[0].outputs[0] if ops else None for ops in after)
    codes = [graph.tensors[part] for part in parts if part is not None]
    if not codes or codes[0].dtype != "int8" or not all(_same_codes(codes[0], each) for each in codes):
        return None
    casts = [o.index for ops in after for o in ops]
    before = makers.get(cut)
    if before is None or before.name != "DEQUANTIZE":
        return _Split(op, None, parts, tuple(casts))
    if not _same_codes(codes[0], graph.tensors[before.inputs[0]]):
        return None
    if len(readers[cut]) == 1 and cut not in graph.outputs:
        casts.append(before.index)
    return _Split(op, before.inputs[0], parts, tuple(casts))


def _same_codes(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)


def _operators(model: schema.ModelT, graph: schema.SubGraphT, splits: list[_Split]) -> list[schema.OperatorT]:
    """Returns the operations of a graph, with splits that work on codes."""
    gone = {index for split in splits for index in split.casts}
    cutting = {split.op.index: split for split in splits}
    operators = []
    for index, op in enumerate(graph.operators):
        if index in cutting:
            operators += _cut_codes(model, graph, cutting[index])
        elif index not in gone:
            operators.append(op)
    return operators


def _cut_codes(model: schema.ModelT, graph: schema.SubGraphT, split: _Split) -> list[schema.OperatorT]:
    place, first = _PLACES[split.op.name], next(part for part in split.parts if part is not None)
    op, codes, source, before = graph.operators[split.op.index], graph.tensors[first], split.source, []
    if source is None:
        cast = copy.copy(graph.operators[split.casts[0]])
        source, inputs = len(graph.tensors), [split.op.inputs[place]]
        tensor = copy.copy(graph.tensors[inputs[0]])
        tensor.type, tensor.quantization, tensor.buffer = codes.type, copy.copy(codes.quantization), 0
        graph.tensors.append(tensor)
        cast.inputs, cast.outputs = np.array(inputs, np.int32), np.array([source], np.int32)
        before = [cast]
    for unread in (index for index, part in zip(split.op.outputs, split.parts, strict=True) if part is None):
        graph.tensors[unread].type, graph.tensors[unread].quantization = codes.type, copy.copy(codes.quantization)
    code = copy.copy(model.operatorCodes[op.opcodeIndex])
    code.version = max(code.version, _VERSION)
    model.operatorCodes.append(code)
    op.opcodeIndex = len(model.operatorCodes) - 1
    op.inputs = np.array([source if k == place else index for k, index in enumerate(split.op.inputs)], np.int32)
    outputs = [index if part is None else part for index, part in zip(split.op.outputs, split.parts, strict=True)]
    op.outputs = np.array(outputs, np.int32)
    return [*before, op]
