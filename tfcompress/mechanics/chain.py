"""A layer's output with its weights read through their transforms and its activations through their ranges.

The one computation behind both forms: the wrapper layer and the hook on a live layer call `run`. The same code, told
`Mode.EXPORT`, emits the constants and FakeQuant nodes that the LiteRT converter reads, so the simulation and the file
cannot drift apart.
"""

import enum
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from tfcompress.facts.spec import AVERAGE, activation_spec, spec_of, weight
from tfcompress.mechanics.adapters import Adapter, adapter_of, adapters
from tfcompress.mechanics.attention import inner_parts
from tfcompress.mechanics.constraints import constrained
from tfcompress.mechanics.fronts import scaled_kernel
from tfcompress.mechanics.graph import constants, full_precision, overridden
from tfcompress.mechanics.inside import Inside, fixed_limits, scaled
from tfcompress.mechanics.runtime import averaged, on_bias_grid
from tfcompress.mechanics.transforms.quantize import QuantizeWeight
from tfcompress.mechanics.transforms.ranges import APPLY, OBSERVE, TRAIN, ActivationRange
from tfcompress.mechanics.variables import LARGE, Reading


class Mode(enum.Enum):
    """What a forward pass is for."""

    TRAIN = "train"  # ranges follow the batches
    TEST = "test"  # validation during fit
    OBSERVE = "observe"  # calibration: ranges look on, activations stay float
    FOLDED = "folded"  # the simulation of the file: BatchNormalization folded
    EXPORT = "export"  # the same, as constants and FakeQuant nodes for the converter


_HOW = {Mode.TRAIN: TRAIN, Mode.OBSERVE: OBSERVE}
_FOLDED = (Mode.FOLDED, Mode.EXPORT)


@dataclass
class Chain:
    """The transforms a weight is read through, in the order of their rank."""

    path: str
    variable: keras.Variable
    transforms: list = field(default_factory=list)
    adapter: Adapter | None = None
    is_borrowed: bool = False  # another operation reads the weight as well

    @classmethod
    def of(cls, layer: object, path: str) -> "Chain":
        """Returns an empty chain for the weight at an attribute path of a layer."""
        return cls(path, weight(layer, path), adapter=adapter_of(layer, path))

    def plain(self):
        """Returns the weight as it is, with its adapter."""
        w = tf.cast(full_precision(self.variable), tf.float32)
        return w if self.adapter is None else w + self.adapter.change()

    def add(self, transform) -> None:
        """Puts a transform at its place and builds its state."""
        self.transforms = sorted([*self.transforms, transform], key=lambda t: t.rank)
        if not transform.built:
            transform.build(tuple(self.variable.shape))

    def value(self, lasting: bool = False):
        """Returns the transformed weight; with `lasting`, without the rounding that only the file does."""
        return self.through(self.plain(), lasting)

    def through(self, w, lasting: bool = False):
        """Returns what the transforms make of a value of the weight."""
        for transform in self.transforms:
            if transform.lasting or not lasting:
                w = transform(w)
        return w

    def find(self, kind: type):
        """Returns the transform of a type, or None."""
        return next((t for t in self.transforms if isinstance(t, kind)), None)


