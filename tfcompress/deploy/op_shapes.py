"""Whether the tensors of an operation with a kernel fit each other, and those of a reshape.

XNNPACK takes shapes as the file states them: where a bias is shorter than its kernel has outputs, it reads whatever
lies behind it. Dimensions that are known only when the file runs are not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .flatbuffer import Graph, Op, Tensor

Shape = tuple[int, ...]


def check_shapes(graph: Graph, op: Op) -> None:
    """Returns if the shapes around an operation fit, as far as they are known.

    Args:
        graph: Where it stands.
        op: The operation; it has the inputs and outputs it needs.

    Raises:
        ValueError: If they don't.
    """
    rule = _RULES.get(op.name)
    if rule is None:
        return
    tensors = [graph.tensors[index] if index >= 0 else None for index in op.inputs]
    fault = rule(tensors, graph.tensors[op.outputs[0]])
    if fault:
        raise ValueError(f"operation {op.index} ({op.name}): {fault}")


def _kernel(axis: int, x_at: int, bias_at: int, channels: Callable[[Shape, int], bool]) -> Callable:
    """The rule of an operation whose kernel has its outputs along an axis.

    Args:
        axis: Axis of the outputs in the kernel.
        x_at: Position of the input.
        bias_at: Position of the bias.
        channels: Whether a kernel takes this number of channels.
    """

    def rule(inputs: Sequence[Tensor | None], y: Tensor) -> str:
        kernel = inputs[1].shape
        if len(kernel) <= axis:
            return ""
        bias = inputs[bias_at] if len(inputs) > bias_at else None
        if bias is not None and bias.is_constant and math.prod(bias.shape) != kernel[axis]:
            return f"its bias has {math.prod(bias.shape)} elements, its kernel {kernel} gives {kernel[axis]} outputs"
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
    # an empty shape may stand for one that nobody knows
    known = x and out and min(*x, *out) > 0
    return f"{x} can't become {out}" if known and math.prod(x) != math.prod(out) else ""


def _divides(kernel: Shape, channels: int) -> bool:
    return kernel[-1] > 0 and channels % kernel[-1] == 0


def _multiplies(kernel: Shape, channels: int) -> bool:
    return kernel[-1] % channels == 0


_RULES: dict[str, Callable[[Sequence[Tensor | None], Tensor], str]] = {
    "CONV_2D": _kernel(0, 0, 2, _divides),
    "DEPTHWISE_CONV_2D": _kernel(3, 0, 2, _multiplies),
    "TRANSPOSE_CONV": _kernel(0, 2, 3, _divides),
    "FULLY_CONNECTED": _dense,
    "RESHAPE": _reshape,
}
