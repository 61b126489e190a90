"""Converts operation plans to JSON values and back, for the configuration of a session's wrapper layers.

The kind of a field (`op_plan.Holds`) decides how it is written, so a new field of `OpPlan` needs no line here.
A range that several places share is written at each of them, with a number by which it becomes one again; other
operations are written by their names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import keras

from tfcompress.fake_quant.op_plan import FieldKind, OpPlan, WeightChain, kind_of_field
from tfcompress.file_formats import INT8


@dataclass(frozen=True)
class RangeNumber:
    """A reference, by number, to an activation range elsewhere in a saved model.

    Args:
        number: The number of the range.
        bits: Bits of its codes.
    """

    number: int
    bits: int = INT8.activations.bits


def to_config(plan: OpPlan, numbers: Mapping[int, int]) -> dict:
    """Converts a plan to JSON values.

    Args:
        plan: The plan.
        numbers: By `id(range)` its number in the state.
    """
    return {
        f.name: _written(kind_of_field(f), getattr(plan, f.name), numbers)
        for f in fields(plan)
        if kind_of_field(f) is not FieldKind.LIVE
    }


def _written(kind: FieldKind, value, numbers):
    if kind is FieldKind.SCALES:
        return [_written(FieldKind.SCALE, each, numbers) for each in value]
    if kind is FieldKind.CHAINS:
        save = keras.saving.serialize_keras_object
        return {path: [save(transform) for transform in chain.transforms] for path, chain in value.items()}
    if isinstance(value, dict):
        return {str(key): _written(kind, each, numbers) for key, each in value.items()}
    if kind is FieldKind.SCALE:
        return _scale(value, numbers)
    if kind is FieldKind.LAYER:
        return None if value is None else _name(value)
    if kind is FieldKind.RANGE and value is not None:
        return {"number": numbers.get(id(value)), "range": keras.saving.serialize_keras_object(value)}
    return list(value) if isinstance(value, tuple) else value


def _name(layer: Any) -> str:
    """The name of an operation; after loading, until it is looked for, the name is all there is."""
    return layer if isinstance(layer, str) else layer.name


def _scale(value, numbers) -> dict | None:
    if isinstance(value, tuple):
        return {"limits": list(value)}
    number = value.number if isinstance(value, RangeNumber) else numbers.get(id(value))
    return None if number is None else {"number": number, "bits": value.bits}


def from_config(config: Mapping, layer: Any, kind: type[OpPlan] = OpPlan) -> tuple[OpPlan, dict[int, int]]:
    """Makes a plan of JSON values; the inverse of `to_config`.

    Args:
        config: The result of `to_config`; a missing field gets its default.
        layer: The operation.
        kind: Type of the plan.

    Returns:
        The plan, with names in the place of other operations, with a `RangeNumber` where a scale comes from elsewhere,
        and with chains that are not bound to the layer yet; and by `id(range)` its number.

    Raises:
        ValueError: If there are fields that this version does not know.
    """
    known = {f.name: kind_of_field(f) for f in fields(kind) if kind_of_field(f) is not FieldKind.LIVE}
    if strange := sorted(set(config) - set(known)):
        raise ValueError(
            f"Layer {layer.name!r} of a session was saved by a later version of tfcompress: its "
            f"plan has the unknown fields {', '.join(strange)}. Update tfcompress to load it."
        )
    numbers: dict[int, int] = {}
    found = {name: _read(known[name], value, numbers) for name, value in config.items()}
    return kind(op=layer, **found), numbers


def _read(kind: FieldKind, value, numbers):
    load = keras.saving.deserialize_keras_object
    if kind is FieldKind.SCALES:
        return tuple(_read(FieldKind.SCALE, each, numbers) for each in value)
    if kind is FieldKind.CHAINS:
        return {path: WeightChain(path, None, [load(each) for each in made]) for path, made in value.items()}
    if value is None or kind is FieldKind.LAYER:
        return value
    if kind is FieldKind.SCALE:
        return tuple(value["limits"]) if "limits" in value else RangeNumber(**value)
    if kind is FieldKind.RANGE and set(value) != {
        "number",
        "range",
    }:  # several; the numbers of outputs are text in JSON
        return {int(key) if key.isdigit() else key: _read(kind, each, numbers) for key, each in value.items()}
    if kind is FieldKind.RANGE:
        span = load(value["range"])
        if value["number"] is not None:
            numbers[id(span)] = value["number"]
        return span
    return tuple(value) if isinstance(value, list) else value


def resolve_references(plan: OpPlan, ranges: Mapping[int, object], layers: Mapping[str, object]) -> OpPlan:
    """Replaces the numbers and names in a plan by ranges and operations; by None where there is none.

    Args:
        plan: A plan.
        ranges: By number.
        layers: By name.
    """

    def scale(x: Any) -> Any:
        return ranges.get(x.number) if isinstance(x, RangeNumber) else x

    def layer(x: Any) -> Any:
        return layers.get(_name(x))

    return plan.mapped(scales=scale, layers=layer)


def upgrade_config(config: Mapping) -> dict:
    """Converts the configuration of a wrapper layer that release 0.1 wrote to the form of today.

    That release wrote the fields of the plan among the layer's own arguments, and its references under `place`.
    """
    old = {"place": None, "captures": None, "inside": None, "is_last": False, **config}
    place = {"norm": None, "front": None, "folds": False, "affine": False, "ranges": {}, **(old["place"] or {})}
    numbers = place["ranges"]

    def lies(key, span):
        return None if span is None else {"number": numbers.get(key), "range": span}

    def scale(x):
        return {"limits": x} if isinstance(x, list | tuple) else None if x is None else {"number": x}

    plan = {
        "path": old["captures"] or old["name"],
        "captures": old["captures"] is not None,
        "chains": old["chains"],
        "before": lies("before", old["before"]),
        "inside": {name: lies(None, span) for name, span in (old["inside"] or {}).items()},
        "outputs": {key: lies(key, span) for key, span in old["outputs"].items()},
        "written": old["inside"] is not None,
        "sources": [scale(x) for x in place.get("sources", [place.get("source")])],
        "target": scale(numbers.get("target")),
        "table": scale(numbers.get("table")),
        **{key: old[key] for key in ("fixed", "is_last")},
        **{key: place[key] for key in ("norm", "front", "folds", "affine")},
    }
    gone = ("chains", "outputs", "before", "inside", "fixed", "is_last", "captures", "place")
    return {**{key: value for key, value in config.items() if key not in gone}, "plan": plan}
