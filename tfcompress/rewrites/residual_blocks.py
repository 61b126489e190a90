"""Residual blocks: finds and removes residual branches, and layers whose output has the shape of their input.

A model without a residual branch equals the model that adds zeros in its place. Operations that only the branch needed
are removed too; those that others read stay.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.graph.clone import New, copy_with_changes
from tfcompress.graph.graph import Graph
from tfcompress.graph.keras_private import check_graph, float32, takes_training
from tfcompress.graph.rebuild import walk
from tfcompress.layer_table.lookup import spec_of

BLOCK, LAYER = "block", "layer"
BATCH = 64
_READ = {"weight": 0, "constant": 0, "first": 1}  # how many of its inputs an operation reads the values of

Picks = dict[int, int]
"""For each removed operation, by `id(operation)`: the number of the input that replaces its output."""


@dataclass(frozen=True)
class Droppable:
    """A block or layer that can be removed.

    Args:
        path: Path of the sum that ends the block, or of the layer.
        kind: "block" or "layer".
        picks: The operations to remove, with the inputs that replace them.
        inside: Paths of all operations that are removed with it.
    """

    path: str
    kind: str
    picks: Picks
    inside: tuple[str, ...]


@dataclass(frozen=True)
class _Tensor:
    number: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class _Node:
    path: str
    op: object
    inputs: tuple[_Tensor, ...]
    outputs: tuple[_Tensor, ...]


class ReducedGraph:
    """The graph of a model without some operations.

    Args:
        model: A built Functional or Sequential model.
        picks: The operations to leave out, with the inputs that replace them.

    Attributes:
        nodes: Calls of the remaining operations in order of execution.
        graph: The connections between them.
    """

    def __init__(self, model: keras.Model, picks: Picks):
        self.nodes: list[_Node] = []
        count = 0

        def tensor(shape):
            nonlocal count
            count += 1
            return _Tensor(count, tuple(shape))

        def visit(path, op, args, kwargs, outputs):
            given = tuple(x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, _Tensor))
            if id(op) in picks:
                return [given[picks[id(op)]]]
            given = given[: _READ.get(spec_of(op).flow, len(given))]
            made = tuple(tensor(x.shape) for x in outputs)
            self.nodes.append(_Node(path, op, given, made))
            return list(made)

        self.inputs = [tensor(x.shape) for x in check_graph(model).inputs]
        self.outputs = keras.tree.flatten(walk(model, self.inputs, visit))
        self.graph = Graph(self.nodes, self.inputs, self.outputs)
        needed = self.graph.needed()
        self.alive = {n.path: n.op for n in self.nodes if needed.intersection(n.outputs)}
        self.read = [x in needed for x in self.inputs]

    def readers(self, tensor: _Tensor) -> list[_Node]:
        """Returns the nodes that read a tensor and that an output depends on."""
        return [n for n in self.graph.readers(tensor) if n.path in self.alive]

    def is_output(self, node: _Node) -> bool:
        """Returns whether an output of a node is an output of the model."""
        return any(map(self.graph.is_output, node.outputs))


def droppable(model: keras.Model, picks: Picks | None = None) -> tuple[list[Droppable], dict[str, str]]:
    """Finds the residual blocks and layers that can be removed from a model.

    Args:
        model: A built Functional or Sequential model; nested models are included.
        picks: Operations that are removed already.

    Returns:
        Blocks and layers in order of execution; and by path of a sum or a layer with a kernel that can't be removed
        the reason.

    Raises:
        ValueError: If the model is subclassed, so that it has no graph.

    Example:
        >>> import keras
        >>> x = inputs = keras.Input((8,))
        >>> y = keras.layers.Dense(8, activation="relu", name="a")(x)
        >>> x = keras.layers.Add(name="sum")([x, keras.layers.Dense(8, name="b")(y)])
        >>> found, _ = droppable(keras.Model(inputs, keras.layers.Dense(2, name="end")(x)))
        >>> [(d.kind, d.path, d.inside) for d in found if d.kind == "block"]
        [('block', 'sum', ('a', 'b', 'sum'))]
    """
    picks = picks or {}
    layout = ReducedGraph(model, picks)
    found, reasons = [], {}
    for node in layout.nodes:
        if node.path not in layout.alive:
            continue
        is_sum = spec_of(node.op).is_sum and len(node.inputs) == 2
        if not is_sum and not spec_of(node.op).kernels:
            continue
        chosen = _block(layout, node) if is_sum else _layer(layout, node)
        if isinstance(chosen, str):
            reasons[node.path] = chosen
            continue
        after = ReducedGraph(model, picks | chosen)
        if after.read != layout.read:
            reasons[node.path] = "an input of the model would not be read any more"
            continue
        inside = tuple(path for path in layout.alive if path not in after.alive)
        found.append(Droppable(node.path, BLOCK if is_sum else LAYER, chosen, inside))
    return found, reasons


def _barred(layout: ReducedGraph, node: _Node) -> str | None:
    if layout.graph.times(node.op) > 1:
        return "it is called more than once"
    return "it makes an output of the model" if layout.is_output(node) else None


def _block(layout: ReducedGraph, node: _Node) -> Picks | str:
    """Returns the operand of a sum that replaces it, or why there is none."""
    a, b = node.inputs
    if why := _barred(layout, node):
        return why
    if not a.shape == b.shape == node.outputs[0].shape:
        return "its operands differ in shape"
    if not layout.graph.is_before(a, b) and not layout.graph.is_before(b, a):
        return "neither operand is made of the other: the shortcut has layers of its own"
    return {id(node.op): 0 if layout.graph.is_before(a, b) else 1}


def _layer(layout: ReducedGraph, node: _Node) -> Picks | str:
    """Returns a layer with the normalization and activation that only it feeds, or why it can't be removed."""
    given, (made, *more) = set(node.inputs), node.outputs
    if why := _barred(layout, node):
        return why
    if len(given) != 1 or more:
        return "it takes or makes several tensors"
    (source,) = given
    if source.shape != made.shape:
        return f"it makes {_shown(made.shape)} of {_shown(source.shape)}"
    is_spatial = any(axes.space for axes in spec_of(node.op).axes.values())
    if None in made.shape[1:] and is_spatial:
        return "the size of what it makes is open"
    unit = [node]
    while (following := _following(layout, unit[-1])) is not None:
        unit.append(following)
    end = unit[-1].outputs[0]
    if any(source in reader.inputs for reader in layout.readers(end)):
        return "it is the whole branch of a block"
    return {id(n.op): 0 for n in unit}


