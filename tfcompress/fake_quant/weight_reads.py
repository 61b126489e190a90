"""Computes the weights that an operation reads: transformed in training, and folded and rounded for the file."""

import keras
import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.forward_pass import ForwardPass, Mode, PreparedWeights
from tfcompress.fake_quant.input_scaling import ProductAndSum, fold_scaling
from tfcompress.fake_quant.input_scaling import constants as constants_of
from tfcompress.fake_quant.litert_rounding import round_bias, weight_step
from tfcompress.fake_quant.op_plan import OpPlan, WeightChain
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.file_formats import INT8, is_stored
from tfcompress.graph.adapters import adapters
from tfcompress.graph.keras_private import constants, full_precision
from tfcompress.graph.variable_reads import LARGE, told_apart
from tfcompress.layer_table.axes import Axes
from tfcompress.layer_table.lookup import FOLD, spec_of, weight


def weights_to_read(t: OpPlan, forward: ForwardPass) -> list[tuple[keras.Variable, object]]:
    """Returns pairs of a variable of the layer and the value that its call reads instead.

    Args:
        t: The plan of the operation.
        forward: The forward pass.
    """
    prepared = forward.prepared_for(t)
    if prepared is None:
        return list(_read(t, forward.mode).values())
    if forward.mode.exports:
        return [(v, _on_one_scale(t, v, value, held)) for v, value, held in prepared.values]
    return [(v, tf.convert_to_tensor(value)) for v, value, _ in prepared.values]


def prepare(t: OpPlan, mode: Mode) -> PreparedWeights:
    """Computes the weights that an operation reads before its graph is traced, for passes without training.

    In the graph this would take some thirty nodes for each kernel, computed again for every batch.

    Args:
        t: The plan of the operation.
        mode: The mode of the passes.
    """
    values = list(_read(t, mode).values())
    step = _weight_step(t, values) if mode.simulates else None
    return PreparedWeights([(v, value, value) for v, value in values], bias_from_folding(t, mode, values), step)


def prepare_export(t: OpPlan) -> PreparedWeights:
    """Computes the constants of an operation in the file before its graph is traced.

    Large ones are held in variables that the converter freezes; as constants of the graph they would be copied often.
    """
    values = {i: (v, told_apart(np.asarray(value))) for i, (v, value) in _read(t, Mode.EXPORT).items()}
    for variable, value in constants(t.op):
        values.setdefault(id(variable), (variable, told_apart(value)))

    def holder(value):
        return tf.Variable(value, trainable=False) if value.size >= LARGE else value

    return PreparedWeights([(variable, value, holder(value)) for variable, value in values.values()])


def _on_one_scale(t: OpPlan, variable, value, held):
    """Adds a FakeQuant node to a constant with one scale per tensor; the converter infers scales per channel itself."""
    chain = next((c for c in t.chains.values() if c.variable is variable), None)
    held = tf.convert_to_tensor(held)
    if t.table is not None and chain is not None and len(t.chains) == 1:
        return t.table(held, export=True)  # the values looked up keep the scale of the table
    grid = chain.find(QuantizeWeight) if chain is not None else None
    if grid is None or grid.channel_axes or not is_stored(grid.codes):
        return held
    bound = float(np.abs(value).max()) or 1.0
    return tf.quantization.fake_quant_with_min_max_args(held, -bound, bound, narrow_range=True)


def _read(t: OpPlan, mode: Mode) -> dict:
    chains = [*t.chains.values(), *(WeightChain.of(t.op, p) for p in adapters(t.op) if p not in t.chains)]
    values = {id(c.variable): (c.variable, c.value()) for c in chains}
    if t.front is not None and mode.folds and not t.affine:
        values |= _fronted(t, values)
    if t.norm is not None and mode.folds:
        values |= _folded(t, values)
    bias = getattr(t.op, "bias", None)
    if mode.simulates and isinstance(bias, keras.Variable):
        value = values.get(id(bias), (bias, full_precision(bias)))[1]
        values[id(bias)] = (bias, _rounded_bias(t, value, values))
    return values


def largest_weight(t: OpPlan) -> float | None:
    """Returns the largest absolute weight that an input value is multiplied with in the file; None without kernels."""
    spec = spec_of(t.op)
    if t.affine and (factors := factors_of(t)) is not None:
        return float(np.abs(factors).max())
    if not t.chains or spec.step or spec.inner:
        return None
    read = _read(t, Mode.FOLDED)
    peaks = [float(np.abs(read[id(c.variable)][1]).max()) for c in t.chains.values()]
    return float(np.prod(peaks)) if len(peaks) <= 2 else max(peaks)


def factors_of(t: OpPlan):
    """Returns the factors of an operation that scales channels; None where only its call knows them."""
    if isinstance(t.front, ProductAndSum):
        return constants_of(t.front)[0]
    spec = spec_of(t.op)
    is_known = spec.grid == FOLD and not (spec.product and spec.scale_and_shift is None)
    return norm_constants(t.op)[0] if is_known else None


def _rounded_bias(t: OpPlan, bias, values: dict):
    """Rounds the bias as in the file; only for layers with one quantized kernel and one input scale."""
    axes = _scaled_axes(t)
    if axes is None:
        return bias
    path = spec_of(t.op).kernels[0]
    chain = t.chains[path]
    kernel, codes = values[id(chain.variable)][1], chain.find(QuantizeWeight).codes
    return round_bias(bias, kernel, axes, t.source, codes)


