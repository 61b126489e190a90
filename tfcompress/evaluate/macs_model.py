"""MACs of a Keras model, layer by layer: kernel size times output positions.

The axes of each kernel come from the table of layer facts, the positions from the shapes of one
trace of the model. Products of two activations are counted in MultiHeadAttention, Dot,
`keras.ops.matmul` and `keras.ops.einsum`.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras

from tfcompress.graph.keras_private import input_specs
from tfcompress.graph.trace import trace
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import LayerSpec, spec_of, weight

# Sizes of one tensor of one sample: the batch is 1; None where a size, or the tensor, is not known.
Shape = tuple[int | None, ...] | None


def model_macs(model: keras.Model) -> list[dict[str, Any]]:
    """MACs for one sample, for each layer that has kernels.

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
    paths = {id(op): path for path, op in leaves(model)}
    traced = trace(model)
    given = [tuple(spec.shape) for spec in keras.tree.flatten(input_specs(model))]
    shapes = dict(zip(traced.inputs, map(_sample, given), strict=True))
    rows: dict[str, dict[str, Any]] = {}
    for call in traced.calls:
        outputs = [_sample(shape) for shape in call.shapes]
        shapes.update(zip(call.outputs, outputs, strict=True))
        macs = _call_macs(call.op, [shapes.get(number) for number in call.inputs], outputs[0])
        if macs != 0:
            name = paths[id(call.op)]
            row = rows.setdefault(name, {"name": name, "op": type(call.op).__name__, "macs": 0})
            row["macs"] = _sum([row["macs"], macs])
    return [*rows.values(), *_loose(model)]


def _sample(shape: tuple[int | None, ...]) -> Shape:
    return (1, *shape[1:]) if shape else shape


def _loose(model: keras.Model) -> list[dict[str, Any]]:
    """Weights of models and composite layers themselves: what they multiply is not known."""
    held = {id(v) for _, op in leaves(model) for v in getattr(op, "variables", ())}
    loose = [v for v in model.weights if id(v) not in held and len(v.shape) > 1]
    return [{"name": v.path, "op": "weight outside of a layer", "macs": None} for v in loose]


def _call_macs(op: Any, inputs: list[Shape], output: Shape) -> int | None:
    for cls in type(op).__mro__:
        rule = _SPECIAL.get(cls) or _OPERATIONS.get(cls.__name__)
        if rule:
            return rule(op, inputs, output)
    spec = spec_of(op)
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
    """How often one sample meets each value of the kernel."""
    axes, kernel = spec.axes[path], weight(layer, path).shape
    if spec.step:  # Once per step of time.
        return _product(layer, _first(layer, inputs)[1:2])
    if axes.space:
        # A transposed convolution lays the kernel at each input position.
        shape = _first(layer, inputs) if axes.is_transposed else output
        first = getattr(layer, "data_format", "channels_last") == "channels_first"
        return _product(layer, shape[2:] if first else shape[1:-1])
    return _product(layer, output) // axes.number_of_outputs(kernel)


def _first(layer: Any, inputs: list[Shape]) -> tuple[int | None, ...]:
    if not inputs or inputs[0] is None:
        raise ValueError(
            f"macs: the input of layer {layer.name!r} comes from outside of any layer, so its "
            "shape is not known. Count the MACs of the converted artifact."
        )
    return inputs[0]


def _product(layer: Any, sizes: tuple[int | None, ...]) -> int:
    if None in sizes:
        raise ValueError(
            f"macs: layer {layer.name!r} has an unknown dimension: {tuple(sizes)}. "
            "Build the model with fixed sizes, for instance keras.Input((224, 224, 3))."
        )
    return math.prod(sizes)


def _sum(parts: Iterable[int | None]) -> int | None:
    parts = list(parts)
    return None if None in parts else sum(parts)


def _indices(op: Any, equation: str, shapes: list[tuple[int | None, ...]]) -> int:
    """Product of the sizes of all indices of an einsum: each combination is one MAC."""
    sizes: dict[str, int | None] = {}
    terms = equation.replace(" ", "").split("->")[0].split(",")
    for term, shape in zip(terms, shapes, strict=True):
        head, _, tail = term.partition("...")
        free = len(shape) - len(head) - len(tail)
        # Dimensions behind `...` are counted from the right, as in broadcasting.
        names = [*head, *(f"...{free - k}" for k in range(free)), *tail]
        for name, size in zip(names, shape, strict=True):
            sizes[name] = size if sizes.get(name, 1) == 1 else sizes[name]
    return _product(op, tuple(sizes.values()))


def _einsum_dense(layer: Any, inputs: list[Shape], output: Shape) -> int:
    kernel = tuple(weight(layer, "kernel").shape)
    return _indices(layer, layer.equation, [_first(layer, inputs), kernel])


def _einsum(op: Any, inputs: list[Shape], output: Shape) -> int | None:
    # More than two operands: how they are paired, and with it the number of MACs, is open.
    return _indices(op, op.subscripts, inputs) if len(inputs) == 2 and None not in inputs else None


def _matmul(op: Any, inputs: list[Shape], output: Shape) -> int:
    return _product(op, output) * _product(op, _first(op, inputs)[-1:])


def _time_distributed(layer: Any, inputs: list[Shape], output: Shape) -> int | None:
    first = _first(layer, inputs)
    each = _call_macs(layer.layer, [(1, *first[2:])], (1, *output[2:]))
    return None if each is None else each * _product(layer, first[1:2])


def _attention(layer: Any, inputs: list[Shape], output: Shape) -> int:
    queries = _product(layer, output[1:-1])
    keys = _product(layer, _first(layer, inputs[1:] or inputs)[1:-1])
    rows = {"query": queries, "key": keys, "value": keys, "output": queries}
    total = sum(count * math.prod(weight(layer, f"{name}_dense/kernel").shape) for name, count in rows.items())
    # Scores (query times key) and their use (weights times value), in each head.
    key_dim, value_dim = (layer.get_config()[name] for name in ("key_dim", "value_dim"))
    return total + layer.num_heads * queries * keys * (key_dim + value_dim)


def _dot(layer: Any, inputs: list[Shape], output: Shape) -> int:
    axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return _product(layer, output) * _product(layer, (_first(layer, inputs)[axis],))


Rule = Callable[[Any, list[Shape], Shape], int | None]
# Layers whose shapes inside differ from those outside, or that multiply activations.
_SPECIAL: dict[type, Rule] = {
    keras.layers.EinsumDense: _einsum_dense,
    keras.layers.TimeDistributed: _time_distributed,
    keras.layers.MultiHeadAttention: _attention,
    keras.layers.Dot: _dot,
}
# Nodes of `keras.ops`, by name: Keras publishes no class for them.
_OPERATIONS: dict[str, Rule] = {"Matmul": _matmul, "Einsum": _einsum}
