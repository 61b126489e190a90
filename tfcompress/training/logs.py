"""Reports on a compression: in `logs`, in a line at the end of training, in the metadata of a file."""

import json

import numpy as np

from tfcompress.fake_quant.state import CompressionState


def facts(state: CompressionState, name: str = "") -> dict[str, float]:
    """Returns sparsity and activation ranges for `logs` after an epoch, so that TensorBoard and CSVLogger show them.

    Args:
        state: The state.
        name: Prefix of every key, where several networks are compressed in one training.

    Returns:
        `sparsity`, the fraction of masked weights among those under a mask, and `range/<name>/low`
        and `range/<name>/high` of every activation range.
    """
    found = {}
    masked, under = count_masked(state)
    if under:
        found[f"{name}sparsity"] = masked / under
    for span in state.ranges:
        key = f"{name}range/{span.title}"
        found[f"{key}/low"], found[f"{key}/high"] = span.limits()
    return found


def count_masked(state: CompressionState) -> tuple[int, int]:
    """Returns how many weights are masked to zero, and how many have a mask at all."""
    masks = [mask for transform in state.transforms if (mask := transform.masked()) is not None]
    return sum(int(np.count_nonzero(mask)) for mask in masks), sum(mask.size for mask in masks)


def summary(state: CompressionState) -> str:
    """Returns a sentence: how many weights have transforms, and the sparsity of those with a mask."""
    treated = sum(int(np.prod(chain.variable.shape)) for chain in state.chains())
    masked, under = count_masked(state)
    if not under:
        return f"{treated:,} weights compressed"
    share = masked / under
    return f"{treated:,} weights compressed; {masked:,} of the {under:,} under a mask are zero (sparsity {share:.4g})"


def recipe_facts(recipe) -> list:
    """Returns the techniques as JSON values, or as text where something in them is code."""
    try:
        return json.loads(recipe.to_json())
    except ValueError:
        return [repr(t) for t in recipe]
