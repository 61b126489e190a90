"""Smoothing: moves the ranges of a normalization's channels from its output into the kernels that read it.

With y = gamma n + beta, W y = (W s) (y / s) for any s > 0 of each channel, and y / s is the normalization with
gamma / s and beta / s: the model computes the same. With s_j = max|y_j|^a / max|W_j|^(1 - a) outliers of a few channels
shrink, and one int8 scale fits all of them (Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training
Quantization for Large Language Models", 2022, equation 4).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress.graph.activation_probe import show_activations
from tfcompress.rewrites.channel_scaling import input_kernels, readers, scale_inputs
from tfcompress.rewrites.cross_layer_equalization import input_ranges, is_homogeneous
from tfcompress.rewrites.editable_graph import Draft, Node

BATCH = 64


@dataclass(eq=False)
class Factor:
    """A weight that scales or shifts the channels of a normalization.

    Args:
        node: The node that holds it.
        path: Its path.
        last: The node that makes of it what is multiplied, such as the sum in `(1 + weight) x`; often the same node.
    """

    node: Node
    path: str
    last: Node

    def divide(self, s: np.ndarray, made: np.ndarray | None) -> None:
        """Divides what is multiplied by s: the weight itself, or `made`, which is the weight and a constant."""
        weight = self.node.weights[self.path]
        if made is not None:
            made = made.reshape(weight.shape)
        self.node.change(**{self.path: weight / s if made is None else made / s - (made - weight)})


@dataclass(eq=False)
class SmoothingLink:
    """A normalization and the layers that alone read it, through functions f with f(s x) = s f(x).

    Args:
        node: The normalization, or the last operation of one that is written in single operations.
        factors: What scales its channels.
        behind: The layers behind.
    """

    node: Node
    factors: list[Factor]
    behind: list[Node]

    @property
    def channels(self) -> int:
        """The number of channels between them."""
        return _channels(self.node)


def is_scaled(draft: Draft, node: Node) -> bool:
    """Returns whether factors of its own scale a node's output channels, or would if it had them.

    Args:
        draft: The model.
        node: A node; also a product with a weight counts, as normalizations written in single operations end with one.
    """
    return bool(node.spec.output_factors) or node.spec.product and _weight_read_by(draft, node) is not None


def smoothing_link(draft: Draft, node: Node) -> SmoothingLink | str:
    """Finds the layers whose kernels can take the ranges of a normalization's channels.

    Args:
        draft: The model.
        node: A node that `is_scaled`.

    Returns:
        The link, or why there is none.
    """
    if not node.is_single:
        return "it is called more than once"
    if node.spec.output_factors:
        factors = [Factor(node, path, node) for path in node.spec.output_factors if path in node.weights]
        if node.spec.output_factors[0] not in node.weights:
            return f"it has no {node.spec.output_factors[0]} that could scale its channels"
        if not _scales_last_axis(node):
            return f"its {node.spec.output_factors[0]} does not scale the last axis, which the layers behind it read"
    else:
        node, factors = _with_shift(draft, node)
    found = readers(draft, node.outputs[0], lambda between: is_homogeneous(draft, between), input_kernels)
    if isinstance(found, str):
        return f"its channels can't be scaled behind it: {found}"
    return SmoothingLink(node, factors, found)


def smooth(draft: Draft, links: list[SmoothingLink], x: list[np.ndarray], alpha: float) -> list[tuple[float, float]]:
    """Divides the channels of normalizations by s, and multiplies the kernels that read them by s.

    Args:
        draft: The model; the links' layers are changed.
        links: Normalizations with their readers.
        x: Samples, one array `(n, ...)` per input of the model.
        alpha: Exponent a of the activations' ranges in s, 0..1; the kernels' is 1 - a.

    Returns:
        For each link, the largest ratio of two channels' ranges before and after.
    """
    found, made = [], _made_of_weights(draft, links, x)
    for link, seen in zip(links, activation_ranges(draft, links, x), strict=True):
        behind = np.max([input_ranges(node, link.channels) for node in link.behind], axis=0)
        whole = (seen > 0) & (behind > 0) & np.isfinite(seen)  # a channel of zeros has no range
        s = np.where(whole, seen, 1.0) ** alpha / np.where(whole, behind, 1.0) ** (1.0 - alpha)
        s = np.where(whole, s, 1.0)
        for factor in link.factors:
            factor.divide(s, made.get(id(factor.last.op)))
        for node in link.behind:
            scale_inputs(node, s)
        found.append((unevenness(seen), unevenness(seen / s)))
    return found


def activation_ranges(draft: Draft, links: list[SmoothingLink], x: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the largest absolute value of each channel that the layers behind each link read: `(channels,)` each."""
    makers = [[draft.maker(node.inputs[0]) for node in link.behind] for link in links]
    seen: dict[int, np.ndarray] = {}

    def look(op: Any, _: np.ndarray, made: np.ndarray) -> None:
        largest = np.abs(made.reshape(-1, made.shape[-1]).astype("float64")).max(axis=0)
        seen[id(op)] = np.maximum(seen.get(id(op), 0.0), largest)

    ops = {id(node.op): node.op for nodes in makers for node in nodes if node is not None}
    if ops:
        show_activations(draft.model, list(ops.values()), x, look, BATCH)
    return [
        np.max([seen[id(node.op)].reshape(-1, link.channels).max(axis=0) for node in nodes if node is not None], axis=0)
        for link, nodes in zip(links, makers, strict=True)
    ]


