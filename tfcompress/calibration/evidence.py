"""Collects samples, labels and loss for changes of a graph that need data."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tfcompress.calibration.image_folder import evenly
from tfcompress.calibration.samples import samples
from tfcompress.graph.keras_private import input_triples


@dataclass(frozen=True)
class Evidence:
    """Samples, labels and loss that a change of a model may use.

    Args:
        x: One array `(n, ...)` per model input, in the order of the model's call; None without data.
        y: Labels of the same samples; None without.
        loss: Function `(y_true, y_pred) -> scalar`; None if unknown.
        seed: Seed of what is drawn at random.
    """

    x: list[np.ndarray] | None = None
    y: np.ndarray | None = None
    loss: Any = None
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
    """Collects samples, labels and loss for changes of a model.

    Args:
        model: A built model; its own loss is used where `loss` is None.
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
    """Returns the labels of the samples that `samples` takes: all of them, or some at even distances."""
    y = np.asarray(labels)
    if len(y) != count and not (count == limit < len(y)):
        raise ValueError(f"data has {count} samples and labels {len(y)}; one label per sample is needed.")
    return y[list(evenly(len(y), limit))] if len(y) > limit else y
