"""Operations with a kernel: the range of their outputs, the inputs they do not need, and the removal of channels.

A convolution, a depthwise convolution and a dense layer are all sums over taps of weights times
inputs, plus a bias: `Product.weights` is (outputs, taps, inputs of one output).
"""

import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.file_formats import INT8
from tfcompress.tflite.optimizer.arithmetic import Span, clip_range, requantize_range
from tfcompress.tflite.optimizer.circuit import Circuit
from tfcompress.tflite.optimizer.sharing import numbers

# Kernel axes in the file: of outputs, and the order that makes them (outputs, taps..., inputs).
_CONVOLUTION, _DEPTHWISE, _DENSE = (0, 1, 2, 3), (3, 1, 2, 0), (0, 1)
_ORDERS = {"CONV_2D": _CONVOLUTION, "DEPTHWISE_CONV_2D": _DEPTHWISE, "FULLY_CONNECTED": _DENSE}
NAMES = frozenset(_ORDERS)
_CHUNK = 1 << 20  # weights that are computed with at a time
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False)
class Product:
    """An operation with a kernel in a supported form.

    Attributes:
        circuit: The graph.
        op: The operation.
        weights: (outputs, taps, inputs), int8.
        bias: Codes of the bias, (outputs,), int64.
        factor: Scale of the accumulators divided by that of the output, (outputs,).
        edge: Which taps may fall on padding, (taps,).
        slots: Channel of the input that each weight reads; (1, inputs), or (outputs, 1) of a
            depthwise one.
    """

    circuit: Circuit
    op: schema.OperatorT
    weights: np.ndarray
    bias: np.ndarray
    factor: np.ndarray
    edge: np.ndarray
    slots: np.ndarray

    @property
    def x(self) -> int:
        """Number of its input."""
        return self.circuit.inputs(self.op)[0]

    @property
    def y(self) -> int:
        """Number of its output."""
        return self.circuit.outputs(self.op)[0]

    @property
    def is_mixing(self) -> bool:
        """Whether each output reads all channels, not one channel of its own."""
        return self.slots.shape[0] == 1

    @cached_property
    def is_safe(self) -> bool:
        """Whether no input can overflow a 32-bit accumulator."""
        most = np.abs(self.bias) + INT8.activations.steps * np.abs(self.weights.astype(np.int64)).sum((1, 2))
        return bool((most < _INT32.max).all())

    def span(self, given: Span) -> Span:
        """Returns the codes that its outputs can have.

        Args:
            given: Codes that the input can have.
        """
        low, high = self._accumulators(given)
        return self._codes(low, high)

    def removable_inputs(self, given: Span) -> np.ndarray:
        """Returns which input channels a mixing operation can do without, (channels,).

        Those whose weights are all zero; those that are always at the zero point, as padding is; and
        other constant ones, if they add the same at every position.
        """
        low, high = given
        inputs = self.weights.any((0, 1)).reshape(-1, len(low)).any(0)
        at_edge = self.weights[:, self.edge].any((0, 1)).reshape(-1, len(low)).any(0)
        constant = low == high
        at_zero = constant & (low == self.circuit.zero(self.x))
        return ~inputs | at_zero | (constant & ~at_edge & self.is_safe)

    def cut(self, kept_x: np.ndarray, kept_y: np.ndarray, given: Span) -> None:
        """Removes channels from kernel and bias; the contribution of constant inputs is added to the bias.

        Args:
            kept_x: Channels of the input to keep.
            kept_y: Channels of the output to keep.
            given: Codes that the input can have.
        """
        weights, bias = self.weights, self.bias
        if self.is_mixing:
            stays = np.isin(self.slots[0], kept_x)
            values = (given[0] - self.circuit.zero(self.x))[self.slots[0]]
            gone = ~stays & (weights.any((0, 1)))
            bias = bias + weights[:, :, gone].astype(np.int64).sum(1) @ values[gone]
            weights = weights[:, :, stays]
        self._store(weights[kept_y], bias[kept_y], kept_y)

    def zero_constant_outputs(self, given: Span) -> bool:
        """Replaces the kernels of outputs that are constant for every input by zeros and a bias.

        Args:
            given: Codes that the input can have.

        Returns:
            Whether there were any; channels of their inputs may be unread then.
        """
        low, high = self.span(given)
        zero = self.circuit.zero(self.y)
        bias = np.clip(np.rint((low - zero) / self.factor), _INT32.min, _INT32.max).astype(np.int64)
        found = self._codes(bias, bias)
        rows = (low == high) & (found[0] == low) & (found[1] == low) & self.weights.any((1, 2))
        if not rows.any():
            return False
        weights = np.where(rows[:, None, None], np.int8(0), self.weights)
        self._store(weights, np.where(rows, bias, self.bias), np.arange(len(rows)))
        return True

    def _codes(self, low: np.ndarray, high: np.ndarray) -> Span:
        scale, zero = self.circuit.scale(self.y), self.circuit.zero(self.y)
        activation = self.op.builtinOptions.fusedActivationFunction
        return clip_range(requantize_range(low, high, self.factor, zero), activation, scale, zero)

    def _accumulators(self, given: Span) -> Span:
        low, high = (end - self.circuit.zero(self.x) for end in given)
        edge = self.edge[:, None]
        outputs, taps, inputs = self.weights.shape
        step = max(1, _CHUNK // (taps * inputs))
        ends = []
        for start in range(0, outputs, step):
            rows = slice(start, start + step)
            slots = self.slots if self.is_mixing else self.slots[rows]
            least, most = low[slots][:, None], high[slots][:, None]
            # padding adds 0, so the range of a tap that may fall on it includes 0
            least, most = np.where(edge, np.minimum(least, 0), least), np.where(edge, np.maximum(most, 0), most)
            weights = self.weights[rows].astype(np.int64)
            up, down = np.maximum(weights, 0), np.minimum(weights, 0)
            ends.append(((up * least + down * most).sum((1, 2)), (up * most + down * least).sum((1, 2))))
        low, high = (np.concatenate(parts) for parts in zip(*ends, strict=True))
        return self.bias + low, self.bias + high

    def _store(self, weights: np.ndarray, bias: np.ndarray, kept: np.ndarray) -> None:
        circuit, op = self.circuit, self.op
        given = circuit.inputs(op)
        kernel = circuit.tensor(given[1])
        order = _ORDERS[circuit.name(op)]
        shape = np.array(numbers(kernel.shape))[list(order)]
        shape[0], shape[-1] = len(weights), weights.shape[2]
        stored = weights.reshape(shape).transpose(np.argsort(order))
        circuit.set_input(op, 1, circuit.add_constant(stored, _sliced(kernel, kept, len(self.bias))))
        if len(given) > 2 and given[2] >= 0:
            like = _sliced(circuit.tensor(given[2]), kept, len(self.bias))
        elif bias.any():
            like = _bias_tensor(circuit.scale(self.x), circuit.tensor(circuit.inputs(op)[1]))
        else:
            return
        circuit.set_input(op, 2, circuit.add_constant(bias, like))


def product_of(circuit: Circuit, op: schema.OperatorT) -> Product | None:
    """Reads an operation with a kernel.

    Args:
        circuit: The graph.
        op: The operation.

    Returns:
        What it computes; None for another operation or a form that is not supported (float, grouped,
        packed weights, several scales of the input, ...).
    """
    name, given = circuit.name(op), circuit.inputs(op)
    if name not in NAMES or len(given) < 2 or len(circuit.outputs(op)) != 1 or op.builtinOptions is None:
        return None
    x, (y,) = given[0], circuit.outputs(op)
    kernel = circuit.constant(given[1])
    if not (circuit.is_codes(x) and circuit.is_codes(y)) or circuit.is_constant(x):
        return None
    order = _ORDERS[name]
    scales = _kernel_scales(circuit.tensor(given[1]), order[0])
    if kernel is None or kernel.dtype != np.int8 or kernel.ndim != len(order) or scales is None:
        return None
    ordered = kernel.transpose(order)
    weights = ordered.reshape(len(ordered), -1, ordered.shape[-1])
    slots = _slots(circuit, op, weights)
    bias = _bias(circuit, given, len(weights), scales)
    if slots is None or bias is None or circuit.width(y) != len(weights):
        return None
    factor = np.broadcast_to(circuit.scale(x) * scales / circuit.scale(y), len(weights))
    return Product(circuit, op, weights, bias, factor, _edge(op, ordered.shape[1:-1]), slots)


def _slots(circuit: Circuit, op: schema.OperatorT, weights: np.ndarray) -> np.ndarray | None:
    name, shape = circuit.name(op), circuit.shape(circuit.inputs(op)[0])
    width, inputs = shape[-1], weights.shape[2]
    if name == "CONV_2D":
        return np.arange(width)[None] if inputs == width and len(shape) == 4 else None
    if name == "DEPTHWISE_CONV_2D":
        fits = inputs == 1 and len(shape) == 4 and len(weights) % width == 0
        return np.arange(len(weights))[:, None] // (len(weights) // width) if fits else None
    options = op.builtinOptions
    if options.weightsFormat:
        return None
    # a dense layer may flatten an image
    flattens = not options.keepNumDims and min(shape[1:], default=0) > 0 and np.prod(shape[1:]) == inputs
    return np.arange(inputs)[None] % width if inputs == width or flattens else None


def _bias(circuit: Circuit, given: list[int], outputs: int, scales: np.ndarray) -> np.ndarray | None:
    if len(given) < 3 or given[2] < 0:
        return np.zeros(outputs, np.int64)
    found = circuit.constant(given[2])
    usable = found is not None and found.dtype == np.int32 and found.size == outputs and found.ndim == 1
    # some kernels compare the bias scale with that of the products, others don't: both must give the same
    stored = circuit.tensor(given[2]).quantization
    if usable and stored is not None and numbers(stored.scale):
        held, expected = np.float64(stored.scale), circuit.scale(given[0]) * scales
        usable = held.size in (1, outputs) and bool(np.all(np.abs(held - expected) <= 0.01 * expected))
    return found.astype(np.int64) if usable else None


def _kernel_scales(kernel: schema.TensorT, axis: int) -> np.ndarray | None:
    found = kernel.quantization
    if found is None or found.details is not None or any(numbers(found.zeroPoint)):
        return None
    scales, shape = numbers(found.scale), numbers(kernel.shape)
    if len(shape) <= axis or (len(scales) > 1 and found.quantizedDimension != axis):
        return None
    return np.array(scales, np.float64) if len(scales) in (1, shape[axis]) and min(scales, default=0) > 0 else None


def _edge(op: schema.OperatorT, sides: tuple[int, ...]) -> np.ndarray:
    """Returns which taps of a kernel may fall on padding, for every size of the input, which a user may change."""
    taps = int(np.prod(sides))
    return np.full(taps, taps > 1 and op.builtinOptions.padding == schema.Padding.SAME)


def _sliced(tensor: schema.TensorT, kept: np.ndarray, channels: int) -> schema.TensorT:
    """Returns a tensor with the scales of the channels that are kept."""
    found = copy.copy(tensor)
    if tensor.quantization is not None:
        found.quantization = copy.copy(tensor.quantization)
        found.quantization.min = found.quantization.max = None
        for field in ("scale", "zeroPoint"):
            values = getattr(found.quantization, field)
            if channels > 1 and len(numbers(values)) == channels:
                setattr(found.quantization, field, np.ascontiguousarray(values[kept]))
    return found


def _bias_tensor(scale: float, kernel: schema.TensorT) -> schema.TensorT:
    scales = np.float32(scale) * np.asarray(kernel.quantization.scale, np.float32)
    zeros = np.zeros(len(scales), np.int64)
    return schema.TensorT(
        type=schema.TensorType.INT32,
        quantization=schema.QuantizationParametersT(scale=scales, zeroPoint=zeros),
        hasRank=kernel.hasRank,
    )
