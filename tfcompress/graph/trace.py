"""Traces a model: which operation is called on which tensors in one forward pass."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from tfcompress.graph.call_observers import CallObserver, is_only_cast
from tfcompress.graph.graph import Graph
from tfcompress.graph.keras_private import (
    DRAWN,
    RANDOM,
    Operation,
    float32,
    input_specs,
    no_dropout_masks,
    override_attributes,
    takes_training,
)
from tfcompress.graph.tree import containers, leaves

_TRANSPARENT = ("Identity", "Cast", "StopGradient", "EnsureShape")


@dataclass(frozen=True)
class Call:
    """One call of an operation; `inputs` and `outputs` are numbers of tensors, None where the source is unknown.

    Masks are not counted among the inputs; `masked` says whether there was one.
    """

    op: Operation
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    dtypes: tuple[str, ...]
    masked: bool = False


@dataclass
class Trace:
    """The operation calls of one forward pass; `graph` connects them by their tensors.

    Args:
        calls: In order of execution.
        inputs: Numbers of the model's input tensors.
        outputs: Numbers of its output tensors, None where no known operation made one.
        input_dtypes: Names of the types of the input tensors.
        float_inputs: Names by number of the integer inputs that are only used as floats.
        noticed: Random draws, and weights read by an operation that does not own them.
        function: The traced function.
    """

    calls: list[Call] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int | None] = field(default_factory=list)
    input_dtypes: list[str] = field(default_factory=list)
    float_inputs: dict[int, str] = field(default_factory=dict)
    noticed: CallObserver | None = None
    function: Any = None

    @cached_property
    def graph(self) -> Graph[Call]:
        """The graph of the calls; read it only when the trace is complete."""
        return Graph(self.calls, self.inputs, self.outputs)

    def unknown(self) -> list[Operation]:
        """Returns the operations fed by a tensor that no known operation made."""
        return [call.op for call in self.calls if None in call.inputs]


def build(model: keras.Model, batch) -> None:
    """Builds a model from the shapes of a batch.

    Args:
        model: A model that is not built.
        batch: `TensorSpec`s of a batch: `x`, `(x, y)` or `(x, y, sample_weight)`.

    Raises:
        ValueError: If the shapes of the batch are unknown.
    """
    if batch is None:
        raise ValueError(
            f"Model {model.name!r} is not built, and its first batch tells no shapes. "
            "Call it once on a batch of data before training."
        )
    x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    model(keras.tree.map_structure(lambda s: keras.KerasTensor((None, *s.shape[1:]), s.dtype.name), x))


def trace(model: keras.Model) -> Trace:
    """Runs a model once on symbolic tensors and records every call of a leaf operation.

    Works on Functional, Sequential and subclassed models, with nested models, shared layers and `keras.ops` nodes.
    TensorFlow operations of a call are in a name scope `tfc<number>_`, counted through `leaves` and then `containers`.
    """
    recorder, specs, known = _Recorder(model), input_specs(model), leaves(model)
    found, flat = recorder.found, keras.tree.flatten(specs)

    def forward(*tensors):
        found.inputs = [recorder.number(x, new=True) for x in tensors]
        found.input_dtypes = [x.dtype.name for x in tensors]
        outputs = model.call(_packed(specs, tensors), **({"training": False} if takes_training(model) else {}))
        found.outputs = [recorder.number(x) for x in _tensors(outputs)]
        return tf.zeros(())

    noticed, places = found.noticed, recorder.places
    laid = [(op, "call", recorder.recording(op, op.call)) for _, op in known]
    laid += [(op, "call", noticed.wrapped(op, op.call, places[id(op)])) for _, op in containers(model)]
    random = [(RANDOM, name, noticed.drawing_by(name, getattr(RANDOM, name))) for name in DRAWN]
    with float32(model), override_attributes([*laid, *random, *no_dropout_masks(model)]), noticed:
        found.function = tf.function(forward, autograph=False).get_concrete_function(*flat)
    tensors = zip(flat, found.function.inputs, strict=False)
    found.float_inputs = {k: s.name for k, (s, x) in enumerate(tensors) if is_only_cast(x)}
    return found


class _Recorder:
    """Records the calls of a model's leaf operations while it runs on symbolic tensors."""

    def __init__(self, model: keras.Model):
        known = leaves(model)
        self.found, self.numbers, self.kept = Trace(), {}, []
        self.found.noticed = CallObserver({id(v): op for _, op in known for v in getattr(op, "variables", [])})
        self.places = {id(op): k for k, (_, op) in enumerate([*known, *containers(model)])}

    def number(self, x, new: bool = False) -> int | None:
        """Returns the number of a tensor; None if it has none."""
        numbers = self.numbers
        while not new and id(x) not in numbers and getattr(x, "op", None) is not None and x.op.type in _TRANSPARENT:
            x = x.op.inputs[0]
        if new and id(x) not in numbers:
            numbers[id(x)] = len(numbers)
            self.kept.append(x)  # an id is only good while the object lives
        return numbers.get(id(x))

    def recording(self, op, call):
        """Returns the call of an operation, which records itself."""

        def recorded(*args, **kwargs):
            # a boolean tensor is a mask of padded steps, not a value
            passed = _tensors((args, kwargs))
            given = [x for x in passed if x.dtype != tf.bool]
            sources = tuple(self.number(x) for x in given)
            with self.found.noticed.inside(op), tf.name_scope(f"tfc{self.places[id(op)]}_"):
                outputs = call(*args, **kwargs)
            made = _tensors(outputs)
            # an operation that returns its input (Dropout) makes no new tensor
            new = tuple(self.number(x, new=True) for x in made)
            shapes, dtypes = tuple(tuple(x.shape) for x in made), tuple(x.dtype.name for x in made)
            masked = len(passed) > len(given) or kwargs.get("mask") is not None
            self.found.calls.append(Call(op, sources, new, shapes, dtypes, masked))
            return outputs

        return recorded


def _packed(structure, tensors):
    return keras.tree.pack_sequence_as(structure, list(tensors))


def _tensors(structure) -> list:
    return [x for x in keras.tree.flatten(structure) if isinstance(x, tf.Tensor)]
