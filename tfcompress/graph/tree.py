"""Lists the operations of a live model under unique paths, nested models and composite layers opened."""

import keras

from tfcompress.graph.keras_private import Operation, children
from tfcompress.layer_table.lookup import spec_of


def is_container(op: Operation) -> bool:
    """Whether an operation is opened to list those inside: a model, or a layer of unknown type made of other layers."""
    if isinstance(op, keras.Model):
        return True
    spec = spec_of(op)  # a custom type with axes inherits them: its weights are known by their paths
    return not spec.is_known and not spec.axes and bool(children(op))


def leaves(model: keras.Model) -> list[tuple[str, Operation]]:
    """Returns `(path, operation)` of all operations, nested models opened, each object once.

    The path joins the names of the containers and the operation with `/`; it is unique also where nested models
    use the same layer names.
    """
    found, seen = [], set()

    def visit(op, prefix):
        for child in children(op):
            if id(child) in seen:
                continue
            seen.add(id(child))
            path = f"{prefix}{child.name}"
            if is_container(child):
                visit(child, f"{path}/")
            else:
                found.append((path, child))

    visit(model, "")
    taken: dict[str, int] = {}
    unique = []
    for path, op in found:  # two nested models may share a name as well
        taken[path] = taken.get(path, -1) + 1
        unique.append((f"{path}:{taken[path]}" if taken[path] else path, op))
    return unique


def containers(model: keras.Model) -> list[tuple[str, Operation]]:
    """Returns `(path, operation)` of the models and composite layers inside a model, however deep, each once."""
    found = {}

    def visit(op, prefix):
        for child in children(op):
            if is_container(child) and id(child) not in found:
                found[id(child)] = (f"{prefix}{child.name}", child)
                visit(child, f"{prefix}{child.name}/")

    visit(model, "")
    return list(found.values())


def frozen_ids(model: keras.Model) -> set[int]:
    """Returns the ids of the leaf operations that are not trainable, by their own flag or that of a container."""
    ids = set()

    def visit(op, off):
        for child in children(op):
            stopped = off or getattr(child, "trainable", True) is False
            if is_container(child):
                visit(child, stopped)
            elif stopped:
                ids.add(id(child))

    visit(model, not model.trainable)
    return ids


def is_built(model: keras.Model) -> bool:
    """Whether the model and every layer in it have their weights."""
    return model.built and all(getattr(op, "built", True) for _, op in leaves(model))
