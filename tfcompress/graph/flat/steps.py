"""What happened in one run of a model: calls of layers and operations, and the values that they passed on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the inputs or the weights; its number is the same in every run of the model."""

    number: int


@dataclass(frozen=True, eq=False)
class Own:
    """A variable that is read where it stands, not by the layer that a call goes to."""

    variable: keras.Variable


@dataclass(frozen=True, eq=False)
class Fixed:
    """A tensor or array that depends on neither inputs nor weights."""

    array: np.ndarray


@dataclass(frozen=True, eq=False)
class Varying:
    """A number or constant that depends on the size of the batch.

    Args:
        first: Its value in a batch of `BATCHES[0]` samples.
        second: Its value in a batch of `BATCHES[1]` samples.
    """

    first: Any
    second: Any


BATCHES = (2, 3)


@dataclass(eq=False)
class Step:
    """One call.

    Args:
        op: A layer or operation; for a function or operator its `OperationFunction`.
        args: Positional arguments, with `Value`, `Own` and `Fixed` in the place of tensors.
        kwargs: Keyword arguments, likewise.
        is_open: Whether `steps` says what the call did.
        outputs: What it returned, likewise, under numbers of its own.
        results: What it returned, of an open layer under the numbers that its steps gave.
        shapes: Shape by the number of each value that it made.
        other_shapes: The same in a batch of the other size.
        dtypes: Type by the number of each value that it made.
        steps: What an open layer did.
        problem: Why an open layer can't be replaced by its steps; None if nothing is known against it.
        arrays: The tensors among the outputs, of an outermost call.
    """

    op: Any
    args: Any
    kwargs: Any
    is_open: bool = False
    outputs: Any = None
    results: Any = None
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    other_shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    dtypes: dict[int, str] = field(default_factory=dict)
    steps: list["Step"] = field(default_factory=list)
    problem: str | None = None
    arrays: list[Any] = field(default_factory=list)

    @property
    def given(self) -> list[Any]:
        """The leaves of the arguments."""
        return leaves_of((self.args, self.kwargs))

    @property
    def made(self) -> list[int]:
        """Numbers of the values that it made."""
        return [x.number for x in leaves_of(self.outputs) if isinstance(x, Value)]

    def all_steps(self) -> Iterator["Step"]:
        """Yields this step and those inside it, however deep."""
        yield self
        for step in self.steps:
            yield from step.all_steps()


def leaves_of(structure: Any) -> list[Any]:
    """Returns the leaves of a structure; slices are opened too."""
    found = []
    for x in keras.tree.flatten(structure):
        found += leaves_of([x.start, x.stop, x.step]) if isinstance(x, slice) else [x]
    return found


def map_leaves(function: Any, structure: Any) -> Any:
    """Applies a function to the leaves of a structure; slices are opened too."""

    def mapped(x):
        if isinstance(x, slice):
            return slice(*(function(part) for part in (x.start, x.stop, x.step)))
        return function(x)

    return keras.tree.map_structure(mapped, structure)


def read_by(step: Step) -> list[int]:
    """Returns the numbers of the values that a call reads."""
    return [x.number for x in step.given if isinstance(x, Value)]


def needed_steps(step: Step) -> set[int]:
    """Returns the ids of the steps of an open layer that its outputs depend on."""
    wanted = {x.number for x in leaves_of(step.results) if isinstance(x, Value)}
    found = set()
    for inner in reversed(step.steps):
        if wanted.intersection(inner.made):
            found.add(id(inner))
            wanted.update(read_by(inner))
    return found
