"""Fold: folds operations that are linear at inference into kernels, and removes those without effect.

The folded model has the output of the original up to float rounding; what can't be folded exactly stays and is named.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.calibration.evidence import Evidence
from tfcompress.channels.dependency import groups
from tfcompress.channels.shrink import shrink
from tfcompress.graph.tree import leaves
from tfcompress.rewrites.channel_scaling import fold_ahead, fold_back, is_affine
from tfcompress.rewrites.constant_folding import Constants, unread_groups
from tfcompress.rewrites.editable_graph import Draft, Node
from tfcompress.rewrites.linear_merging import merge
from tfcompress.techniques.protocol.graph_technique import GraphTechnique, check_names, setting_of
from tfcompress.techniques.protocol.hook_values import Change, Left, Operated
from tfcompress.text.printable import shown


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class Fold(GraphTechnique):
    """Folds normalizations, scalings and constants into kernels, and removes layers without effect at inference.

    BatchNormalization, Rescaling, Normalization and other layers that scale and shift each channel are folded into the
    linear layer before them, or else into all layers behind them where that is exact. Dropout, noise and identity are
    removed. Two linear layers in a row become one if that is not larger. Constant channels are folded into the biases
    behind them, and channels that no layer reads are removed. The model is meant for inference then: normalizations no
    longer adapt to data.

    Args:
        where: Which layers may be folded or removed, and into which constants may be folded; None for all.
        overrides: `{key: None}` leaves a layer alone.

    Raises:
        ValueError: If an override is neither None nor True.

    Example:
        >>> import keras, tfcompress as tfc
        >>> layers = [keras.layers.Conv2D(4, 3, use_bias=False), keras.layers.BatchNormalization(), keras.layers.ReLU()]
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
        >>> [type(layer).__name__ for layer in tfc.Fold().apply(model).layers]
        ['InputLayer', 'Conv2D', 'ReLU']
    """

    def accept(self, value: Any) -> Any:
        """Validates an override, which can only leave a layer alone."""
        if value is not True:
            raise ValueError(f"Fold: an override must be None (leave alone) or True. Received: {shown(value)}.")
        return value

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Folds a flat model; the rows name every normalization that stays."""
        check_names(self, (op for _, op in leaves(model)))
        draft, rows = Draft(model), []
        self._drop(draft, rows)
        self._fold(draft, rows)
        self._merge(draft, rows)
        model = draft.built()
        draft = Draft(model)
        constants = self._constants(draft, rows)
        if constants.folded or constants.dropped:
            model = draft.built()
        return Operated(self._cut(model, rows), tuple(rows))

    def _may(self, node: Node) -> bool:
        return setting_of(self, node.op) is not None

    def _drop(self, draft: Any, rows: Any) -> None:
        """Removes operations that return their input at inference."""
        for node in list(draft.nodes):
            if len(node.outputs) == 1 and node.outputs == node.inputs and node.is_single and self._may(node):
                draft.remove(node)
                rows.append(Change(node.path, f"removed: {type(node.op).__name__} does nothing at inference"))

    def _fold(self, draft: Any, rows: Any) -> None:
        """Folds scalings into the layers before them, first to last; the rest into layers behind, last to first.

        In this order none waits for another.
        """
        reasons = {}
        for node in [n for n in draft.nodes if n.spec.affine]:
            if not is_affine(node):
                rows.append(Left(node.path, "it is called more than once, or not along the last axis"))
            elif not self._may(node):
                rows.append(Left(node.path, "left out by `where` or `overrides`"))
            elif isinstance(before := fold_back(draft, node), Node):
                rows.append(Change(node.path, f"folded into {before.path} before it"))
            else:
                reasons[node] = before
        for node, why in reversed(reasons.items()):
            behind = fold_ahead(draft, node)
            if isinstance(behind, str):
                rows.append(Left(node.path, f"{why}; behind it, {behind}"))
            else:
                rows.append(Change(node.path, f"folded into {', '.join(n.path for n in behind)} behind it"))

    def _merge(self, draft: Any, rows: Any) -> None:
        reasons: dict[str, Any] = {}
        for node in list(draft.nodes):
            while self._may(node) and isinstance(first := merge(draft, node), Node):
                rows.append(Change(first.path, f"merged into {node.path}"))
        for node in draft.nodes:
            reasons[node.path] = merge(draft, node) if self._may(node) else None
        rows += [Left(path, why) for path, why in reasons.items() if why is not None]

    def _constants(self, draft: Any, rows: Any) -> Constants:
        constants = Constants(draft, self._may)
        rows += [Change(p, f"{n} constant input channels folded into its bias") for p, n in constants.folded.items()]
        rows += [Left(path, why) for path, why in constants.kept.items()]
        rows += [Change(path, "removed: a sum with zeros, and what made them") for path in constants.dropped]
        return constants

    def _cut(self, model: keras.Model, rows: Any) -> keras.Model:
        """Removes channels that no layer reads."""
        channels = groups(model)
        dead = unread_groups(channels)
        for use in channels.uses.values():
            if use.output is not None and setting_of(self, use.op) is None:
                dead = np.setdiff1d(dead, channels.roots[use.output.vector()])
        if not len(dead):
            return model
        alive = channels.alive(dead)
        for path, roots in channels.made_by().items():
            after = int(alive[roots].sum())
            if after < len(roots):
                rows.append(Change(path, "channels that no layer reads are removed", len(roots), after))
        return shrink(model, channels, dead)
