"""check_criterion: checks a pruning criterion of your own."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.channels import criteria as channel_criteria
from tfcompress.fake_quant.transforms.scores import STATISTICS
from tfcompress.graph.keras_private import full_precision
from tfcompress.sparsity import criteria
from tfcompress.techniques.prune import Prune
from tfcompress.techniques.prune_channels import PruneChannels
from tfcompress.testing.promises import require_promise
from tfcompress.testing.trials import check_values, data, given, short_fit, small_model


def check_criterion(criterion: str, model: keras.Model | None = None) -> None:
    """Checks a criterion of weights (`tfc.criterion`) or of channels (`tfc.channel_criterion`).

    Args:
        criterion: The name under which it is registered.
        model: A built Functional or Sequential model to prune; None for a small convolutional net.

    Raises:
        AssertionError: If something does not hold; the sentence says what.
        ValueError: If no criterion has that name.

    Example:
        >>> import numpy as np, tfcompress as tfc
        >>> @tfc.criterion("cubed")
        ... def cubed(evidence):
        ...     return np.abs(evidence.weight) ** 3
        >>> tfc.testing.check_criterion("cubed")
    """
    keras.utils.set_random_seed(0)
    model = small_model() if model is None else model
    if criterion in channel_criteria.names():
        _check_channel_criterion(criterion, model)
    if criterion in criteria.names() or criterion not in channel_criteria.names():
        _check_weight_criterion(criterion, model)


def _check_weight_criterion(name: str, model: keras.Model) -> None:
    score, who, size = criteria.find(name), f"criterion {name!r}", (3, 3, 4, 8)
    rng = np.random.default_rng(0)
    held = rng.normal(size=size).astype("float32")
    noted = _figures(name, held, rng) if criteria.needs_gradient(name) else None
    weight = held.copy()
    one, two = (np.asarray(score(criteria.Evidence(weight, noted, np.random.default_rng(1)))) for _ in range(2))
    require_promise(np.array_equal(weight, held), f"{who} must not change the weight that it is given")
    require_promise(
        one.shape == size, f"{who} must return one score per weight, shape {size}. Received: shape {one.shape}"
    )
    require_promise(one.dtype.kind in "biuf", f"{who} must return numbers. Received: an array of {one.dtype}")
    require_promise(not np.isnan(one).any(), f"{who} returns scores that are not numbers (NaN)")
    require_promise(
        np.array_equal(one, two),
        f"{who} returns different scores for the same weight; draw random numbers by evidence.rng",
    )
    _, compression = short_fit(Prune(0.5, criterion=name), model, 0)
    check_values(compression, who)
    for kernel in compression.plan.kernels["Prune"]:
        value = np.asarray(full_precision(kernel.chain.variable))
        wanted, zeros = round(0.5 * value.size), int((value == 0).sum())
        require_promise(
            zeros == wanted,
            f"{who}: of {value.size} weights of {kernel.name}, {wanted} must become zero. Received: {zeros}",
        )


def _figures(name: str, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns what the criterion's `gradient` function records for a weight; checks its shape."""
    made = STATISTICS[name](tf.constant(weight), tf.constant(rng.normal(size=weight.shape).astype("float32")))
    found = np.asarray(made)
    require_promise(
        found.shape == weight.shape,
        f"criterion {name!r}: gradient= must return one figure per weight, shape {weight.shape}. "
        f"Received: shape {found.shape}",
    )
    return found


def _check_channel_criterion(name: str, model: keras.Model) -> None:
    x, who = data(model, 0), f"channel criterion {name!r}"
    y = keras.tree.flatten(model.predict(given(model, 0), verbose=0))[0]

    def cut() -> Any:
        return PruneChannels(0.5, criterion=name, round_to=1).apply(model, x, y, "mse")

    one, two = cut(), cut()
    require_promise(one.count_params() < model.count_params(), f"{who}: no channel was removed")
    pairs = zip(one.variables, two.variables, strict=True)
    same = all(np.array_equal(full_precision(a), full_precision(b)) for a, b in pairs)
    require_promise(same, f"{who} chooses different channels for the same model; draw random numbers by scene.rng")
