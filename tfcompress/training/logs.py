"""What a compression tells of itself: in `logs`, at the end, in the metadata of a file."""

import json

import numpy as np

from tfcompress.fake_quant.state import CompressionState


def facts(state: CompressionState, name: str = "") -> dict[str, float]:
    """Returns what goes to `logs` after an epoch, so that TensorBoard and CSVLogger show it.

    Args:
        state: The state.
        name: Stands before every key, where several networks are compressed in one training.

    Returns:
        `sparsity`, the fraction of masked weights among those under a mask, and `range/<name>/low`
        and `range/<name>/high` of every activation range.
    """
    found = {}
    masked, under = masked_of(state)
    if under:
        found[f"{name}sparsity"] = masked / under
    for span in state.ranges:
        key = f"{name}range/{span.title}"
        found[f"{key}/low"], found[f"{key}/high"] = span.limits()
    return found


def masked_of(state: CompressionState) -> tuple[int, int]:
    """Returns how many weights are masked, and how many are under a mask: the sparsity, in `logs` and at the end."""
    masks = [mask for transform in state.transforms if (mask := transform.masked()) is not None]
    return sum(int(np.count_nonzero(mask)) for mask in masks), sum(mask.size for mask in masks)


def summary(state: CompressionState) -> str:
    """Returns how many weights are treated, and the sparsity of those under a mask."""
    treated = sum(int(np.prod(chain.variable.shape)) for chain in state.chains())
    masked, under = masked_of(state)
    if not under:
        return f"{treated:,} treated weights"
    share = masked / under
    return f"{treated:,} treated weights; {masked:,} of the {under:,} under a mask are zero (sparsity {share:.4g})"


def recipe_facts(recipe) -> list:
    """Returns the techniques as JSON values, or as text where something in them is code."""
    try:
        return json.loads(recipe.to_json())
    except ValueError:
        return [repr(t) for t in recipe]
