"""Traces a model: which operation is called on which tensors in one forward pass."""

import contextlib
import inspect
from collections import defaultdict
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from tfcompress.graph.call_observers import CallObserver, is_only_cast
from tfcompress.graph.graph import Graph
from tfcompress.graph.inside.functions import OperationFunction, function_name, named_arguments
from tfcompress.graph.inside.interception import Interception
from tfcompress.graph.inside.opened import Inside, inside, open_layers, remember
from tfcompress.graph.inside.operands import constant_operand
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
from tfcompress.graph.variable_reads import ReplacedReads
from tfcompress.layer_table.inner_operation import InnerOperation
from tfcompress.layer_table.lookup import has_weight, spec_of, weight

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
        numbered: Path and operation by the number in the name scopes of `function`.
        noticed: Random draws, and weights read by an operation that does not own them.
        function: The traced function.
    """

    calls: list[Call] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int | None] = field(default_factory=list)
    input_dtypes: list[str] = field(default_factory=list)
    float_inputs: dict[int, str] = field(default_factory=dict)
    numbered: list[tuple[str, Operation]] = field(default_factory=list)
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


_kept: ContextVar[dict | None] = ContextVar("kept", default=None)


@contextlib.contextmanager
def kept_traces() -> Iterator[None]:
    """Keeps the traces of models while the block runs, in which no model changes: each takes a good part of a second.

    Weights may change in it.
    """
    if _kept.get() is not None:
        yield
        return
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


@contextlib.contextmanager
def fresh_traces() -> Iterator[None]:
    """Traces models anew while the block runs, in which they run otherwise than outside."""
    token = _kept.set(None)
    try:
        yield
    finally:
        _kept.reset(token)


def trace(model: keras.Model, opens: bool = False, training: bool = False) -> Trace:
    """Runs a model once on symbolic tensors and records every call of a leaf operation.

    Works on Functional, Sequential and subclassed models, with nested models, shared layers and `keras.ops` nodes.
    TensorFlow operations of a call are in a name scope `tfc<number>_`, which `numbered` lists.

    Args:
        model: A built model.
        opens: Whether the operations that layers of unknown types compute in their own `call` are recorded too; then
            `graph.inside.opened.operations` lists them.
        training: Whether the model runs as in training; only the operations inside of layers are of interest then.
    """
    kept = _kept.get()
    if kept is None or training:
        return _trace(model, opens, training)
    key = (id(model), opens and bool(open_layers(model)))
    if key not in kept:
        kept[key] = model, _trace(model, opens, training)  # an id is only good while the object lives
    return kept[key][1]


def _trace(model: keras.Model, opens: bool, training: bool) -> Trace:
    recorder, specs, known = _Recorder(model, opens, training), input_specs(model), leaves(model)
    found, flat = recorder.found, keras.tree.flatten(specs)

    def forward(*tensors):
        found.inputs = [recorder.number(x, new=True) for x in tensors]
        found.input_dtypes = [x.dtype.name for x in tensors]
        recorder.given = list(tensors)
        with recorder.running(model) as call:
            outputs = call(_packed(specs, tensors), **({"training": training} if takes_training(model) else {}))
        found.outputs = [recorder.number(x) for x in _tensors(outputs)]
        return tf.zeros(())

    laid = [*recorder.overrides(known), *([] if training else no_dropout_masks(model))]
    scope = ReplacedReads(collect_losses=True) if training else contextlib.nullcontext()
    with float32(model), override_attributes(laid), found.noticed, scope:
        found.function = tf.function(forward, autograph=False).get_concrete_function(*flat)
    tensors = zip(flat, found.function.inputs, strict=False)
    found.float_inputs = {k: s.name for k, (s, x) in enumerate(tensors) if is_only_cast(x)}
    recorder.remember()
    return found


def open_up(model: keras.Model) -> None:
    """Finds the operations inside of the layers of a model that can be opened, at inference and in training."""
    if open_layers(model):
        trace(model, opens=True)
        trace(model, opens=True, training=True)


class _Recorder:
    """Records the calls of a model's leaf operations while it runs on symbolic tensors."""

    def __init__(self, model: keras.Model, opens: bool, training: bool):
        self.model, self.training, self.known = model, training, leaves(model)
        self.found, self.numbers, self.kept = Trace(), {}, []
        self.found.noticed = CallObserver({id(v): op for _, op in self.known for v in getattr(op, "variables", [])})
        self.found.numbered = [*self.known, *containers(model)]
        self.places = {id(op): k for k, (_, op) in enumerate(self.found.numbered)}
        self.open = {id(op): op for _, op in open_layers(model)} if opens else {}
        self.inside: dict[int, Inside] = {key: Inside() for key in self.open}
        self.signatures: dict[int, list[tuple]] = defaultdict(list)
        self.interception = Interception(self._operation)
        self.given: list = []
        self.constant: dict[int, bool] = {}
        self.kernels = {id(weight(op, p)) for _, op in self.known for p in spec_of(op).kernels if has_weight(op, p)}

    def overrides(self, known: list) -> list[tuple]:
        """Returns the overrides with which the model records itself."""
        noticed, places = self.found.noticed, self.places
        laid = [(op, "call", self.recording(op, op.call)) for _, op in known if id(op) not in self.open]
        for op in [*(op for _, op in containers(self.model)), *(op for _, op in known if id(op) in self.open)]:
            call = noticed.wrapped(op, op.call, places[id(op)])
            laid.append((op, "call", self.opening(op, call) if id(op) in self.open else self._closed(call)))
        random = [(RANDOM, name, noticed.drawing_by(name, self._closed(getattr(RANDOM, name)))) for name in DRAWN]
        return [*laid, *(self.interception.overrides() if self.open else ()), *random]

    def _closed(self, call):
        return self.interception.call_within(None, call)

    @contextlib.contextmanager
    def running(self, model: keras.Model):
        """Yields the model's call, opened if its code is its own."""
        with self.interception.within(model if id(model) in self.open else None):
            yield model.call

    def number(self, x, new: bool = False) -> int | None:
        """Returns the number of a tensor; None if it has none."""
        numbers = self.numbers
        while not new and id(x) not in numbers and getattr(x, "op", None) is not None and x.op.type in _TRANSPARENT:
            x = x.op.inputs[0]
        if new and id(x) not in numbers:
            numbers[id(x)] = len(numbers)
            self.kept.append(x)  # an id is only good while the object lives
        return numbers.get(id(x))

    def sources(self, passed: list) -> tuple[int | None, ...]:
        """Returns the numbers of the tensors that an operation reads, None where the source is unknown.

        A boolean tensor is a mask of padded steps, not a value. Constants are no values either, and inside of layers
        the numbers of places in other tensors.
        """
        found = [(x, self.number(x)) for x in passed if x.dtype != tf.bool]
        return tuple(k for x, k in found if k is not None or self._is_value(x))

    def _is_value(self, x) -> bool:
        return (x.dtype.is_floating or not self.open) and not self._is_constant(x)

    def _is_constant(self, x) -> bool:
        """Whether a tensor depends on no input of the model, only on weights and numbers."""
        if not hasattr(x, "op") or not tf.is_symbolic_tensor(x):
            return True
        waiting, seen, inputs = [x], set(), {id(t) for t in self.given}
        while waiting:
            tensor = waiting.pop()
            if id(tensor) in inputs or self.constant.get(id(tensor)) is False:
                self.constant[id(x)] = False
                return False
            if id(tensor) not in seen and not self.constant.get(id(tensor)) and tensor.op.type != "Shape":
                seen.add(id(tensor))
                waiting += tensor.op.inputs
        self.constant[id(x)] = True
        self.kept.append(x)
        return True

    def recording(self, op, call):
        """Returns the call of an operation, which records itself."""

        def recorded(*args, **kwargs):
            passed = _tensors((args, kwargs))
            sources = self.sources(passed)
            place = tf.name_scope(f"tfc{self.places[id(op)]}_")
            with self.found.noticed.inside(op), place, self.interception.within(None):
                outputs = call(*args, **kwargs)
            self._add(op, sources, outputs, any(x.dtype == tf.bool for x in passed) or _has_mask(call, args, kwargs))
            return outputs

        return recorded

    def _add(self, op, sources, outputs, masked: bool) -> None:
        made = _tensors(outputs)
        # an operation that returns its input (Dropout) makes no new tensor
        new = tuple(self.number(x, new=True) for x in made)
        shapes, dtypes = tuple(tuple(x.shape) for x in made), tuple(x.dtype.name for x in made)
        self.found.calls.append(Call(op, sources, new, shapes, dtypes, masked))

    def opening(self, op, call):
        """Returns the call of an open layer, of which the operations inside are recorded.

        A layer in which the source of a tensor is unknown counts as one operation itself.
        """

        def opened(*args, **kwargs):
            start, sources = len(self.found.calls), self.sources(_tensors((args, kwargs)))
            with self.interception.within(op):
                outputs = call(*args, **kwargs)
            made = [x for x in _tensors(outputs) if x.dtype.is_floating]
            is_lost = any(None in call.inputs for call in self.found.calls[start:])
            if is_lost or any(self.number(x) is None and not self._is_constant(x) for x in made):
                self.inside[id(op)].is_closed = True
                del self.found.calls[start:]
                self._add(op, sources, outputs, False)
            return outputs

        return opened

    def _operation(self, op, number: int, f: OperationFunction, plain, args: tuple, kwargs: dict):
        """Records one operation inside of an open layer."""
        held = self.inside[id(op)].operations
        if number >= len(held):
            held.append(self._new_operation(op, number, f, args, kwargs))
        inner, passed = held[number], _tensors((args, kwargs))
        sources = self.sources(passed)
        with tf.name_scope(f"tfc{self.places[id(inner)]}_"):
            outputs = plain(*args, **kwargs)
        made = _tensors(outputs)
        inner.operand = constant_operand(keras.tree.flatten((args, kwargs)), made, self._is_constant)
        depends = bool(sources) or not all(map(self._is_constant, made))
        if number == len(self.signatures[id(op)]):
            self.signatures[id(op)].append((f.kind, depends, *(tuple(x.shape) for x in made)))
        if depends:
            self._add(inner, sources, outputs, any(x.dtype == tf.bool for x in passed))
        return outputs

    def _new_operation(self, op, number: int, f: OperationFunction, args: tuple, kwargs: dict) -> InnerOperation:
        before = [x.kind for x in self.inside[id(op)].operations]
        made = _inner_operation(op, number, f, args, kwargs, before)
        made.weights = {n: v for n, v in made.weights.items() if id(v) not in self.kernels}
        flat = enumerate(keras.tree.flatten((args, kwargs)))
        made.constants = frozenset(k for k, x in flat if isinstance(x, tf.Tensor) and self._is_constant(x))
        self.places[id(made)] = len(self.found.numbered)
        self.found.numbered.append((self._path(op, made), made))
        return made

    def _path(self, op, inner: InnerOperation) -> str:
        return inner.name if op is self.model else f"{self.found.numbered[self.places[id(op)]][0]}/{inner.name}"

    def remember(self) -> None:
        """Keeps what was found inside of the open layers."""
        for key, op in self.open.items():
            known = inside(op)
            if self.training and known is not None:
                known.align(self.signatures[key])
                known.functions |= self.interception.seen
            elif not self.training:
                self.inside[key].functions |= self.interception.seen
                self.inside[key].signatures = self.signatures[key]
                self.inside[key].take_over(known)
                remember(op, self.inside[key])


def _has_mask(call, args: tuple, kwargs: dict) -> bool:
    """Whether a call gets a mask, which may be of numbers."""
    if kwargs.get("mask") is not None or len(args) < 2:
        return kwargs.get("mask") is not None
    try:
        return inspect.signature(call).bind_partial(*args, **kwargs).arguments.get("mask") is not None
    except (TypeError, ValueError):
        return False


def _inner_operation(op, number: int, f: OperationFunction, args, kwargs, before: list[str]) -> InnerOperation:
    """Returns the operation at a place inside of a layer: the one that is known there, or a new one."""
    known = inside(op)
    was = known.operations[number] if known is not None and number < len(known.operations) else None
    arguments, weights = named_arguments(f, args, kwargs)
    if was is not None and was.kind == f.kind:
        was.arguments, was.weights = arguments, weights
        return was
    times = before.count(f.kind)
    name = function_name(f.kind)
    return InnerOperation(f"{name}_{times}" if times else name, f.kind, arguments, weights, op, f.plain)


def _packed(structure, tensors):
    return keras.tree.pack_sequence_as(structure, list(tensors))


def _tensors(structure) -> list:
    return [x for x in keras.tree.flatten(structure) if isinstance(x, tf.Tensor)]
