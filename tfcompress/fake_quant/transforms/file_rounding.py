"""Writes bounds of ranges into a graph for the LiteRT converter, and keeps operations apart that it would merge.

The converter computes equal operations of one tensor only once. Where their results have ranges of their own, one
integer operation cannot give both, and it is left float. So the second one reads its input from another FakeQuant node,
whose scale differs by a millionth: the codes are equal, and the converter removes the node after it has looked for
equal operations.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

from tfcompress.file_formats import INT8

_FAKE_QUANT = "FakeQuantWithMinMaxArgs"
_MOVES = ("Reshape", "Transpose", "Squeeze", "ExpandDims", "Identity", "StridedSlice", "Pack")
_RESHAPES = ("Reshape", "Squeeze", "ExpandDims")
_SAME_SCALE = ("Minimum", "Maximum", "Relu", "Relu6")  # the converter gives these several scales by itself
_ROOTS = ("Const", "Placeholder", "ReadVariableOp", "VarHandleOp")
_SHIFT = 2.0**-20  # of a scale: in float32 it differs, and no code does
_LARGEST = 1024  # bytes of constants that are compared; larger ones are kernels

_apart: ContextVar["_Merged | None"] = ContextVar("apart", default=None)


@contextlib.contextmanager
def kept_apart() -> Iterator[None]:
    """Keeps operations apart, in graphs that are traced within, that the converter would merge though ranges differ."""
    token = _apart.set(_Merged())
    try:
        yield
    finally:
        _apart.reset(token)


def round_in_file(x, low: float, high: float, bits: int = INT8.activations.bits):
    """Rounds a tensor to the grid between two numbers, as attributes of the node, where the converter looks for them.

    Args:
        x: Tensor.
        low: Lower bound.
        high: Upper bound.
        bits: Bits of a code.
    """
    merged = _apart.get()
    if merged is not None and tf.is_symbolic_tensor(x):
        x = merged.taken(_of_two_tensors(x), (float(low), float(high)))
    return tf.quantization.fake_quant_with_min_max_args(x, low, high, bits)


def _of_two_tensors(x):
    """Returns the result of an operation that reads one reshaped tensor twice as that of two tensors of equal values.

    The converter moves reshapes behind such an operation (`h * h` behind a Conv1D), where its result has no range.
    """
    moves, made = [], x
    while made.op.type in (*_RESHAPES, "Transpose", "Identity"):
        moves.append(made.op)
        made = made.op.inputs[0]
    given = list(made.op.inputs)
    if len(given) != 2 or given[0] is not given[1] or given[0].op.type != _FAKE_QUANT or not _is_reshaped(given[0]):
        return x
    made = _repeated(made.op, [given[0], tf.maximum(given[1], given[1].op.get_attr("min"))])[0]  # changes no code
    for move in reversed(moves):
        made = _repeated(move, [made, *move.inputs[1:]])[0]
    return made


def _repeated(op, inputs) -> list:
    """Adds an operation like another one to its graph, with other inputs; returns the outputs."""
    dtypes = [y.dtype for y in op.outputs]
    return list(op.graph.create_op(op.type, inputs, dtypes, attrs=dict(op.node_def.attr)).outputs)


def _is_reshaped(x) -> bool:
    while x.op.type in (_FAKE_QUANT, "BiasAdd", "Identity", "Relu", "Relu6"):
        x = x.op.inputs[0]
    return x.op.type in _RESHAPES


class _Merged:
    """Finds the operations of a graph that compute the same from the same tensors."""

    def __init__(self):
        self.first: dict[tuple, list[Any]] = {}  # what an operation computes to the operations that may do
        self.same: dict[tuple[int, str], Any] = {}  # an operation to the first that computes the same
        self.bounds: dict[tuple, list[tuple[float, float]]] = {}

    def taken(self, x, bounds: tuple[float, float]):
        """Returns a tensor with the same values that no tensor with other bounds will be merged with."""
        made = x
        while made.op.type in _MOVES:
            made = made.op.inputs[0]
        if made.op.type in (*_ROOTS, *_SAME_SCALE, _FAKE_QUANT):
            return x
        known = self.bounds.setdefault(self._value(made), [])
        if bounds not in known:
            known.append(bounds)
        place = known.index(bounds)
        return x if place == 0 else _Copies(1.0 + place * _SHIFT).of(x)

    def _value(self, x) -> tuple:
        op = self._first_of(x.op)
        return id(op.graph), op.name, x.value_index

    def _first_of(self, op):
        left = [op]
        while left:
            now = left[-1]
            key = (id(now.graph), now.name)
            inner = [x.op for x in now.inputs if (id(now.graph), x.op.name) not in self.same]
            if key in self.same or not inner:
                left.pop()
                if key not in self.same:
                    self.same[key] = self._found(now)
            else:
                left += inner
        return self.same[id(op.graph), op.name]

    def _found(self, op):
        """Returns the first operation that computes the same as an operation whose inputs are known."""
        if op.op_def.is_stateful and op.type != "ReadVariableOp" or _is_large(op):
            return op
        given = tuple((self.same[id(op.graph), x.op.name].name, x.value_index) for x in op.inputs)
        form = tuple((x.dtype, str(x.shape)) for x in op.outputs) if not given else ()
        like = self.first.setdefault((id(op.graph), op.type, given, form), [])
        same = next((other for other in like if _attributes(other) == _attributes(op)), None)
        if same is None:
            like.append(op)
        return op if same is None else same


class _Copies:
    """Computes a tensor again from its FakeQuant nodes, with scales multiplied by a factor."""

    def __init__(self, factor: float):
        self.factor = factor
        self.made: dict[str, Any] = {}

    def of(self, x):
        """Returns the copy of a tensor; the tensor itself where it does not depend on such a node."""
        if x.op.type in _ROOTS:
            return x
        if x.op.name not in self.made:
            self.made[x.op.name] = self._rounded(x) if x.op.type == _FAKE_QUANT else self._again(x.op)
        return self.made[x.op.name][x.value_index]

    def _rounded(self, x) -> list:
        low, high, bits, narrow = (x.op.get_attr(name) for name in ("min", "max", "num_bits", "narrow_range"))
        if narrow:  # a kernel
            return [x]
        if x.op.inputs[0].op.type == "Placeholder":  # behind an input the converter makes a detour through float
            x = tf.maximum(x, low + 1.0 - self.factor)
            return [tf.quantization.fake_quant_with_min_max_args(x, low, high, bits)]
        return [tf.quantization.fake_quant_with_min_max_args(x, low * self.factor, high * self.factor, bits)]

    def _again(self, op) -> list:
        given = list(op.inputs)
        copies = [self.of(x) for x in given]
        if op.op_def.is_stateful or all(a is b for a, b in zip(copies, given, strict=True)):
            return list(op.outputs)
        return _repeated(op, copies)


def _is_large(op) -> bool:
    if op.type != "Const":
        return False
    size = op.outputs[0].shape.num_elements()
    return size is None or size * op.outputs[0].dtype.size > _LARGEST


def _attributes(op) -> dict:
    return {name: value.SerializeToString() for name, value in op.node_def.attr.items() if not name.startswith("_")}
