"""Rebuilds a Functional model by calling its operations one after the other, some of them replaced."""

from collections.abc import Callable

import keras

from tfcompress.graph.keras_private import (
    Operation,
    check_graph,
    has_graph,
    input_specs,
    nodes_in_order,
    output_structure,
)
from tfcompress.graph.tree import leaves


def rebuild(
    model: keras.Model,
    replace: Callable[[str, Operation], Callable],
    entrance: Callable[[int, object], object] = lambda number, x: x,
) -> keras.Model:
    """Rebuilds a model as a flat Functional model in which a function may replace every operation.

    Args:
        model: A Functional or Sequential model.
        replace: Function `(path, op) -> callable`, called once for each operation; the callable is called instead.
        entrance: Function `(number, tensor) -> tensor` applied to each input.

    Raises:
        ValueError: If the model is subclassed, so that it has no graph to rebuild.
    """
    made: dict[int, Callable] = {}

    def visit(path, op, args, kwargs, outputs):
        if id(op) not in made:
            made[id(op)] = replace(path, op)
        return made[id(op)](*args, **kwargs)

    check_graph(model)
    inputs = keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), input_specs(model)
    )
    entered = [entrance(k, x) for k, x in enumerate(keras.tree.flatten(inputs))]
    return keras.Model(inputs, walk(model, entered, visit), name=model.name)


def walk(model: keras.Model, inputs: list, visit: Callable):
    """Passes values of any kind through the graph of a model, nested models opened.

    Args:
        model: A Functional or Sequential model.
        inputs: One value per input tensor, in flat order; any object that is no container.
        visit: Function `(path, op, args, kwargs, outputs) -> values`, called for every call of a leaf operation, or of
            a subclassed model, in order of execution. `args` and `kwargs` are those of the call with values in the
            place of tensors; `outputs` are the tensors that the call made when the model was built; it returns one
            value for each of them, in their structure.

    Returns:
        The values of the model's outputs, in the structure of its outputs.

    Raises:
        ValueError: If the model is subclassed, so that it has no graph.
    """
    paths = {id(op): path for path, op in leaves(model)}

    def run(inner, given):
        graph = check_graph(inner)
        values = {id(x): value for x, value in zip(graph.inputs, given, strict=True)}
        for node in nodes_in_order(graph):
            if node.is_input or not node.operation or any(id(x) not in values for x in node.input_tensors):
                continue
            args, kwargs = node.arguments.fill_in(values)
            op = node.operation
            if isinstance(op, keras.Model) and has_graph(op):
                made = run(op, keras.tree.flatten(args[0] if len(args) == 1 else args))
            else:
                made = visit(paths.get(id(op), op.name), op, args, kwargs, node.outputs)
            for x, value in zip(node.outputs, keras.tree.flatten(made), strict=True):
                values[id(x)] = value
        return keras.tree.pack_sequence_as(output_structure(graph), [values[id(x)] for x in graph.outputs])

    return run(model, inputs)


def attach(model: keras.Model, name: str, saveable: keras.layers.Layer) -> None:
    """Attaches state to a model, so that it is saved and loaded with it but is none of its weights or layers."""
    model.__dict__[name] = saveable


def attached(model: keras.Model, name: str) -> keras.layers.Layer | None:
    """Returns the state that `attach` attached to a model, or None."""
    return model.__dict__.get(name)
