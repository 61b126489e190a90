"""What a compression tells of itself: in `logs`, at the end, in the metadata of a file."""

import json

import numpy as np

from tfcompress.mechanics.graph import full_precision
from tfcompress.mechanics.state import CompressionState
from tfcompress.mechanics.transforms.mask import Mask


def facts(state: CompressionState) -> dict[str, float]:
    """Returns what goes to `logs` after an epoch, so that TensorBoard and CSVLogger show it.

    Returns:
        `sparsity`, the fraction of masked weights among those under a mask, and `range/<name>/low`
        and `range/<name>/high` of every activation range.
    """
    found = {}
    masks = [np.asarray(full_precision(mask.mask)) for _, _, mask in state.find(Mask)]
    if masks:
        kept = sum(int(np.count_nonzero(m)) for m in masks)
        found["sparsity"] = 1.0 - kept / sum(m.size for m in masks)
    for span in state.ranges:
        found[f"range/{span.title}/low"], found[f"range/{span.title}/high"] = span.limits()
    return found


def summary(state: CompressionState) -> str:
    """Returns how many weights are treated, and how many of them are zero."""
    weights = [chain.variable.numpy() for chain in state.chains()]
    zero = sum(w.size - int(np.count_nonzero(w)) for w in weights)
    return f"{sum(w.size for w in weights):,} treated weights, {zero:,} of them zero"


def recipe_facts(recipe) -> list:
    """Returns the techniques as JSON values, or as text where something in them is code."""
    try:
        return json.loads(recipe.to_json())
    except ValueError:
        return [repr(t) for t in recipe]
