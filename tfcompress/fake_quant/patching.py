"""Patches the operations of a live model with their plans, only while one step runs.

Keras calls nothing after an exception or Ctrl-C, so no patch may stay on a layer between steps: the step functions of
the model are wrapped, and each call sets and removes the patches in one `try/finally`. The wrapped functions serve only
the `fit` that asked for them; in any other `fit` they remove themselves.
"""

import contextlib
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import keras
import tensorflow as tf

from tfcompress.fake_quant.forward_pass import TESTING, TRAINING, ForwardPass, Mode, PreparedWeights
from tfcompress.fake_quant.inside.patching import InnerCalls
from tfcompress.fake_quant.litert_rounding import is_int8, round_input
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.treated_call import run
from tfcompress.graph.keras_private import is_training, keep_input_dtypes, override_attributes
from tfcompress.graph.variable_reads import ReplacedReads
from tfcompress.layer_table.inner_operation import InnerOperation


@contextlib.contextmanager
def patched_calls(
    model: keras.Model,
    state,
    mode: Mode | None,
    extra: tuple = (),
    prepared: Mapping[int, PreparedWeights] | None = None,
) -> Iterator[None]:
    """Patches the model's operations with the plans of a state while the block runs.

    Args:
        model: A built model.
        state: An object with `op_plans` and `inputs`, the ranges of the model's inputs.
        mode: The mode of the forward passes; None if each call decides by its argument `training`.
        extra: Further `(owner, attribute, value)` patches, such as a model's `compute_loss`.
        prepared: By `id(operation plan)` the values computed in advance; may be filled while the block runs.
    """
    forward = None if mode is None else ForwardPass(mode, {} if prepared is None else prepared)
    with override_attributes([*_changes(model, state, forward), *extra]):
        yield


def _changes(model, state, forward: ForwardPass | None) -> list[tuple]:
    followed = [t for t in state.op_plans if isinstance(t.op, InnerOperation)]
    inner = InnerCalls(model, followed, forward or _now) if followed else None

    def own_call(op):
        return _own_call(op) if inner is None else inner.own(op, _own_call(op))

    plans = [t for t in state.op_plans if not isinstance(t.op, InnerOperation)]
    changes = [(t.op, "call", _call(t, own_call(t.op), forward)) for t in plans]
    own = own_call(model)
    changes += [] if inner is None else [(model, "call", own)]
    if any(span is not None for span in state.inputs):
        changes.append((model, "call", _entrance(model, own, state.inputs, forward)))
    lent = [c for t in state.op_plans for c in t.chains.values() if c.is_borrowed]
    if lent and (forward is None or not forward.mode.exports):  # in an export every reader gets the same constant
        held = changes[-1][2] if changes and changes[-1][0] is model else own
        changes.append((model, "call", _lending(model, held, lent)))
    return changes if inner is None else [*changes, *inner.changes(changes)]


def _lending(model, plain: Callable, chains: list) -> Callable:
    """Returns the model's call, in which every operation reads the transformed weights, also those of other layers."""

    def call(*args, **kwargs):
        values = [(c.variable, c.value()) for c in chains]
        with ReplacedReads(values, collect_losses=True) as scope:
            outputs = plain(*args, **kwargs)
        for loss in scope.losses:
            model.add_loss(loss)
        for variable, value in scope.assigned({id(v): value for v, value in values}):
            variable.assign(value)
        return outputs

    vars(call)["tfcompress_plain"] = _own_call(model)
    return call


def _own_call(op) -> Callable:
    """Returns the unpatched call of an operation: a new patch replaces the one that is there."""
    return getattr(op.call, "tfcompress_plain", op.call)


def _now() -> ForwardPass:
    """Returns the forward pass that fits the `training` argument of the running call."""
    return TRAINING if is_training() else TESTING


def _call(plan: OpPlan, plain: Callable, forward: ForwardPass | None) -> Callable:
    def call(*args, **kwargs):
        return run(plan, plain, args, kwargs, forward or _now())

    vars(call)["tfcompress_plain"] = plain
    return call


def _entrance(model, plain: Callable, spans: list, given: ForwardPass | None) -> Callable:
    """Returns the model's call with ranges on its inputs; integer inputs with a range become floats."""

    def call(inputs, *args, **kwargs):
        flat, mode = keras.tree.flatten(inputs), (given or _now()).mode
        for k, span in enumerate(spans):
            if span is not None:
                x = tf.convert_to_tensor(flat[k])
                dtype = x.dtype if x.dtype.is_floating else tf.float32
                flat[k] = tf.cast(_entered(tf.cast(x, dtype), span, mode), dtype)
        with override_attributes(keep_input_dtypes(model)):
            return plain(keras.tree.pack_sequence_as(inputs, flat), *args, **kwargs)

    vars(call)["tfcompress_plain"] = plain
    return call