def unevenness(vector: np.ndarray) -> float:
    """Returns the ratio of the largest to the smallest range of channels that have one."""
    alive = vector[vector > 0]
    return float(alive.max() / alive.min()) if alive.size else 1.0


def _scales_last_axis(norm: Node) -> bool:
    axis = getattr(norm.op, "axis", -1)
    last = axis[-1] if isinstance(axis, Sequence) else axis
    rank = len(norm.shapes[0])
    return last in (-1, rank - 1) and norm.weights[norm.spec.output_factors[0]].shape[-1] == _channels(norm)


def _channels(node: Node) -> int:
    return node.shapes[0][-1]


def _weight_read_by(draft: Draft, node: Node) -> Factor | None:
    """Returns the weight with an entry for each channel that only an operation of two inputs reads, if there is one."""
    if len(node.inputs) != 2 or not node.shapes or not node.shapes[0]:
        return None
    found = [_weight_behind(draft, t, node) for t in node.inputs]
    first, *others = [each for each in found if each is not None] or [None]
    if first is None or others or first.last.shapes[0][-1:] != (_channels(node),):
        return None
    # the batch's axis may stand in front, and nothing was repeated
    return first if math.prod(first.last.shapes[0]) == first.node.weights[first.path].size else None


def _only_reader(draft: Draft, tensor: int) -> Node | None:
    """Returns the only node that reads a tensor, beside those that pass it on as it is."""
    found = [node for node in draft.users(tensor) if tensor not in node.outputs]
    return found[0] if len(found) == 1 and not draft.is_output(tensor) else None


def _weight_behind(draft: Draft, tensor: int | None, reader: Node) -> Factor | None:
    """Returns the weight that a tensor is, or is but for a constant, where nothing but the reader reads it."""
    last = draft.maker(tensor)
    if tensor is None or last is None or not last.is_single or _only_reader(draft, tensor) is not reader:
        return None
    if last.spec.flow == "weight":
        (path,) = last.weights
        return Factor(last, path, last)
    if len(last.inputs) != 1 or not (last.spec.is_sum or last.spec.function == "cast"):
        return None
    before = _weight_behind(draft, last.inputs[0], last)
    return None if before is None else Factor(before.node, before.path, last)


def _with_shift(draft: Draft, node: Node) -> tuple[Node, list[Factor]]:
    """Returns the last operation of a product with a weight, or with the sum behind it, and the weights of both."""
    factor, behind = _weight_read_by(draft, node), _only_reader(draft, node.outputs[0])
    shift = _weight_read_by(draft, behind) if behind is not None and behind.spec.is_sum and behind.is_single else None
    last = node if behind is None or shift is None else behind
    return last, [found for found in (factor, shift) if found is not None]


def _made_of_weights(draft: Draft, links: list[SmoothingLink], x: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Returns what operations make of weights that are not multiplied as they are, by `id(operation)`."""
    found: dict[int, np.ndarray] = {}

    def look(op: Any, _: np.ndarray, made: np.ndarray) -> None:
        found[id(op)] = made.astype("float64")

    ops = [factor.last.op for link in links for factor in link.factors if factor.last is not factor.node]
    if ops:
        show_activations(draft.model, ops, [a[:1] for a in x], look)
    return found
