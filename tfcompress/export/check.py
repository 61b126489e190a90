"""Checks that a model can become a file, before any training and before any conversion.

Parts that no file can hold (strings, lookup tables, operations LiteRT lacks) are named with their layer and a way out.
"""

import re

import keras

from tfcompress.export.float_reasons import named, never_integer_reason
from tfcompress.export.unconvertible import NotConvertible, Refused, dependent_operations, lacking_operations
from tfcompress.fake_quant.quantizer_placement import float_reasons
from tfcompress.graph.inside.opened import holder_path
from tfcompress.graph.keras_private import input_triples
from tfcompress.graph.trace import Trace
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import spec_of

_STRINGS = (
    "LiteRT files hold no strings: turn them into numbers in the app, and build the model from the layer that takes "
    "these numbers on, keras.Input(shape, dtype='int32')"
)


def refused_parts(model: keras.Model, traced: Trace | None = None) -> list[Refused]:
    """Returns the parts of a model that no `.tflite` file can hold.

    Args:
        model: A built model.
        traced: Its trace, whose operations are checked as well.
    """
    found = [Refused(f"input {n!r}", "", _STRINGS) for n, _, dtype in input_triples(model) if dtype == "string"]
    for path, op in leaves(model):
        if (way := spec_of(op).outside) is not None:
            found.append(Refused(type(op).__name__, path, way))
    return found if found or traced is None else lacking_inside(model, traced)


def lacking_inside(model: keras.Model, traced: Trace) -> list[Refused]:
    """Returns the operations that LiteRT lacks in the trace of a model."""

    def layer(name):
        numbers = re.findall(r"tfc(\d+)_", name)
        path, op = traced.numbered[int(numbers[-1])] if numbers else (model.name, None)
        return None if spec_of(op).written is not None else holder_path(path, op)

    return lacking_operations(traced.function.graph, layer)


def floats_inside(model: keras.Model, traced: Trace | None = None) -> list[Refused]:
    """Returns the operations that stay float in an integer file whatever the data, each kind once per layer.

    Args:
        model: A built model.
        traced: Its trace, whose operations are checked as well.
    """
    places = leaves(model) if traced is None else traced.numbered
    known = float_reasons(op for _, op in places) if traced is None else float_reasons(c.op for c in traced.calls)
    found = {(op, path): None for path, layer in places for op in known.get(id(layer), ())}
    for op in dependent_operations(traced.function.graph.inputs) if traced is not None else ():
        number = re.findall(r"tfc(\d+)_", op.name)
        name = named(op.type) if any(x.dtype.is_floating for x in op.inputs) else None
        if name is None or not number or int(number[-1]) >= len(places):
            continue
        path, layer = places[int(number[-1])]
        spec = spec_of(layer)
        if not spec.is_known and not spec.written:  # for known layers the layer table has said it above
            found[name, path] = None
    held = {path: holder_path(path, op) for path, op in places}
    return [Refused(op, path, never_integer_reason(op)) for op, path in dict.fromkeys((o, held[p]) for o, p in found)]


def check_exportable(model: keras.Model, traced: Trace | None = None) -> None:
    """Raises if a model has a part that no file can hold.

    Args:
        model: A built model.
        traced: As for `refused_parts`.

    Raises:
        NotConvertible: In that case, with layer, reason and way out.
    """
    refused = refused_parts(model, traced)
    if refused:
        raise NotConvertible(f"No .tflite file can hold a part of model {model.name!r}", refused)
