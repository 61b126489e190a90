"""Says what the layer table knows of an operation together with its activation function."""

from typing import Any

from tfcompress.layer_table.lookup import FIXED, FUSE, JOIN, activation, activation_spec, spec_of


def fuses_activation(layer: Any) -> bool:
    """Whether the layer's own activation function becomes part of its kernel's operation."""
    function = activation(layer)
    return function is None or activation_spec(function).grid in (FUSE, JOIN)


def fixed_by_activation(layer: Any) -> tuple[float, float] | None:
    """Returns the fixed range of the layer's own activation function, if LiteRT fixes it."""
    function = activation(layer)
    spec = activation_spec(function) if function is not None else None
    return spec.fixed if spec is not None and spec.grid == FIXED else None


def integer_forms(op: Any) -> list:
    """Returns the table rows of an operation and of its activation function that have an integer rewrite."""
    spec, function = spec_of(op), activation(op)
    found = [spec] if spec.written is not None or spec.within is not None else []
    if function is None or spec.step or spec.inner or not spec.is_known:
        return found
    act = activation_spec(function)
    return [*found, act] if act.written is not None else found
