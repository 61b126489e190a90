"""Counts the MACs of a Keras model, layer by layer: kernel size times output positions.

The axes of each kernel come from the layer table, the positions from the shapes of one trace of
the model. Products of two activations are counted in MultiHeadAttention, Dot, `keras.ops.matmul`
and `keras.ops.einsum`.
"""

import math
from collections.abc import Iterable
from typing import Any

import keras

from tfcompress.graph.inside.opened import operations
from tfcompress.graph.keras_private import input_specs
from tfcompress.graph.trace import trace
from tfcompress.layer_table.lookup import LayerSpec, spec_of, weight
from tfcompress.layer_table.mac_counts import Shape, first_shape, product


def model_macs(model: keras.Model) -> list[dict[str, Any]]:
    """Counts the MACs of one sample, for each layer that has kernels.

    Args:
        model: A built model of any kind, nested and subclassed ones included.

    Returns:
        One dictionary per layer: `name` (with the names of the models around it), `op` (its type),
        and `macs`, an int, or None for a layer with weights that the table does not know.

    Raises:
        ValueError: If the model is not built, or a dimension other than the batch is None.

    Example:
        >>> import keras
        >>> from tfcompress.evaluate.macs_model import model_macs
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, name="c")])
        >>> model_macs(model)
        [{'name': 'c', 'op': 'Conv2D', 'macs': 1296}]
    """
    traced = trace(model, opens=True)
    paths = {id(op): path for path, op in operations(model)}
    given = [tuple(spec.shape) for spec in keras.tree.flatten(input_specs(model))]
    shapes = dict(zip(traced.inputs, map(_sample, given), strict=True))
    rows: dict[str, dict[str, Any]] = {}
    for call in traced.calls:
        outputs = [_sample(shape) for shape in call.shapes]
        shapes.update(zip(call.outputs, outputs, strict=True))
        macs = _call_macs(call.op, [shapes.get(number) for number in call.inputs], outputs[0])
        if macs != 0:
            name = paths[id(call.op)]
            kind = getattr(call.op, "kind", type(call.op).__name__)
            row = rows.setdefault(name, {"name": name, "op": kind, "macs": 0})
            row["macs"] = _sum([row["macs"], macs])
    return [*rows.values(), *_loose(model)]


def _sample(shape: tuple[int | None, ...]) -> Shape:
    return (1, *shape[1:]) if shape else shape


def _loose(model: keras.Model) -> list[dict[str, Any]]:
    """Returns rows for weights of models and composite layers themselves, whose use is not known."""
    held = {id(v) for _, op in operations(model) for v in getattr(op, "variables", ())}
    loose = [v for v in model.weights if id(v) not in held and len(v.shape) > 1]
    return [{"name": v.path, "op": "weight outside of a layer", "macs": None} for v in loose]


def _call_macs(op: Any, inputs: list[Shape], output: Shape) -> int | None:
    spec = spec_of(op)
    if spec.count_macs is not None:
        return spec.count_macs(op, inputs, output, _call_macs)
    if not spec.is_known:
        return None if any(len(v.shape) > 1 for v in getattr(op, "variables", ())) else 0
    if spec.inner:
        return _sum(_call_macs(getattr(op, name), inputs, output) for name in spec.inner)
    total = 0
    for path in spec.kernels:
        if not spec.axes[path].is_table:  # A table that is looked up multiplies nothing.
            positions = _positions(op, spec, path, inputs, output)
            total += math.prod(weight(op, path).shape) * positions
    return total


def _positions(layer: keras.Layer, spec: LayerSpec, path: str, inputs: list[Shape], output: Shape) -> int:
    """Returns how often each value of the kernel is used for one sample."""
    axes, kernel = spec.axes[path], weight(layer, path).shape
    if spec.step:  # Once per step of time.
        return product(layer, first_shape(layer, inputs)[1:2])
    if axes.space:
        # A transposed convolution applies the kernel at each input position.
        shape = first_shape(layer, inputs) if axes.is_transposed else output
        first = getattr(layer, "data_format", "channels_last") == "channels_first"
        return product(layer, shape[2:] if first else shape[1:-1])
    return product(layer, output) // axes.number_of_outputs(kernel)


def _sum(parts: Iterable[int | None]) -> int | None:
    parts = list(parts)
    return None if None in parts else sum(parts)
