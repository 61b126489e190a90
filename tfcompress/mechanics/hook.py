"""Treatments laid over a live model's operations and taken off again, for exactly as long as one step runs.

Keras calls nothing after an exception or Ctrl-C, so nothing is left lying on a layer between steps: the step
functions of the model are wrapped, and inside each call the overrides come and go in one `try/finally`.
The wrapped functions serve only the `fit` that asked for them; in any other they take themselves away.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from tfcompress.mechanics.chain import Mode, Treatment, run
from tfcompress.mechanics.graph import overridden
from tfcompress.mechanics.transforms.ranges import APPLY, OBSERVE, TRAIN

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
    changes = [(t.op, "call", _call(t, t.op.call, mode)) for t in state.treatments]
    if any(span is not None for span in state.inputs):
        changes.append((model, "call", _entrance(model.call, state.inputs, mode)))
    with overridden([*changes, *extra]):
        yield


def _call(treatment: Treatment, plain: Callable, mode: Mode) -> Callable:
    def call(*args, **kwargs):
        return run(treatment, plain, args, kwargs, mode)

    return call


def _entrance(plain: Callable, spans: list, mode: Mode) -> Callable:
    """The model's own call, with ranges on its inputs."""

    def call(inputs, *args, **kwargs):
        flat = keras.tree.flatten(inputs)
        for k, span in enumerate(spans):
            if span is not None:
                flat[k] = tf.cast(
                    span(flat[k], how=_HOW.get(mode, APPLY), export=mode is Mode.EXPORT),
                    flat[k].dtype,
                )
        return plain(keras.tree.pack_sequence_as(inputs, flat), *args, **kwargs)

    return call


class StepFunctions:
    """The model's train, test and predict functions, rebuilt to run under treatments.

    Args:
        model: The compiled model.
        state: As for `laid`.
        extra: Function that returns further overrides for a step.
    """

    _names = {"train": Mode.TRAIN, "test": Mode.TEST, "predict": Mode.TEST}

    def __init__(self, model: keras.Model, state, extra: Callable[[Mode], tuple] = lambda mode: ()):
        self.model, self.state, self.extra = model, state, extra
        self._frame: tuple[int, object] | None = None

    def install(self, fit_frame) -> None:
        """Puts the wrapped functions on the model, for the `fit` whose stack frame this is."""
        self._frame = (id(fit_frame), fit_frame.f_code)
        for name, mode in self._names.items():
            self._wrap(name, mode)

    def remove(self) -> None:
        """Takes them away; Keras makes plain ones when it needs them."""
        self._frame = None
        for name in self._names:
            setattr(self.model, f"{name}_function", None)

    def _wrap(self, name, mode):
        with overridden(list(self.extra(mode))):
            getattr(self.model, f"make_{name}_function")(force=True)
        plain = getattr(self.model, f"{name}_function")

        def function(*args, **kwargs):
            if not self._inside():
                self.remove()
                getattr(self.model, f"make_{name}_function")(force=True)
                return getattr(self.model, f"{name}_function")(*args, **kwargs)
            with laid(self.model, self.state, mode, self.extra(mode)):
                return plain(*args, **kwargs)

        setattr(self.model, f"{name}_function", function)

    def _inside(self) -> bool:
        """Whether the `fit` that asked for the hooks is on the stack: after an exception it no longer is."""
        frame = sys._getframe(1)
        while frame is not None:
            if self._frame == (id(frame), frame.f_code):
                return True
            frame = frame.f_back
        return False


def calling_frame(name: str):
    """Returns the nearest frame on the stack of a function called `name`, or the outermost one."""
    frame = sys._getframe(1)
    while frame.f_code.co_name != name and frame.f_back is not None:
        frame = frame.f_back
    return frame
