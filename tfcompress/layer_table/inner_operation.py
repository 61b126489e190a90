"""An operation that the code of a layer's own `call` computes, as the layer table and operation plans see it."""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class ConstantOperand:
    """The constant of an operation on one tensor and one constant, such as `x * gamma`.

    Args:
        place: Number of the tensor among the leaves of `(args, kwargs)` of the call.
        size: How many values the constant has: one, or one for each entry of the tensor's last axis.
        value: A variable or a number; None where the call computes it from weights.
    """

    place: int
    size: int
    value: Any = None


class InnerOperation:
    """One operation inside a layer's `call`: a function of `keras.ops`, an operator such as `+`, or one of TensorFlow.

    It stands for the place in the code, not for a value: the layer's own code runs, and what it computes at this place
    is treated as this operation says. Arguments of the call that are no tensors are its attributes, as an operation
    of `keras.ops` has them (`op.axis`, `op.keepdims`).

    Args:
        name: Name in the layer, such as `add_1`.
        kind: Name of its row in the layer table, such as `Add`.
        arguments: The arguments of the call that are no tensors, by name.
        weights: The variables that it reads directly, by the name of the argument.
        held_by: The layer in whose call it is.
        plain: The function that is called.
        constants: Numbers of the constants among the leaves of `(args, kwargs)` of the call that are tensors.
    """

    built, trainable = True, True
    operand: ConstantOperand | None
    """The constant, where the operation is one of a tensor and a constant; set when a model is traced."""

    def __init__(
        self,
        name: str,
        kind: str,
        arguments: Mapping[str, Any] | None = None,
        weights: Mapping[str, keras.Variable] | None = None,
        held_by: Any = None,
        plain: Any = None,
        constants: frozenset[int] = frozenset(),
    ):
        self.plain, self.operand = plain, None
        self.constants, self._held_by = constants, None if held_by is None else weakref.ref(held_by)
        self.name, self.kind, self.arguments = name, kind, dict(arguments or {})
        self.weights = dict(weights or {})

    def __getattr__(self, name: str) -> Any:
        """Returns an argument of the call, or a weight by the variable's own name."""
        arguments = self.__dict__.get("arguments", {})
        if name in arguments:
            return arguments[name]
        for variable in self.__dict__.get("weights", {}).values():
            if variable.name == name:
                return variable
        raise AttributeError(f"operation {self.__dict__.get('name')!r} has no {name!r}")

    @property
    def held_by(self) -> Any:
        """The layer in whose call it is; None for an operation of its own."""
        return None if self._held_by is None else self._held_by()

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that it reads directly."""
        return list(self.weights.values())

    def __repr__(self) -> str:
        """Shows name and kind."""
        return f"<InnerOperation {self.name} ({self.kind})>"
