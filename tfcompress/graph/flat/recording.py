"""Records runs of a model on real tensors: every call of a layer, and every operation inside of open layers."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.graph.flat.parts import parts
from tfcompress.graph.flat.steps import Fixed, Own, Step, Value, leaves_of, map_leaves
from tfcompress.graph.inside.functions import OperationFunction, operation_functions, passing_functions
from tfcompress.graph.inside.interception import Interception
from tfcompress.graph.inside.opened import can_open
from tfcompress.graph.keras_private import (
    DRAWN,
    RANDOM,
    float32,
    input_specs,
    keras_mask,
    no_dropout_masks,
    override_attributes,
    set_keras_mask,
    takes_training,
)
from tfcompress.graph.variable_reads import ReplacedReads

DRAWS = "draws random numbers in its own call"
LOSSES = "adds a loss in its own call"
MASKS = "passes the mask of padded steps on"
STATES = "updates a variable in its own call"


class Run:
    """One run of a model, recorded.

    Args:
        model: A built model with open layers.
        batch: Number of samples.
        training: Whether it runs as in training; nothing is updated.

    Attributes:
        calls: The outermost calls of open layers, by `id(layer)`, each in order.
        inputs: The input tensors, flat.
        outputs: The output tensors, flat.
    """

    def __init__(self, model: keras.Model, batch: int, training: bool = False):
        self.model, self.training = model, training
        self.calls: dict[int, list[Step]] = {}
        self._values: dict[int, Any] = {}
        self._kept: list[Any] = []
        self._count = 0
        self._frames: list[Step | None] = []
        self._interception = Interception(
            self._operation, (*operation_functions(), *passing_functions()), floats_only=False
        )
        self.inputs = _samples(model, batch)
        with self._recording():
            self._run()
        self._kept, self._values = [], {}

    def _run(self) -> None:
        given = keras.tree.pack_sequence_as(input_specs(self.model), self.inputs)
        keywords = {"training": self.training} if takes_training(self.model) else {}
        self.outputs = [tf.convert_to_tensor(x) for x in keras.tree.flatten(self.model(given, **keywords))]

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        laid: list = [] if self.training else no_dropout_masks(self.model)
        for part in parts(self.model):
            op = part.op
            laid.append((op, "call", (self._opened if part.is_open else self._closed)(op, op.call)))
            if part.is_open:
                laid.append((op, "add_loss", self._marking(op, LOSSES)))
        if can_open(self.model):
            laid.append((self.model, "call", self._opened(self.model, self.model.call)))
        laid += self._interception.overrides()
        laid += [(RANDOM, name, self._drawing(getattr(RANDOM, name))) for name in DRAWN]
        with float32(self.model), override_attributes(laid), self._reads():
            yield

    def _reads(self) -> ReplacedReads:
        """Returns a scope in which every variable is a tensor that is known by its id."""
        pairs = [(v, tf.identity(v.value)) for v in self.model.variables]
        for v, x in pairs:
            self._values[id(x)] = Own(v)
        self._kept.append(pairs)
        return _Reads(pairs, self._mark)

    def _mark(self, why: str) -> None:
        """Notes why the layer that is running can't be replaced by its steps."""
        if self._frames and self._frames[-1] is not None:
            self._frames[-1].problem = self._frames[-1].problem or why

    def _marking(self, op: Any, why: str) -> Callable:
        plain = op.add_loss

        def marked(*args, **kwargs):
            self._mark(why)
            return plain(*args, **kwargs)

        return marked

    def _drawing(self, plain: Callable) -> Callable:
        def drawn(*args, **kwargs):
            self._mark(DRAWS)
            with self._interception.within(None):
                return plain(*args, **kwargs)

        return drawn

    def _opened(self, op: Any, call: Callable) -> Callable:
        """Returns the call of an open layer, whose steps are recorded."""

        def opened(*args, **kwargs):
            if self._frames and self._frames[-1] is None:
                return self._inside(op, None, call, args, kwargs)
            if not self._frames:
                self._enter((args, kwargs))
            given, named = self._template((args, _without_masks(args, kwargs)))
            step = Step(op, given, named, is_open=True)
            step.problem = _known_problem(op, args, kwargs)
            outputs = self._inside(op, step, call, args, kwargs)
            step.results = self._template(outputs)
            if not self._frames:
                self.calls.setdefault(id(op), []).append(step)
            return self._finish(step, outputs, args, kwargs)

        return opened

    def _inside(self, op: Any, frame: Step | None, call: Callable, args: tuple, kwargs: dict) -> Any:
        self._frames.append(frame)
        try:
            with self._interception.within(op if frame is not None else None):
                return call(*args, **kwargs)
        finally:
            self._frames.pop()

    def _closed(self, op: Any, call: Callable) -> Callable:
        """Returns the call of a layer that stays as it is, which is one step of the layer around it."""

        def closed(*args, **kwargs):
            outputs = self._inside(op, None, call, args, kwargs)
            if self._frames and self._frames[-1] is None:
                return outputs
            step = Step(op, *self._template((args, _without_masks(args, kwargs))))
            return self._finish(step, outputs, args, kwargs)

        return closed

    def _operation(self, op: Any, number: int, f: OperationFunction, plain: Callable, args: tuple, kwargs: dict) -> Any:
        """Records a function or operator that an open layer called, unless it reads constants alone."""
        step = Step(f, *self._template((args, kwargs)))
        outputs = plain(*args, **kwargs)
        if not any(isinstance(x, (Value, Own)) for x in step.given):
            return outputs
        return self._finish(step, outputs, args, kwargs)

    def _finish(self, step: Step, outputs: Any, args: tuple, kwargs: dict) -> Any:
        """Completes a step; returns its outputs, none of which is an object that it was given."""
        given = {id(x) for x in leaves_of((args, kwargs))}
        fresh = keras.tree.map_structure(lambda x: _fresh(x) if id(x) in given or id(x) in self._values else x, outputs)
        made = [x for x in keras.tree.flatten(fresh) if isinstance(x, tf.Tensor)]
        for x in made:
            self._number(x, step)
        step.arrays = [] if self._frames else made
        step.outputs = self._template(fresh)
        if self._frames and self._frames[-1] is not None:
            self._frames[-1].steps.append(step)
        return fresh

    def _enter(self, structure: Any) -> None:
        for x in keras.tree.flatten(structure):
            if isinstance(x, tf.Tensor) and not isinstance(self._values.get(id(x)), Value):
                self._number(x, None)

    def _number(self, x: Any, step: Step | None) -> None:
        if not isinstance(x, tf.Tensor):
            return
        self._values[id(x)] = Value(self._count)
        self._kept.append(x)  # an id is only good while the object lives
        if step is not None:
            step.shapes[self._count] = tuple(x.shape)
            step.dtypes[self._count] = x.dtype.name
        self._count += 1

    def _template(self, structure: Any) -> Any:
        return map_leaves(self._known, structure)

    def _known(self, x: Any) -> Any:
        if isinstance(x, keras.Variable):
            return Own(x)
        if isinstance(x, tf.Variable):
            self._mark("reads a variable that is not a weight of the model")
            return Fixed(np.asarray(x))
        if isinstance(x, tf.Tensor):
            return self._values.get(id(x)) or Fixed(np.asarray(x))
        if isinstance(x, np.generic):
            return x.item()
        return Fixed(x) if isinstance(x, np.ndarray) else x


