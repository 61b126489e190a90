"""Equalize: cross-layer equalization scales channels so that one int8 scale fits a whole kernel, without training.

The equalized model has the output of the original up to float rounding, except that `bias_correction` and `relu6`
change it on purpose.
"""

from dataclasses import dataclass
from typing import Any

import keras

from tfcompress.calibration.evidence import Evidence
from tfcompress.graph.tree import leaves
from tfcompress.rewrites.bias_correction import correct
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
from tfcompress.techniques.protocol.graph_technique import GraphTechnique, check_names, setting_of
from tfcompress.techniques.protocol.hook_values import Change, Left, Operated
from tfcompress.text.printable import shown
from tfcompress.validation import checks


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class Equalize(GraphTechnique):
    """Equalizes the ranges of weights across layers, after folding BatchNormalization into the kernels.

    Works between Dense, convolution and depthwise layers with ReLU, LeakyReLU, PReLU, pooling or nothing between
    (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019). With one scale per
    output channel there is less to gain than with one per tensor.

    Args:
        relu6: Whether to replace ReLU6 between two layers by ReLU, so that they can be equalized; changes the outputs
            that were clipped.
        bias_correction: Whether to correct biases for the shift of each channel's mean that rounded weights cause;
            changes the float model so that the integer one comes closer to the original. Needs data.
        bits: Bits of a weight, 2..16, for `bias_correction`.
        per_channel: Whether weights are rounded with one scale per output channel, for `bias_correction`.
        where: Which layers; None for all.
        overrides: `{key: None}` leaves a layer alone.

    Raises:
        TypeError: If a switch is not True or False, or `bits` no int.
        ValueError: If `bits` is out of range, or an override is neither None nor True.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> layers = [keras.layers.Dense(8, activation="relu", name="a"), keras.layers.Dense(2, name="b")]
        >>> model = keras.Sequential([keras.Input((4,)), *layers])
        >>> model.layers[0].kernel.assign(model.layers[0].kernel * np.geomspace(0.01, 1, 8)) is not None
        True
        >>> after = tfc.Equalize().apply(model)
        >>> spread = np.abs(after.get_layer("a").kernel).max(axis=0)
        >>> float(spread.max() / spread.min()) < 30
        True
    """

    relu6: bool = False
    bias_correction: bool = False
    bits: int = 8
    per_channel: bool = False

    def __post_init__(self) -> None:
        """Validates the fields."""
        for name in ("relu6", "bias_correction", "per_channel"):
            self.set(**{name: checks.flag("Equalize", name, getattr(self, name))})
        self.set(bits=checks.whole("Equalize", "bits", self.bits, 2, 16))
        super().__post_init__()

    def accept(self, value: Any) -> Any:
        """Validates an override, which can only leave a layer alone."""
        if value is not True:
            raise ValueError(f"Equalize: an override must be None (leave alone) or True. Received: {shown(value)}.")
        return value

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Equalizes the layers that can be; the rows name layers whose channels can't be scaled."""
        check_names(self, (op for _, op in leaves(model)))
        if self.bias_correction:
            evidence.inputs(model, "Equalize: bias_correction")
        draft, rows = Draft(model), []
        self._fold(draft, rows)
        links = self._links(draft, rows)
        before = [_spread(each) for each in links]
        rows += [Change(node.path, "ReLU6 became ReLU") for node in replace_relu6(links)]
        equalize(links)
        for each, was in zip(links, before, strict=True):
            behind = ", ".join(node.path for node in each.seconds)
            rows.append(
                Change(each.first.path, f"equalized with {behind}; largest ratio of ranges", was, _spread(each))
            )
        equal = draft.built()
        if not self.bias_correction:
            return Operated(equal, tuple(rows))
        corrected, most = correct(equal, self._takes, evidence.x, self.bits, self.per_channel)
        rows += [Change(path, f"bias corrected by at most {gap:.3g}") for path, gap in most.items()]
        return Operated(corrected, tuple(rows))

    def _takes(self, op: Any) -> bool:
        return setting_of(self, op) is not None

    def _may(self, node: Node) -> bool:
        return self._takes(node.op)

    def _fold(self, draft: Any, rows: Any) -> None:
        """Folds normalizations into the kernels before them, because a file rounds the folded kernels."""
        for node in [n for n in draft.nodes if is_affine(n)]:
            maker = draft.maker(node.inputs[0])
            if maker is not None and self._may(maker) and isinstance(fold_back(draft, node), Node):
                rows.append(Change(node.path, f"folded into {maker.path} before it"))

    def _links(self, draft: Any, rows: Any) -> list[EqualizationLink]:
        links = []
        for node in [n for n in draft.nodes if is_linear(n) and self._may(n)]:
            found = link(draft, node, self.relu6)
            if isinstance(found, str):
                rows.append(Left(node.path, found))
            elif alone := [n.path for n in found.seconds if not self._may(n)]:
                rows.append(Left(node.path, f"{', '.join(alone)} behind it is left out"))
            else:
                links.append(found)
        return links


def _spread(each: EqualizationLink) -> float:
    """Returns the largest ratio of two channels' ranges, in the first layer or those behind it."""
    vectors = [ranges(each.first)]
    vectors += [input_ranges(node, len(vectors[0])) for node in each.seconds]
    alive = [v[v > 0] for v in vectors if (v > 0).any()]
    return round(max((float(v.max() / v.min()) for v in alive), default=1.0), 2)
