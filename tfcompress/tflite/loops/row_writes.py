"""Writes the row of a step into the sequence of outputs by one operation.

TensorFlow's converter writes it as the rows before, the new row and the rows behind, joined again: parts whose shapes
change in every step. LiteRT then plans its memory anew in each, and TensorFlow Lite Micro computes nonsense.
"""

import copy

from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.loops.graph_edit import GraphEdit

_PARTS = frozenset({"SLICE", "CONCATENATION", "RESHAPE", "QUANTIZE", "DEQUANTIZE"})


def with_single_writes(graph: GraphEdit) -> bool:
    """Replaces every such join in a graph.

    Args:
        graph: The graph; changed in place.

    Returns:
        Whether there was any.
    """
    found = [op for op in graph.ops if graph.name(op) == "CONCATENATION" and len(op.inputs) == 3]
    changed = [_replaced(graph, op) for op in found]
    if any(changed):
        graph.remove_dead(_PARTS)
    return any(changed)


def _replaced(graph: GraphEdit, join: schema.OperatorT) -> bool:
    """Replaces one join, if it is such a write."""
    makers = graph.makers()

    def cut(tensor: int) -> schema.OperatorT | None:
        maker = makers.get(tensor)
        while maker is not None and graph.name(maker) == "QUANTIZE":
            maker = makers.get(maker.inputs[0])
        return maker if maker is not None and graph.name(maker) == "SLICE" else None

    before, after = cut(join.inputs[0]), cut(join.inputs[2])
    if before is None or after is None or before.inputs[0] != after.inputs[0]:
        return False
    size, start = makers.get(before.inputs[2]), makers.get(after.inputs[1])
    if any(op is None or graph.name(op) != "CONCATENATION" for op in (size, start)):
        return False
    place = copy.copy(graph.graph.tensors[start.outputs[0]])
    graph.graph.tensors.append(place)
    at = len(graph.graph.tensors) - 1
    joined = graph.new_op("CONCATENATION", [size.inputs[0], start.inputs[1]], [at], join)
    joined.builtinOptionsType, joined.builtinOptions = start.builtinOptionsType, start.builtinOptions
    _write(graph, join, before.inputs[0], at)
    return True


def _write(graph: GraphEdit, join: schema.OperatorT, sequence: int, place: int) -> None:
    grid = graph.grid(join.outputs[0])
    if grid is not None and graph.is_float(sequence):
        sequence = graph.cast(sequence, grid, join)
    join.inputs = [sequence, join.inputs[1], place]
    join.builtinOptionsType = schema.BuiltinOptions.DynamicUpdateSliceOptions
    join.builtinOptions = schema.DynamicUpdateSliceOptionsT()
    graph.use(join, "DYNAMIC_UPDATE_SLICE")
