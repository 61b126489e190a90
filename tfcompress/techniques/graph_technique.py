"""What surgery is: a technique that changes the graph or the shapes, once, before training or after it.

Law: what an operation says it leaves equal is equal; what it can't treat stays as it was and is named in a row.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.calibration.evidence import Evidence, evidence
from tfcompress.channels.dependency import Channels
from tfcompress.export.finite import check_weights
from tfcompress.graph.clone import copied
from tfcompress.graph.custom_code import check_no_borrowed
from tfcompress.selection import resolve, unmatched, where
from tfcompress.techniques.base import Kernel, Memory, Technique
from tfcompress.validation import checks


@dataclass(frozen=True)
class Change:
    """A layer that was changed: what was done, and a figure of it before and after (channels, parameters, rank)."""

    layer: str
    what: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Left:
    """A layer that was left as it is, and why."""

    layer: str
    reason: str


@dataclass(frozen=True)
class Operated:
    """A model after an operation.

    Args:
        model: The new model; the old one is as it was.
        rows: What was done to which layer, and what was not.
    """

    model: keras.Model
    rows: tuple[Change | Left, ...] = ()

    def text(self) -> str:
        """Returns the rows as a table."""
        cells = [("layer", "what was done, or why not", "before", "after")]
        for row in self.rows:
            if isinstance(row, Change):
                before, after = ("" if v is None else str(v) for v in (row.before, row.after))
                cells.append((row.layer, row.what, before, after))
            else:
                cells.append((row.layer, f"- {row.reason}", "", ""))
        wide = [max(len(c[k]) for c in cells) for k in range(3)]
        return "\n".join("  ".join(t.ljust(w) for t, w in zip(c, (*wide, 0), strict=True)).rstrip() for c in cells)


@dataclass(frozen=True)
class Cut:
    """Groups of channels that training has made ready to go: nobody reads them any more."""

    channels: Channels
    dead: np.ndarray


@dataclass(frozen=True)
class Surgery(Technique):
    """Base of the techniques that change shapes; they take `tfc.compress`, or `apply` by themselves."""

    shape_changing = True
    is_gradual = False

    def close(self, model: keras.Model, memory: Memory, kernels: list[Kernel]) -> Cut | None:
        """Returns what is left to cut when training has ended, for techniques that are gradual."""
        return None

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Operates on a flat model, which is not changed. Each technique has its own."""
        raise NotImplementedError

    def apply(self, model: keras.Model, data=None, labels=None, loss=None, seed: int = 0) -> keras.Model:
        """Operates on a model by itself, without training and recipe.

        Args:
            model: A built Functional or Sequential model; it is not changed.
            data: Representative samples, for techniques that look at activations or gradients.
            labels: Their labels, for techniques that look at the loss.
            loss: The loss; default: the one the model was compiled with.
            seed: Seed of what is drawn at random.

        Returns:
            A new model, not compiled.
        """
        check_no_borrowed(model, type(self).__name__)
        check_weights(model, type(self).__name__)
        seed = checks.seed(f"{self.name}.apply", seed)
        return self.operate(copied(model)[0], evidence(model, data, labels, loss, seed)).model


def setting_of(technique: Surgery, layer: Any, weight: str = "", size: int = 0) -> Any | None:
    """Returns the setting that holds for a layer; None if it is to be left alone.

    Args:
        technique: The technique.
        layer: A layer or operation.
        weight: Path of the weight it would change.
        size: Number of elements of that weight.
    """
    if not where(technique.where)(layer, weight, size):
        return None
    value = resolve(layer, technique.default(), technique.overrides)
    return None if value is None else technique.accept(value)


def check_names(technique: Surgery, layers: Iterable[Any]) -> None:
    """Makes sure that every key of `where` and `overrides` names a layer.

    Raises:
        ValueError: If one does not.
    """
    layers = list(layers)
    chosen = where(technique.where)
    keys = [*(technique.overrides or {}), *chosen.layers, *chosen.skip]
    lost = unmatched(layers, keys)
    if lost:
        names = ", ".join(x.name for x in layers[:8])
        raise ValueError(
            f"{technique.name}: where and overrides must name layers of the model. Received: {lost}, which match none. "
            f"There are {names}{', ...' if len(layers) > 8 else ''}."
        )
