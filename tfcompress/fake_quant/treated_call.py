"""Calls an operation by its plan: weights go through their transforms, activations through their ranges.

Callback and session share this computation: the patched live layer and the wrapper layer both call `run`. In
`Mode.EXPORT` the same code emits the constants and FakeQuant nodes that the LiteRT converter reads, so the simulation
and the file cannot differ.
"""

import threading
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.attention import inner_parts
from tfcompress.fake_quant.forward_pass import ForwardPass
from tfcompress.fake_quant.input_scaling import ProductAndSum, constants
from tfcompress.fake_quant.inside.integer_functions import VALUES
from tfcompress.fake_quant.inside.integer_tables import floats_of, function_of
from tfcompress.fake_quant.intermediate_ranges import IntermediateRanges, fixed_limits, scale_channels
from tfcompress.fake_quant.litert_rounding import (
    convert_scale,
    is_int8,
    round_averages,
    round_bias,
    round_sums,
    scale_of,
    weight_step,
)
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.recurrent import layers as _recurrent  # noqa: F401  (its inner parts register themselves)
from tfcompress.fake_quant.transforms.masked_values import cut
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.fake_quant.transforms.ranges import APPLY
from tfcompress.fake_quant.weight_reads import bias_from_folding, factors_of, norm_constants, weights_to_read
from tfcompress.file_formats import INT8, is_stored
from tfcompress.graph.adapters import adapters
from tfcompress.graph.keras_private import call_arguments, override_attributes
from tfcompress.graph.variable_reads import ReplacedReads
from tfcompress.layer_table.integer_rewrites import normalized
from tfcompress.layer_table.lookup import AVERAGE, FOLD, JOIN, activation, activation_spec, spec_of


def run(plan: OpPlan, call: Callable, args: tuple, kwargs: dict, forward: ForwardPass):
    """Calls an operation as its plan says.

    Args:
        plan: The plan.
        call: The operation's own call.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.
        forward: The pass.

    Returns:
        The outputs, in the structure and dtype of the plain call.
    """
    t = plan
    if t.cuts is not None:
        args, kwargs = cut((args, kwargs), t.cuts, _constant_places(t.op))
    if forward.mode.exports:
        with tf.name_scope(f"tfc{t.index}_"):
            return _finished(t, _through(t, call, args, kwargs, forward), forward)
    is_known = forward.mode.simulates and any(t.sources) and is_int8(t.target)
    if is_known and spec_of(t.op).grid == JOIN and len(t.sources) > 1:
        args, kwargs = _on_one_scale(t, args, kwargs)
    outputs = _through(t, call, args, kwargs, forward)
    is_product = spec_of(t.op).product and t.normalizes is None
    if is_known and is_product and len(t.sources) == 2 and all(t.sources):
        outputs = round_sums(outputs, t.sources[0], scale_of(t.sources[1]), t.target)
    return _finished(t, outputs, forward)


def _constant_places(op) -> frozenset[int]:
    """Returns the numbers of the constants among the leaves of the arguments of an operation's call."""
    known = getattr(op, "constants", None)  # of an operation inside of a layer
    if known is not None:
        return known
    return frozenset(k for k, x in enumerate(call_arguments(op)) if not isinstance(x, keras.KerasTensor))


def _on_one_scale(t, args, kwargs):
    """Converts the arguments of a joining call (Concatenate) to the scale of its result."""
    sources = iter(t.sources)

    def moved(x):
        if not isinstance(x, tf.Tensor) or x.dtype == tf.bool:
            return x
        source = next(sources, None)
        if source is None or source is t.target:
            return x
        return tf.cast(convert_scale(tf.cast(x, tf.float32), source, t.target), x.dtype)

    return keras.tree.map_structure(moved, (args, kwargs))


def _through(t, call, args, kwargs, forward):
    """Calls the operation with its weights and its activation function replaced."""
    if t.folds and forward.mode.folds:
        x = _scaled_tensor(t, args, kwargs)
        is_late = forward.mode.exports or not x.dtype.is_integer  # the kernel behind it takes floats, as the file does
        return x if is_late else tf.cast(x, getattr(t.op, "compute_dtype", "float32"))
    if t.affine and forward.mode.folds:
        return _scaled(t, call, args, kwargs, forward)
    if forward.mode.exports and spec_of(t.op).function == "cast" and (made := _looked_up(t, args, kwargs)) is not None:
        return made
    values = weights_to_read(t, forward)
    inner = _laid_over(t, call, forward)
    if not values:
        return inner(*args, **kwargs)
    with override_attributes([adapter.off for adapter in adapters(t.op).values()]):
        outputs = _stateless(t.op, values, inner, args, kwargs)
    prepared = forward.prepared_for(t)
    is_late = prepared is None or forward.mode.exports
    bias = bias_from_folding(t, forward.mode, values) if is_late else prepared.bias
    outputs = outputs if bias is None else outputs + bias
    return outputs if t.before is not None else _summed(t, outputs, forward, t.target)


