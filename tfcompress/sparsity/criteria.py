"""Pruning criteria: score weights by their values or by recorded gradients; low scores are pruned first."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfcompress.fake_quant.transforms.scores import STATISTICS, SUMMED
from tfcompress.validation import checks


@dataclass(frozen=True)
class Evidence:
    """A weight with its recorded gradients, given to a criterion.

    Args:
        weight: The weight, as it trains.
        noted: The recorded gradient figures, of the weight's shape; None for criteria without `gradient`.
        rng: A generator for this weight, which gives the same numbers at every update.
    """

    weight: np.ndarray
    noted: np.ndarray | None
    rng: np.random.Generator


Score = Callable[[Evidence], np.ndarray]
_table: dict[str, Score] = {}


def criterion(name: str, *, gradient: Callable | None = None, summed: bool = False) -> Callable[[Score], Score]:
    """Registers a criterion under a name, for `Prune(criterion=name)`.

    Args:
        name: The name.
        gradient: For a criterion that looks at gradients: function `(weight, gradient) -> figures` in TensorFlow. Its
            figures are recorded for every weight at every step, masked weights included, and given to the criterion as
            `evidence.noted`.
        summed: Whether the figures are summed over the training; otherwise a mean over about ten steps is kept.

    Returns:
        A decorator for a function `evidence -> scores` (array of the weight's shape, higher stays). It reads
        `evidence.weight` and `evidence.noted`, and draws random numbers by `evidence.rng`.

    Example:
        >>> import numpy as np
        >>> import tfcompress as tfc
        >>> @tfc.criterion("squared")
        ... def squared(evidence):
        ...     return np.square(evidence.weight)
        >>> tfc.Prune(0.5, criterion="squared").criterion
        'squared'

        With gradients:

        >>> import tensorflow as tf
        >>> @tfc.criterion("squared gradient", gradient=lambda weight, gradient: tf.square(gradient))
        ... def squared_gradient(evidence):
        ...     return evidence.noted
        >>> tfc.Prune(0.5, criterion="squared gradient").criterion
        'squared gradient'
    """
    checks.text("criterion", "name", name)
    checks.flag("criterion", "summed", summed)
    if gradient is not None:
        checks.function("criterion", "gradient", gradient, "a function (weight, gradient) -> figures")
    elif summed:
        raise ValueError("criterion: summed=True sums the figures of gradient=.... Received: gradient=None.")

    def register(function: Score) -> Score:
        checks.function("criterion", "function", function)
        _table[name] = function
        if gradient is not None:
            STATISTICS[name] = gradient
            (SUMMED.add if summed else SUMMED.discard)(name)
        return function

    return register


def find(name: str) -> Score:
    """Returns a registered criterion.

    Raises:
        ValueError: If the name is not registered; the message lists the names that are.
    """
    return _table[checks.choice("Prune", "criterion", name, sorted(_table))]


def names() -> list[str]:
    """Returns the names of all criteria."""
    return sorted(_table)


def needs_gradient(name: str) -> bool:
    """Returns whether a criterion needs recorded gradients."""
    return name in STATISTICS


@criterion("magnitude")
def magnitude(evidence: Evidence) -> np.ndarray:
    """Scores by |w| (Han et al., "Learning both Weights and Connections for Efficient Networks", 2015)."""
    return np.abs(evidence.weight)


@criterion("random")
def random(evidence: Evidence) -> np.ndarray:
    """Scores at random, the same at every update: the baseline that every other criterion has to beat."""
    return evidence.rng.random(evidence.weight.shape, dtype="float32")


def _noted(evidence: Evidence) -> np.ndarray:
    return evidence.noted


criterion("gradient")(_noted)  # mean |dL/dw| over the last steps
criterion("taylor")(
    _noted
)  # mean |w dL/dw| (Molchanov et al., "Importance Estimation for Neural Network Pruning", 2019)
criterion("sensitivity")(_noted)  # mean (w dL/dw)^2, the same paper's squared form
criterion("movement")(_noted)  # -sum w dL/dw (Sanh et al., "Movement Pruning", 2020)