def _entered(x, span, mode: Mode):
    """Rounds an input to the grid of its range."""
    if mode.simulates and is_int8(span):
        return round_input(tf.cast(x, tf.float32), span)
    return span(x, how=mode.ranges, export=mode.exports)


class RunningFit:
    """The running training, recognized by its frame on the call stack.

    It is the nearest frame that has the callback list among its variables: that of `fit`, or of a
    loop written by hand. Only a weak reference is kept, so that the memory of an aborted `fit` is
    released.

    Args:
        callbacks: The callback list of the training; None if there is none, then the outermost
            frame stands for the training.
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


@dataclass
class Member:
    """A compression whose plans are applied in the training steps of a model.

    Args:
        network: The model it compresses: the one that trains, or one inside it.
        state: As for `patched_calls`.
        extra: Function that returns further patches for a mode; called when the step functions are made.
        before: Called before each call of the train function.
        after: Called after it.
    """

    network: keras.Model
    state: object
    extra: Callable[[Mode], tuple] = lambda mode: ()
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None


class StepFunctions:
    """The train, test and predict functions of a model, wrapped so that they run with its operation plans.

    Args:
        model: The compiled model that `fit` trains.
        training: The training during which they are used.
    """

    _names = {"train": Mode.TRAIN, "test": Mode.TEST, "predict": Mode.TEST}

    def __init__(self, model: keras.Model, training: RunningFit):
        self.model, self.training = model, training
        self.members: list[Member] = []
        self._made: list[Callable] = []

    @property
    def is_running(self) -> bool:
        """Whether the training of these functions is still running."""
        return self.training.is_running()

    def install(self) -> None:
        """Sets the functions on the model."""
        self._build_optimizer()
        self._made = [self._wrap(name, mode) for name, mode in self._names.items()]

    def _build_optimizer(self) -> None:
        """Creates the optimizer's variables before the step is traced; otherwise TensorFlow traces everything twice.

        A custom `train_step` may give the optimizer other variables than the model's, so its optimizer is left alone.
        """
        model, optimizer = self.model, self.model.optimizer
        is_plain = type(model).train_step is keras.Model.train_step
        if is_plain and model.built and isinstance(optimizer, keras.optimizers.Optimizer) and not optimizer.built:
            with model.distribute_strategy.scope():
                optimizer.build(model.trainable_variables)

    def are_installed(self) -> bool:
        """Whether the model's train function is the one set here, or a wrapper that calls it."""
        return bool(self._made) and is_or_wraps(self.model.train_function, self._made[0])

    def remove(self) -> None:
        """Removes the functions; Keras makes plain ones when it needs them."""
        for name in self._names:
            setattr(self.model, f"{name}_function", None)

    def _overrides(self, mode) -> list[tuple]:
        """Returns the patches of all members; each member patches what those before it patched."""
        changes = []
        for member in self.members:
            with override_attributes(changes):
                changes += [*_changes(member.network, member.state, ForwardPass(mode)), *member.extra(mode)]
        return changes

    def _wrap(self, name, mode) -> Callable:
        changes = self._overrides(mode)
        with override_attributes(changes):
            plain = self._plain(name)

        def function(*args, **kwargs):
            if not self.is_running:
                self.remove()
                return self._plain(name)(*args, **kwargs)
            if mode.trains:
                return self._step(changes, plain, args, kwargs)
            with override_attributes(changes):
                return plain(*args, **kwargs)

        setattr(self.model, f"{name}_function", function)
        return function

    def _plain(self, name: str) -> Callable:
        getattr(self.model, f"make_{name}_function")(force=True)
        return getattr(self.model, f"{name}_function")

    def _step(self, changes, plain, args, kwargs):
        for member in self.members:
            member.before()
        with override_attributes(changes):
            outputs = plain(*args, **kwargs)
        for member in self.members:
            member.after()
        return outputs


def is_or_wraps(function: object, wanted: Callable, depth: int = 3) -> bool:
    """Whether a function is `wanted`, or a wrapper that holds it in a closure or attribute."""
    if function is wanted:
        return True
    if function is None or not depth:
        return False
    held = [getattr(function, name, None) for name in ("__wrapped__", "func", "__self__")]
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # a cell that is empty yet
            held.append(cell.cell_contents)
    if not isinstance(function, keras.Model):
        held += list(getattr(function, "__dict__", {}).values())
    return any(callable(x) and is_or_wraps(x, wanted, depth - 1) for x in held)


def call_before_first_step(model: keras.Model, training: RunningFit, start: Callable[[object], None]) -> None:
    """Calls a function before the first step of a training, for a model that is built by its first batch.

    Args:
        model: The compiled model.
        training: The training.
        start: Called with the `TensorSpec`s of a batch as `fit` passes it to `train_step`; sets the
            real step functions on the model.
    """

    def function(iterator):
        model.train_function = None
        if training.is_running():
            start(getattr(iterator, "element_spec", None))
        model.make_train_function()
        return model.train_function(iterator)

    model.train_function = function