def _fresh(x: Any) -> Any:
    """Returns a copy of a tensor: Dropout returns its input at inference, and is not the same value in training."""
    if not isinstance(x, tf.Tensor):
        return x
    made = tf.identity(x)
    set_keras_mask(made, keras_mask(x))
    return made


def _without_masks(args: tuple, kwargs: dict) -> dict:
    """Returns keyword arguments without the masks that Keras takes from the tensors by itself."""
    attached = [None, *(keras_mask(x) for x in leaves_of((args, kwargs)) if isinstance(x, tf.Tensor))]
    return {k: x for k, x in kwargs.items() if not (k.endswith("mask") and any(x is mask for mask in attached))}


def _known_problem(op: Any, args: tuple, kwargs: dict) -> str | None:
    """Returns why a layer can't be replaced by the steps of its call, if that is known before."""
    if getattr(op, "activity_regularizer", None) is not None:
        return LOSSES
    masks = [keras_mask(x) for x in leaves_of((args, kwargs)) if isinstance(x, tf.Tensor)]
    return MASKS if op.supports_masking and any(mask is not None for mask in masks) else None


class _Reads(ReplacedReads):
    """A scope that also notes who assigns a variable."""

    def __init__(self, values: Any, mark: Callable):
        super().__init__(values, collect_losses=True)
        self._mark = mark

    def add_update(self, update: Any) -> None:
        """Records the value that was assigned to a variable."""
        self._mark(STATES)
        super().add_update(update)


def _samples(model: keras.Model, batch: int) -> list[tf.Tensor]:
    """Returns made-up inputs; integers are 0 and 1, which every vocabulary holds."""
    rng, found = np.random.default_rng(batch), []
    for spec in keras.tree.flatten(input_specs(model, batch)):
        if None in spec.shape:
            raise ValueError("an input of the model has an open size")
        if spec.dtype.is_floating:
            x = rng.normal(size=spec.shape)
        else:
            x = rng.integers(0, 2, spec.shape)
        found.append(tf.constant(x, spec.dtype))
    return found