@dataclass
class Treatment:
    """Everything that is done to one operation.

    Args:
        path: Unique path of the operation in its model.
        op: The layer or operation itself.
        index: Position in the model's list of treatments; names the operation in the exported graph.
        chains: Weight path to chain.
        outputs: Output number to the range behind it.
        before: Range between the layer's kernel and its activation function, where the two do not fuse.
        fixed: LiteRT's fixed output range, simulated.
        is_last: Whether the output is one of the model's.
        written: Whether the operation or its activation function is computed in its integer form.
        inside: Name to the range of a value inside that form.
        norm: BatchNormalization that is folded into this layer in the file.
        folds: Whether this operation is such a BatchNormalization, or a factor that the layers behind take over.
        front: Layer in front of the model whose factor and offset this layer takes over in the file.
        affine: Whether the file holds this operation as a factor and a shift per channel.
        source: Where the scale of its (first) input comes from: a range, fixed limits, or None where that is unknown.
        table: Range that gives what is looked up its scale; in the file the table itself lies on it.
        captures: Whether the output is kept for a loss between features.
        exported: `(variable, value, what holds it)` for every constant of an export under way.
        ready: What the operation reads in passes under way in which nothing trains; None in all others.
    """

    path: str
    op: object
    index: int
    chains: dict[str, Chain] = field(default_factory=dict)
    outputs: dict[int, ActivationRange] = field(default_factory=dict)
    before: ActivationRange | None = None
    fixed: tuple[float, float] | None = None
    is_last: bool = False
    written: bool = False
    inside: dict[str, ActivationRange] = field(default_factory=dict)
    norm: object = None
    folds: bool = False
    front: object = None
    affine: bool = False
    source: object = None
    table: object = None
    captures: bool = False
    exported: list = field(default_factory=list)
    ready: tuple | None = None

    def bake(self) -> None:
        """Writes the lasting part of every chain into its weight."""
        for chain in self.chains.values():
            value = constrained(chain, chain.value(lasting=True))
            for transform in chain.transforms:
                if hasattr(transform, "settle"):
                    transform.settle(chain.plain())
            chain.variable.assign(value)
            if chain.adapter is not None:
                chain.adapter.clear()


captured = threading.local()
"""Outputs of the operations that a feature loss asked for; each replica of a strategy traces in its own thread."""


def run(treatment: Treatment, call: Callable, args: tuple, kwargs: dict, mode: Mode):
    """Calls an operation under its treatment.

    Args:
        treatment: What to do.
        call: The operation's own call.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.
        mode: What the pass is for.

    Returns:
        The outputs, in the structure and dtype of the plain call.
    """
    t = treatment
    if mode is Mode.EXPORT:
        with tf.name_scope(f"tfc{t.index}_"):
            return _finished(t, _through(t, call, args, kwargs, mode), mode)
    return _finished(t, _through(t, call, args, kwargs, mode), mode)


def _through(t, call, args, kwargs, mode):
    """The call itself, with weights and the inner activation replaced."""
    if t.folds and mode in _FOLDED:
        return args[0]
    if t.affine and mode in _FOLDED:
        return _scaled(t, call, args[0], mode)
    values = _values(t, mode)
    inner = _laid_over(t, call, mode)
    if not values:
        return inner(*args, **kwargs)
    with overridden([adapter.off for adapter in adapters(t.op).values()]):
        outputs = _stateless(t.op, values, inner, args, kwargs)
    bias = _late_bias(t, mode, values) if t.ready is None else t.ready[1]
    return outputs if bias is None else outputs + bias


def _laid_over(t, call, mode):
    """The call with the layer's activation, its parts or all of it as the file computes them."""
    spec, changes = spec_of(t.op), []
    if t.before is not None or _rewritten(t, mode) is not None:
        changes.append((t.op, "activation", _activation(t, mode)))
    form = _formed(t, mode) if t.written and spec.written is not None else call
    if not changes and not (t.written and spec.within is not None):
        return form

    def inner(*args, **kwargs):
        parts = inner_parts(spec.within, t.op, _inside(t, mode)) if t.written and spec.within is not None else []
        with overridden([*changes, *(p for p in parts if p[0] is not t.op or p[1] != "call")]):
            own = next((value for owner, name, value in parts if owner is t.op and name == "call"), form)
            return own(*args, **kwargs)

    return inner


def _activation(t, mode):
    plain = _rewritten(t, mode) or t.op.activation
    how = _HOW.get(mode, APPLY)

    def activation(x):
        if t.before is None:
            return plain(x)
        return plain(tf.cast(t.before(x, how=how, export=_knows_bounds(t, mode, t.before)), x.dtype))

    return activation


def _rewritten(t: Treatment, mode: Mode):
    """The operation's activation as the file computes it, where that differs from Keras' own."""
    function = getattr(t.op, "activation", None)
    if not callable(function) or not spec_of(t.op).is_known:
        return None
    spec = activation_spec(function)
    if t.written and spec.written is not None and not spec_of(t.op).step:
        return lambda x: tf.cast(spec.written(tf.cast(x, tf.float32), _inside(t, mode)), x.dtype)
    return spec.in_steps if mode is Mode.FOLDED and (t.before is not None or t.outputs) and _bits(t) == 8 else None


