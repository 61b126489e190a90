"""Post-training quantization with the same operation plans as training; representative data set the ranges."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfcompress.fake_quant.op_plan import OpPlan, WeightChain
from tfcompress.fake_quant.range_requests import make_ranges
from tfcompress.fake_quant.state import CompressionState
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.fake_quant.transforms.ranges import ActivationRange, PercentileRange
from tfcompress.file_formats import INT8, Codes, FileFormat
from tfcompress.graph.custom_code import borrowed_weights
from tfcompress.graph.inside.opened import operations
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import has_weight, spec_of

_MOST_VALUES = INT8.activations.count + 1  # those of a codebook of one byte, and zero


def channels(w, is_folded: bool) -> bool:
    """Rule of `quantized_state`: every kernel gets one scale per channel."""
    return False


def tensors(w, is_folded: bool) -> bool:
    """Rule of `quantized_state`: a kernel gets one scale, unless a BatchNormalization is folded into it."""
    return not is_folded


def clustered(w, is_folded: bool) -> bool:
    """Rule of `quantized_state`: kernels that `is_shared` finds clustered get one scale."""
    return not is_folded and is_shared(w)


def quantized_state(
    model: keras.Model,
    left_out: Callable[[object], bool],
    one_scale: Callable[[np.ndarray, bool], bool] = channels,
    percentile: float | None = None,
    file_format: FileFormat = INT8,
) -> CompressionState:
    """Makes the operation plans to quantize a model that was not trained for it; data set their ranges later.

    Args:
        model: A built model.
        left_out: Whether an operation stays float.
        one_scale: Function `(kernel, whether a BatchNormalization is folded into it) -> bool`: whether it gets one
            scale instead of one per channel: `channels`, `tensors` or `clustered`.
        percentile: Per cent of the values inside a range; None for all of them.
        file_format: What the file will hold.

    Returns:
        The state, not attached to the model.

    Raises:
        ValueError: If the model's graph can't be followed.
    """

    def make(span, op):
        made = _range(span.positive, percentile, file_format.activations)
        made.title = span.name
        return made

    _check_inside(model)
    placements, inputs = make_ranges(model, make, left_out, "convert")
    borrowed = borrowed_weights(model)
    plans = []
    for index, (path, op) in enumerate(operations(model)):
        t = OpPlan.of(path, op, index, placements.get(id(op)))
        if not left_out(op):
            for name in filter(functools.partial(has_weight, op), spec_of(op).kernels):  # a layer may not be in use
                t.chains[name] = _chain(op, name, file_format.weights, one_scale, t.norm is not None, borrowed)
        plans.append(t)
    return CompressionState(plans, inputs)


def _check_inside(model: keras.Model) -> None:
    """Refuses SavedModels as layers: ranges around them would disagree with those that TensorFlow finds inside."""
    opaque = [path for path, op in leaves(model) if isinstance(op, keras.layers.TFSMLayer)]
    if opaque:
        raise ValueError(f"convert: the layers {opaque} are SavedModels, inside of which no ranges can be set.")


def _range(positive: bool, percentile: float | None, codes: Codes) -> ActivationRange:
    options: dict[str, Any] = {
        "bits": codes.bits,
        "symmetric": codes.symmetric,
        "positive": positive and not codes.symmetric,
    }
    if percentile is None:
        return ActivationRange(**options)
    return PercentileRange(percentile=float(percentile), **options)


def _chain(op, name: str, codes: Codes, one_scale, is_folded: bool, borrowed) -> WeightChain:
    spec = spec_of(op)
    chain = WeightChain.of(op, name)
    chain.is_borrowed = id(chain.variable) in borrowed
    axes = () if chain.is_borrowed or one_scale(chain.plain(), is_folded) else spec.channel_axes(name)
    chain.add(QuantizeWeight(codes.bits, codes.symmetric, axes, spec.axes[name]))
    return chain


def is_shared(w) -> bool:
    """Returns whether a kernel is clustered: it holds few different values, each for many weights."""
    w = np.asarray(w)
    return w.size > 1024 and np.unique(w).size <= min(_MOST_VALUES, w.size // 4)
