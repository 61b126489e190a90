"""Transfers the state of a compression from a model to its copy, also to one with fewer channels."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tfcompress.fake_quant.input_scaling import ProductAndSum
from tfcompress.fake_quant.op_plan import WeightChain
from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.keras_private import full_precision

Kept = Callable[[object, str], list[np.ndarray | None]]


def transfer_state(
    state: CompressionState, places: dict[int, object], kept: Kept = lambda op, path: []
) -> CompressionState:
    """Copies the state of a compression to a copied model; activation ranges stay the same objects.

    Args:
        state: The state of the original.
        places: By `id(operation)` of the original the operation that replaces it.
        kept: Function `(operation, weight path) -> list` with one entry per axis of the weight: which channels the copy
            keeps, as booleans, or None for all.
    """

    def moved(other):
        if isinstance(other, ProductAndSum):
            return ProductAndSum(moved(other.product), moved(other.sum))
        return places.get(id(other), other)

    def of_copy(t):
        op = places.get(id(t.op), t.op)
        chains = {p: _twin(c, WeightChain.of(op, p), kept(t.op, p)) for p, c in t.chains.items()}
        return replace(t.mapped(layers=moved), op=op, chains=chains)

    return CompressionState([of_copy(t) for t in state.op_plans], state.inputs)


def _twin(chain: WeightChain, made: WeightChain, kept: list[np.ndarray | None]) -> WeightChain:
    """Copies the chain of a weight, since baking changes the state of transforms as well."""
    cut = any(k is not None and not k.all() for k in kept)
    for transform in chain.transforms:
        if cut and not transform.outlives_cut:
            continue  # the channels it masked are gone
        copy = type(transform).from_config(transform.get_config())
        made.add(copy)
        for mine, theirs in zip(copy.variables, transform.variables, strict=True):
            mine.assign(_part(full_precision(theirs), chain.variable.shape, kept) if cut else theirs)
    return made


def _part(value, shape, kept):
    """Selects the state of the channels that are left, along axes that the state shares with the weight."""
    value = np.asarray(value)
    if value.ndim == len(shape):
        for axis, mask in enumerate(kept):
            if mask is not None and value.shape[axis] == shape[axis]:
                value = np.compress(mask, value, axis)
    return value
