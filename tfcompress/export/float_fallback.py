"""Finds the layers that may stay float in an integer file, that were left float, and that can't be integer."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import keras

from tfcompress.export.verify import FloatOp
from tfcompress.fake_quant.quantizer_placement import float_reasons, stays_float
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.graph.inside.opened import operations
from tfcompress.graph.trace import trace
from tfcompress.graph.tree import containers, leaves
from tfcompress.layer_table.lookup import spec_of
from tfcompress.selection import matches, unmatched
from tfcompress.tflite.schema.flatbuffer import OPERATIONS


def matches_any(op: Any, keys: Iterable[Any]) -> bool:
    """Returns whether an operation matches one of the name patterns or types."""
    return any(matches(op, key) for key in keys)


def check_names(model: keras.Model, allow_float: Iterable[str], leave_float: Iterable[Any], layers: bool) -> None:
    """Raises if a name matches nothing; a misspelt one would otherwise silently change nothing.

    Args:
        model: A built model.
        allow_float: Names of operations or layers.
        leave_float: Name patterns and types of layers.
        layers: Whether the layers of the model are known in the file (not those of a SavedModel).

    Raises:
        ValueError: In that case.
    """
    if not allow_float and not leave_float:
        return
    inside = leaves(model) if layers else []
    shown = f"Its layers are: {', '.join(path for path, _ in inside)}."
    if lost := unmatched([op for _, op in inside], leave_float):
        raise ValueError(f"convert: leave_float names no layer of model {model.name!r}: {lost}. {shown}")
    paths = [path for path, _ in (*inside, *(containers(model) if layers else []))] + [model.name]
    known = {*OPERATIONS, *paths, *(path.rsplit("/", 1)[-1] for path in paths)}
    if lost := [name for name in allow_float if name not in known and not name.startswith("Flex")]:
        raise ValueError(
            f"convert: allow_float names neither an operation of LiteRT ('CAST', 'CONV_3D') nor a layer of model "
            f"{model.name!r}: {lost}. {shown if layers else 'Of a SavedModel only operations are known.'}"
        )


def allowed_names(model: keras.Model, allow_float: Iterable[str], leave_float: Iterable[Any]) -> set[str]:
    """Returns the operations the user allowed, and the paths of the layers left out on purpose."""
    if not leave_float:
        return set(allow_float)
    found = stays_float(trace(model, opens=True), lambda op: matches_any(op, leave_float))
    return {*allow_float, *(path for path, op in operations(model) if id(op) in found)}


def left_layers(model: keras.Model, state, leave_float: Iterable[Any]) -> set[str]:
    """Returns the paths of the layers left out of int8, by `leave_float` or in training by an override None.

    Args:
        model: The model.
        state: Its operation plans; None without plans.
        leave_float: Name patterns and types of `convert`.
    """
    if state is None:
        return set()
    rounded = {id(t.op) for t, _, _ in state.find(QuantizeWeight)}
    return {
        path
        for path, op in operations(model)
        if matches_any(op, leave_float) or spec_of(op).kernels and id(op) not in rounded
    }


def add_leave_float_remedy(lost: list[FloatOp], left: set[str]) -> list[FloatOp]:
    """Adds the way out to operations that are float because layers were left out of int8."""
    if not left:
        return lost
    own = "its layer was left out of int8: accept it with leave_float=[{0!r}]"
    fed = "layers left out of int8 feed it ({1}), so it has no integer input: leave it out as well"
    listed = ", ".join(sorted(left))
    return [replace(f, remedy=(own if f.layer in left else fed).format(f.layer, listed)) for f in lost]


def table_float_ops(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """Returns the operations that stay float according to the layer table, by path of their layer."""
    reasons = float_reasons(call.op for call in trace(model, opens=True).calls)
    return {path: reasons[id(op)] for path, op in operations(model) if id(op) in reasons}