def _formed(t: Treatment, mode: Mode) -> Callable:
    """The operation's integer form."""

    def formed(x, *args, **kwargs):
        return tf.cast(spec_of(t.op).written(t.op, tf.cast(x, tf.float32), _inside(t, mode)), x.dtype)

    return formed


def _inside(t: Treatment, mode: Mode) -> Inside:
    return Inside(t.inside, _bits(t), _HOW.get(mode, APPLY), mode is Mode.EXPORT, mode in _FOLDED, t.source)


def _bits(t: Treatment) -> int:
    """Bits of the activations of an operation."""
    spans = [*t.inside.values(), *t.outputs.values(), t.before, t.source]
    return next((span.bits for span in spans if isinstance(span, ActivationRange)), 8)


def _values(t: Treatment, mode: Mode) -> list[tuple[keras.Variable, object]]:
    """Variables of the layer and what the call shall read instead."""
    if mode is Mode.EXPORT:
        return [(v, _on_one_scale(t, v, value, held)) for v, value, held in t.exported]
    if t.ready is not None:
        return [(v, tf.convert_to_tensor(value)) for v, value in t.ready[0]]
    return list(_read(t, mode).values())


def prepare(t: Treatment, mode: Mode) -> None:
    """Computes what an operation reads before its graph is traced, for passes in which nothing trains.

    In the graph it would be some thirty nodes for each kernel, and every batch would compute them again.

    Args:
        t: The treatment; its `ready` is filled, to be made None when the passes are done.
        mode: What the passes are for.
    """
    values = list(_read(t, mode).values())
    t.ready = values, _late_bias(t, mode, values)


def prepare_export(t: Treatment) -> list[tf.Variable]:
    """Computes the constants of an operation before its graph is traced.

    Large ones are held in variables that the converter freezes: inside the graph they would be copied many times.

    Args:
        t: The treatment; its `exported` is filled, to be cleared when the export is done.

    Returns:
        The variables.
    """
    values = {i: (v, np.asarray(value)) for i, (v, value) in _read(t, Mode.EXPORT).items()}
    for variable, value in constants(t.op):
        values.setdefault(id(variable), (variable, value))
    for variable, value in values.values():
        large = value.size >= LARGE
        t.exported.append((variable, value, tf.Variable(value, trainable=False) if large else value))
    return [held for _, _, held in t.exported if isinstance(held, tf.Variable)]


def _on_one_scale(t: Treatment, variable, value, held):
    """Scales per channel are inferred by the converter from the constant; one scale per tensor it must be told."""
    chain = next((c for c in t.chains.values() if c.variable is variable), None)
    held = tf.convert_to_tensor(held)
    if t.table is not None and chain is not None and len(t.chains) == 1:
        return t.table(held, export=True)  # what is looked up keeps the table's scale
    grid = chain.find(QuantizeWeight) if chain is not None else None
    if grid is None or grid.channel_axes or grid.bits != 8 or not grid.symmetric:
        return held
    bound = float(np.abs(value).max()) or 1.0
    return tf.quantization.fake_quant_with_min_max_args(held, -bound, bound, narrow_range=True)


def _read(t: Treatment, mode: Mode) -> dict:
    chains = [*t.chains.values(), *(Chain.of(t.op, p) for p in adapters(t.op) if p not in t.chains)]
    values = {id(c.variable): (c.variable, c.value()) for c in chains}
    if t.front is not None and mode in _FOLDED:
        values |= _fronted(t, values)
    if t.norm is not None and mode in _FOLDED:
        values |= _folded(t, values)
    bias = getattr(t.op, "bias", None)
    if mode is Mode.FOLDED and isinstance(bias, keras.Variable):
        value = values.get(id(bias), (bias, full_precision(bias)))[1]
        values[id(bias)] = (bias, _rounded_bias(t, value, values))
    return values


