"""Observes the calls of a model's operations: random draws, and reads of weights that another operation owns."""

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfcompress.graph.variable_reads import ReplacedReads


class CallObserver(ReplacedReads):
    """A scope that records which operations draw random numbers or read weights of other operations.

    Args:
        owners: The operation that owns a variable, by the variable's id.

    Attributes:
        drawing: Names of the random functions called, by the id of the operation; None is the model itself.
        borrowed: `(variable, owner, reader)` for each read of a weight by an operation that does not own it.
    """

    def __init__(self, owners: dict[int, object]):
        super().__init__()
        self.owners, self.running = owners, []
        self.drawing: dict[int, set[str]] = {}
        self.borrowed: list[tuple] = []

    @contextlib.contextmanager
    def inside(self, op) -> Iterator[None]:
        """Marks an operation as running while the block runs."""
        self.running.append(op)
        try:
            yield
        finally:
            self.running.pop()

    def wrapped(self, op, call: Callable, number: int) -> Callable:
        """Returns a call that marks its operation as running, in a name scope of that number."""

        def noticed(*args, **kwargs):
            with self.inside(op), tf.name_scope(f"tfc{number}_"):
                return call(*args, **kwargs)

        return noticed

    @property
    def at(self) -> object | None:
        """The innermost running operation."""
        return self.running[-1] if self.running else None

    def drawing_by(self, name: str, plain: Callable) -> Callable:
        """Returns a random function that records the operation that calls it."""

        def drawn(*args, **kwargs):
            self.drawing.setdefault(id(self.at), set()).add(name)
            return plain(*args, **kwargs)

        return drawn

    def get_current_value(self, variable):
        """Records a read by an operation that does not own the variable."""
        owner = self.owners.get(id(variable))
        if owner is not None and owner is not self.at:
            self.borrowed.append((variable, owner, self.at))
        return super().get_current_value(variable)


SAME_NUMBERS = ("Identity", "Reshape", "ExpandDims", "Squeeze")
"""TensorFlow operations that leave the numbers of a tensor and their order unchanged."""


def is_only_cast(x) -> bool:
    """Whether an integer tensor is only used as floats: every reader casts it, and none casts it back."""
    users = x.consumers() if x.dtype.is_integer else []
    floats = [op.outputs[0] for op in users if op.type == "Cast" and op.outputs[0].dtype.is_floating]
    return bool(users) and len(floats) == len(users) and not any(_comes_back(y) for y in floats)


def _comes_back(x) -> bool:
    """Whether floats that were cast from integers are cast back to integers."""
    return any(
        op.outputs[0].dtype.is_integer if op.type == "Cast" else op.type in SAME_NUMBERS and _comes_back(op.outputs[0])
        for op in x.consumers()
    )