def _scaled_axes(t: OpPlan) -> tuple[int, ...] | None:
    """Returns the axes of a layer's int8 kernel with a scale per entry; None without a single such kernel."""
    spec = spec_of(t.op)
    grid = t.chains[spec.kernels[0]].find(QuantizeWeight) if len(t.chains) == 1 else None
    if grid is None or not is_stored(grid.codes) or len(spec.kernels) > 1 or spec.inner:
        return None
    if not spec.is_known or spec.step or getattr(t.source, "bits", INT8.activations.bits) != INT8.activations.bits:
        return None
    return spec.channel_axes(spec.kernels[0]) if t.norm is not None else grid.channel_axes


def _weight_step(t: OpPlan, values: list):
    """Returns the scale of the kernel in the file, one or one per output channel; None where it is not known."""
    axes = _scaled_axes(t)
    if axes is None or t.source is None:
        return None
    path = spec_of(t.op).kernels[0]
    chain = t.chains[path]
    kernel = next(value for v, value in values if v is chain.variable)
    return weight_step(kernel, axes, chain.find(QuantizeWeight).codes)


def norm_constants(norm, mode: Mode = Mode.FOLDED) -> tuple:
    """Returns `(factor, shift)` of what is folded into a kernel at inference, `x * factor + shift`.

    Both are `(channels,)` for a BatchNormalization; a product with a constant has one factor, or one for each channel.
    """
    if mode.exports:
        with tf.init_scope():
            return tuple(np.asarray(x) for x in norm_constants(norm))
    if spec_of(norm).scale_and_shift is not None:
        return tuple(tf.convert_to_tensor(x, tf.float32) for x in constants_of(norm))
    factor = 1.0 / tf.sqrt(full_precision(norm.moving_variance) + norm.epsilon)
    if norm.gamma is not None:
        factor = factor * full_precision(norm.gamma)
    shift = -full_precision(norm.moving_mean) * factor
    return factor, shift if norm.beta is None else shift + full_precision(norm.beta)


def _fronted(t: OpPlan, values: dict) -> dict:
    """Folds input scaling: returns the kernel for raw inputs, and the bias with the share of the offset added."""
    kernel, shift = fold_scaling(t.op, t.front, _first_kernel(t, values)[1])
    new = {id(variable): (variable, kernel) for variable in [_first_kernel(t, values)[0]]}
    bias = getattr(t.op, "bias", None)
    if shift is not None and bias is not None:
        new[id(bias)] = (bias, full_precision(bias) + tf.reshape(shift, bias.shape))
    return new


def _first_kernel(t: OpPlan, values: dict) -> tuple:
    path = spec_of(t.op).kernels[0]
    variable = weight(t.op, path)
    return values.get(id(variable), (variable, full_precision(variable)))


def _folded(t: OpPlan, values: dict) -> dict:
    """Folds BatchNormalization into kernel and bias; exact, for only the scales of the kernel change, not its codes."""
    factor, shift = norm_constants(t.norm)
    path, axes = fold_target(t.op)
    variable = weight(t.op, path)
    kernel = values.get(id(variable), (variable, full_precision(variable)))[1]
    shape = axes.shape_of_outputs(kernel.shape)
    new = {id(variable): (variable, kernel * (tf.reshape(factor, shape) if factor.shape.rank else factor))}
    bias = getattr(t.op, "bias", None)
    if bias is not None:
        held = values.get(id(bias), (bias, full_precision(bias)))[1]
        new[id(bias)] = (bias, held * factor + shift)
    return new


def bias_from_folding(t: OpPlan, mode: Mode, values: list):
    """Returns the bias that folding gives a layer without a bias of its own; None where there is none.

    Args:
        t: The plan of the operation.
        mode: The mode of the pass.
        values: Pairs of a variable and the value that is read in its place.
    """
    if not mode.folds or getattr(t.op, "bias", None) is not None:
        return None
    if mode.exports:
        with tf.init_scope():
            shift = _shift(t)
            return None if shift is None else told_apart(np.asarray(shift))
    shift = _shift(t)
    if shift is None:
        return None
    return _rounded_bias(t, shift, {id(v): (v, value) for v, value in values})


def _shift(t: OpPlan):
    """Returns what a folded normalization and a folded input offset together add to every output channel."""
    shift = None
    if t.front is not None and not t.affine:
        values = {id(c.variable): (c.variable, c.value()) for c in t.chains.values()}
        shift = fold_scaling(t.op, t.front, _first_kernel(t, values)[1])[1]
    if t.norm is None:
        return shift
    factor, own = norm_constants(t.norm)
    if spec_of(t.norm).product or spec_of(t.norm).is_quotient:  # it adds nothing
        return None if shift is None else factor * shift
    return own if shift is None else own + factor * shift


def fold_target(layer) -> tuple[str, Axes]:
    """Returns path and axes of the kernel that a BatchNormalization is folded into: the last one of a layer."""
    spec = spec_of(layer)
    path = spec.kernels[-1]
    return path, spec.axes[path]
