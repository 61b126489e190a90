"""Lists the operations of a model as steps, and builds models from parts of them.

Parts that run one after the other, each fed by name with tensors of earlier parts or inputs, give the outputs of the
model bit for bit: they have the same operations and weights, in the same order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfcompress.graph.clone import copied, flat_name
from tfcompress.graph.graph import Graph
from tfcompress.graph.keras_private import check_graph, input_specs
from tfcompress.graph.rebuild import walk
from tfcompress.layer_table.lookup import FOLD, FUSE, spec_of


@dataclass(frozen=True)
class StepTensor:
    """A tensor between steps; `name` is unique in the model, and the input's name in the parts that read it."""

    number: int
    name: str
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Bytes of one sample; an open dimension counts as 1."""
        count = 1
        for size in self.shape[1:]:
            count *= 1 if size is None else size
        return count * tf.as_dtype(self.dtype).size


@dataclass(frozen=True, eq=False)
class GraphStep:
    """One call of an operation, whose arguments hold `StepTensor` objects."""

    path: str
    op: Any
    args: tuple
    kwargs: dict
    inputs: tuple[StepTensor, ...]
    outputs: tuple[StepTensor, ...]


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a model, as a model of its own.

    Args:
        model: A Functional model with copied layers; inputs and outputs are lists where there are several.
        takes: The tensors that it reads, in the order of its inputs.
        gives: The tensors that later parts read or that the model returns, in the order of its outputs.
        steps: Numbers of the steps inside, in order of execution.
    """

    model: keras.Model
    takes: tuple[StepTensor, ...]
    gives: tuple[StepTensor, ...]
    steps: tuple[int, ...]


