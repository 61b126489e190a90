"""What surgery is: a technique that changes the graph or the shapes, once, before training or after it.

Law: what an operation says it leaves equal is equal; what it can't treat stays as it was and is named in a row.
"""

from dataclasses import dataclass, field

import keras
import numpy as np

from tfcompress.deploy.calibration import samples
from tfcompress.deploy.finite import check_weights
from tfcompress.deploy.image_folder import evenly
from tfcompress.facts import checks
from tfcompress.mechanics.channels import Channels
from tfcompress.mechanics.copying import copied
from tfcompress.mechanics.graph import input_triples
from tfcompress.mechanics.own_code import check_no_borrowed
from tfcompress.techniques.base import Kernel, Memory, Technique


@dataclass(frozen=True)
class Change:
    """A layer that was changed: what was done, and a figure of it before and after (channels, parameters, rank)."""

    layer: str
    what: str
    before: object = None
    after: object = None


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
                cells.append((row.layer, row.what, *("" if v is None else str(v) for v in (row.before, row.after))))
            else:
                cells.append((row.layer, f"- {row.reason}", "", ""))
        wide = [max(len(c[k]) for c in cells) for k in range(3)]
        return "\n".join("  ".join(t.ljust(w) for t, w in zip(c, (*wide, 0), strict=True)).rstrip() for c in cells)


@dataclass(frozen=True)
class Evidence:
    """Data that an operation may look at.

    Args:
        x: One array `(n, ...)` per model input, in the order of the model's call; None without data.
        y: Labels of the same samples; None without.
        loss: Function `(y_true, y_pred) -> scalar`; None if nobody knows it.
        seed: Seed of what is drawn at random.
    """

    x: list[np.ndarray] | None = None
    y: np.ndarray | None = None
    loss: object = None
    seed: int = 0
    verbose: int = field(default=0, compare=False)

    def inputs(self, model: keras.Model, who: str):
        """Returns what the model's call takes, all samples at once.

        Raises:
            ValueError: If there is no data.
        """
        if self.x is None:
            raise ValueError(f"{who}: needs data. Give representative samples: data=x, an array (n, ...).")
        return keras.tree.pack_sequence_as(keras.tree.map_structure(lambda _: 0, model.input), list(self.x))

    def labels(self, who: str) -> np.ndarray:
        """Returns the labels.

        Raises:
            ValueError: If there are none.
        """
        if self.y is None:
            raise ValueError(f"{who}: needs labels. Give those of the samples in `data`: labels=y, an array (n, ...).")
        return self.y


def evidence(model: keras.Model, data=None, labels=None, loss=None, seed: int = 0, limit: int = 2048, verbose: int = 0):
    """Collects data for operations on a model.

    Args:
        model: A built model; its own loss holds where `loss` is None.
        data: Representative samples in any form that `tfc.convert` takes as calibration; None for none.
        labels: Labels of these samples `(n, ...)`.
        loss: Loss function or its Keras name.
        seed: Seed of what is drawn at random.
        limit: Most samples that are kept.
        verbose: 0 is quiet.

    Raises:
        ValueError: If samples and labels differ in number, or labels came without data.
    """
    chosen = loss if loss is not None else getattr(model, "loss", None)
    function = keras.losses.get(chosen) if isinstance(chosen, str) or callable(chosen) else None
    if data is None:
        if labels is not None:
            raise ValueError("labels were given without data. Give the samples they belong to: data=x.")
        return Evidence(loss=function, seed=seed, verbose=verbose)
    triples = input_triples(model)
    rows = samples(data, triples, limit=limit)
    x = [np.concatenate([row[name] for row in rows]) for name, _, _ in triples]
    return Evidence(x, None if labels is None else _labels(labels, len(rows), limit), function, seed, verbose)


def _labels(labels, count, limit):
    """Labels of the samples that `samples` takes: all of them, or some at even distances."""
    y = np.asarray(labels)
    if len(y) != count and not (count == limit < len(y)):
        raise ValueError(f"data has {count} samples and labels {len(y)}; one label per sample is needed.")
    return y[list(evenly(len(y), limit))] if len(y) > limit else y


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
