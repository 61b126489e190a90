"""Linear merging: merges two linear layers in a row into one, if one of them is pointwise (Dense, 1 x 1 convolution).

With A and B kernels, B (A x + a) + b = (B A) x + (B a + b). The shift B a is exact only without padding.
"""

import math

import numpy as np

from tfcompress.rewrites.channel_scaling import add_bias, is_linear, is_open, response, uneven_reason
from tfcompress.rewrites.editable_graph import Draft, Node

_OF_ITS_OWN = (
    *("name", "activation", "activity_regularizer", "use_bias", "kernel_regularizer"),
    *("bias_initializer", "bias_regularizer", "bias_constraint"),
)


def is_pointwise(node: Node) -> bool:
    """Returns whether a node is a dense layer, or a convolution of size and stride 1 over all channels."""
    if node.spec.is_dense:
        return True
    axes = node.spec.axes.get("kernel")
    if axes is None or not axes.is_convolution or node.config["groups"] != 1:
        return False
    return _ones(node.config["kernel_size"]) and _ones(node.config["strides"])


def _ones(sizes) -> bool:
    return all(n == 1 for n in np.atleast_1d(sizes))


def merge(draft: Draft, second: Node) -> Node | str | None:
    """Merges the linear layer before a node into the node, if that is linear too.

    Args:
        draft: The model.
        second: A node.

    Returns:
        The first layer, which is removed; or why two linear layers in a row were not merged; None if there are no two.
    """
    first = draft.maker(second.inputs[0]) if len(second.inputs) == 1 else None
    if first is None or not (is_linear(first) and is_linear(second) and is_open(first)):
        return None
    if draft.only_user(second.inputs[0]) is not second:
        return None
    last, start = first.spec.axes[first.spec.kernels[-1]], second.spec.axes[second.spec.kernels[0]]
    behind = is_pointwise(second) and first.spec.width and last.output_channel is not None
    if not behind and not (is_pointwise(first) and start.mixes):
        return None
    if first.op.trainable != second.op.trainable:
        return f"one of {first.path} and it is trainable and the other is not"
    if any("constraint" in k and v is not None for n in (first, second) for k, v in n.config.items()):
        return f"{first.path} or it has a constraint on its kernel"
    if first.config.get("activity_regularizer") is not None:
        return f"{first.path} has an activity regularizer"
    return _behind(draft, first, second) if behind else _ahead(draft, first, second)


def _behind(draft, first, second):
    """Merges a pointwise second layer; the merged layer has the geometry of the first."""
    path = first.spec.kernels[-1]
    axis, mixing = first.spec.axes[path].output_channel, _matrix(second)
    kernel = np.moveaxis(np.tensordot(first.weights[path], mixing, (axis, 0)), -1, axis)
    if kernel.size > first.weights[path].size + mixing.size:
        return f"merged with {first.path} it would have {kernel.size} weights instead of fewer"
    if _costs_more(draft, first, second, kernel):
        return f"merged with {first.path} it would take more MACs"
    bias = first.weights["bias"] @ mixing if "bias" in first.weights else 0.0
    weights = {**first.weights, path: kernel}
    weights.pop("bias", None)
    if "bias" in second.weights:
        weights["bias"] = second.weights["bias"]
    own = {k: v for k, v in second.config.items() if k in _OF_ITS_OWN and k in first.config}
    _become(draft, first, second, {**first.config, **own, first.spec.width: mixing.shape[1]}, weights)
    add_bias(second, bias)
    return first


def _ahead(draft, first, second):
    """Merges a pointwise first layer; the merged layer has the geometry of the second."""
    path = second.spec.kernels[0]
    axis, mixing = second.spec.axes[path].input_channel, _matrix(first)
    kernel = np.moveaxis(np.tensordot(mixing, second.weights[path], (1, axis)), 0, axis)
    if kernel.size > second.weights[path].size + mixing.size:
        return f"merged with {first.path} it would have {kernel.size} weights instead of fewer"
    if _costs_more(draft, first, second, kernel):
        return f"merged with {first.path} it would take more MACs"
    bias = first.weights.get("bias", np.zeros(1))
    if np.any(bias):
        why = uneven_reason(second, draft.shapes[second.inputs[0]])
        if why:
            return f"the bias of {first.path} can't be folded into it: {why}"
        add_bias(second, response(second, bias))
    second.change(**{path: kernel})
    draft.remove(first)
    return first


def _matrix(node: Node) -> np.ndarray:
    kernel = node.weights["kernel"]
    return kernel.reshape(kernel.shape[-2:])


def _costs_more(draft, first, second, kernel) -> bool:
    """Returns whether the merged layer takes more MACs; an open size counts as 1 before and after."""
    before = sum(_positions(draft, n) * n.weights[p].size for n in (first, second) for p in n.spec.kernels)
    others = first.spec.kernels[:-1] if is_pointwise(second) else ()
    after = _positions(draft, second) * (kernel.size + sum(first.weights[p].size for p in others))
    return after > before


def _positions(draft, node) -> int:
    axes = node.spec.axes[node.spec.kernels[0]]
    shape = draft.shapes[node.inputs[0] if axes.is_transposed else node.outputs[0]]
    return math.prod(n or 1 for n in shape[1:-1])


def _become(draft, first, second, config, weights):
    """Gives the second node the type, arguments and inputs of the first, which is removed."""
    inputs = first.inputs
    draft.remove(first)
    draft.connect(second, inputs)
    second.kind, second.spec, second.weights, second.config = first.kind, first.spec, weights, config
    second.is_changed = True