class StepGraph:
    """The steps of a model, including those of nested models.

    Args:
        model: A built Functional or Sequential model; it is not changed.

    Attributes:
        steps: In order of execution.
        inputs: The model's inputs, in the order of its call.
        outputs: The model's outputs, in their structure.
        graph: The connections between the steps.

    Raises:
        ValueError: If the model is subclassed, so that it has no graph.

    Example:
        >>> import keras
        >>> from tfcompress.partition.subgraph import StepGraph
        >>> layers = [keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="b")]
        >>> course = StepGraph(keras.Sequential([keras.Input((4,)), *layers]))
        >>> first, second = course.pieces([{0}, {0, 1}])
        >>> second.takes[0].name, second.model.count_params()
        ('a_out', 8)
    """

    def __init__(self, model: keras.Model):
        check_graph(model)
        self.model = model
        self.steps: list[GraphStep] = []
        self._count = 0
        specs = keras.tree.flatten(input_specs(model))
        self._names = {s.name for s in specs}
        self.inputs = [self._tensor(s.name, s.shape, s.dtype.name) for s in specs]
        self.outputs = walk(model, self.inputs, self._visit)
        self.graph = Graph(self.steps, self.inputs, keras.tree.flatten(self.outputs))
        self._numbers = {id(step): k for k, step in enumerate(self.steps)}

    def _makers(self, tensors: Iterable[StepTensor]) -> list[int]:
        """Returns the numbers of the steps that make tensors; no step makes an input of the model."""
        return [self._numbers[id(step)] for t in tensors if (step := self.graph.maker(t)) is not None]

    def _readers(self, tensor: StepTensor) -> list[int]:
        """Returns the numbers of the steps that read a tensor."""
        return [self._numbers[id(step)] for step in self.graph.readers(tensor)]

    def _tensor(self, name, shape, dtype) -> StepTensor:
        self._count += 1
        return StepTensor(self._count, name, tuple(shape), dtype)

    def _visit(self, path, op, args, kwargs, outputs):
        takes = tuple(x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, StepTensor))
        names = [f"{flat_name(path)}_out{f'_{k}' if len(outputs) > 1 else ''}" for k in range(len(outputs))]
        gives = [
            self._tensor(self._unique(name), x.shape, keras.backend.standardize_dtype(x.dtype))
            for name, x in zip(names, outputs, strict=True)
        ]
        self.steps.append(GraphStep(path, op, args, kwargs, tuple(dict.fromkeys(takes)), tuple(gives)))
        return gives

    def _unique(self, name: str) -> str:
        taken = self._names | {flat_name(step.path) for step in self.steps}
        found, number = name, 1
        while found in taken:
            number += 1
            found = f"{name}_{number}"
        self._names.add(found)
        return found

    def before(self, steps: Iterable[int]) -> set[int]:
        """Returns all steps that some steps depend on, these included."""
        found, open_ = set(), list(steps)
        while open_:
            k = open_.pop()
            if k not in found:
                found.add(k)
                open_ += self._makers(self.steps[k].inputs)
        return found

    def crossing(self, done: set[int]) -> list[StepTensor]:
        """Returns the tensors that the remaining steps still read when some steps are done, in the order of making."""
        made = [*self.inputs, *(t for k in sorted(done) for t in self.steps[k].outputs)]
        return [t for t in made if any(k not in done for k in self._readers(t))]

    def fuses(self, done: set[int]) -> bool:
        """Returns whether a boundary separates an operation from a ReLU or normalization that a file fuses into it."""
        readers = {k for t in self.crossing(done) if self._makers([t]) for k in self._readers(t)}
        return any(spec_of(self.steps[k].op).grid in (FUSE, FOLD) for k in readers - done)

    def named(self, name: str) -> list[list[int]]:
        """Returns the steps of a layer, in one list, or those of a nested model, a list for each of its calls.

        Raises:
            ValueError: If neither has this name; the message lists the names that exist.
        """
        single = [k for k, step in enumerate(self.steps) if step.path == name]
        if single:
            return [single]
        runs: list[list[int]] = []
        for k, step in enumerate(self.steps):
            if step.path.startswith(f"{name}/"):
                again = runs and (k - 1 not in runs[-1] or step.path in {self.steps[i].path for i in runs[-1]})
                if not runs or again:
                    runs.append([])
                runs[-1].append(k)
        if not runs:
            paths = list(dict.fromkeys(step.path for step in self.steps))
            known = [*self.nested(), *paths]
            shown = ", ".join(known[:40]) + (f" and {len(known) - 40} more" if len(known) > 40 else "")
            raise ValueError(
                f"split: at: model {self.model.name!r} has no layer or nested model {name!r}. It has: {shown}."
            )
        return runs

    def nested(self) -> list[str]:
        """Returns the names of the models directly inside the model, in order."""
        return list(dict.fromkeys(step.path.split("/")[0] for step in self.steps if "/" in step.path))

    def line(self) -> list[int]:
        """Returns an order of the steps that keeps few bytes in memory.

        Among the steps whose inputs are there, the one that adds the fewest bytes comes next.
        """
        left = {t: len(self._readers(t)) for step in self.steps for t in step.inputs}
        waiting = [{t for t in step.inputs if self._makers([t])} for step in self.steps]
        order, ready = [], [k for k, needs in enumerate(waiting) if not needs]

        def growth(k):
            step = self.steps[k]
            gone = sum(t.bytes for t in step.inputs if left[t] == 1)
            return sum(t.bytes for t in step.outputs if left.get(t)) - gone, k

        while ready:
            k = min(ready, key=growth)
            ready.remove(k)
            order.append(k)
            for t in self.steps[k].inputs:
                left[t] -= 1
            for t in self.steps[k].outputs:
                for reader in self._readers(t):
                    waiting[reader].discard(t)
                    if not waiting[reader]:
                        ready.append(reader)
        return order

    def pieces(self, bounds: Sequence[set[int]]) -> list[Piece]:
        """Builds the parts between boundaries.

        Args:
            bounds: Steps done at each boundary; each set includes the one before it and all steps that its steps
                depend on, and the last one includes all steps. A set that adds no step makes no part.

        Returns:
            The parts; layers are copies with the weights of the model, and an operation that several parts use is one
            object in all of them.

        Raises:
            ValueError: If a set lacks a step that it depends on, or the last one lacks any step.
        """
        layers, done, found = copied(self.model)[1], set(), []
        for bound in bounds:
            if not done <= bound or self.before(bound) != bound:
                raise ValueError("split: a boundary must include the one before it and all that its steps need.")
            if bound != done:
                found.append(self._piece(len(found), sorted(bound - done), bound, layers))
            done = bound
        if len(done) != len(self.steps):
            raise ValueError(f"split: the parts hold {len(done)} of {len(self.steps)} steps.")
        return found

    def _piece(self, number: int, inside: list[int], bound: set[int], layers: dict[int, Any]) -> Piece:
        made = [t for k in inside for t in self.steps[k].outputs]
        own = {t.number for t in made}
        takes = list(dict.fromkeys(t for k in inside for t in self.steps[k].inputs if t.number not in own))
        gives = [t for t in made if self.graph.is_output(t) or set(self._readers(t)) - bound]
        values = {t: keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in takes}
        inputs = list(values.values())
        for k in inside:
            step = self.steps[k]
            args, kwargs = keras.tree.map_structure(
                lambda x: values[x] if isinstance(x, StepTensor) else x, (step.args, step.kwargs)
            )
            outputs = keras.tree.flatten(layers[id(step.op)](*args, **kwargs))
            values.update(zip(step.outputs, outputs, strict=True))
        outputs = [values[t] for t in gives]
        name = f"{self.model.name}_part_{number + 1}"
        model = keras.Model(_plain(inputs), _plain(outputs), name=name)
        return Piece(model, tuple(takes), tuple(gives), tuple(inside))


def _plain(values: list):
    return values[0] if len(values) == 1 else values
