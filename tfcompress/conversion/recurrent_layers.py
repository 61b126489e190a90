"""Tells which recurrent layers can become integer loops, and plans them for a file without loops."""

from dataclasses import replace
from typing import Any

import keras

from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.keras_private import recurrent
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import spec_of

AUTO, LOOP, UNROLLED = FORMS = ("auto", "loop", "unrolled")


def has_form(op: Any) -> bool:
    """Whether the steps of a recurrent layer can be computed with one range for each inner value."""
    return bool(spec_of(op).step and spec_of(op).within)


def check_recurrent(model: keras.Model, recurrent_form: str) -> None:
    """Raises if a file with loops is asked for and a recurrent layer can't become one.

    Args:
        model: A built model.
        recurrent_form: Argument `recurrent` of `convert`.

    Raises:
        ValueError: In that case; the message names the layers.
    """
    if recurrent_form != LOOP:
        return
    able = {id(layer) for _, op in leaves(model) if has_form(op) for layer in _loops(op)}
    if lost := [layer.name for layer in recurrent(model) if id(layer) not in able]:
        raise ValueError(
            f"convert: recurrent='loop', but the layers {lost} can't become integer loops. Accepted are LSTM, GRU and "
            "SimpleRNN, also in Bidirectional, not stateful, with the activations tanh, sigmoid, relu and linear. Use "
            "recurrent='auto', which unrolls the others, or other activations."
        )


def _loops(op: Any) -> list[Any]:
    return [getattr(op, name) for name in spec_of(op).inner] or [op]


def looped_layers(state: CompressionState) -> frozenset[int]:
    """Returns the ids of the recurrent layers of which all inner values have ranges, so that they can stay loops.

    Args:
        state: The operation plans.
    """
    return frozenset(id(layer) for t in state.op_plans if _is_ready(t) for layer in _loops(t.op))


def _is_ready(plan: OpPlan) -> bool:
    return plan.written and has_form(plan.op) and set(spec_of(plan.op).inside) <= set(plan.inside)


def by_step(state: CompressionState) -> CompressionState:
    """Returns operation plans without ranges inside of recurrent layers, which the calibrator finds step by step.

    Args:
        state: Plans of a model that was not trained for int8.
    """
    plans = [replace(t, inside={}, written=False) if has_form(t.op) else t for t in state.op_plans]
    return CompressionState(plans, state.inputs)
