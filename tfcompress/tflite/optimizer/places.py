"""Finds operations whose codes depend on their position, so that channels can only be removed in whole blocks.

The runtime's own kernels compute sixteen codes at a time, and round halves differently there than in
the remaining codes: in sums, products, means, changes of scale and linear depthwise convolutions.
XNNPACK does not.
"""

import functools
import math
from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.arithmetic import HIGHEST, LOWEST, SAFE, Span
from tfcompress.tflite.optimizer.circuit import Circuit
from tfcompress.tflite.optimizer.products import Product

_BLOCK = 16
_SHIFT = 20  # bits by which the kernels widen codes before they add
_MOST = 62  # a shift that leaves nothing of 64 bits
_WRONG = -999  # no code
_CODES = np.arange(LOWEST, HIGHEST + 1, dtype=np.int64)

Spans = Callable[[int], Span]


def block_of(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> int:
    """Returns the number that an operation's number of channels must stay a multiple of.

    Args:
        circuit: The graph.
        op: The operation, one that `ties_of` supports.
        spans: Function from a tensor to the codes that it can have.

    Returns:
        The number; 1 where no code depends on its position.
    """
    name, (y,) = circuit.name(op), circuit.outputs(op)
    operands = circuit.inputs(op)
    if name == "MEAN":
        return _BLOCK
    if name == "QUANTIZE":
        is_free = not _ambiguous_factors(_scales(circuit, operands[0], y), circuit.zero(operands[0])).size
    elif name in ("ADD", "SUB", "MUL"):
        is_free = all(map(circuit.is_codes, operands)) and not _is_ambiguous(circuit, op, spans)
        if circuit.shape(operands[0]) != circuit.shape(operands[1]):
            return 1 if is_free else _BLOCK
    else:
        is_free = True
    return 1 if is_free else _flat_block(circuit.shape(y))


def block_of_product(product: Product) -> int:
    """Returns the number that the number of channels of an operation with a kernel must stay a multiple of.

    Args:
        product: The operation.

    Returns:
        The number; 1 for an operation that mixes channels, and where halves below the zero point are clipped anyway.
    """
    kinds = schema.ActivationFunctionType
    clips = product.op.builtinOptions.fusedActivationFunction in (kinds.RELU, kinds.RELU6)
    return 1 if product.is_mixing or clips else _BLOCK


def _flat_block(shape: tuple[int, ...]) -> int:
    """Returns how many channels make whole blocks of a tensor whose codes are counted through."""
    if min(shape) < 0:
        return _BLOCK
    return _BLOCK // math.gcd(math.prod(shape[:-1]), _BLOCK)


def _scales(circuit: Circuit, *tensors: int) -> tuple[float, ...]:
    return tuple(map(circuit.scale, tensors))


def _is_ambiguous(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> bool:
    (a, b), (y,) = circuit.inputs(op), circuit.outputs(op)
    zeros = tuple(map(circuit.zero, (a, b, y)))
    find = _ambiguous_products if circuit.name(op) == "MUL" else _ambiguous_sums
    pairs = find(_scales(circuit, a, b, y), zeros, circuit.name(op) == "SUB")
    (low, high), (least, most) = spans(a), spans(b)
    first, second = pairs[:, :1], pairs[:, 1:]
    return bool(((low <= first) & (first <= high) & (least <= second) & (second <= most)).any())


@functools.lru_cache(maxsize=256)
def _ambiguous_sums(scales: tuple[float, ...], zeros: tuple[int, ...], is_difference: bool) -> np.ndarray:
    """Returns the pairs of codes whose sum differs between scalar and vector kernels, (pairs, 2)."""
    doubled = 2 * max(scales[:2])
    parts = [_widened(_CODES - zero, scale / doubled) for scale, zero in zip(scales[:2], zeros[:2], strict=True)]
    factor, shift = _fixed(doubled / (2**_SHIFT * scales[2]))
    results = []
    products = (_scalar_product, _vector_product, _vector_product)
    for first, second, product in zip(*parts, products, strict=True):
        total = first[:, None] + (-second if is_difference else second)[None]
        results.append(_code(_divided(product(total, factor), -shift), zeros[2], product is _vector_product))
    return _disagreeing(results)


@functools.lru_cache(maxsize=256)
def _ambiguous_products(scales: tuple[float, ...], zeros: tuple[int, ...], is_difference: bool) -> np.ndarray:
    """Returns the pairs of codes whose product differs between scalar and vector kernels, (pairs, 2)."""
    del is_difference
    factor, shift = _fixed(scales[0] * scales[1] / scales[2])
    values = ((_CODES - zeros[0])[:, None] * (_CODES - zeros[1])[None]) << max(shift, 0)
    return _disagreeing(
        [
            _code(_divided(product(values, factor), max(-shift, 0)), zeros[2], product is _vector_product)
            for product in (_scalar_product, _vector_product)
        ]
    )


@functools.lru_cache(maxsize=256)
def _ambiguous_factors(scales: tuple[float, float], zero: int) -> np.ndarray:
    """Returns the codes whose change of scale differs between scalar and vector kernels."""
    factor, shift = _fixed(scales[0] / scales[1])
    values = (_CODES - zero) << max(shift, 0)
    scalar = _divided(_scalar_product(values, factor), max(-shift, 0))
    vector = _shifted(_vector_product(values, factor), max(-shift, 0))
    return _CODES[(scalar != vector) | (np.abs(vector) > SAFE)]


def _widened(codes: np.ndarray, factor: float) -> list[np.ndarray]:
    """Returns codes in the common scale of a sum: by scalar code, vector code, and vector code for scalar operands."""
    multiplier, shift = _fixed(factor)
    wide = codes << _SHIFT
    up = _SHIFT + shift
    return [
        _divided(_scalar_product(wide, multiplier), -shift),
        _vector_product(codes << up if up >= 0 else codes >> -up, multiplier),
        _shifted(_vector_product(wide, multiplier), -shift),
    ]


def _fixed(factor: float) -> tuple[int, int]:
    """Returns a factor as a 31-bit fraction and a power of two."""
    fraction, exponent = np.frexp(factor)
    multiplier = int(np.round(fraction * 2**31))
    return (multiplier // 2, int(exponent) + 1) if multiplier == 2**31 else (multiplier, int(exponent))


def _scalar_product(values: np.ndarray, multiplier: int) -> np.ndarray:
    """Returns the high half of the doubled product, halves rounded away from zero."""
    product = values * multiplier
    return np.sign(product) * ((np.abs(product) + 2**30) >> 31)


def _vector_product(values: np.ndarray, multiplier: int) -> np.ndarray:
    """Returns the high half of the doubled product, halves rounded up."""
    return (values * multiplier + 2**30) >> 31


def _divided(values: np.ndarray, shift: int) -> np.ndarray:
    """Divides by a power of two, halves rounded away from zero."""
    if shift <= 0:
        return values << -shift
    if shift > _MOST:
        return np.zeros_like(values)
    return np.sign(values) * ((np.abs(values) + (1 << (shift - 1))) >> shift)


def _shifted(values: np.ndarray, shift: int) -> np.ndarray:
    """Divides by a power of two, halves rounded up."""
    if shift > _MOST:
        return np.zeros_like(values)
    return values << -shift if shift <= 0 else (values + (1 << (shift - 1))) >> shift


def _code(values: np.ndarray, zero: int, is_vector: bool) -> np.ndarray:
    # vector code computes in 16 bits, and larger values overflow
    wraps = is_vector & (np.abs(values) > SAFE)
    return np.where(wraps, _WRONG, np.clip(values + zero, LOWEST, HIGHEST))


def _disagreeing(results: list[np.ndarray]) -> np.ndarray:
    return np.argwhere((np.stack(results) != results[0]).any(0)) + LOWEST