def largest_weight(t: Treatment) -> float | None:
    """Returns the largest weight that one value of the input is multiplied with in the file; None without kernels."""
    spec = spec_of(t.op)
    if t.affine and isinstance(t.op, keras.layers.BatchNormalization):
        return float(np.abs(norm_constants(t.op)[0]).max())
    if not t.chains or spec.step or spec.inner:
        return None
    read = _read(t, Mode.FOLDED)
    peaks = [float(np.abs(read[id(c.variable)][1]).max()) for c in t.chains.values()]
    return float(np.prod(peaks)) if len(peaks) <= 2 else max(peaks)


def _rounded_bias(t: Treatment, bias, values: dict):
    """The bias as the file holds it; known for layers with one quantized kernel and one source."""
    spec = spec_of(t.op)
    grid = t.chains[spec.kernels[0]].find(QuantizeWeight) if len(t.chains) == 1 else None
    if grid is None or grid.bits != 8 or not grid.symmetric or len(spec.kernels) > 1 or spec.inner:
        return bias
    if not spec.is_known:
        return bias
    if spec.step or getattr(t.source, "bits", 8) != 8:
        return bias
    kernel = values[id(t.chains[spec.kernels[0]].variable)][1]
    axes = spec.channel_axes(spec.kernels[0]) if t.norm is not None else grid.channel_axes
    return on_bias_grid(bias, kernel, spec.axes[spec.kernels[0]], axes, t.source)


def _stateless(layer, values, call, args, kwargs):
    """Calls with some variables replaced; losses and updates of state made inside reach the real layer."""
    # a layer in float16 reads its weights as such, unless it runs in float32 for once
    own = {id(v): (v, v.value) for v in layer.variables}
    own |= {id(v): (v, tf.cast(value, own[id(v)][1].dtype) if id(v) in own else value) for v, value in values}
    before = {key: value for key, (_, value) in own.items()}
    with Reading(own.values(), collect_losses=True) as scope:
        outputs = call(*args, **kwargs)
    for loss in scope.losses:
        layer.add_loss(loss)
    for v, after in scope.assigned(before):  # also of a range inside the call
        v.assign(after)
    return outputs


def norm_constants(norm, mode: Mode = Mode.FOLDED) -> tuple:
    """Returns `(factor, shift)`, both `(channels,)`: the normalization at inference is `x * factor + shift`."""
    if mode is Mode.EXPORT:
        with tf.init_scope():
            return tuple(np.asarray(x) for x in norm_constants(norm))
    factor = 1.0 / tf.sqrt(full_precision(norm.moving_variance) + norm.epsilon)
    if norm.gamma is not None:
        factor = factor * full_precision(norm.gamma)
    shift = -full_precision(norm.moving_mean) * factor
    return factor, shift if norm.beta is None else shift + full_precision(norm.beta)


def _fronted(t: Treatment, values: dict) -> dict:
    """The kernel for raw inputs, and the bias with what an offset in front adds to it."""
    kernel, shift = scaled_kernel(t.op, t.front, _first_kernel(t, values)[1])
    new = {id(variable): (variable, kernel) for variable in [_first_kernel(t, values)[0]]}
    bias = getattr(t.op, "bias", None)
    if shift is not None and bias is not None:
        new[id(bias)] = (bias, full_precision(bias) + tf.reshape(shift, bias.shape))
    return new


def _first_kernel(t: Treatment, values: dict) -> tuple:
    path = spec_of(t.op).kernels[0]
    variable = weight(t.op, path)
    return values.get(id(variable), (variable, full_precision(variable)))


def _folded(t: Treatment, values: dict) -> dict:
    """The kernel times the normalization's factor (exact: codes stay, only scales change), and the bias."""
    factor, shift = norm_constants(t.norm)
    path, letters = fold_target(t.op)
    variable = weight(t.op, path)
    kernel = values.get(id(variable), (variable, full_precision(variable)))[1]
    shape = [size if letter in "ocm" else 1 for size, letter in zip(kernel.shape, letters, strict=True)]
    new = {id(variable): (variable, kernel * tf.reshape(factor, shape))}
    bias = getattr(t.op, "bias", None)
    if bias is not None:
        held = values.get(id(bias), (bias, full_precision(bias)))[1]
        new[id(bias)] = (bias, held * factor + shift)
    return new


