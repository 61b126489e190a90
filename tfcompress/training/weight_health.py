"""Checks the weights at the end of a training: not finite, changed since they were baked, out of a constraint."""

import keras
import numpy as np

from tfcompress.fake_quant.constraints import meets_constraint
from tfcompress.fake_quant.op_plan import WeightChain
from tfcompress.fake_quant.state import CompressionState
from tfcompress.fake_quant.transforms.base import FIXED_POINT
from tfcompress.graph.keras_private import full_precision
from tfcompress.graph.tree import leaves
from tfcompress.training.laps import is_finite


def find_not_finite(model: keras.Model) -> list[str]:
    """Returns the paths of the layers with weights, or BatchNormalization statistics, that are NaN or infinite."""
    return [
        path
        for path, op in leaves(model)
        if not all(is_finite(v) for v in getattr(op, "weights", ()) if "float" in v.dtype)
    ]


def divergence_message(names: list[str]) -> str:
    """Returns the sentence that names layers whose weights are not finite."""
    shown = ", ".join(repr(name) for name in names[:5]) + (" and more" if len(names) > 5 else "")
    return (
        f"weights of {shown} are not finite: the training diverged. Start again from earlier weights, with a lower "
        "learning rate or with clipnorm in the optimizer"
    )


def changed(state: CompressionState) -> list[WeightChain]:
    """Returns the chains of weights that no longer hold what was baked into them, within a tolerance."""
    return [c for c in state.chains() if is_finite(c.variable) and not _is_held(c)]


def _is_held(chain: WeightChain) -> bool:
    value, weight = (np.asarray(w) for w in (chain.value(lasting=True), full_precision(chain.variable)))
    near = np.abs(value - weight) <= FIXED_POINT * np.abs(weight).max(initial=0.0)
    return bool(np.all(near & ((value == 0) == (weight == 0))))


def find_violated_constraints(state: CompressionState) -> list[str]:
    """Returns the paths of the weights whose values violate their constraint once the techniques are applied."""
    return [
        f"{t.path}/{c.path}"
        for t in state.op_plans
        for c in t.chains.values()
        if is_finite(c.variable) and not meets_constraint(c.variable, full_precision(c.variable))
    ]
