"""Computes ranges of int8 codes after quantized operations that hold for every implementation.

Runtimes round a product with a scale differently (gemmlowp rounds twice, newer kernels once,
XNNPACK in float32), so a result near a half may differ by one code. A range here covers all of
them: a code that it finds constant is the same constant in every runtime.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.file_formats import INT8

LOWEST, HIGHEST = INT8.activations.limits
SAFE = 32_000  # 16 bits hold it, also with a zero point added

# Errors in codes: of scales in float32, and of fixed-point factors of 20 bits (two operands).
_ROUNDING = 2.0**-10
_SUM = 2.0**-11
# XNNPACK converts between scales with a factor of 8 fractional bits.
_CONVERSION = 2.0**-9

Span = tuple[np.ndarray, np.ndarray]


def full(width: int) -> Span:
    """Returns the full range of int8 codes, for channels of which nothing is known.

    Args:
        width: Number of channels.

    Returns:
        Lowest and highest code of each channel.
    """
    return np.full(width, LOWEST, np.int64), np.full(width, HIGHEST, np.int64)


def requantize_range(low: np.ndarray, high: np.ndarray, factor: np.ndarray | np.floating, zero: int) -> Span:
    """Returns the range of codes that accumulators are requantized to.

    Args:
        low: Lowest accumulator of each channel, int64.
        high: Highest one.
        factor: Scale of the accumulator divided by that of the result, one or one per channel.
        zero: Zero point of the result.

    Returns:
        The range of codes, not yet clipped; everything where an accumulator may overflow.
    """
    factor = np.asarray(factor, np.float64)
    slack = _ROUNDING + _first_rounding(factor)
    limit = np.iinfo(np.int32)
    overflows = (low < limit.min) | (high > limit.max)
    # zero stays zero in every way of rounding
    lowest = _rounded(low * factor - np.where(low == 0, 0, slack)) + zero
    highest = _rounded(high * factor + np.where(high == 0, 0, slack)) + zero
    return np.where(overflows, LOWEST, lowest), np.where(overflows, HIGHEST, highest)


def rescale_range(span: Span, factor: float, zeros: tuple[int, int], error: float = 0.0) -> Span:
    """Converts a range of codes of one scale to codes of another.

    Args:
        span: Range of the codes.
        factor: Old scale divided by the new one.
        zeros: Old and new zero point.
        error: Further error of the operation, in codes.

    Returns:
        The range of the new codes, not yet clipped.
    """
    low, high = (end - zeros[0] for end in span)
    slack = error + _ROUNDING + float(_first_rounding(np.asarray(factor, np.float64)))
    down = np.where(low == 0, 0, slack + np.abs(low) * _CONVERSION)
    up = np.where(high == 0, 0, slack + np.abs(high) * _CONVERSION)
    return widen_on_overflow((_rounded(low * factor - down) + zeros[1], _rounded(high * factor + up) + zeros[1]))


def add_ranges(first: Span, second: Span, factors: tuple[float, float], zeros: tuple[int, int, int]) -> Span:
    """Returns the range of codes of a sum of two tensors.

    Args:
        first: Range of the first operand's codes.
        second: That of the second one.
        factors: Scale of each operand divided by that of the sum; negative to subtract.
        zeros: Zero points of the operands and of the sum.

    Returns:
        The range of the sum's codes, not yet clipped.
    """
    terms = []
    for span, factor, zero in zip((first, second), factors, zeros[:2], strict=True):
        ends = [(end - zero) * factor for end in span]
        terms.append(ends if factor >= 0 else ends[::-1])
    slack = _ROUNDING + _SUM * max(map(abs, factors))
    low, high = terms[0][0] + terms[1][0], terms[0][1] + terms[1][1]
    return widen_on_overflow((_rounded(low - slack) + zeros[2], _rounded(high + slack) + zeros[2]))


def widen_on_overflow(span: Span) -> Span:
    """Widens a range to all codes where a kernel that computes in 16 bits may overflow.

    Args:
        span: Range of codes, not yet clipped.

    Returns:
        The same; all codes where 16 bits may not hold a value.
    """
    low, high = span
    wraps = (low < -SAFE) | (high > SAFE)
    return np.where(wraps, LOWEST, low), np.where(wraps, HIGHEST, high)


def clip_range(span: Span, activation: int, scale: float, zero: int) -> Span:
    """Clips a range of codes to int8 and by the activation function that is fused into an operation.

    Args:
        span: Range of codes.
        activation: Number of the function in the schema.
        scale: Scale of the result.
        zero: Its zero point.

    Returns:
        The clipped range; all codes for a function that is not a clip.
    """
    kinds = schema.ActivationFunctionType
    bounds = {kinds.NONE: (None, None), kinds.RELU: (0, None), kinds.RELU6: (0, 6), kinds.RELU_N1_TO_1: (-1, 1)}
    if activation not in bounds:
        return full(len(span[0]))
    least, most = bounds[activation]
    floors = _codes(least, scale, zero, LOWEST)
    tops = _codes(most, scale, zero, HIGHEST)
    low, high = (np.clip(span[k], floors[k], tops[k]).astype(np.int64) for k in (0, 1))
    return low, high


def _codes(value: float | None, scale: float, zero: int, otherwise: int) -> tuple[int, int]:
    """Returns the lowest and highest code that implementations may round a bound to."""
    if value is None:
        return otherwise, otherwise
    exact = value / scale + zero
    found = np.floor(exact + 0.5 - _ROUNDING), np.floor(exact + 0.5 + _ROUNDING)
    found = (zero, zero) if value == 0 else found
    low, high = (int(np.clip(code, LOWEST, HIGHEST)) for code in found)
    return low, high


def _first_rounding(factor: np.ndarray) -> np.ndarray:
    """Returns the error of rounding a product before it is shifted down: half a unit before the shift."""
    _, exponent = np.frexp(factor)
    return np.where(exponent < 0, 0.5 * np.exp2(np.minimum(exponent, 0).astype(np.float64)), 0.0)


def _rounded(value: np.ndarray) -> np.ndarray:
    # far beyond any code: keeps the conversion to integers defined
    return np.floor(np.clip(value, -1e9, 1e9) + 0.5).astype(np.int64)