def _late_bias(t: Treatment, mode: Mode, values: list):
    """The folded shift of a layer that has no bias of its own to carry it."""
    if mode not in _FOLDED or getattr(t.op, "bias", None) is not None:
        return None
    if mode is Mode.EXPORT:
        with tf.init_scope():
            shift = _shift(t)
            return None if shift is None else np.asarray(shift)
    shift = _shift(t)
    if shift is None:
        return None
    return _rounded_bias(t, shift, {id(v): (v, value) for v, value in values})


def _shift(t: Treatment):
    """What a normalization behind and an offset in front add to every output channel, together."""
    shift = None
    if t.front is not None:
        values = {id(c.variable): (c.variable, c.value()) for c in t.chains.values()}
        shift = scaled_kernel(t.op, t.front, _first_kernel(t, values)[1])[1]
    if t.norm is None:
        return shift
    factor, own = norm_constants(t.norm)
    return own if shift is None else own + factor * shift


def fold_target(layer) -> tuple[str, str]:
    """Returns path and axis letters of the kernel that carries the output channels of a layer."""
    spec = spec_of(layer)
    path = spec.kernels[-1]
    return path, spec.axes[path]


def _factors(t, call, channels: int, rank: int) -> tuple:
    """Factor and shift of a layer that scales and shifts: what it makes of ones and of zeros."""
    if isinstance(t.op, keras.layers.BatchNormalization):
        return norm_constants(t.op)
    ones = tf.ones((1,) * (rank - 1) + (channels,))
    shift = tf.reshape(call(tf.zeros_like(ones)), (-1,))
    return tf.reshape(call(ones), (-1,)) - shift, shift


def _scaled(t, call, x, mode):
    """A scaling nothing can carry, as a depthwise 1x1 convolution: one exact integer op."""
    if mode is Mode.EXPORT:
        with tf.init_scope():
            factor, shift = (np.asarray(v) for v in _factors(t, call, x.shape[-1], len(x.shape)))
    else:
        factor, shift = _factors(t, call, x.shape[-1], len(x.shape))
    if mode is Mode.FOLDED:
        shift = on_bias_grid(shift, factor, "c", (0,), t.source)
    return scaled(x, factor, shift)


def _finished(t: Treatment, outputs, mode: Mode):
    """Puts the ranges behind the outputs and keeps what a feature loss asked for."""
    how = _HOW.get(mode, APPLY)
    flat = keras.tree.flatten(outputs)
    for k, span in t.outputs.items():
        if mode is Mode.FOLDED and span is t.source and span.bits == 8 and _averages(t):
            flat[k] = tf.cast(averaged(flat[k], *span.bounds()), flat[k].dtype)
            continue
        flat[k] = tf.cast(span(flat[k], how=how, export=_knows_bounds(t, mode, span)), flat[k].dtype)
    if t.fixed is not None and _shows_fixed(t, mode):
        flat = [tf.cast(_fixed(tf.cast(x, tf.float32), t.fixed, _bits(t)), x.dtype) for x in flat]
    if t.captures:
        if not hasattr(captured, "features"):
            captured.features = {}
        captured.features[t.path] = flat[0]
    if not t.outputs and t.fixed is None:
        return outputs
    return keras.tree.pack_sequence_as(outputs, flat)


def _knows_bounds(t, mode, span) -> bool:
    """Whether a range is final, so that its bounds can be numbers in the graph; an export has none of other widths."""
    return mode is Mode.EXPORT or mode is Mode.FOLDED and t.ready is not None and span.bits == 8


def _averages(t) -> bool:
    return spec_of(t.op).grid == AVERAGE


def _shows_fixed(t, mode) -> bool:
    """The converter knows fixed ranges by itself; a loss on the model's own output wants unrounded probabilities."""
    if mode in (Mode.EXPORT, Mode.OBSERVE):
        return False
    return mode is Mode.FOLDED or not t.is_last


def _fixed(x, limits, bits):
    return tf.quantization.fake_quant_with_min_max_args(x, *fixed_limits(limits, bits), bits)
