"""What happens inside the calls of a model: who draws at random, who reads whose weight."""

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfcompress.graph.variable_reads import Reading


class Noticing(Reading):
    """A scope that tells which operation reads or assigns which variable.

    Args:
        owners: The operation that owns a variable, by the variable's id.

    Attributes:
        drawing: Names of the random functions called, by the id of the operation; None is the model itself.
        borrowed: `(variable, owner, reader)` for each read of a weight by another operation than its owner.
    """

    def __init__(self, owners: dict[int, object]):
        super().__init__()
        self.owners, self.running = owners, []
        self.drawing: dict[int, set[str]] = {}
        self.borrowed: list[tuple] = []

    @contextlib.contextmanager
    def inside(self, op) -> Iterator[None]:
        """Says that an operation runs while the block does."""
        self.running.append(op)
        try:
            yield
        finally:
            self.running.pop()

    def wrapped(self, op, call: Callable, number: int) -> Callable:
        """Returns a call that says so, in a name scope of that number."""

        def noticed(*args, **kwargs):
            with self.inside(op), tf.name_scope(f"tfc{number}_"):
                return call(*args, **kwargs)

        return noticed

    @property
    def at(self) -> object | None:
        """The innermost operation that runs."""
        return self.running[-1] if self.running else None

    def drawing_by(self, name: str, plain: Callable) -> Callable:
        """Returns a random function that notes who calls it."""

        def drawn(*args, **kwargs):
            self.drawing.setdefault(id(self.at), set()).add(name)
            return plain(*args, **kwargs)

        return drawn

    def get_current_value(self, variable):
        """Notes a read."""
        owner = self.owners.get(id(variable))
        if owner is not None and owner is not self.at:
            self.borrowed.append((variable, owner, self.at))
        return super().get_current_value(variable)


SAME_NUMBERS = ("Identity", "Reshape", "ExpandDims", "Squeeze")
"""Operations that hand on the numbers they are given, in their order."""


def is_only_cast(x) -> bool:
    """Whether a tensor of integers serves as floats only: all that reads it casts it, and not back."""
    users = x.consumers() if x.dtype.is_integer else []
    floats = [op.outputs[0] for op in users if op.type == "Cast" and op.outputs[0].dtype.is_floating]
    return bool(users) and len(floats) == len(users) and not any(_comes_back(y) for y in floats)


def _comes_back(x) -> bool:
    """Whether a tensor of floats that were integers is cast to integers again."""
    return any(
        op.outputs[0].dtype.is_integer if op.type == "Cast" else op.type in SAME_NUMBERS and _comes_back(op.outputs[0])
        for op in x.consumers()
    )
