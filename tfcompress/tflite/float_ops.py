"""Finds the ops of a `.tflite` file that compute in float.

The rule of `Artifact.is_integer` and of the check in `convert`: only QUANTIZE at a graph input and
DEQUANTIZE at a graph output may touch a float tensor, and there may be no custom or Flex op.
"""

from tfcompress.tflite.schema.flatbuffer import Graph, Model, Op

_CASTS = frozenset({"QUANTIZE", "DEQUANTIZE"})
# These read the shape of a tensor and none of its values.
_SHAPE_READERS = frozenset({"SHAPE", "RANK"})


def float_ops(model: Model) -> tuple[Op, ...]:
    """Returns the ops that keep a file from being an integer one.

    These are: every custom or Flex op; every op with a float input, weight or output; and a
    QUANTIZE or DEQUANTIZE whose float side is no graph boundary and belongs to no op that is
    already listed (a detour through float).

    Args:
        model: a file as `flatbuffer.read` gives it.

    Returns:
        The ops in order; empty for an integer file.
    """
    entries = {0, *(signature["subgraph"] for signature in model.signatures.values())}
    return tuple(op for graph in model.graphs for op in _graph_float_ops(graph, graph.subgraph in entries))


def _graph_float_ops(graph: Graph, is_entry: bool) -> list[Op]:
    touched = {op.index: _float_tensors(graph, op) for op in graph.ops}
    compute = {op.index for op in graph.ops if op.is_custom or (touched[op.index] and not _is_cast(op))}
    accounted = {tensor for op in compute for tensor in touched[op]}
    # A float16 constant that is only widened counts with the op that reads it.
    accounted.update(tensor.index for tensor in graph.tensors if tensor.is_constant)
    if is_entry:
        accounted.update(graph.inputs, graph.outputs)
    return [
        op
        for op in graph.ops
        if op.index in compute or (_is_cast(op) and any(tensor not in accounted for tensor in touched[op.index]))
    ]


def _float_tensors(graph: Graph, op: Op) -> list[int]:
    if op.name in _SHAPE_READERS:
        return []
    return [tensor.index for tensor in graph.tensors_of(op) if tensor.is_float]


def _is_cast(op: Op) -> bool:
    return op.name in _CASTS
