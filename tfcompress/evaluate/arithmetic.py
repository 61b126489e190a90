"""Counts the additions and multiplications of an operation of a `.tflite` file by the width of their operands.

An operation that `_PER_VALUE` does not name counts as one addition for each value it writes.
"""

import math
import re
from collections import Counter
from collections.abc import Callable

from tfcompress.tflite.schema.flatbuffer import Op, Tensor
from tfcompress.tflite.weight_tensors import KERNEL_INPUTS

Inputs = list[Tensor | None]

_FUNCTION = (5, 5)  # of float values: a polynomial of degree 5
_NOTHING = (0, 0)


def _rows(names: str, work: tuple[int, int]) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(names.split(), work)


FREE = frozenset("RESHAPE SQUEEZE EXPAND_DIMS SHAPE RANK CALL_ONCE VAR_HANDLE ASSIGN_VARIABLE READ_VARIABLE".split())
"""Operations that leave the values where they are."""
_FUNCTIONS = frozenset(
    """
    COS DIV ELU EXP GELU L2_NORMALIZATION LOCAL_RESPONSE_NORMALIZATION LOG LOGISTIC LOG_SOFTMAX POW RSQRT SIN SOFTMAX
    SQRT TANH
    """.split()
)
_MOVING = """
BATCH_TO_SPACE_ND BROADCAST_TO CONCATENATION DEPTH_TO_SPACE DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP FILL GATHER GATHER_ND
MIRROR_PAD PACK PAD PADV2 RANGE RESIZE_NEAREST_NEIGHBOR REVERSE_SEQUENCE REVERSE_V2 SCATTER_ND SELECT SELECT_V2 SLICE
SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPARSE_TO_DENSE SPLIT SPLIT_V STRIDED_SLICE TILE TRANSPOSE UNPACK ZEROS_LIKE
"""
# Multiplications and additions for each value written.
_PER_VALUE: dict[str, tuple[int, int]] = {
    **_rows(" ".join(_FUNCTIONS), _FUNCTION),
    **_rows(_MOVING, _NOTHING),
    **_rows(" ".join(FREE), _NOTHING),
    **_rows("LEAKY_RELU MUL PRELU SQUARE", (1, 0)),
    "SQUARED_DIFFERENCE": (1, 1),
    "HARD_SWISH": (2, 1),
    "RESIZE_BILINEAR": (4, 3),  # four neighbours
}
# These read many values for each that they write: one addition (or comparison) for each value read.
_REDUCING = frozenset(
    """
    ARG_MAX ARG_MIN AVERAGE_POOL_2D L2_POOL_2D MAX_POOL_2D MEAN REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN SUM
    """.split()
)
_BIASES = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "CONV_3D": 2}
_BIASES |= {"TRANSPOSE_CONV": 3, "CONV_3D_TRANSPOSE": 3}
_DATA_LAST = frozenset({"TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"})  # (shape, kernel, data)
_SUMMED = {"int16": "int64"}  # the type of a sum of products without a bias, by that of the data; else int32
_SUMS = frozenset({"ADD", "SUB", "ADD_N"})


def arithmetic(op: Op, inputs: Inputs, output: Tensor, macs: int, typed: Callable[[Tensor], str]) -> Counter[str]:
    """Counts the additions and multiplications of one operation.

    Args:
        op: The operation.
        inputs: Its inputs; None for those that are not given.
        output: Its first output.
        macs: Its multiply-accumulate operations.
        typed: Returns the element type that a tensor has in memory.

    Returns:
        Counts by name, such as `"int8 mult"` and `"int32 add"`.
    """
    if macs:
        counts = _products(op, inputs, output, macs, typed)
    elif op.name in ("QUANTIZE", "DEQUANTIZE"):
        counts = _converted(inputs[0], output, typed)
    else:
        counts = _by_value(op, inputs, output, typed)
    return Counter({name: number for name, number in counts.items() if number})


