"""Tables of integers: what a file holds instead of a cast to floats, or of a function that is computed in floats."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

_LARGEST = 2**14  # entries; beyond it operations stay as they are


def floats_of(x, span) -> Any | None:
    """Returns integers as floats from a table, for LiteRT's cast would make floats in an integer file.

    The table holds the integers of the range, which calibration set; what lies beyond is cut off like everything else.

    Args:
        x: Tensor of integers.
        span: Range of the floats.

    Returns:
        The floats, on the grid of the range; None where the table would be too large.
    """
    first, count = _entries(span)
    if count > _LARGEST:
        return None
    return _taken(span(tf.range(first, first + count, dtype=tf.float32), export=True), x, first)


def function_of(x, dtype, span) -> Any | None:
    """Returns a function of integers from a table.

    Args:
        x: Tensor of floats that a graph computes from one tensor of integers, value by value.
        dtype: Type of the integers that it is cast to.
        span: Range of the integers that it is computed from.

    Returns:
        The integers; None where the graph does not show such a function, or the table would be too large.
    """
    first, count = _entries(span)
    source = None if count > _LARGEST else _Source(x)
    if source is None or source.tensor is None:
        return None
    shape = (count, *(1,) * len(x.shape))
    made = source.computed(np.arange(first, first + count).reshape(shape))
    if made is None or made.shape != shape:  # constants that are not the same for all values
        return None
    return _taken(tf.constant(made.reshape(-1), dtype), source.tensor, first)


def _entries(span) -> tuple[int, int]:
    with tf.init_scope():
        low, high = span.limits()
    first = math.floor(round(low, 3))
    return first, math.ceil(round(high, 3)) - first + 1


def _taken(table, x, first: int):
    return tf.gather(table, tf.clip_by_value(tf.cast(x, tf.int32) - first, 0, table.shape[0] - 1))


class _Source:
    """The tensor of integers behind floats, and the nodes of the graph in between."""

    def __init__(self, x):
        self.last, self.tensor, self.nodes = x, None, []
        left, seen = [x], set()
        while left:
            op = left.pop().op
            if op.name in seen:
                continue
            seen.add(op.name)
            self.nodes.append(op.node_def)
            if op.type == "Cast" and op.inputs[0].dtype.is_integer:
                if self.tensor is not None and self.tensor is not op.inputs[0]:
                    self.nodes.append(None)
                self.tensor = op.inputs[0]
            elif op.type in ("Placeholder", "ReadVariableOp"):
                self.nodes.append(None)
            else:
                left += op.inputs
        if None in self.nodes or self.tensor is not None and self.tensor.value_index:
            self.tensor = None

    def computed(self, values) -> np.ndarray | None:
        """Returns the floats as integers for other integers; None where they can't be computed."""
        graph = tf.compat.v1.GraphDef()
        graph.node.extend(self.nodes)
        made = graph.node.add(name=self.tensor.op.name, op="Placeholder")
        made.attr["dtype"].type = self.tensor.dtype.as_datatype_enum
        with tf.Graph().as_default() as other:
            tf.import_graph_def(graph, name="")
            with tf.compat.v1.Session(graph=other) as session:
                found = session.run(self.last.name, {self.tensor.name: values})
        return np.trunc(found).astype("int64") if np.isfinite(found).all() else None
