"""Drops the second counter of a loop: Keras counts the steps, and TensorFlow the same again for its bound of rounds."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.loops.graph_edit import GraphEdit


def drop_second_counter(graph: GraphEdit, loop: schema.OperatorT, cond: GraphEdit, body: GraphEdit) -> bool:
    """Drops a counter of a loop that always equals another one.

    Args:
        graph: The graph of the loop.
        loop: The loop.
        cond: Its condition.
        body: Its body.

    Returns:
        Whether there was one.
    """
    ends = [op for op in cond.ops if cond.name(op) == "LESS"]
    if sorted(map(cond.name, cond.ops)) != ["LESS", "LESS", "LOGICAL_AND"]:
        return False
    if any(op.inputs[0] not in cond.graph.inputs or _whole(cond, op.inputs[1]) is None for op in ends):
        return False
    places = [cond.graph.inputs.index(op.inputs[0]) for op in ends]
    first, second = zip(places, ends, strict=True)
    if places[0] == places[1] or _course(graph, loop, cond, body, *first) != _course(graph, loop, cond, body, *second):
        return False
    for (place, end), (_, other) in ((first, second), (second, first)):
        if _course(graph, loop, cond, body, place, end) is not None and _is_unread(graph, loop, body, place):
            _drop(loop, cond, body, place, other)
            return True
    return False


def _course(
    graph: GraphEdit, loop: schema.OperatorT, cond: GraphEdit, body: GraphEdit, place: int, end: schema.OperatorT
) -> tuple[int, int, int] | None:
    """Returns start, step and limit of a counter; None for a variable that is none."""
    step = body.makers().get(body.graph.outputs[place])
    if step is None or body.name(step) != "ADD" or body.graph.inputs[place] not in step.inputs:
        return None
    added = next((t for t in step.inputs if t != body.graph.inputs[place]), step.inputs[0])
    values = _whole(graph, loop.inputs[place]), _whole(body, added), _whole(cond, end.inputs[1])
    return None if None in values else values


def _is_unread(graph: GraphEdit, loop: schema.OperatorT, body: GraphEdit, place: int) -> bool:
    """Whether nothing but its own step reads a counter."""
    result, value, new = loop.outputs[place], body.graph.inputs[place], body.graph.outputs[place]
    if graph.readers(result) or result in graph.graph.outputs or len(body.readers(value)) != 1:
        return False
    return not body.readers(new) and body.graph.outputs.count(new) == 1


def _drop(loop: schema.OperatorT, cond: GraphEdit, body: GraphEdit, place: int, other: schema.OperatorT) -> None:
    step = body.makers()[body.graph.outputs[place]]
    body.graph.operators = [op for op in body.ops if op is not step]
    cond.graph.operators = [other]
    cond.graph.outputs = list(other.outputs)
    for ends in (loop.inputs, loop.outputs, cond.graph.inputs, body.graph.inputs, body.graph.outputs):
        del ends[place]


def _whole(graph: GraphEdit, tensor: int) -> int | None:
    """Returns the value of an int32 constant with one element."""
    t = graph.graph.tensors[tensor]
    data = graph.model.buffers[t.buffer].data
    if t.type != schema.TensorType.INT32 or data is None or len(data) != np.dtype(np.int32).itemsize:
        return None
    return int(np.frombuffer(np.asarray(data, np.uint8).tobytes(), "<i4")[0])