def _looked_up(t, args, kwargs):
    """Returns what a cast makes, from a table of an integer file; None where there is none."""
    x = next((x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, tf.Tensor)), None)
    span = t.outputs.get(0)
    if x is None:  # a cast of numbers
        return None
    if t.ends_function:
        return function_of(x, t.ends_function, t.inside[VALUES]) if VALUES in t.inside else None
    return floats_of(x, span) if x.dtype.is_integer and span is not None and is_int8(span) else None


def _summed(t, y, forward, target):
    """Rounds the sums of an operation's kernel as XNNPACK does, where all scales are known."""
    prepared = forward.prepared_for(t)
    step = prepared.step if prepared is not None else None
    if step is None or not is_int8(target) or step.shape[0] not in (1, y.shape[-1]):
        return y
    return tf.cast(round_sums(tf.cast(y, tf.float32), t.source, step, target), y.dtype)


def _laid_over(t, call, forward):
    """Returns the call with the activation, inner parts or the whole layer computed as in the file."""
    spec, changes = spec_of(t.op), []
    if t.before is not None or _rewritten(t, forward) is not None:
        changes.append((t.op, "activation", _activation(t, forward)))
    form = _formed(t, forward) if t.written and spec.written is not None else call
    form = _normalizing(t, forward) if t.normalizes is not None else form
    if not changes and not (t.written and spec.within is not None):
        return form

    def inner(*args, **kwargs):
        parts = inner_parts(spec.within, t.op, _inside(t, forward)) if t.written and spec.within is not None else []
        with override_attributes([*changes, *(p for p in parts if p[0] is not t.op or p[1] != "call")]):
            found = [value for owner, name, value in parts if owner is t.op and name == "call"]
            return (found[0] if found else form)(*args, **kwargs)

    return inner


def _activation(t, forward):
    plain = _rewritten(t, forward) or activation(t.op)
    how = forward.mode.ranges

    def activated(x):
        if t.before is None:
            return plain(x)
        x = _summed(t, x, forward, t.before)
        return plain(tf.cast(t.before(x, how=how, export=_knows_bounds(t, forward, t.before)), x.dtype))

    return activated


def _rewritten(t: OpPlan, forward: ForwardPass):
    """Returns the integer rewrite of the operation's activation function; None where it has none."""
    function = activation(t.op)
    if function is None or not spec_of(t.op).is_known:
        return None
    spec = activation_spec(function)
    if not t.written or spec.written is None or spec_of(t.op).step:
        return None
    inside = _inside(t, forward)
    inside.source = t.before if t.before is not None else inside.source
    return lambda x: tf.cast(spec.written(tf.cast(x, tf.float32), inside), x.dtype)


def _formed(t: OpPlan, forward: ForwardPass) -> Callable:
    """Returns the integer rewrite of the operation as a call."""

    def formed(*args, **kwargs):
        spec, grid = spec_of(t.op), _inside(t, forward)
        if spec.reads_all:
            return spec.written(t.op, args, kwargs, grid)
        x = args[0] if args else next(x for x in kwargs.values() if isinstance(x, tf.Tensor))
        made = spec.written(t.op, tf.cast(x, tf.float32), grid)
        return keras.tree.map_structure(lambda y: tf.cast(y, x.dtype), made)

    return formed


def _normalizing(t: OpPlan, forward: ForwardPass) -> Callable:
    """Returns the normalization that ends in an operation as a call; what it was divided by is not read."""

    def normalizing(*args, **kwargs):
        axes, epsilon, place = t.normalizes
        x = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, tf.Tensor)][place]
        return tf.cast(normalized(tf.cast(x, tf.float32), axes, epsilon, _inside(t, forward)), x.dtype)

    return normalizing


def _inside(t: OpPlan, forward: ForwardPass) -> IntermediateRanges:
    how, folds = forward.mode.ranges, forward.mode.folds
    is_integer = bool(t.outputs or t.inside or t.source or t.target or t.fixed)
    is_final = forward.prepared_for(t) is not None
    grids = {id(c.variable): c.find(QuantizeWeight) for c in t.chains.values()}
    axes = {key: grid.channel_axes for key, grid in grids.items() if grid is not None and is_stored(grid.codes)}
    made = (t.inside, _bits(t), how, forward.mode.exports, folds, t.source, t.target, is_integer, is_final, axes)
    return IntermediateRanges(*made)


def _bits(t: OpPlan) -> int:
    """Returns the number of bits of an operation's activations."""
    spans = (*t.inside.values(), *t.outputs.values(), t.before, t.source)
    return next((span.bits for span in spans if span is not None and type(span) is not tuple), INT8.activations.bits)


def _stateless(layer, values, call, args, kwargs):
    """Calls with some variables replaced; losses and updates of state made inside reach the real layer."""
    # a layer in float16 reads its weights as such, unless it runs in float32 for once
    own = {id(v): (v, v.value) for v in layer.variables if isinstance(v, keras.Variable)}
    own |= {id(v): (v, tf.cast(value, own[id(v)][1].dtype) if id(v) in own else value) for v, value in values}
    before = {key: value for key, (_, value) in own.items()}
    with ReplacedReads(own.values(), collect_losses=True) as scope:
        outputs = call(*args, **kwargs)
    for loss in scope.losses:
        layer.add_loss(loss)
    for v, after in scope.assigned(before):  # also of a range inside the call
        v.assign(after)
    return outputs


