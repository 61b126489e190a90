"""Tells how often the body of a loop runs, where the file shows it."""

import numpy as np

from tfcompress.tflite.schema.flatbuffer import Graph, Model, Op


def trips(model: Model, graph: Graph, loop: Op) -> int | None:
    """Returns how often the body of a loop runs.

    Args:
        model: A file as `flatbuffer.read` gives it.
        graph: The graph of the loop.
        loop: The loop.

    Returns:
        The number; None where the loop does not count up by ones from a constant to a constant.
    """
    cond, body = (model.graphs[number] for number in loop.calls)
    limits = [_limit(graph, loop, cond, body, op) for op in cond.ops if op.name == "LESS"]
    if not limits or None in limits or not {op.name for op in cond.ops} <= {"LESS", "LOGICAL_AND"}:
        return None
    return min(limits)


def _limit(graph: Graph, loop: Op, cond: Graph, body: Graph, less: Op) -> int | None:
    """Returns after how many runs one comparison ends the loop."""
    counter, limit = less.inputs
    if counter not in cond.inputs or _value(cond, limit) is None:
        return None
    place = cond.inputs.index(counter)
    start, step = _value(graph, loop.inputs[place]), body.producers().get(body.outputs[place])
    if start is None or step is None or step.name != "ADD" or body.inputs[place] not in step.inputs:
        return None
    if 1 not in [_value(body, t) for t in step.inputs]:
        return None
    return max(_value(cond, limit) - start, 0)


def _value(graph: Graph, tensor: int) -> int | None:
    """Returns the value of an integer constant with one element."""
    t = graph.tensors[tensor]
    if not t.is_constant or not t.dtype.startswith("int"):
        return None
    return int(np.ravel(t.data)[0]) if t.data is not None and t.data.size == 1 else None
