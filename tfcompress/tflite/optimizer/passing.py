"""Follows channels through operations without kernels: which input channel gives which output channel, in what range.

Pooling, activation functions, sums, padding, reshapes, concatenations. The tensors of an operation
that is not here, or not in this form, keep all their channels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.arithmetic import (
    HIGHEST,
    LOWEST,
    Span,
    add_ranges,
    clip_range,
    full,
    requantize_range,
    rescale_range,
    widen_on_overflow,
)
from tfcompress.tflite.optimizer.circuit import Circuit

Spans = Callable[[int], Span]


@dataclass(frozen=True, eq=False)
class Tie:
    """Channels of two tensors that are kept or removed together.

    Attributes:
        first: Number of a tensor.
        second: Number of the other one.
        channels: For each channel of the second, the channel of the first.
    """

    first: int
    second: int
    channels: np.ndarray


def ties_of(circuit: Circuit, op: schema.OperatorT) -> list[Tie] | None:
    """Returns which input channel gives which output channel of an operation.

    Args:
        circuit: The graph.
        op: The operation.

    Returns:
        A tie for each input that has channels; None for an operation that is not supported.
    """
    rule = _TIES.get(circuit.name(op))
    if rule is None or len(circuit.outputs(op)) != 1 or not circuit.is_codes(circuit.outputs(op)[0]):
        return None
    return rule(circuit, op)


def span_of(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    """Returns the range of codes of an operation's output, for operations that `ties_of` supports.

    Args:
        circuit: The graph.
        op: The operation.
        spans: Gives the codes that a tensor can have.
    """
    rule = _SPANS.get(circuit.name(op))
    (y,) = circuit.outputs(op)
    return full(circuit.width(y)) if rule is None else rule(circuit, op, spans)


def _same(circuit: Circuit, op: schema.OperatorT) -> list[Tie] | None:
    x, (y,) = circuit.inputs(op)[0], circuit.outputs(op)
    fits = circuit.is_codes(x) and circuit.width(x) == circuit.width(y)
    return [Tie(x, y, np.arange(circuit.width(y)))] if fits else None


def _pooled(circuit: Circuit, op: schema.OperatorT) -> list[Tie] | None:
    # the kernels of pooling take the scale of the output to be that of the input
    ties = _same(circuit, op)
    return ties if ties and circuit.same_scale(ties[0].first, ties[0].second) else None


def _averaged(circuit: Circuit, op: schema.OperatorT) -> list[Tie] | None:
    axes = circuit.constant(circuit.inputs(op)[1])
    rank = len(circuit.shape(circuit.inputs(op)[0]))
    # one axis may be a scalar
    if axes is None or not rank or rank - 1 in np.ravel(axes) % rank:
        return None
    return _same(circuit, op)


def _padded(circuit: Circuit, op: schema.OperatorT) -> list[Tie] | None:
    paddings = circuit.constant(circuit.inputs(op)[1])
    rank = len(circuit.shape(circuit.inputs(op)[0]))
    if paddings is None or paddings.shape != (rank, 2) or paddings[-1].any():
        return None
    ties = _same(circuit, op)
    return ties if ties and circuit.same_scale(ties[0].first, ties[0].second) else None


def _paired(circuit: Circuit, op: schema.OperatorT) -> list[Tie] | None:
    (y,) = circuit.outputs(op)
    operands = circuit.inputs(op)
    ties = []
    for x in operands:
        if not circuit.is_codes(x):
            if not (circuit.is_constant(x) and _is_single(circuit, x)):
                return None
        elif circuit.width(x) == circuit.width(y):
            ties.append(Tie(x, y, np.arange(circuit.width(y))))
        elif not circuit.is_constant(x):
            return None  # one channel for all, which must be kept
    return ties if len(operands) == 2 and ties else None


def _is_single(circuit: Circuit, x: int) -> bool:
    return circuit.tensor(x).type == schema.TensorType.INT8 and circuit.shape(x) == ()


def _reshaped(circuit: Circuit, op: schema.OperatorT) -> list[Tie] | None:
    x, (y,) = circuit.inputs(op)[0], circuit.outputs(op)
    if not circuit.is_codes(x) or not circuit.same_scale(x, y):
        return None
    old, new = circuit.shape(x), circuit.shape(y)
    is_told = len(circuit.inputs(op)) < 2 or circuit.constant(circuit.inputs(op)[1]) is not None
    if not is_told or new[-1] % old[-1]:
        return None
    if new[-1] != old[-1]:
        # whole images to rows: the last dimensions of the input, all of fixed size, become one
        tail = [size for size in old[1:] if size > 0]
        if len(tail) != len(old) - 1 or np.prod(tail) != new[-1]:
            return None
    return [Tie(x, y, np.arange(new[-1]) % old[-1])]


def _joined(circuit: Circuit, op: schema.OperatorT) -> list[Tie] | None:
    (y,) = circuit.outputs(op)
    parts, rank = circuit.inputs(op), len(circuit.shape(y))
    if len(set(parts)) != len(parts) or not all(map(circuit.is_codes, parts)):
        return None
    if not circuit.same_scale(*parts, y):
        return None
    widths = [circuit.width(x) for x in parts]
    if op.builtinOptions.axis % rank != rank - 1:
        if set(widths) != {circuit.width(y)}:
            return None  # a damaged file, which some kernels take nevertheless
        return [Tie(x, y, np.arange(circuit.width(y))) for x in parts]
    if sum(widths) != circuit.width(y):
        return None
    ties, start = [], 0
    for x in parts:
        channels = np.full(circuit.width(y), -1)
        channels[start : start + circuit.width(x)] = np.arange(circuit.width(x))
        ties.append(Tie(x, y, channels))
        start += circuit.width(x)
    return ties


def _convert_span(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    """Returns the range of a change of scale, with the clip of an activation function."""
    x, (y,) = circuit.inputs(op)[0], circuit.outputs(op)
    kinds = schema.ActivationFunctionType
    clip = {"RELU": kinds.RELU, "RELU6": kinds.RELU6, "RELU_N1_TO_1": kinds.RELU_N1_TO_1}
    activation = clip.get(circuit.name(op), kinds.NONE)
    return clip_range(_in_scale(circuit, x, y, spans(x)), activation, circuit.scale(y), circuit.zero(y))


def _mean_span(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    x, (y,) = circuit.inputs(op)[0], circuit.outputs(op)
    # the sum and the share of the zero point are rounded separately, and a half of the share up or down
    share = circuit.zero(x) * circuit.scale(x) / circuit.scale(y)
    if not circuit.same_scale(x, y) and abs(share % 1 - 0.5) < 2**-10:
        return full(circuit.width(y))
    found = _in_scale(circuit, x, y, spans(x), error=0.5)
    return clip_range(found, schema.ActivationFunctionType.NONE, circuit.scale(y), circuit.zero(y))


def _in_scale(circuit: Circuit, x: int, y: int, span: Span, error: float = 0.0) -> Span:
    if circuit.same_scale(x, y):
        return span
    return rescale_range(span, circuit.scale(x) / circuit.scale(y), (circuit.zero(x), circuit.zero(y)), error)


def _pool_span(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    x, (y,) = circuit.inputs(op)[0], circuit.outputs(op)
    return clip_range(spans(x), op.builtinOptions.fusedActivationFunction, circuit.scale(y), circuit.zero(y))


def _pad_span(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    given = circuit.inputs(op)
    if len(given) > 2:
        values = circuit.constant(given[2])
        if values is None or values.dtype != np.int8:
            return full(circuit.width(given[0]))
        value = int(values.ravel()[0])
    else:
        value = circuit.zero(given[0])
    low, high = spans(given[0])
    if not circuit.constant(given[1]).any():
        return low, high
    return np.minimum(low, value), np.maximum(high, value)


def _sum_span(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    (a, b), (y,) = circuit.inputs(op), circuit.outputs(op)
    if not (circuit.is_codes(a) and circuit.is_codes(b)):
        return full(circuit.width(y))
    sign = -1 if circuit.name(op) == "SUB" else 1
    factors = circuit.scale(a) / circuit.scale(y), sign * circuit.scale(b) / circuit.scale(y)
    zeros = circuit.zero(a), circuit.zero(b), circuit.zero(y)
    found = add_ranges(spans(a), spans(b), factors, zeros)
    wide = np.broadcast_to(found[0], circuit.width(y)), np.broadcast_to(found[1], circuit.width(y))
    return clip_range(wide, op.builtinOptions.fusedActivationFunction, circuit.scale(y), circuit.zero(y))


def _product_span(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    (a, b), (y,) = circuit.inputs(op), circuit.outputs(op)
    if not (circuit.is_codes(a) and circuit.is_codes(b)):
        return full(circuit.width(y))
    first, second = ([end - circuit.zero(x) for end in spans(x)] for x in (a, b))
    corners = [p * q + np.zeros(circuit.width(y), np.int64) for p in first for q in second]
    factor = np.float64(circuit.scale(a) * circuit.scale(b) / circuit.scale(y))
    found = requantize_range(np.minimum.reduce(corners), np.maximum.reduce(corners), factor, circuit.zero(y))
    return clip_range(
        widen_on_overflow(found), op.builtinOptions.fusedActivationFunction, circuit.scale(y), circuit.zero(y)
    )


def _reshape_span(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    (tie,) = ties_of(circuit, op)
    low, high = spans(tie.first)
    return low[tie.channels], high[tie.channels]


def _join_span(circuit: Circuit, op: schema.OperatorT, spans: Spans) -> Span:
    (y,) = circuit.outputs(op)
    low, high = np.full(circuit.width(y), HIGHEST), np.full(circuit.width(y), LOWEST)
    for tie in ties_of(circuit, op):
        at = tie.channels >= 0
        part = spans(tie.first)
        low[at] = np.minimum(low[at], part[0][tie.channels[at]])
        high[at] = np.maximum(high[at], part[1][tie.channels[at]])
    return clip_range((low, high), op.builtinOptions.fusedActivationFunction, circuit.scale(y), circuit.zero(y))


_TIES: dict[str, Callable[[Circuit, schema.OperatorT], list[Tie] | None]] = {
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "QUANTIZE", "LOGISTIC", "TANH"), _same),
    "RESIZE_NEAREST_NEIGHBOR": _same,
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D"), _pooled),
    **dict.fromkeys(("ADD", "SUB", "MUL"), _paired),
    **dict.fromkeys(("PAD", "PADV2"), _padded),
    "MEAN": _averaged,
    "RESHAPE": _reshaped,
    "CONCATENATION": _joined,
}
_SPANS: dict[str, Callable[[Circuit, schema.OperatorT, Spans], Span]] = {
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "QUANTIZE"), _convert_span),
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D"), _pool_span),
    **dict.fromkeys(("PAD", "PADV2"), _pad_span),
    **dict.fromkeys(("ADD", "SUB"), _sum_span),
    "MUL": _product_span,
    "MEAN": _mean_span,
    "RESHAPE": _reshape_span,
    "CONCATENATION": _join_span,
}