def _following(layout: ReducedGraph, node: _Node) -> _Node | None:
    readers = layout.readers(node.outputs[0])
    if len(readers) != 1 or layout.is_output(node):
        return None
    (reader,) = readers
    is_plain = len(reader.inputs) == 1 and reader.outputs[0].shape == node.outputs[0].shape
    spec = spec_of(reader.op)
    is_function = not isinstance(reader.op, keras.layers.Layer) and spec.flow == "pass"
    belongs = spec.affine or is_function or spec.is_trailing
    return reader if is_plain and belongs and not _barred(layout, reader) else None


def _shown(shape) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape[1:]) + ")"


def remove_operations(model: keras.Model, picks: Picks) -> keras.Model:
    """Returns a flat model without some operations and without those that only they needed.

    Args:
        model: A built Functional or Sequential model; it is not changed.
        picks: The operations to remove, from `droppable`.
    """

    def change(path, op):
        return [New(_picking(picks[id(op)]))] if id(op) in picks else None

    return copy_with_changes(model, change)[0]


def _picking(number: int) -> Callable:
    def pick(*args, **kwargs):
        return [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)][number]

    return pick


def outputs_without(model: keras.Model, picks: Picks, x: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the outputs of a model without some operations; no new model is built.

    Args:
        model: A built Functional or Sequential model.
        picks: The operations to leave out.
        x: One array `(n, ...)` per input, in the order of the model's call.

    Returns:
        One array `(n, ...)` per output, in flat order.
    """

    def visit(path, op, args, kwargs, outputs):
        if id(op) in picks:
            given = [x for x in keras.tree.flatten((args, kwargs)) if keras.ops.is_tensor(x)]
            return [given[picks[id(op)]]]
        return op(*args, **(kwargs | ({"training": False} if takes_training(op) else {})))

    parts = []
    with float32(model):
        for start in range(0, len(x[0]), BATCH):
            batch = [keras.ops.convert_to_tensor(a[start : start + BATCH]) for a in x]
            parts.append([np.asarray(y) for y in keras.tree.flatten(walk(model, batch, visit))])
    return [np.concatenate(ys) for ys in zip(*parts, strict=True)]
