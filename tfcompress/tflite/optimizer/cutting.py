"""Removes channels from a file until no more can be removed; its outputs stay the same, bit for bit."""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.channels import RemovableChannels
from tfcompress.tflite.optimizer.circuit import Circuit
from tfcompress.tflite.optimizer.sharing import ends_of, has_free_numbers, numbers


@dataclass(frozen=True)
class RemovedCounts:
    """Counts of what was removed.

    Attributes:
        channels: Number of channels of activations that were removed, over all tensors.
        operations: Number of operations that were removed, over all graphs.
        places: For each graph, the new number of each operation that was kept, by its old one.
    """

    channels: int
    operations: int
    places: tuple[dict[int, int], ...]


def cut(model: schema.ModelT) -> RemovedCounts:
    """Removes channels that are constant or never read, with their weights.

    Args:
        model: The file; changed in place.

    Returns:
        Counts of what was removed. Nothing is removed if the file holds metadata that may refer to
        tensors or operations by number.
    """
    channels, operations, places = 0, 0, []
    for number, graph in enumerate(model.subgraphs):
        before = list(graph.operators or ())
        if has_free_numbers(model) and _has_options(model, graph):
            channels += _cut_graph(Circuit(model, graph, ends_of(model, number)))
        after = {id(op): place for place, op in enumerate(graph.operators or ())}
        operations += len(before) - len(after)
        places.append({old: after[id(op)] for old, op in enumerate(before) if id(op) in after})
    return RemovedCounts(channels, operations, tuple(places))


_KINDS = {
    "ADD": schema.AddOptionsT,
    "AVERAGE_POOL_2D": schema.Pool2DOptionsT,
    "CONCATENATION": schema.ConcatenationOptionsT,
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
    "FULLY_CONNECTED": schema.FullyConnectedOptionsT,
    "MAX_POOL_2D": schema.Pool2DOptionsT,
    "MEAN": schema.ReducerOptionsT,
    "MUL": schema.MulOptionsT,
    "SUB": schema.SubOptionsT,
}


def _has_options(model: schema.ModelT, graph: schema.SubGraphT) -> bool:
    """Returns whether every operation has options of its kind.

    Raises:
        ValueError: If one has options of another kind, as in a damaged file.
    """
    circuit, found = Circuit(model, graph, ends_of(model, model.subgraphs.index(graph))), True
    for op in graph.operators or ():
        name, options = circuit.name(op), op.builtinOptions
        if name in _KINDS and options is not None and not isinstance(options, _KINDS[name]):
            raise ValueError(
                f"not a .tflite file, or a damaged one: operation {name} has options of the kind "
                f"{type(options).__name__.removesuffix('T')}."
            )
        found = found and (name not in _KINDS or options is not None)
    return found


def _cut_graph(circuit: Circuit) -> int:
    gone = 0
    while True:
        found = RemovableChannels(circuit)
        kept = found.kept()
        gone += sum(
            circuit.width(tensor) - len(channels)
            for tensor, channels in kept.items()
            if not circuit.is_constant(tensor)
        )
        if kept:
            _apply(circuit, found, kept)
        elif not (_settle(found) or _drop_unread(circuit, found)):
            return gone


def _settle(found: RemovableChannels) -> bool:
    # a list, not a generator: `settled` changes each of them
    return any([product.zero_constant_outputs(found.span(product.x)) for product in found.products.values()])


def _drop_unread(circuit: Circuit, found: RemovableChannels) -> bool:
    """Drops supported operations whose results are never read; others may have further effects."""
    unread = set(found.spans) - {*circuit.ends, *(index for op in circuit.ops for index in circuit.inputs(op))}
    kept = [op for op in circuit.ops if not (circuit.outputs(op) and set(circuit.outputs(op)) <= unread)]
    is_changed = len(kept) < len(circuit.ops)
    if is_changed:
        circuit.graph.operators = kept
    return is_changed


def _apply(circuit: Circuit, found: RemovableChannels, kept: dict[int, np.ndarray]) -> None:
    """Removes all channels but those kept from activations, kernels, biases and stored shapes."""
    for product in found.products.values():
        if product.x in kept or product.y in kept:
            kept_x, kept_y = (kept.get(t, np.arange(circuit.width(t))) for t in (product.x, product.y))
            product.cut(kept_x, kept_y, found.span(product.x))
    for op in circuit.ops:
        if circuit.name(op) == "RESHAPE" and circuit.outputs(op)[0] in kept:
            _cut_shape(circuit, op, len(kept[circuit.outputs(op)[0]]))
    for tensor, channels in kept.items():
        if circuit.is_constant(tensor):
            _cut_constant(circuit, tensor, channels)
        else:
            _narrow(circuit.tensor(tensor), len(channels))


def _narrow(tensor: schema.TensorT, width: int) -> None:
    for field in ("shape", "shapeSignature"):
        sizes = numbers(getattr(tensor, field))
        if sizes:
            setattr(tensor, field, np.array([*sizes[:-1], width], np.int32))


def _cut_constant(circuit: Circuit, tensor: int, channels: np.ndarray) -> None:
    """Removes channels of a constant operand, for every operation that reads it."""
    new = circuit.add_constant(circuit.constant(tensor)[..., channels], circuit.tensor(tensor))
    for op in circuit.ops:
        for position, index in enumerate(circuit.inputs(op)):
            if index == tensor:
                circuit.set_input(op, position, new)


def _cut_shape(circuit: Circuit, op: schema.OperatorT, width: int) -> None:
    """Sets the number of channels in the stored shape of a RESHAPE; -1 there stands for the remaining size."""
    if len(circuit.inputs(op)) > 1:
        index = circuit.inputs(op)[1]
        shape = circuit.constant(index).copy()
        if shape.size and shape.ravel()[-1] != -1:
            shape.ravel()[-1] = width
            circuit.set_input(op, 1, circuit.add_constant(shape, circuit.tensor(index)))
    options = op.builtinOptions
    if options is not None and numbers(options.newShape) and options.newShape[-1] != -1:
        options.newShape = np.array([*options.newShape[:-1], width], np.int32)
