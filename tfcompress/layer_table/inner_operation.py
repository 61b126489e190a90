"""An operation that the code of a layer's own `call` computes, as the layer table and operation plans see it."""

from collections.abc import Mapping
from typing import Any

import keras


class InnerOperation:
    """One operation inside a layer's `call`: a function of `keras.ops`, an operator such as `+`, or one of TensorFlow.

    It stands for the place in the code, not for a value: the layer's own code runs, and what it computes at this place
    is treated as this operation says. Arguments of the call that are no tensors are its attributes, as an operation
    of `keras.ops` has them (`op.axis`, `op.keepdims`).

    Args:
        name: Name in the layer, such as `add_1`.
        kind: Name of its row in the layer table, such as `Add`.
        arguments: The arguments of the call that are no tensors, by name.
        weights: Name to the variable that it reads directly.
        constants: Numbers of the constants among the leaves of `(args, kwargs)` of the call that are tensors.
    """

    built, trainable = True, True

    def __init__(
        self,
        name: str,
        kind: str,
        arguments: Mapping[str, Any] | None = None,
        weights: Mapping[str, keras.Variable] | None = None,
        constants: frozenset[int] = frozenset(),
    ):
        self.constants = constants
        self.name, self.kind, self.arguments, self.weights = name, kind, dict(arguments or {}), dict(weights or {})

    def __getattr__(self, name: str) -> Any:
        """Returns an argument of the call, or a weight."""
        for held in ("arguments", "weights"):
            values = self.__dict__.get(held, {})
            if name in values:
                return values[name]
        raise AttributeError(f"operation {self.__dict__.get('name')!r} has no {name!r}")

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that it reads directly."""
        return list(self.weights.values())

    def __repr__(self) -> str:
        """Shows name and kind."""
        return f"<InnerOperation {self.name} ({self.kind})>"
