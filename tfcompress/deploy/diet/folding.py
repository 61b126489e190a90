"""Whole results that are constant: a branch of a sum or product becomes a constant operand, and its operations go.

The operand is one value per channel, which the operation spreads over all places. Operations whose
results nobody reads go as well.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.deploy.diet.channels import Channels
from tfcompress.deploy.diet.circuit import Circuit

_PAIRS = frozenset({"ADD", "SUB", "MUL"})


def fold(circuit: Circuit, found: Channels) -> bool:
    """Makes constant branches operands and drops operations that nobody needs any more.

    Args:
        circuit: The graph; changed in place.
        found: What is known of its channels.

    Returns:
        Whether anything changed.
    """
    folded = [_fold_operand(circuit, found, op, position) for op in circuit.ops for position in (0, 1)]
    return _drop_unread(circuit, found) or any(folded)


def _fold_operand(circuit: Circuit, found: Channels, op: schema.OperatorT, position: int) -> bool:
    operands = circuit.inputs(op)
    if circuit.name(op) not in _PAIRS or len(operands) != 2:
        return False
    tensor, other, (y,) = operands[position], operands[1 - position], circuit.outputs(op)
    if tensor not in found.spans or circuit.is_constant(tensor) or circuit.is_constant(other):
        return False
    low, high = found.span(tensor)
    # the other one alone has to give the shape of the result
    if (low != high).any() or circuit.shape(other) != circuit.shape(y) or -1 in circuit.shape(y):
        return False
    shape = [1] * (len(circuit.shape(tensor)) - 1) + [len(low)]
    constant = circuit.add_constant(low.reshape(shape), circuit.tensor(tensor))
    circuit.set_input(op, position, constant)
    return True


def _drop_unread(circuit: Circuit, found: Channels) -> bool:
    read = {*circuit.ends, *(index for op in circuit.ops for index in circuit.inputs(op))}
    # only operations that are understood: another one may do more than write its results
    kept = [op for op in circuit.ops if not set(circuit.outputs(op)) <= set(found.spans) - read]
    is_changed = len(kept) < len(circuit.ops)
    circuit.graph.operators = kept
    return is_changed
