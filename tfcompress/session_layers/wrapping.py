"""Converts a plain model and its operation plans to a model of wrapper layers, and back.

The wrappers also store what a conversion needs besides their own state: what is folded into which layer, which places
share a range, the origin of a layer's scale. So a session's model that Keras alone saved and loaded is still complete.
"""

from dataclasses import replace
from typing import Any

import keras

from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.clone import copied
from tfcompress.graph.rebuild import rebuild
from tfcompress.graph.trace import trace
from tfcompress.graph.tree import is_container, leaves
from tfcompress.layer_table.lookup import spec_of
from tfcompress.session_layers.plan_config import resolve_references
from tfcompress.session_layers.state_transfer import transfer_state
from tfcompress.session_layers.wrapper import Compressed, Ranged


def wrap_layers(model: keras.Model, state: CompressionState, recipe: str = "") -> keras.Model:
    """Wraps the layers of a model in wrapper layers with their operation plans.

    Args:
        model: A flat Functional model.
        state: The state with the plans.
        recipe: An identifier of the recipe, saved with the step counters.

    Returns:
        A flat model of the same layer objects; training it trains the layers of `model`.

    Raises:
        ValueError: If an operation with a plan is inside a layer that is not in the layer table.
    """
    plans = {id(t.op): t for t in state.op_plans if t.does_something()}
    numbers = {id(span): k for k, span in enumerate(state.ranges)}

    def clock():
        if state.counter is not None:
            state.counter.write()
        counted = {name: getattr(state, name).numpy().item() for name in _COUNTERS}
        return {**counted, "recipe": recipe}

    def in_place_of(path, op):
        t = plans.get(id(op))
        if t is None:
            _check_inside(op, plans)
            return op
        if not isinstance(op, keras.layers.Layer):
            return lambda *args, **kwargs: _ranged(op(*args, **kwargs), t, numbers)
        return Compressed(op, t, numbers, clock)

    def entrance(k, x):
        span = state.inputs[k] if state.inputs else None
        if span is None:
            return x
        return Ranged(span, numbers[id(span)], k, name=f"range_of_input_{k}")(x)

    return rebuild(model, in_place_of, entrance)


_COUNTERS = ("step", "total", "progress")


def _check_inside(op, plans):
    if not is_container(op):
        return
    inside = [path for path, inner in leaves(op) if id(inner) in plans]
    if inside:
        raise ValueError(
            f"Layer {op.name!r} of type {type(op).__name__} has layers inside ({', '.join(inside[:4])}), which "
            "a session can't wrap from outside. Describe it, tfc.describe(TheType, flow='mix', inner=('attribute',)), "
            "or use the callback tfc.Compression, which works on it as it is."
        )


def _ranged(outputs, t: OpPlan, numbers):
    flat = keras.tree.flatten(outputs)
    for k, span in t.outputs.items():
        flat[k] = Ranged(span, numbers[id(span)])(flat[k])
    return keras.tree.pack_sequence_as(outputs, flat)


def is_wrapped(model: keras.Model) -> bool:
    """Whether a model is that of a session: one with wrapper layers."""
    return any(isinstance(op, (Compressed, Ranged)) for _, op in leaves(model))


def read_counters(model: keras.Model) -> dict | None:
    """Returns "step", "total", "progress" and "recipe" of a session's model; None where they were not saved."""
    found = (op.counted() for _, op in leaves(model) if isinstance(op, Compressed))
    return next((c for c in found if c is not None), None)


def unwrap_layers(model: keras.Model) -> tuple[keras.Model, CompressionState]:
    """Removes the wrappers from a session's model, also from one that was saved and loaded.

    Returns:
        The plain model of the layers inside, with their weights as they train (bake the state to make them final),
        and the state from the wrappers, not attached.
    """

    def in_place_of(path, op):
        if isinstance(op, Compressed):
            return op.layer
        return (lambda x, **_: x) if isinstance(op, Ranged) else op

    plain = rebuild(model, in_place_of)
    state = _Gatherer(model, plain).state()
    clock = read_counters(model)
    for name in _COUNTERS if clock else ():
        getattr(state, name).assign(clock[name])
    return plain, state


class _Gatherer:
    """Collects the operation plans of a plain model from the wrappers of its layers."""

    def __init__(self, model, plain):
        self.plain = leaves(plain)
        self.wrappers = {id(op.layer): op for _, op in leaves(model) if isinstance(op, Compressed)}
        self.real: dict[int, Any] = {}  # number of a range -> the range, shared by all its places
        self.behind: dict[int, dict] = {}
        graph = trace(model).graph
        self.inputs: list = [None] * len(graph.inputs)
        for call in graph.nodes:
            if isinstance(call.op, Ranged):
                span = self._one(call.op.number, call.op.span, call.op.name)
                if call.op.entrance is not None:
                    self.inputs[call.op.entrance] = span
                else:
                    maker = graph.maker(call.inputs[0])
                    k = maker.outputs.index(call.inputs[0])
                    self.behind.setdefault(id(maker.op), {})[k] = span

    def _one(self, number, span, title=""):
        span = span if number is None else self.real.setdefault(number, span)
        span.title = span.title or title  # a title is not saved
        return span

    def state(self) -> CompressionState:
        plans = [self._op_plan(k, path, op) for k, (path, op) in enumerate(self.plain)]
        layers = {op.name: op for _, op in self.plain}
        return CompressionState(
            [resolve_references(plan, self.real, layers) for plan in plans], self.inputs if any(self.inputs) else []
        )

    def _op_plan(self, index, path, op) -> OpPlan:
        wrapper = self.wrappers.get(id(op))
        if wrapper is None:
            # nodes of keras.ops have no wrapper that stores it
            written = bool(self.real) and spec_of(op).written is not None
            return OpPlan(path, op, index, outputs=self.behind.get(id(op), {}), written=written)
        one = wrapper.plan.mapped(ranges=lambda span: self._one(wrapper.numbers.get(id(span)), span, path))
        return replace(one, index=index, path=path)


def finish_model(model: keras.Model) -> keras.Model:
    """Returns the finished plain model of a session's model, as if training ended now; the session's is unchanged.

    Args:
        model: A session's model, live or loaded.

    Returns:
        A model of ordinary layers with baked weights, on which `tfc.convert` finds the activation ranges.
    """
    plain, state = unwrap_layers(model)
    copy, copies = copied(plain)

    final = transfer_state(state, copies)
    final.bake()
    final.attach_to(copy)
    return copy