def _products(op: Op, inputs: Inputs, output: Tensor, macs: int, typed: Callable[[Tensor], str]) -> Counter[str]:
    places = (place for place in KERNEL_INPUTS.get(op.name, (1,)) if place < len(inputs))
    kernels = [tensor for tensor in (inputs[place] for place in places) if tensor is not None]
    kernel = next((tensor for tensor in kernels if tensor.is_constant), kernels[-1])
    data = inputs[2 if op.name in _DATA_LAST else 0]
    data = inputs[1] if data is kernel else data  # the product of a constant and an activation
    place = _BIASES.get(op.name, len(inputs))
    bias = inputs[place] if place < len(inputs) else None
    written = _values(output)
    counts: Counter[str] = Counter()
    if kernel.is_float:
        total = typed(output)
        counts[f"{_named(typed(kernel))} mult"] += macs
    else:
        total = _SUMMED.get(data.dtype, "int32") if bias is None or bias.is_float else bias.dtype
        a, b = _bits(data.dtype), _bits(kernel.dtype)
        counts[f"int{a}x{b} mult" if a != b and not data.is_float else f"int{b} mult"] += macs
    counts[f"{_named(total)} add"] += macs
    if data.is_float and not kernel.is_float:  # dynamic range: scaled to int8 and back while it runs
        real = _named(typed(data))
        counts[f"{real} add"] += _values(data)  # the search for the largest value
        counts[f"{real} mult"] += _values(data) + written
        total = real
    elif not output.is_float:
        counts.update(_rescaled(written))
    if bias is not None:
        counts[f"{_named(total)} add"] += written
    return counts


def _converted(data: Tensor, output: Tensor, typed: Callable[[Tensor], str]) -> Counter[str]:
    number = _values(output)
    if output.is_float and data.is_float:
        return Counter()
    if output.is_float:
        return Counter({"int32 add": number, f"{_named(typed(output))} mult": number})
    if data.is_float:
        real = _named(typed(data))
        return Counter({f"{real} add": number, f"{real} mult": number})
    return _rescaled(number)


def _by_value(op: Op, inputs: Inputs, output: Tensor, typed: Callable[[Tensor], str]) -> Counter[str]:
    read = next((tensor for tensor in inputs if tensor is not None), output)
    number = _values(read if op.name in _REDUCING else output)
    mults, adds = _PER_VALUE.get(op.name, (0, 1))
    if read.is_float or output.is_float:
        real = _named(typed(read if read.is_float else output))
        return Counter({f"{real} mult": mults * number, f"{real} add": adds * number})
    own = f"int{_bits(read.dtype)}"
    if op.name in _FUNCTIONS and output.scale is not None:
        return Counter({f"{own} add": number})  # a table with a value for each code
    terms = [tensor for tensor in inputs if tensor is not None and tensor.scale is not None]
    if output.scale is None or (op.name not in _SUMS and not any(_differ(tensor, output) for tensor in terms)):
        return Counter({f"{own} mult": mults * number, f"{own} add": adds * number})
    # Terms of a sum are brought to one scale each, all else when it is done.
    rescaled = _values(output) * (len(terms) if op.name in _SUMS else 1)
    return Counter({f"{own} mult": mults * number, "int32 add": adds * number}) + _rescaled(rescaled)


def _rescaled(number: int) -> Counter[str]:
    """Returns the work of bringing so many values to another scale and zero point."""
    return Counter({"int32 mult": number, "int32 add": number})


def _differ(a: Tensor, b: Tensor) -> bool:
    return a.scale.tolist() != b.scale.tolist() or a.zero_point.tolist() != b.zero_point.tolist()


def _values(tensor: Tensor) -> int:
    return math.prod(tensor.shape)


def _bits(dtype: str) -> int:
    """Returns the width that the processor computes in: packed codes are widened to 8 bits."""
    found = re.search(r"int(\d+)", dtype)
    return max(8, int(found[1])) if found else 8


def _named(dtype: str) -> str:
    return "float16" if dtype == "bfloat16" else dtype
