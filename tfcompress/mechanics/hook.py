"""Treatments laid over a live model's operations for exactly as long as one step runs.

Keras calls nothing after an exception or Ctrl-C, so nothing is left lying on a layer between steps:
the step functions of the model are wrapped, and inside each call the overrides come and go in one
`try/finally`. The wrapped functions serve only the `fit` that asked for them; in any other they
take themselves away.
"""

import contextlib
import sys
import weakref
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from tfcompress.mechanics.chain import Mode, Treatment, run
from tfcompress.mechanics.graph import overridden, unconverted
from tfcompress.mechanics.transforms.ranges import APPLY, OBSERVE, TRAIN
from tfcompress.mechanics.variables import Reading

_HOW = {Mode.TRAIN: TRAIN, Mode.OBSERVE: OBSERVE}


@contextlib.contextmanager
def laid(model: keras.Model, state, mode: Mode, extra: tuple = ()) -> Iterator[None]:
    """Lays the treatments of `state` over the model's operations while the block runs.

    Args:
        model: A built model.
        state: What holds `treatments` and `inputs`, the ranges of the model's inputs.
        mode: What the pass is for.
        extra: Further `(owner, attribute, value)` overrides, such as a model's `compute_loss`.
    """
    with overridden([*_changes(model, state, mode), *extra]):
        yield


def _changes(model, state, mode: Mode) -> list[tuple]:
    changes = [(t.op, "call", _call(t, t.op.call, mode)) for t in state.treatments]
    if any(span is not None for span in state.inputs):
        changes.append((model, "call", _entrance(model, model.call, state.inputs, mode)))
    lent = [c for t in state.treatments for c in t.chains.values() if c.is_borrowed]
    if lent and mode is not Mode.EXPORT:  # an export has constants for everybody
        changes.append(
            (model, "call", _lending(model, changes[-1][2] if changes[-1][0] is model else model.call, lent))
        )
    return changes


def _lending(model, plain: Callable, chains: list) -> Callable:
    """The model's own call, in which every operation reads the transformed weights, also those it does not own."""

    def call(*args, **kwargs):
        values = [(c.variable, c.value()) for c in chains]
        with Reading(values, collect_losses=True) as scope:
            outputs = plain(*args, **kwargs)
        for loss in scope.losses:
            model.add_loss(loss)
        for variable, value in scope.assigned({id(v): value for v, value in values}):
            variable.assign(value)
        return outputs

    return call


def _call(treatment: Treatment, plain: Callable, mode: Mode) -> Callable:
    def call(*args, **kwargs):
        return run(treatment, plain, args, kwargs, mode)

    return call


def _entrance(model, plain: Callable, spans: list, mode: Mode) -> Callable:
    """The model's own call, with ranges on its inputs; integers that have one go on as floats."""

    def call(inputs, *args, **kwargs):
        flat = keras.tree.flatten(inputs)
        for k, span in enumerate(spans):
            if span is not None:
                x = tf.convert_to_tensor(flat[k])
                dtype = x.dtype if x.dtype.is_floating else tf.float32
                value = span(tf.cast(x, dtype), how=_HOW.get(mode, APPLY), export=mode is Mode.EXPORT)
                flat[k] = tf.cast(value, dtype)
        with overridden(unconverted(model)):
            return plain(keras.tree.pack_sequence_as(inputs, flat), *args, **kwargs)

    return call


class Training:
    """The training that is running now, recognized on the stack as long as it runs.

    It is the nearest frame that has the callback list among its variables: that of `fit`, or of a
    loop written by hand. Only a weak reference is kept, so that what a broken-off `fit` held in
    memory is not held on to.

    Args:
        callbacks: The callback list of the training; None if nobody knows one, then the outermost
            frame stands for it.
    """

    def __init__(self, callbacks=None):
        frame, self._name, self._list = sys._getframe(1), None, lambda: None
        is_outside = False  # of the methods of the list itself, and of what they call
        while frame.f_back is not None:
            here = frame.f_locals
            if callbacks is not None and here.get("self") is callbacks:
                is_outside = True
            elif is_outside and (name := next((n for n, v in here.items() if v is callbacks), None)):
                self._name, self._list = name, weakref.ref(callbacks)
                break
            frame = frame.f_back
        self._code, self._id = frame.f_code, id(frame)

    def is_running(self) -> bool:
        """Whether this training is on the stack; after an exception or its end it no longer is."""
        frame, callbacks = sys._getframe(1), self._list()
        while frame is not None:
            if frame.f_code is self._code:
                if self._name is None and id(frame) == self._id:
                    return True
                if callbacks is not None and frame.f_locals.get(self._name) is callbacks:
                    return True
            frame = frame.f_back
        return False


class StepFunctions:
    """The model's train, test and predict functions, rebuilt to run under treatments.

    Args:
        model: The compiled model.
        state: As for `laid`.
        extra: Function that returns further overrides for a mode; asked once for each training.
        before: Called before each call of the train function.
        after: Called after it.
    """

    _names = {"train": Mode.TRAIN, "test": Mode.TEST, "predict": Mode.TEST}

    def __init__(
        self,
        model: keras.Model,
        state,
        extra: Callable[[Mode], tuple] = lambda mode: (),
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
    ):
        self.model, self.state, self.extra = model, state, extra
        self.before, self.after = before, after
        self._training: Training | None = None

    @property
    def is_running(self) -> bool:
        """Whether the training that asked for the functions is on the stack."""
        return self._training is not None and self._training.is_running()

    def install(self, training: Training) -> None:
        """Puts the wrapped functions on the model, for one training."""
        self._training = training
        for name, mode in self._names.items():
            self._wrap(name, mode)

    def remove(self) -> None:
        """Takes them away; Keras makes plain ones when it needs them."""
        self._training = None
        for name in self._names:
            setattr(self.model, f"{name}_function", None)

    def _wrap(self, name, mode):
        changes = [*_changes(self.model, self.state, mode), *self.extra(mode)]
        training = self._training
        with overridden(changes):
            getattr(self.model, f"make_{name}_function")(force=True)
        plain = getattr(self.model, f"{name}_function")

        def function(*args, **kwargs):
            if not training.is_running():
                self.remove()
                getattr(self.model, f"make_{name}_function")(force=True)
                return getattr(self.model, f"{name}_function")(*args, **kwargs)
            if mode is not Mode.TRAIN:
                with overridden(changes):
                    return plain(*args, **kwargs)
            self.before()
            with overridden(changes):
                outputs = plain(*args, **kwargs)
            self.after()
            return outputs

        setattr(self.model, f"{name}_function", function)


def at_first_step(model: keras.Model, training: Training, start: Callable[[object], None]) -> None:
    """Lets something happen when the first batch is known, for a model that only it can build.

    Args:
        model: The compiled model.
        training: The training whose first step it is.
        start: Called with the `TensorSpec`s of a batch as `fit` passes it to `train_step`; puts the
            real step functions on the model.
    """

    def function(iterator):
        model.train_function = None
        if training.is_running():
            start(getattr(iterator, "element_spec", None))
        model.make_train_function()
        return model.train_function(iterator)

    model.train_function = function
