"""Finds the tensors that only go into a softmax, where a huge number stands for a mask."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.transforms.masked_values import FACTOR, LOGITS, MASKED, SUBTRACTED, TERMS
from tfcompress.graph.graph import Graph
from tfcompress.graph.keras_private import call_arguments
from tfcompress.graph.trace import Call
from tfcompress.layer_table.lookup import SAME, SOFTMAX, probabilities, spec_of


def softmax_inputs(graph: Graph[Call]) -> dict[int, str]:
    """Finds the tensors that only go into a softmax over the last axis, by sums, choices and moves.

    Args:
        graph: The calls of a model.

    Returns:
        By the tensor `LOGITS` for what the softmax itself reads, `TERMS` for what is added to that or moved there, and
        `SUBTRACTED` for what is subtracted.
    """
    found: dict[int, str] = {}
    for call in reversed(graph.nodes):
        for tensor in dict.fromkeys(x for x in call.inputs if x is not None):
            if tensor not in found and (role := _role(graph, tensor, found)) is not None:
                found[tensor] = role
    return found


def constants_limit(graph: Graph[Call], call: Call, roles: dict[int, str]) -> float | None:
    """Returns the absolute value at which constants of a call can be cut off; None where they must stay.

    A factor and the number that is added to its product, as in `mask * 1e9 - 1e9`, cancel each other where nothing is
    masked, so both are cut off at the same value.

    Args:
        graph: The calls of a model.
        call: One of them.
        roles: What `softmax_inputs` found.
    """
    spec = spec_of(call.op)
    if not spec.passes_masks or not call.outputs or not all(t in roles for t in call.outputs):
        return None
    if spec.product or spec.is_quotient:
        return FACTOR
    maker = graph.maker(call.inputs[0]) if len(call.inputs) == 1 and call.inputs[0] is not None else None
    if maker is None or not spec_of(maker.op).product or _largest_constant(maker.op) <= FACTOR:
        return MASKED
    return FACTOR if call.inputs[0] in roles else None


def _largest_constant(op: Any) -> float:
    """Returns the largest absolute value among the constants of a product; 0 where they are not known."""
    operand = getattr(op, "operand", None)
    known = call_arguments(op) if operand is None else [operand.value]
    known = [tf.get_static_value(x) if isinstance(x, tf.Tensor) else x for x in known]
    values = (np.asarray(x) for x in known if isinstance(x, int | float | np.ndarray | np.generic))
    return float(max((np.abs(x).max(initial=0.0) for x in values if x.dtype.kind in "iuf"), default=0.0))


def _is_first(call: Call, tensor: int) -> bool | None:
    """Returns whether a tensor is what something is subtracted from; None where that is not known, or it is both."""
    if len(call.inputs) == 1:  # the other is a constant
        operand = getattr(call.op, "operand", None)
        if operand is not None:
            return operand.place == 0
        places = [k for k, x in enumerate(call_arguments(call.op)) if isinstance(x, keras.KerasTensor)]
        return places[0] == 0 if len(places) == 1 else None
    return None if len(call.inputs) != 2 or call.inputs[0] == call.inputs[1] else call.inputs[0] == tensor


def _role(graph: Graph[Call], tensor: int, found: dict[int, str]) -> str | None:
    """Returns the role of a tensor whose readers have theirs."""
    readers = [call for call in graph.readers(tensor) if tensor not in call.outputs]
    if not readers or graph.is_output(tensor):
        return None
    roles = {_as_read_by(call, tensor, found) for call in readers}
    if roles == {LOGITS, TERMS}:
        return TERMS
    return roles.pop() if len(roles) == 1 else None


def _as_read_by(call: Call, tensor: int, found: dict[int, str]) -> str | None:
    spec = spec_of(call.op)
    if probabilities(call.op) == SOFTMAX and not spec.kernels:
        return LOGITS if spec.flow in ("whole", "pass") else None
    roles = {found.get(out) for out in call.outputs}
    # what a product reads may be of any size before it is scaled
    if (
        not (spec.passes_masks or spec.grid == SAME)
        or spec.product
        or spec.is_quotient
        or len(roles) > 1
        or None in roles
    ):
        return None
    is_below = SUBTRACTED not in roles
    if spec.function == "difference":
        first = _is_first(call, tensor)
        if first is None:
            return None
        is_below = is_below == first
    return TERMS if is_below else SUBTRACTED
