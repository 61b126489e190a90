"""Finds functions of integers that code computes in floats: a cast, operations on each value, and a cast back.

The number of steps that a padded recording leaves behind convolutions is one: `floor((length - 127) / 64) + 1`. On 256
codes it would be off; in the file it is a table of integers.
"""

from tfcompress.graph.graph import Graph
from tfcompress.graph.trace import Call
from tfcompress.layer_table.lookup import spec_of

VALUES = "integers"
"""Name of the range of the integers that such a function gets."""


def find_integer_functions(graph: Graph[Call]) -> dict[int, list[Call]]:
    """Returns by the id of the cast in which each ends the calls of such functions, the last one first."""
    found = {}
    for call in graph.nodes:
        if _is_cast(call) and _is_integer(call) and (steps := _steps(graph, call)) is not None:
            found[id(call.op)] = steps
    return found


def _steps(graph: Graph[Call], last: Call) -> list[Call] | None:
    steps, call = [last], last
    while len(call.inputs) == 1 and graph.times(call.op) == 1:
        tensor = call.inputs[0]
        maker = None if tensor is None else graph.maker(tensor)
        if maker is None or graph.only_reader(tensor) is not call:
            return None
        if _is_integer(maker):  # the call is the cast from integers
            return steps if _is_cast(call) and len(steps) > 2 else None
        if len(maker.outputs) != 1 or maker.shapes != last.shapes or not _is_each(maker):
            return None
        steps.append(maker)
        call = maker
    return None


def _is_cast(call: Call) -> bool:
    return spec_of(call.op).function == "cast"


def _is_integer(call: Call) -> bool:
    return len(call.dtypes) == 1 and call.dtypes[0].startswith(("int", "uint"))


def _is_each(call: Call) -> bool:
    """Whether a call computes each of its values from the one at the same place."""
    spec = spec_of(call.op)
    return _is_cast(call) or spec.flow in ("pass", "merge") and not spec.kernels
