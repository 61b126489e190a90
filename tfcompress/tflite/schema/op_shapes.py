"""Checks that the shapes and types of an operation's tensors fit each other.

XNNPACK takes them as the file states them: where a bias is shorter than its kernel has outputs, it reads whatever
lies behind it. Dimensions that are known only when the file runs are not checked. The sizes of outputs are computed in
`op_sizes.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.schema.element_types import is_packed
from tfcompress.tflite.schema.op_sizes import contradict, output_sizes, whole_numbers

if TYPE_CHECKING:
    from tfcompress.tflite.schema.flatbuffer import Graph, Op, Tensor

Shape = tuple[int, ...]


def check_shapes(graph: Graph, op: Op) -> None:
    """Raises if the shapes and types of an operation's tensors, as far as they are known, do not fit.

    Args:
        graph: Its graph.
        op: The operation; it has the inputs and outputs it needs.

    Raises:
        ValueError: In that case.
    """
    if not op.outputs:
        return
    tensors = [graph.tensors[index] if index >= 0 else None for index in op.inputs]
    output = graph.tensors[op.outputs[0]]
    alike = tensors if op.name == "CONCATENATION" else tensors[: _OF_ONE_TYPE.get(op.name, 0)]
    if op.name == "GATHER" and output.dtype == "int8" and alike[0] is not None and is_packed(alike[0].dtype):
        alike = []  # its kernel unpacks the rows it picks
    fault = _types(alike, output) or _scales([*alike, output])
    if op.name in _HANDLES and output.dtype != "resource":
        fault = f"it makes a resource, its output is of the type {output.dtype}"
    if op.name in _RULES:
        fault = fault or _RULES[op.name](tensors, output)
    fault = fault or _sizes(op.name, tensors, output)
    if fault:
        raise ValueError(f"operation {op.index} ({op.name}): {fault}")


def check_places(graph: Graph, op: Op, stored: schema.Operator) -> None:
    """Raises if a STRIDED_SLICE that takes single positions names one outside of its tensor.

    Args:
        graph: Its graph.
        op: The operation; it has the inputs it needs.
        stored: The operation as stored, with its options.

    Raises:
        ValueError: In that case; the runtime would read what lies behind the tensor.
    """
    table = stored.BuiltinOptions()
    if op.name != "STRIDED_SLICE" or table is None:
        return
    options = schema.StridedSliceOptions()
    options.Init(table.Bytes, table.Pos)
    if options.EllipsisMask() or options.NewAxisMask():
        return  # they count the dimensions in another way
    sizes = graph.tensors[op.inputs[0]].shape_signature
    places, steps = (whole_numbers(graph.tensors[op.inputs[position]]) or () for position in (1, 3))
    single, given = options.ShrinkAxisMask(), options.ShrinkAxisMask() & ~options.BeginMask()
    for axis, step in enumerate(steps):
        if single >> axis & 1 and step <= 0:
            raise ValueError(f"operation {op.index} ({op.name}): it takes one place in steps of {step}")
    for axis, (size, place) in enumerate(zip(sizes, places, strict=False)):
        if given >> axis & 1 and size > 0 and not -size <= place < size:
            raise ValueError(f"operation {op.index} ({op.name}): it takes place {place} of {size}")


def _kernel(axis: int, x_at: int, bias_at: int, channels: Callable[[Shape, int], bool]) -> Callable:
    """Makes the rule of an operation whose kernel has its outputs along an axis.

    Args:
        axis: Axis of the outputs in the kernel.
        x_at: Position of the input.
        bias_at: Position of the bias.
        channels: Whether a kernel takes this number of channels.
    """

    def rule(inputs: Sequence[Tensor | None], y: Tensor) -> str:
        kernel = inputs[1].shape
        if inputs[1].dtype not in _KERNEL_TYPES:
            return f"its kernel is of the type {inputs[1].dtype}"
        if len(kernel) <= axis:
            return ""
        bias = inputs[bias_at] if len(inputs) > bias_at else None
        if bias is not None and bias.is_constant and math.prod(bias.shape) != kernel[axis]:
            return f"its bias has {math.prod(bias.shape)} elements, its kernel {kernel} gives {kernel[axis]} outputs"
        if bias is not None and bias.zero_point is not None and any(bias.zero_point):
            return f"its bias has the zero point {max(bias.zero_point, key=abs)}, which must be 0"
        x = inputs[x_at].shape_signature
        if x and x[-1] > 0 and not channels(kernel, x[-1]):
            return f"its kernel {kernel} takes another number of channels than its input {x} has"
        out = y.shape_signature
        if out and out[-1] > 0 and out[-1] != kernel[axis]:
            return f"its kernel {kernel} gives another number of channels than its output {out} has"
        return ""

    return rule


def _dense(inputs: Sequence[Tensor | None], y: Tensor) -> str:
    x, kernel = inputs[0].shape_signature, inputs[1].shape
    if len(kernel) == 2 and x and min(x) > 0 and kernel[1] and math.prod(x) % kernel[1]:
        return f"its input {x} can't be cut into rows of {kernel[1]}"
    return _kernel(0, 0, 2, lambda kernel, count: True)(inputs, y)


def _reshape(inputs: Sequence[Tensor | None], y: Tensor) -> str:
    x, out = inputs[0].shape_signature, y.shape_signature
    # an empty shape may stand for an unknown one
    known = x and out and min(*x, *out) > 0
    return f"{x} can't become {out}" if known and math.prod(x) != math.prod(out) else ""


def _joined(inputs: Sequence[Tensor | None], y: Tensor) -> str:
    shapes = [x.shape_signature for x in inputs if x is not None]
    known = all(shape and min(shape) > 0 for shape in (*shapes, y.shape_signature))
    if known and sum(map(math.prod, shapes)) != math.prod(y.shape_signature):
        return f"{', '.join(map(str, shapes))} can't be joined to {y.shape_signature}"
    return ""


def _pooled(inputs: Sequence[Tensor | None], y: Tensor) -> str:
    x, out = inputs[0].shape_signature, y.shape_signature
    known = x and out and min(x[-1], out[-1]) > 0
    return f"it makes {out[-1]} channels of {x[-1]}" if known and x[-1] != out[-1] else ""


def _types(inputs: Sequence[Tensor], y: Tensor) -> str:
    others = [x.dtype for x in inputs if x.dtype != y.dtype]
    return f"it makes {y.dtype} of {others[0]}" if others else ""


def _scales(tensors: Sequence[Tensor]) -> str:
    """Checks that all small integers have a scale or none; kernels read a missing scale as any number."""
    small = [tensor for tensor in tensors if tensor.dtype in ("int8", "uint8", "int16")]
    bare = [tensor.index for tensor in small if tensor.scale is None]
    return f"tensor {bare[0]} has no scale, others of it have" if 0 < len(bare) < len(small) else ""


def _sizes(name: str, inputs: Sequence[Tensor | None], y: Tensor) -> str:
    try:
        made = output_sizes(name, inputs)
    except ValueError as error:
        return str(error)
    if made is None or not contradict(made, y.shape_signature):
        return ""
    shown = ", ".join("any" if size is None else str(size) for size in made)
    return f"it makes the shape ({shown}), its output has {y.shape_signature}"


def _divides(kernel: Shape, channels: int) -> bool:
    return kernel[-1] > 0 and channels % kernel[-1] == 0


def _multiplies(kernel: Shape, channels: int) -> bool:
    return kernel[-1] % channels == 0


_RULES: dict[str, Callable[[Sequence[Tensor | None], Tensor], str]] = {
    "CONV_2D": _kernel(0, 0, 2, _divides),
    "DEPTHWISE_CONV_2D": _kernel(3, 0, 2, _multiplies),
    "TRANSPOSE_CONV": _kernel(0, 2, 3, _divides),
    "FULLY_CONNECTED": _dense,
    **dict.fromkeys(("EXPAND_DIMS", "RESHAPE", "SQUEEZE"), _reshape),
    "CONCATENATION": _joined,
    "AVERAGE_POOL_2D": _pooled,
    "MAX_POOL_2D": _pooled,
}
# Operations whose output has the type of their input, or of both.
_PASSING = """
AVERAGE_POOL_2D BATCH_TO_SPACE_ND DEPTH_TO_SPACE EXPAND_DIMS GATHER HARD_SWISH LEAKY_RELU MAX_POOL_2D MIRROR_PAD PAD
PADV2 RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 SLICE SPACE_TO_BATCH_ND
SPACE_TO_DEPTH SQUEEZE STRIDED_SLICE TILE TRANSPOSE
"""
_HANDLES = ("HASHTABLE", "VAR_HANDLE")
_KERNEL_TYPES = frozenset("float16 bfloat16 float32 float64 float8_e4m3fn float8_e5m2".split())
_KERNEL_TYPES |= frozenset("int2 int4 uint4 int8 uint8 int16".split())
_OF_ONE_TYPE = {
    **dict.fromkeys(_PASSING.split(), 1),
    **dict.fromkeys(("ADD", "CONCATENATION", "DIV", "MAXIMUM", "MINIMUM", "MUL", "PRELU", "SUB"), 2),
}
