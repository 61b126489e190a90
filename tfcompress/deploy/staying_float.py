"""Which layers may stay float in an integer file, which were left so, and which must."""

from collections.abc import Iterable
from dataclasses import replace

import keras

from tfcompress.deploy.verify import FloatOp
from tfcompress.facts.select import matches
from tfcompress.facts.spec import spec_of
from tfcompress.mechanics.graph import leaves, trace
from tfcompress.mechanics.placement import float_reasons, stays_float
from tfcompress.mechanics.transforms.quantize import QuantizeWeight


def matches_any(op: object, keys: Iterable[object]) -> bool:
    """Whether one of the name patterns or types means this operation."""
    return any(matches(op, key) for key in keys)


def allowed_names(model: keras.Model, allow_float: Iterable[str], leave_float: Iterable[object]) -> set[str]:
    """Returns the operations the user allowed, and the paths of the layers left out on purpose."""
    if not leave_float:
        return set(allow_float)
    found = stays_float(trace(model), lambda op: matches_any(op, leave_float))
    return {*allow_float, *(path for path, op in leaves(model) if id(op) in found)}


def left_layers(model: keras.Model, state, leave_float: Iterable[object]) -> set[str]:
    """Returns the paths of the layers left out of int8: now, or in training by an override None.

    Args:
        model: The model.
        state: Its treatments; None where nothing was treated.
        leave_float: Name patterns and types of `convert`.
    """
    if state is None:
        return set()
    rounded = {id(t.op) for t, _, _ in state.find(QuantizeWeight)}
    return {
        path
        for path, op in leaves(model)
        if matches_any(op, leave_float) or spec_of(op).kernels and id(op) not in rounded
    }


def with_left(lost: list[FloatOp], left: set[str]) -> list[FloatOp]:
    """Says of operations that are float because layers were left out, what to do about it."""
    if not left:
        return lost
    own = "its layer was left out of int8: accept it with leave_float=[{0!r}]"
    fed = "layers left out of int8 feed it ({1}), so it has no integer input: leave it out as well"
    listed = ", ".join(sorted(left))
    return [replace(f, remedy=(own if f.layer in left else fed).format(f.layer, listed)) for f in lost]


def table_says(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """Returns the operations that stay float by the table of facts, by path of their layer."""
    reasons = float_reasons(trace(model))
    return {path: reasons[id(op)] for path, op in leaves(model) if id(op) in reasons}
