"""Intercepts the operations that layers compute in their own `call`, while a model runs.

The layer's own code runs as it is; only the functions it calls are replaced for a while. So its outputs, losses,
updates of state and random numbers are what they were, and every value in between can be seen and changed.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.graph.inside.functions import OperationFunction, operation_functions
from tfcompress.graph.keras_private import DRAWN, RANDOM
from tfcompress.layer_table.operation_names import CASTS

Handle = Callable[[Any, int, OperationFunction, Callable, tuple, dict], Any]


@dataclass
class _Frame:
    """The call of an operation that is running: the operation if it is open, and what it computed so far."""

    op: Any
    graph: Any
    count: int = 0


class Interception:
    """Hands the operations inside of open layers to a function.

    An operation counts if it reads or makes floats, so that sizes of batches, which may be numbers or tensors, do not
    change the count; casts between floats do not count, for in half precision there are more of them. What depends on
    constants alone is computed at once. Operations inside of a nested graph (the body of a loop, a `tf.function`) are
    not handed over.

    Args:
        handle: Function `(layer, number, function, plain, args, kwargs) -> outputs`; the number counts the operations
            of one call of the layer, and `plain(*args, **kwargs)` computes the operation.
        functions: The functions to replace; by default all.
        floats_only: Whether operations that neither read nor make floats are left out.
        skips: Function `(layer, number, kind) -> bool`: whether the operation of that number is missing in this call,
            since one of another kind follows.
        after: Function `(layer, count)`, called after each call of an open layer with the number of its operations.

    Attributes:
        seen: The functions that were called inside of open layers.
    """

    def __init__(
        self,
        handle: Handle,
        functions: Iterable[OperationFunction] | None = None,
        skips: Callable[[Any, int, str], bool] | None = None,
        after: Callable[[Any, int], None] | None = None,
        floats_only: bool = True,
    ):
        self.handle, self.floats_only = handle, floats_only
        self.functions = operation_functions() if functions is None else tuple(functions)
        self.skips: Callable[[Any, int, str], bool] = skips or (lambda layer, number, kind: False)
        self.after: Callable[[Any, int], None] = after or (lambda layer, count: None)
        self.seen: dict[tuple[int, str], OperationFunction] = {}
        self._running = threading.local()

    def overrides(self) -> list[tuple[Any, str, Any]]:
        """Returns the overrides for `override_attributes`, without which nothing is intercepted."""
        changes = [(f.owner, f.attribute, self._replacement(f, vars(f.owner)[f.attribute])) for f in self.functions]
        # what draws random numbers is no operation, and neither is what it computes them from
        return [*changes, *((RANDOM, name, self.call_within(None, getattr(RANDOM, name))) for name in DRAWN)]

    @contextlib.contextmanager
    def within(self, op: Any) -> Iterator[_Frame]:
        """Marks the call of a layer as running while the block runs; None for one that is not open."""
        stack = self._stack()
        stack.append(_Frame(op, _graph()))
        try:
            yield stack[-1]
        finally:
            stack.pop()

    def call_within(self, op: Any, call: Callable) -> Callable:
        """Returns a call that is marked as running in `op`; None for a layer that is not open."""

        def marked(*args, **kwargs):
            with self.within(op) as frame:
                made = call(*args, **kwargs)
            if op is not None:
                self.after(op, frame.count)
            return made

        return marked

    def _stack(self) -> list[_Frame]:
        if not hasattr(self._running, "stack"):
            self._running.stack = []
        return self._running.stack

    def _replacement(self, f: OperationFunction, now: Callable) -> Callable:
        """Returns the replacement for a function, which may be replaced by another one now."""

        def intercepted(*args, **kwargs):
            stack = self._stack()
            if not stack or stack[-1].op is None or stack[-1].graph is not _graph():
                return now(*args, **kwargs)
            self.seen[id(f.owner), f.attribute] = f
            return self._operation(stack[-1], f, now, args, kwargs)

        return intercepted

    def _operation(self, frame: _Frame, f: OperationFunction, now: Callable, args: tuple, kwargs: dict):
        plain = now
        if f.is_swapped:
            args, plain = args[::-1], lambda a, b: now(b, a)
        leaves = keras.tree.flatten((args, kwargs))
        plain = self.call_within(
            None, plain if frame.graph is None or any(map(_is_unknown, leaves)) else _at_once(plain)
        )
        reads_floats = not self.floats_only or any(map(_is_float, leaves))
        if self.floats_only and f.kind in CASTS and reads_floats:
            return plain(*args, **kwargs)
        if not reads_floats:
            made = plain(*args, **kwargs)
            if not any(map(_is_float, keras.tree.flatten(made))):
                return made
            plain = _giving(made)
        while self.skips(frame.op, frame.count, f.kind):
            frame.count += 1
        number, frame.count = frame.count, frame.count + 1
        with self.within(None):
            return self.handle(frame.op, number, f, plain, args, kwargs)


def _at_once(plain: Callable) -> Callable:
    """Returns a function of constants that computes its value at once, also while a graph is traced."""

    def computed(*args, **kwargs):
        with tf.init_scope():
            return plain(*args, **kwargs)

    return computed


def _is_unknown(x: Any) -> bool:
    """Whether a value is known only when the graph runs, or may change until then."""
    return isinstance(x, (keras.Variable, tf.Variable)) or isinstance(x, tf.Tensor) and tf.is_symbolic_tensor(x)


def _giving(made: Any) -> Callable:
    return lambda *args, **kwargs: made


def _graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _is_float(x: Any) -> bool:
    if isinstance(x, (tf.Tensor, tf.Variable)):
        return x.dtype.is_floating
    if isinstance(x, keras.Variable):
        return keras.backend.is_float_dtype(x.dtype)
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
