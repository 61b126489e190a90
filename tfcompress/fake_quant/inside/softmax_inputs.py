"""Finds the tensors that only go into a softmax, where a huge negative number stands for a mask."""

from tfcompress.fake_quant.transforms.masked_values import LOGITS, TERMS
from tfcompress.graph.graph import Graph
from tfcompress.graph.trace import Call
from tfcompress.layer_table.lookup import SAME, SOFTMAX, probabilities, spec_of


def softmax_inputs(graph: Graph[Call]) -> dict[int, str]:
    """Finds the tensors that only go into a softmax over the last axis.

    Args:
        graph: The calls of a model.

    Returns:
        By the tensor `LOGITS` for what the softmax itself reads, and `TERMS` for what is added to that or moved there.
    """
    found: dict[int, str] = {}
    for call in reversed(graph.nodes):
        for tensor in dict.fromkeys(x for x in call.inputs if x is not None):
            if tensor not in found and (role := _role(graph, tensor, found)) is not None:
                found[tensor] = role
    return found


def _role(graph: Graph[Call], tensor: int, found: dict[int, str]) -> str | None:
    """Returns the role of a tensor whose readers come first."""
    readers = [call for call in graph.readers(tensor) if tensor not in call.outputs]
    if not readers or graph.is_output(tensor):
        return None
    roles = [_as_read_by(call, found) for call in readers]
    if None in roles:
        return None
    return LOGITS if all(role == LOGITS for role in roles) else TERMS


def _as_read_by(call: Call, found: dict[int, str]) -> str | None:
    spec = spec_of(call.op)
    if probabilities(call.op) == SOFTMAX and not spec.kernels:
        return LOGITS if spec.flow == "whole" or spec.flow == "pass" else None
    if not (spec.passes_masks or spec.grid == SAME) or not all(out in found for out in call.outputs):
        return None
    return TERMS
