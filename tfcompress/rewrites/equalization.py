"""Equalization of a whole model: folds normalizations, smooths activations, equalizes the ranges of weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.rewrites.channel_scaling import fold_back, is_affine, is_linear
from tfcompress.rewrites.cross_layer_equalization import (
    EqualizationLink,
    equalize,
    input_ranges,
    link,
    ranges,
    replace_relu6,
)
from tfcompress.rewrites.editable_graph import Draft, Node
from tfcompress.rewrites.smoothing import SmoothingLink, is_scaled, smooth, smoothing_link, unevenness


@dataclass(frozen=True)
class Equalized:
    """What was done to a layer, or why nothing was.

    Args:
        layer: Path of the layer.
        what: What was done, or the reason why it was left.
        before: A figure before.
        after: The same afterwards.
        is_left: Whether the layer was left as it is.
    """

    layer: str
    what: str
    before: float | None = None
    after: float | None = None
    is_left: bool = False


def equalized(
    model: keras.Model,
    may: Callable[[Any], bool] = lambda op: True,
    relu6: bool = False,
    alpha: float | None = None,
    x: list[np.ndarray] | None = None,
) -> tuple[keras.Model, list[Equalized]]:
    """Equalizes the layers of a model that can be.

    Args:
        model: A flat model; it is not changed.
        may: Function `operation -> bool`: layers that may change.
        relu6: Whether ReLU6 between two layers becomes ReLU.
        alpha: Exponent of the ranges of activations in smoothing; None for no smoothing.
        x: Samples for smoothing, one array `(n, ...)` per input.

    Returns:
        The new model, and a row for each layer.
    """
    made = _Equalization(Draft(model), may)
    made.fold()
    if alpha is not None and x is not None:
        made.smooth(x, alpha)
    made.equalize(relu6)
    return made.draft.built(), made.rows


class _Equalization:
    """The steps of an equalization on one draft, with the rows that they give."""

    def __init__(self, draft: Draft, may: Callable[[Any], bool]):
        self.draft, self.may = draft, may
        self.rows: list[Equalized] = []

    def fold(self) -> None:
        """Folds normalizations into the kernels before them, because a file rounds the folded kernels."""
        for node in [n for n in self.draft.nodes if is_affine(n)]:
            maker = self.draft.maker(node.inputs[0])
            if maker is not None and self.may(maker.op) and isinstance(fold_back(self.draft, node), Node):
                self.rows.append(Equalized(node.path, f"folded into {maker.path} before it"))

    def smooth(self, x: list[np.ndarray], alpha: float) -> None:
        """Moves the ranges of normalizations' channels into the kernels behind them."""
        links = []
        for node in [n for n in self.draft.nodes if is_scaled(self.draft, n) and self.may(n.op)]:
            found = smoothing_link(self.draft, node)
            if isinstance(found, SmoothingLink) and not self._stay(node, found.behind):
                links.append(found)
            elif isinstance(found, str):
                self._leave(node, found)
        for each, (before, after) in zip(links, smooth(self.draft, links, x, alpha), strict=True):
            what = f"smoothed with {_named(each.behind)}; largest ratio of activations' ranges"
            self.rows.append(Equalized(each.node.path, what, round(before, 2), round(after, 2)))

    def equalize(self, relu6: bool) -> None:
        """Equalizes the ranges of weights of consecutive linear layers."""
        links = []
        for node in [n for n in self.draft.nodes if is_linear(n) and self.may(n.op)]:
            found = link(self.draft, node, relu6)
            if isinstance(found, EqualizationLink) and not self._stay(node, found.seconds):
                links.append(found)
            elif isinstance(found, str):
                self._leave(node, found)
        before = [_spread(each) for each in links]
        self.rows += [Equalized(node.path, "ReLU6 became ReLU") for node in replace_relu6(links)]
        equalize(links)
        for each, was in zip(links, before, strict=True):
            what = f"equalized with {_named(each.seconds)}; largest ratio of ranges"
            self.rows.append(Equalized(each.first.path, what, was, _spread(each)))

    def _leave(self, node: Node, why: str) -> None:
        self.rows.append(Equalized(node.path, why, is_left=True))

    def _stay(self, node: Node, behind: list[Node]) -> bool:
        """Returns whether layers behind a node are left out, and it with them."""
        alone = [n for n in behind if not self.may(n.op)]
        if alone:
            self._leave(node, f"{_named(alone)} behind it is left out")
        return bool(alone)


def _named(nodes: list[Node]) -> str:
    return ", ".join(node.path for node in nodes)


def _spread(each: EqualizationLink) -> float:
    """Returns the largest ratio of two channels' ranges, in the first layer or those behind it."""
    vectors = [ranges(each.first)]
    vectors += [input_ranges(node, len(vectors[0])) for node in each.seconds]
    return round(max(unevenness(v) for v in vectors), 2)
