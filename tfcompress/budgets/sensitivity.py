"""Sensitivity: measures on data how loss, accuracy or output change when operations of a model are removed."""

import keras
import numpy as np

from tfcompress.calibration.evidence import Evidence
from tfcompress.graph.keras_private import check_graph
from tfcompress.graph.rebuild import walk
from tfcompress.layer_table.lookup import SOFTMAX, probabilities, spec_of
from tfcompress.rewrites.residual_blocks import Picks, outputs_without

MEASURES = ("loss", "accuracy", "output")
_LEAST = 1e-12
_TEXTS = {
    "loss": "loss {:+.4g}",
    "accuracy": "accuracy {:+.4g}",
    "output": "output changes by {:.4g}",
}


class Sensitivity:
    """Measures the effect of removing operations from a model.

    Args:
        model: A built Functional or Sequential model.
        evidence: Data, and for loss and accuracy labels.
        measure: "loss", "accuracy" or "output"; None for "loss" with labels and "output" without.

    Attributes:
        measure: The measure that is used.

    Raises:
        ValueError: If data, labels or the loss are missing, or the measure does not fit the model's outputs.

    Example:
        >>> import keras, numpy as np
        >>> from tfcompress.calibration.evidence import evidence
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
        >>> x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
        >>> Sensitivity(model, evidence(model, x))({})
        0.0
    """

    def __init__(self, model: keras.Model, evidence: Evidence, measure: str | None = None):
        if evidence.x is None:
            raise ValueError(
                "DropLayers: measures on data. Give representative samples: data=x, an array (n, ...); or give names "
                "of blocks and layers to remove."
            )
        self.measure = measure or ("output" if evidence.y is None else "loss")
        self._model, self._evidence = model, evidence
        self._reference = outputs_without(model, {}, evidence.x)
        self._is_softmax = _softmax(model)
        self._before = None
        if self.measure != "output":
            self._check()
            self._before = self._scored(self._reference)

    def __call__(self, picks: Picks) -> float:
        """Returns the cost of removing operations: 0 for no change, more is worse."""
        outputs = outputs_without(self._model, picks, self._evidence.x)
        if self.measure == "output":
            parts = zip(outputs, self._reference, self._is_softmax, strict=True)
            return float(np.mean([_changed(*part) for part in parts]))
        return self._scored(outputs) - self._before

    def text(self, cost: float) -> str:
        """Returns a cost as text, with the name of the measure."""
        return _TEXTS[self.measure].format(-cost if self.measure == "accuracy" else cost)

    def _check(self):
        y = self._evidence.labels("DropLayers")
        if len(self._reference) != 1:
            raise ValueError(
                f"DropLayers: {self.measure} is measured on a model with one output; this one has "
                f"{len(self._reference)}. Use measure='output'."
            )
        (output,) = self._reference
        if self.measure == "loss" and self._evidence.loss is None:
            raise ValueError(
                "DropLayers: labels were given and no loss. Compile the model with one loss function, give loss=..., "
                "or use measure='accuracy' or 'output'."
            )
        if self.measure != "accuracy":
            return
        if output.ndim != 2 or output.shape[1] < 2:
            raise ValueError(
                "DropLayers: accuracy takes an output (n, classes) with two classes or more. "
                f"The model's is (n, {', '.join(map(str, output.shape[1:]))}). Use measure='loss' or 'output'."
            )
        if y.size != len(output) and y.shape != output.shape:
            raise ValueError(
                f"DropLayers: accuracy takes labels (n,), the numbers of classes, or one-hot {output.shape}. "
                f"Received: labels of shape {y.shape}."
            )

    def _scored(self, outputs) -> float:
        (output,) = outputs
        y = self._evidence.y
        if self.measure == "accuracy":
            truth = np.argmax(y, axis=-1) if y.shape == output.shape else y.reshape(len(output))
            return -float(np.mean(np.argmax(output, axis=-1) == truth))
        return float(np.mean(np.asarray(self._evidence.loss(y, output), "float64")))


def _changed(output, reference, is_softmax) -> float:
    p, q = (np.asarray(a, "float64") for a in (reference, output))
    if is_softmax:
        p, q = (np.clip(a, _LEAST, None) for a in (p, q))
        return float((p * np.log(p / q)).sum(axis=-1).mean())
    return float(((q - p) ** 2).mean() / max((p**2).mean(), _LEAST))


def _softmax(model) -> list[bool]:
    """Returns for each output whether it comes straight from a softmax."""

    def visit(path, op, args, kwargs, outputs):
        is_one = probabilities(op) == SOFTMAX
        return [_Made(is_one and spec_of(op).is_known) for _ in outputs]

    ends = walk(model, [_Made(False) for _ in check_graph(model).inputs], visit)
    return [made.is_softmax for made in keras.tree.flatten(ends)]


class _Made:
    """A symbolic tensor that remembers whether a softmax made it."""

    def __init__(self, is_softmax: bool):
        self.is_softmax = is_softmax
