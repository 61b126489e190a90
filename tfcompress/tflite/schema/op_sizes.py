"""Computes the output shape of an operation from its input shapes and the sizes that the file stores.

A damaged size may be valid by itself: a padding of 33 million columns keeps the runtime busy for minutes. And where a
stated shape is larger than the computed one, XNNPACK reads what lies behind it, so that outputs differ from run to run.
Sizes that are known only when the file runs are None here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfcompress.tflite.schema.flatbuffer import Tensor

Sizes = list[int | None]


def output_sizes(name: str, inputs: Sequence[Tensor | None]) -> Sizes | None:
    """Computes the size of each dimension of an operation's output.

    Args:
        name: Name of the operation.
        inputs: Its input tensors; None for those that are not given.

    Returns:
        The size of each dimension, None for those that are not known; None if not even their number is.

    Raises:
        ValueError: If the inputs do not fit each other.
    """
    rule = _RULES.get(name)
    return rule(inputs) if rule and inputs else None


def contradict(made: Sizes, stated: Sequence[int]) -> bool:
    """Returns whether a stated shape differs from a computed one; sizes below 1 and an empty shape fit any.

    Example:
        >>> contradict([1, 7, None], (1, 7, 3)), contradict([1, 7, None], (-1, 6, 3))
        (False, True)
    """
    if not stated:
        return False
    if len(made) != len(stated):
        return None not in made and min(stated) > 0 and math.prod(made) != math.prod(stated)
    return any(size is not None and 0 < other != size for size, other in zip(made, stated, strict=True))


def _known(shape: Sequence[int]) -> Sizes:
    return [size if size > 0 else None for size in shape]


def whole_numbers(tensor: Tensor | None) -> list[int] | None:
    """Returns the whole numbers that a tensor holds; None if they are not in the file."""
    if tensor is None or not tensor.is_constant or tensor.is_sparse or tensor.dtype not in ("int32", "int64"):
        return None
    return tensor.data.reshape(-1).tolist()


def _numbers(inputs: Sequence[Tensor | None], position: int) -> list[int] | None:
    return whole_numbers(inputs[position]) if position < len(inputs) else None


def _same(inputs: Sequence[Tensor | None]) -> Sizes | None:
    return _known(inputs[0].shape_signature) or None


def _together(count: int) -> Callable:
    """Makes the rule of operations that broadcast sizes of 1 to those of the other inputs."""

    def rule(inputs: Sequence[Tensor | None]) -> Sizes | None:
        shapes = [x.shape_signature for x in inputs[:count] if x is not None]
        made: Sizes = []
        for axis in range(-max(map(len, shapes)), 0):
            sizes = [shape[axis] for shape in shapes if len(shape) >= -axis]
            large = {size for size in sizes if size > 1}
            if len(large) > 1:
                raise ValueError(f"{' and '.join(map(str, shapes))} don't go together")
            is_one = min(sizes) > 0 and all(shapes)  # an empty shape may stand for an unknown one
            made.append(large.pop() if large else 1 if is_one else None)
        return made or None

    return rule


def _padded(inputs: Sequence[Tensor | None]) -> Sizes | None:
    x, paddings = _known(inputs[0].shape_signature), _numbers(inputs, 1)
    if not x or paddings is None or len(paddings) != 2 * len(x):
        return None
    if min(paddings) < 0:
        raise ValueError(f"it has the padding {min(paddings)}")
    pairs = zip(x, paddings[::2], paddings[1::2], strict=True)
    return [None if size is None else size + before + after for size, before, after in pairs]


def _tiled(inputs: Sequence[Tensor | None]) -> Sizes | None:
    x, times = _known(inputs[0].shape_signature), _numbers(inputs, 1)
    if not x or times is None or len(times) != len(x):
        return None
    return [None if size is None else size * factor for size, factor in zip(x, times, strict=True)]


def _resized(inputs: Sequence[Tensor | None]) -> Sizes | None:
    x, sizes = _known(inputs[0].shape_signature), _numbers(inputs, 1)
    return None if len(x) != 4 or sizes is None or len(sizes) != 2 else [x[0], *sizes, x[3]]


def _transposed(inputs: Sequence[Tensor | None]) -> Sizes | None:
    x, order = _known(inputs[0].shape_signature), _numbers(inputs, 1)
    if not x or order is None or len(order) != len(x):
        return None
    places = [axis + len(x) if axis < 0 else axis for axis in order]
    if sorted(places) != list(range(len(x))):
        raise ValueError(f"{order} is no order of its {len(x)} dimensions")
    return [x[axis] for axis in places]


def _sliced(inputs: Sequence[Tensor | None]) -> Sizes | None:
    sizes = _numbers(inputs, 2)
    # -1 stands for all that follows
    return None if sizes is None else [None if size == -1 else size for size in sizes]


def _in_blocks(inputs: Sequence[Tensor | None]) -> Sizes | None:
    x, blocks, paddings = _known(inputs[0].shape_signature), _numbers(inputs, 1), _numbers(inputs, 2)
    if not x or blocks is None or paddings is None or len(paddings) != 2 * len(blocks) or len(blocks) >= len(x):
        return None
    if min(blocks, default=1) < 1 or min(paddings, default=0) < 0:
        raise ValueError(f"it has the blocks {blocks} and the paddings {paddings}")
    made: Sizes = [None if x[0] is None else x[0] * math.prod(blocks)]
    for size, block, before, after in zip(x[1:], blocks, paddings[::2], paddings[1::2], strict=False):
        made.append(None if size is None else (size + before + after) // block)
    return [*made, *x[1 + len(blocks) :]]


def _counted(inputs: Sequence[Tensor | None]) -> Sizes | None:
    start, limit, step = (_numbers(inputs, position) for position in range(3))
    if None in (start, limit, step) or not len(start) == len(limit) == len(step) == 1:
        return None
    if step[0] == 0:
        raise ValueError("it counts in steps of 0")
    return [max(0, -((start[0] - limit[0]) // step[0]))]


def _shape_at(position: int) -> Callable:
    """Makes the rule of operations that get the shape of their output as an input; -1 there is unknown."""

    def rule(inputs: Sequence[Tensor | None]) -> Sizes | None:
        sizes = _numbers(inputs, position)
        return None if not sizes or 0 in sizes else [None if size == -1 else size for size in sizes]

    return rule


_ALIKE = """
ABS CAST CEIL COS CUMSUM DENSIFY DEQUANTIZE ELU EXP FAKE_QUANT FLOOR GELU HARD_SWISH L2_NORMALIZATION LEAKY_RELU
LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_NOT LOGISTIC LOG_SOFTMAX NEG QUANTIZE RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1
REVERSE_SEQUENCE REVERSE_V2 ROUND RSQRT SIGN SIN SOFTMAX SQRT SQUARE TANH ZEROS_LIKE
"""
_STRETCHING = """
ADD ATAN2 BITWISE_XOR DIV EQUAL FLOOR_DIV FLOOR_MOD GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR MAXIMUM
MINIMUM MUL NOT_EQUAL POW PRELU RIGHT_SHIFT SQUARED_DIFFERENCE SUB
"""
_RULES: dict[str, Callable[[Sequence[Tensor | None]], Sizes | None]] = {
    **dict.fromkeys(_ALIKE.split(), _same),
    **dict.fromkeys(_STRETCHING.split(), _together(2)),
    "SELECT_V2": _together(3),
    **dict.fromkeys(("MIRROR_PAD", "PAD", "PADV2"), _padded),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resized),
    **dict.fromkeys(("FILL", "TRANSPOSE_CONV"), _shape_at(0)),
    **dict.fromkeys(("BROADCAST_TO", "RESHAPE", "SPARSE_TO_DENSE"), _shape_at(1)),
    "SCATTER_ND": _shape_at(2),
    "RANGE": _counted,
    "SLICE": _sliced,
    "SPACE_TO_BATCH_ND": _in_blocks,
    "TILE": _tiled,
    "TRANSPOSE": _transposed,
}
