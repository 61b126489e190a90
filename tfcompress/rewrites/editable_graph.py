"""Draft: an editable graph of a model, whose arguments, weights and connections can be changed before it is built.

Weights are float64, so that many changes in a row don't lose precision; the new model is built once, at the end.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np

from tfcompress.graph.clone import New, config_of, copy_with_changes, flat_name
from tfcompress.graph.graph import Graph
from tfcompress.graph.keras_private import float32, full_precision, layers_inside, takes_training
from tfcompress.graph.trace import trace
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import LayerSpec, has_weight, spec_of, weight


@dataclass(eq=False)
class Node:
    """One call of an operation in a draft, with the arguments and weights that it will have.

    Args:
        path: Path of the operation in the model.
        op: The operation as it is now.
        kind: The layer type that it will have.
        config: The constructor arguments that it will have.
        spec: Facts about that type.
        weights: Values by weight path, float64.
        inputs: Numbers of the tensors it reads; `Draft.connect` replaces them.
        outputs: Numbers of the tensors it makes.
        shapes: Shapes of its outputs, batch first.
        is_single: Whether the operation is called once in the model.
        is_complete: Whether `weights` are all its variables.
        is_changed: Whether type, arguments or weights differ from the operation's.
        instead: Functions or layers to call in its place; None for the layer itself, `[]` for nothing.
    """

    path: str
    op: Any
    kind: Any
    config: dict
    spec: LayerSpec
    weights: dict[str, np.ndarray]
    inputs: list[int | None]
    outputs: list[int]
    shapes: tuple
    is_single: bool
    is_complete: bool
    is_changed: bool = False
    instead: list | None = field(default=None)

    def change(self, **weights: np.ndarray) -> None:
        """Replaces some weights."""
        self.weights = {**self.weights, **weights}
        self.is_changed = True

    def configure(self, **arguments) -> None:
        """Replaces some constructor arguments."""
        self.config = {**self.config, **arguments}
        self.is_changed = True


class Draft:
    """A Functional or Sequential model as a list of nodes in order of execution, to be edited and then built.

    Args:
        model: A built model; it is not changed.

    Example:
        >>> import keras, numpy as np
        >>> from tfcompress.rewrites.editable_graph import Draft
        >>> draft = Draft(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="d")]))
        >>> (node,) = draft.nodes
        >>> node.change(kernel=np.ones((2, 1)))
        >>> draft.built().predict(np.ones((1, 2)), verbose=0).item()
        2.0
    """

    def __init__(self, model: keras.Model):
        self.model = model
        traced = trace(model)
        paths = {id(op): path for path, op in leaves(model)}
        self.inputs, self.outputs = list(traced.inputs), list(traced.outputs)
        self.shapes: dict[int, tuple] = dict(
            zip(traced.inputs, [tuple(x.shape) for x in keras.tree.flatten(model.inputs)], strict=True)
        )
        self.nodes: list[Node] = []
        self._gone: list[Node] = []
        for call in traced.calls:
            self.nodes.append(_node(call, paths[id(call.op)], traced.graph.times(call.op) == 1))
            for t, shape in zip(call.outputs, call.shapes, strict=True):
                self.shapes.setdefault(t, shape)

    @cached_property
    def _graph(self) -> Graph[Node]:
        """The connections of the nodes; forgotten when `connect`, `remove` or `pick` changes them."""
        return Graph(self.nodes, self.inputs, self.outputs)

    def _forget_graph(self) -> None:
        self.__dict__.pop("_graph", None)

    def maker(self, tensor: int | None) -> Node | None:
        """Returns the node that makes a tensor; None for inputs of the model."""
        return self._graph.maker(tensor)

    def users(self, tensor: int) -> list[Node]:
        """Returns the nodes that read a tensor."""
        return self._graph.readers(tensor)

    def is_output(self, tensor: int) -> bool:
        """Returns whether a tensor is an output of the model."""
        return self._graph.is_output(tensor)

    def only_user(self, tensor: int) -> Node | None:
        """Returns the only node that reads a tensor; None if there are others or the model returns it."""
        return self._graph.only_reader(tensor)

    def depends(self, second: int, first: int) -> bool:
        """Returns whether a tensor is another one or depends on it."""
        return second == first or self._graph.is_before(first, second)

    def connect(self, node: Node, inputs: list[int | None]) -> None:
        """Replaces the tensors that a node reads."""
        node.inputs = list(inputs)
        self._forget_graph()

    def remove(self, node: Node) -> None:
        """Removes a node; its users read its input instead."""
        (old,), new = node.outputs, node.inputs[0]
        node.instead = []
        self._take_out(node, old, new)

    def pick(self, node: Node, number: int) -> None:
        """Replaces a node that joins several inputs by one of these inputs."""
        (old,), new = node.outputs, node.inputs[number]
        node.instead = [New(lambda *args: keras.tree.flatten(args)[number])]
        self._take_out(node, old, new)

    def _take_out(self, node, old, new):
        self._forget_graph()
        self.nodes.remove(node)
        self._gone.append(node)
        if old == new:  # an operation that returns its input
            return
        for other in self.nodes:
            other.inputs = [new if t == old else t for t in other.inputs]
        self.outputs = [new if t == old else t for t in self.outputs]

    def run_node(self, node: Node, *tensors: np.ndarray) -> np.ndarray:
        """Runs an operation, as it is in the model now, on tensors at inference in float32."""
        keywords = {"training": False} if takes_training(node.op) else {}
        given = [np.asarray(x, "float32") for x in tensors]
        with float32(self.model):
            return np.asarray(node.op(given if len(given) > 1 else given[0], **keywords), "float64")

    def built(self) -> keras.Model:
        """Returns the new model.

        Raises:
            ValueError: If the model is subclassed, so that it has no graph to rebuild.
        """
        changes: dict[int, list[New]] = {}
        for node in (*self.nodes, *self._gone):
            if node.instead is not None:
                changes[id(node.op)] = node.instead
            elif node.is_changed:
                changes[id(node.op)] = [_layer(node)]
        return copy_with_changes(self.model, lambda path, op: changes.get(id(op)))[0]


def _node(call, path, is_single):
    spec, op = spec_of(call.op), call.op
    weights = {}
    for name in spec.axes:
        try:
            weights[name] = np.asarray(full_precision(weight(op, name)), "float64")
        except ValueError:  # the layer does not have this weight, such as a bias with use_bias=False
            continue
    config = config_of(op) if isinstance(op, keras.layers.Layer) and (weights or spec.is_trailing) else {}
    tensors = {"inputs": list(call.inputs), "outputs": list(call.outputs), "shapes": call.shapes}
    is_complete = len(weights) == len(getattr(op, "variables", ()))
    return Node(path, op, type(op), config, spec, weights, **tensors, is_single=is_single, is_complete=is_complete)


def _layer(node: Node) -> New:
    layer = node.kind.from_config({**node.config, "name": flat_name(node.path)})
    inside = tuple(each.trainable for each in layers_inside(node.op)) if node.kind is type(node.op) else ()
    return New(layer, _values(node) or None, getattr(node.op, "trainable", True), inside)


def _values(node: Node) -> list[np.ndarray]:
    """Returns the values of the new layer's variables in their order, also of those that the row does not name."""
    if node.kind is not type(node.op):
        return _in_order_of_row(node)
    names = {id(weight(node.op, name)): name for name in node.spec.axes if has_weight(node.op, name)}
    if set(node.weights) != set(names.values()):  # a bias more or less
        return _in_order_of_row(node)
    variables = getattr(node.op, "variables", ())
    return [node.weights[names[id(v)]] if id(v) in names else np.asarray(full_precision(v)) for v in variables]


def _in_order_of_row(node: Node) -> list[np.ndarray]:
    return [node.weights[name] for name in node.spec.axes if name in node.weights]
