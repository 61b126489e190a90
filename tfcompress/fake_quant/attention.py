"""Replaces parts of attention, masked softmax and cosine layers, so that the values inside lie on int8 grids.

Keras writes a huge negative number where a mask is False. On one grid with it every logit would be zero, so the range
lies on the logits before the mask, and what is masked gets the lowest value of that range less a gap: exp(-10) of what
the smallest logit weighs, for all masked places together.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfcompress.graph.keras_private import attention_parts, merge_function, zeroes_what_is_masked
from tfcompress.layer_table.activations import PROBABILITY, TANH
from tfcompress.layer_table.integer_rewrites import unit_length

_WITHIN: dict[str, Callable] = {}

Changes = list[tuple[Any, str, Any]]


def register_inner_parts(name: str) -> Callable:
    """Registers a function `(layer, grid) -> changes` under the name that rows of the layer table use."""

    def register(function):
        _WITHIN[name] = function
        return function

    return register


def inner_parts(name: str, layer, grid) -> Changes:
    """Returns `(owner, attribute, value)` of every part of a layer that is replaced during one call.

    Args:
        name: Field `register_inner_parts` of the layer's row.
        layer: The layer.
        grid: What rounds values in between, `fake_quant/intermediate_ranges.py`.
    """
    return _WITHIN[name](layer, _Typed(grid))


class _Typed:
    """A grid that also takes float16: it rounds in float32 and casts back to the type of its input."""

    def __init__(self, grid):
        self.grid = grid

    def __call__(self, name, x):
        return tf.cast(self.grid(name, tf.cast(x, tf.float32)), x.dtype)

    def masked(self, name, x, mask, is_ranged=False):
        return tf.cast(self.grid.masked(name, tf.cast(x, tf.float32), mask, is_ranged), x.dtype)

    def chosen(self, mask, x):
        return tf.cast(self.grid.chosen(mask, tf.cast(x, tf.float32)), x.dtype)

    def known(self, x, limits):
        return tf.cast(self.grid.known(tf.cast(x, tf.float32), limits), x.dtype)


@register_inner_parts("masked softmax")
def _softmax(layer, grid) -> Changes:

    def call(inputs, mask=None):
        mask = None if mask is None else _boolean(mask)
        y = ops.softmax(inputs if mask is None else grid.masked("logits", inputs, mask, True), axis=-1)
        return y if mask is None or not _is_zeroed(mask) else grid.chosen(mask, grid.known(y, PROBABILITY))

    return [(layer, "call", call)]


@register_inner_parts("unit length")
def _unit_length(layer, grid) -> Changes:
    """Scales each input of Dot(normalize=True) to length one along the axis that is summed over, on its own range."""
    plain = merge_function(layer)

    def merge(inputs):
        axes = [layer.axes] * 2 if isinstance(layer.axes, int) else layer.axes
        return plain([_unit(grid.grid, side, x, a) for side, x, a in zip(("left", "right"), inputs, axes, strict=True)])

    return [(layer, "normalize", False), (layer, "_merge_function", merge)]


def _unit(grid, side, x, axis):
    return tf.cast(grid(side, unit_length(tf.cast(x, tf.float32), axis, _Side(grid, side))), x.dtype)


class _Side:
    """A grid that puts the name of a side before the names of its ranges."""

    def __init__(self, grid, side):
        self.grid, self.side = grid, side

    def __call__(self, name, x):
        return self.grid(f"{self.side} {name}", x)

    def high(self, name):
        return self.grid.high(f"{self.side} {name}")

    def __getattr__(self, name):
        return getattr(self.grid, name)


def _is_zeroed(mask) -> bool:
    """Whether Keras sets a row without a place to zero, and the mask may have one."""
    return zeroes_what_is_masked() and not _never_all(mask)


def _never_all(mask) -> bool:
    """Whether the mask is a constant that leaves at least one place in every row."""
    value = tf.get_static_value(mask)
    return value is not None and bool(value.any(axis=-1).all())


def _boolean(mask):
    return mask if mask.dtype in (bool, tf.bool) else ops.greater(mask, ops.cast(0.5, mask.dtype))


@register_inner_parts("heads")
def _heads(layer, grid) -> Changes:
    """Rounds the values inside MultiHeadAttention and GroupQueryAttention."""
    parts = attention_parts(layer)

    def compute(query, key, value, attention_mask=None, training=None, return_attention_scores=False, **causal):
        scores = ops.einsum(parts.scores, *((key, query) if parts.key_first else (query, key)))
        # as in Keras, only this path gives zero where every place is masked
        zeroed = attention_mask is not None and (parts.drops or return_attention_scores or len(query.shape) != 4)
        if causal.get("use_causal_mask"):
            attention_mask = _lower(ops.shape(query)[1], ops.shape(key)[1])
        weights = _weights(scores, attention_mask, parts.axes, grid, zeroed)
        dropped = parts.dropout(weights, training=training) if parts.drops else weights
        context = ops.einsum(parts.combine, dropped, value)
        return (grid("attended", context) if parts.gate is not None else context), weights

    changes = [
        (parts.query, "call", _projected(parts.query, "query", grid, parts.factor)),
        (parts.key, "call", _projected(parts.key, "key", grid)),
        (parts.value, "call", _projected(parts.value, "value", grid)),
        (parts.output, "call", _entered(parts.output, "context", grid)),
        (layer, "_compute_attention", compute),
    ]
    if parts.gate is not None:
        changes.append((parts.gate, "activation", lambda x: grid.known(ops.sigmoid(grid("gate", x)), PROBABILITY)))
    return changes


def _projected(dense, name, grid, factor: float = 1.0):
    """Computes a projection as one matrix product with its bias: the bias of an einsum would be a separate int8 add.

    Kernel and bias are multiplied by a factor: the scales per channel change, the codes stay.
    """

    def call(x, training=None):
        kernel = dense.kernel if factor == 1.0 else _times(tf.convert_to_tensor(dense.kernel), factor)
        y = ops.matmul(x, ops.reshape(kernel, (kernel.shape[0], -1)))
        if dense.bias is not None:
            y = y + ops.reshape(dense.bias if factor == 1.0 else dense.bias * factor, (-1,))
        return ops.reshape(grid(name, y), (-1, *x.shape[1:-1], *kernel.shape[1:]))

    return call


def _times(kernel, factor: float):
    """Multiplies a kernel, and the range of its FakeQuant node where a file gives it one scale, by a factor."""
    made = kernel.op if tf.is_symbolic_tensor(kernel) else None
    if made is None or made.type != "FakeQuantWithMinMaxArgs":
        return kernel * factor
    low, high, bits, narrow = (made.get_attr(name) for name in ("min", "max", "num_bits", "narrow_range"))
    plain = made.inputs[0] * factor
    return tf.quantization.fake_quant_with_min_max_args(plain, low * factor, high * factor, bits, narrow)


def _entered(dense, name, grid):
    plain = dense.call
    return lambda x, *args, **kwargs: plain(grid(name, x), *args, **kwargs)


def _lower(rows, columns):
    """Returns the causal mask: position t sees positions up to t."""
    return ops.expand_dims(ops.arange(rows), 1) >= ops.arange(columns)


def _weights(scores, mask, axes: int, grid, zeroed: bool):
    """Computes the attention weights: a softmax of the scores over the last `axes` axes."""
    if mask is not None:
        for _ in range(len(scores.shape) - len(mask.shape)):
            mask = ops.expand_dims(mask, axis=-2 * axes - 1) if len(mask.shape) > 2 * axes else mask[None]
        mask = ops.cast(mask, "bool")
    scores = grid("scores", scores) if mask is None else grid.masked("scores", scores, mask)
    shape = tuple(scores.shape)
    if axes > 1:
        scores = ops.reshape(scores, (-1, *shape[1:-axes], _product(shape[-axes:])))
    y = grid.known(ops.softmax(scores, axis=-1), PROBABILITY)
    y = ops.reshape(y, (-1, *shape[1:])) if axes > 1 else y
    return grid.chosen(mask, y) if zeroed and _is_zeroed(mask) else y


def _product(sizes):
    product = 1
    for size in sizes:
        product *= size
    return product


@register_inner_parts("dot")
def _dot(layer, grid) -> Changes:
    """Computes attention scores by dot products; a learned scale is applied to the query."""

    def scores(query, key):
        query = query if layer.scale is None else grid("scaled", query * layer.scale)
        return ops.matmul(query, ops.swapaxes(key, -2, -1))

    return [(layer, "_calculate_scores", scores), *_applied(layer, grid)]


@register_inner_parts("additive")
def _additive(layer, grid) -> Changes:
    """Computes additive attention scores (Bahdanau et al., 2015): a weighted sum of tanh(query + key)."""

    def scores(query, key):
        both = grid("sum", ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        bent = grid.known(ops.tanh(both), TANH)
        weights = ops.ones(both.shape[-1:], both.dtype) if layer.scale is None else layer.scale
        return ops.squeeze(ops.matmul(bent, ops.reshape(weights, (-1, 1))), -1)

    return [(layer, "_calculate_scores", scores), *_applied(layer, grid)]


@register_inner_parts("joined")
def _joined(layer, grid) -> Changes:
    """Computes attention scores by a sum of tanh(query + key), both multiplied by one learned factor."""

    def scores(query, key):
        both = grid("sum", ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        both = both if layer.scale is None else grid("scaled", both * layer.scale)
        bent = grid.known(ops.tanh(both), TANH)
        weights = ops.ones((bent.shape[-1], 1), bent.dtype) * layer.concat_score_weight
        return ops.squeeze(ops.matmul(bent, weights), -1)

    return [(layer, "_calculate_scores", scores), *_applied(layer, grid)]


def _applied(layer, grid) -> Changes:
    """Computes softmax of the scores, dropout, and the product with the values, for every kind of attention."""

    def apply(scores, value, scores_mask=None, training=False):
        if scores_mask is not None and len(scores_mask.shape) == 2:
            scores_mask = ops.expand_dims(scores_mask, -2)
        scores = grid("scores", scores) if scores_mask is None else grid.masked("scores", scores, scores_mask)
        weights = grid.known(ops.softmax(scores, axis=-1), PROBABILITY)
        if training and layer.dropout > 0:
            weights = keras.random.dropout(weights, layer.dropout, seed=layer.seed_generator)
        return ops.matmul(weights, value), weights

    return [(layer, "_apply_scores", apply)]
