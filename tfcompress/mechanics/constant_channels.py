"""Channels that are the same number whatever the input: their share goes into the biases behind them.

A channel whose incoming weights are all zero is its bias; behind activations, normalizations and pooling it stays a
constant. A linear layer that reads it takes `W c` into its bias and zeros in the place of W, exactly where the constant
lies beside no padding. What nobody reads any more is then cut out (`unread`).
"""

from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.facts.spec import is_elementwise
from tfcompress.mechanics.channels import Channels
from tfcompress.mechanics.draft import Draft, Node
from tfcompress.mechanics.folding import add_bias, along_inputs, inputs_of, is_linear, outputs_of, response, uneven
from tfcompress.mechanics.graph import full_precision, takes_training
from tfcompress.facts.spec import weight

_OPEN = 32  # stands for an open size where an operation is tried out


@dataclass(frozen=True)
class Constant:
    """What is known of a tensor: which channels of its last axis are constants, and which.

    Args:
        known: `(channels,)` bool.
        value: `(channels,)`, 0 where it is not known.
    """

    known: np.ndarray
    value: np.ndarray


class Constants:
    """The constants of a model's tensors, from the first operation to the last; folds them on the way.

    Args:
        draft: The model; nothing in it has been changed yet.
        may_fold: Function `node -> bool`: linear layers whose weights may change.
    """

    def __init__(self, draft: Draft, may_fold):
        self.draft, self.may_fold = draft, may_fold
        self.found: dict[int, Constant] = {}
        self.folded: dict[str, int] = {}
        self.kept: dict[str, str] = {}
        for node in list(draft.nodes):
            if len(node.outputs) == 1 and None not in node.inputs:
                constant = self._of(node)
                if constant is not None and constant.known.any():
                    self.found[node.outputs[0]] = constant

    def _of(self, node: Node) -> Constant | None:
        if is_linear(node):
            return self._linear(node)
        given = [self.found.get(t) for t in node.inputs]
        if not node.inputs or not any(c is not None for c in given) or len(node.shapes[0]) < 2:
            return None
        if isinstance(node.op, keras.layers.Flatten):
            return self._flat(node, given[0])
        if node.spec.flow == "concat":
            return self._joined(node)
        if node.spec.flow == "pass" and len(node.inputs) == 1 and node.inputs != node.outputs:
            return self._each(node, given)
        if node.spec.flow == "merge" and all(c is not None for c in given):
            return self._each(node, given)
        return given[0] if node.inputs == node.outputs else None

    def _linear(self, node):
        constant = self.found.get(node.inputs[0])
        if constant is not None and self.may_fold(node):
            self._fold(node, constant)
        first, last = node.spec.kernels[0], node.spec.kernels[-1]
        dead = _nothing_in(node, last)
        if first != last:  # separable: channels between the halves
            inner = _nothing_in(node, first)
            dead = dead | (np.abs(node.weights[last]).sum(axis=tuple(range(node.weights[last].ndim - 2)))[~inner] == 0).all(0)
        function = getattr(node.op, "activation", None)
        if not dead.any() or not is_elementwise(function):
            return None
        bias = node.weights.get("bias", np.zeros(outputs_of(node)))
        value = np.asarray(function(keras.ops.convert_to_tensor(bias.astype("float32"))), "float64")
        return Constant(dead, np.where(dead, value, 0.0))

    def _fold(self, node, constant):
        reads = np.any(_magnitudes(node) > 0, axis=0) if False else _read(node)
        times = inputs_of(node) // len(constant.known)
        known, value = np.tile(constant.known, times) & reads, np.tile(constant.value, times)
        why = uneven(node, self.draft.shapes[node.inputs[0]]) if np.any(value[known]) else None
        if why:
            self.kept[node.path] = f"{int(np.count_nonzero(value[known]))} constant input channels stay: {why}"
            known = known & (value == 0)
        if not known.any():
            return
        add_bias(node, response(node, np.where(known, value, 0.0)))
        path = node.spec.kernels[0]
        node.change(**{path: node.weights[path] * along_inputs(node, (~known).astype("float64"))})
        self.folded[node.path] = int(known.sum())

    def _flat(self, node, constant):
        channels, wide = len(constant.known), node.shapes[0][-1]
        first = getattr(node.op, "data_format", "channels_last") == "channels_first"
        if first or wide is None or wide % channels:
            return None
        return Constant(np.tile(constant.known, wide // channels), np.tile(constant.value, wide // channels))

    def _joined(self, node):
        axis, rank = getattr(node.op, "axis", -1), len(node.shapes[0])
        if axis not in (-1, rank - 1):
            return None
        parts = []
        for t in node.inputs:
            wide = self.draft.shapes[t][-1]
            parts.append(self.found.get(t) or Constant(np.zeros(wide, bool), np.zeros(wide)))
        return Constant(np.concatenate([p.known for p in parts]), np.concatenate([p.value for p in parts]))

    def _each(self, node, given):
        """Tries the operation on the constants: what comes out the same everywhere is a constant again."""
        shapes = [self.draft.shapes[t] for t in node.inputs]
        if len({(len(s), s[-1]) for s in (*shapes, node.shapes[0])} - {(len(node.shapes[0]), node.shapes[0][-1])}):
            if node.spec.flow == "merge" or shapes[0][-1] != node.shapes[0][-1]:
                return None
        if node.spec.kernels or not _takes_numbers(node):
            return None
        tensors = [
            np.broadcast_to(c.value, [1, *(n or _OPEN for n in s[1:-1]), s[-1]])
            for c, s in zip(given, shapes, strict=True)
        ]
        y = self.draft.probed(node, *tensors)
        y = y.reshape(-1, y.shape[-1])
        same = (y == y[0]).all(axis=0) & np.isfinite(y[0])
        known = np.logical_and.reduce([c.known for c in given]) & same
        return Constant(known, np.where(known, y[0], 0.0))