def _place(t) -> int:
    """Returns the number of the tensor that an operation scales, among the leaves of its arguments."""
    operand = getattr(t.op, "operand", None)
    return 0 if operand is None else operand.place


def _scaled_tensor(t, args, kwargs):
    """Returns the tensor that an operation scales."""
    return keras.tree.flatten((args, kwargs))[_place(t)]


def _factors(t, call, args, kwargs) -> tuple:
    """Returns factor and shift per channel of a scaling layer, from its outputs for ones and for zeros."""
    leaves, place = keras.tree.flatten((args, kwargs)), _place(t)
    channels, rank = leaves[place].shape[-1], len(leaves[place].shape)
    if isinstance(t.front, ProductAndSum):
        return tuple(np.broadcast_to(value, (channels,)) for value in constants(t.front))
    if spec_of(t.op).grid == FOLD and factors_of(t) is not None:
        factor, shift = norm_constants(t.op)
        return factor, tf.broadcast_to(shift, (channels,))

    def called(x):
        given, named = keras.tree.pack_sequence_as((args, kwargs), [*leaves[:place], x, *leaves[place + 1 :]])
        return tf.reshape(call(*given, **named), (-1,))

    ones = tf.ones((1,) * (rank - 1) + (channels,))
    shift = tf.zeros((channels,)) if spec_of(t.op).product else called(tf.zeros_like(ones))
    return called(ones) - shift, shift


def _scaled(t, call, args, kwargs, forward):
    """Computes a scaling that can't be folded into a kernel as a depthwise 1x1 convolution, exact in int8."""
    x, spec = _scaled_tensor(t, args, kwargs), spec_of(t.op)
    if forward.prepared_for(t) is not None and not (spec.product and spec.scale_and_shift is None):
        with tf.init_scope():  # TensorFlow would simplify the graph, which changes the rounding
            factor, shift = (np.asarray(v) for v in _factors(t, call, args, kwargs))
    else:
        factor, shift = _factors(t, call, args, kwargs)
    if not forward.mode.simulates:
        return scale_channels(x, factor, shift)
    factor, shift = tf.convert_to_tensor(factor), tf.convert_to_tensor(shift)
    y = scale_channels(x, factor, round_bias(shift, factor, (0,), t.source))
    if t.source is None or not is_int8(t.target):
        return y
    return round_sums(y, t.source, weight_step(factor, (0,)), t.target)


def _finished(t: OpPlan, outputs, forward: ForwardPass):
    """Rounds the outputs to their ranges, and keeps the first for a feature loss."""
    how = forward.mode.ranges
    flat = keras.tree.flatten(outputs)
    if VALUES in t.inside and flat[0].dtype.is_floating:  # the range of a table, which rounds nothing
        t.inside[VALUES](tf.stop_gradient(flat[0]), how=how)
    inside = set(map(id, t.inside.values()))
    for k, span in t.outputs.items():
        if id(span) in inside:  # a state of a recurrent layer, which left its loop on this grid
            continue
        if forward.mode.simulates and span is t.source and is_int8(span) and _averages(t):
            flat[k] = tf.cast(round_averages(flat[k], span), flat[k].dtype)
            continue
        flat[k] = tf.cast(span(flat[k], how=how, export=_knows_bounds(t, forward, span)), flat[k].dtype)
    if t.fixed is not None and forward.mode.simulates and _bits(t) == INT8.activations.bits and _averages(t):
        flat = [tf.cast(round_averages(x, t.fixed), x.dtype) for x in flat]
    elif t.fixed is not None and _shows_fixed(t, forward):
        flat = [tf.cast(_fixed(tf.cast(x, tf.float32), t.fixed, _bits(t)), x.dtype) for x in flat]
    if t.captures:
        t.features[threading.get_ident()] = flat[0]
    if not t.outputs and t.fixed is None:
        return outputs
    return keras.tree.pack_sequence_as(outputs, flat)


def _knows_bounds(t, forward, span) -> bool:
    """Whether the bounds of a range are final, and can be numbers in the graph."""
    is_final = forward.prepared_for(t) is not None and forward.mode.ranges == APPLY
    return forward.mode.exports or is_final and is_int8(span)


def _averages(t) -> bool:
    return spec_of(t.op).grid == AVERAGE


def _shows_fixed(t, forward) -> bool:
    """Whether an output is rounded to the range that LiteRT fixes; not at the model's end, where a loss reads it."""
    if not forward.mode.rounds_fixed:
        return False
    return forward.mode.simulates or not t.is_last


def _fixed(x, limits, bits):
    return tf.quantization.fake_quant_with_min_max_args(x, *fixed_limits(limits, bits), bits)
