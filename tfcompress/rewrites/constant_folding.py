"""Constant folding: moves channels that do not depend on the input into the biases of the layers behind them.

A channel whose incoming weights are all zero equals its bias; behind activations, normalizations and pooling it stays a
constant c. A linear layer that reads it adds `W c` to its bias and sets W to zero there, which is exact unless padding
puts zeros beside the constant. Channels that no weight reads any more can then be removed (`unread_groups`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.channels.dependency import Channels
from tfcompress.graph.keras_private import full_precision
from tfcompress.layer_table.lookup import activation, is_elementwise, weight
from tfcompress.rewrites.channel_scaling import (
    add_bias,
    along_inputs,
    inputs_of,
    is_linear,
    outputs_of,
    response,
    uneven_reason,
)
from tfcompress.rewrites.editable_graph import Draft, Node

_OPEN = 32  # replaces an open size where an operation is run on constants
_SAME = 1e-6  # relative; a mean of equal numbers may round differently from place to place


@dataclass(frozen=True)
class Constant:
    """The constant channels of a tensor's last axis, with their values.

    Args:
        known: `(channels,)` bool: whether a channel is constant.
        value: `(channels,)`: its value; 0 for channels that are not constant.
    """

    known: np.ndarray
    value: np.ndarray

    @property
    def is_zero(self) -> bool:
        """Whether the whole tensor is zero."""
        return bool(self.known.all() and not self.value.any())


class Constants:
    """Finds the constant channels of a model, first operation to last, and folds them into biases on the way.

    Args:
        draft: A model in which nothing has been changed yet.
        may_change: Function `node -> bool`: whether constants may be folded into a linear layer, or a sum be removed.

    Attributes:
        folded: By path of a linear layer, how many input channels were folded into its bias.
        kept: By path of a linear layer, why constants before it stay.
        dropped: Paths of removed sums: only one of their operands was not zero.
    """

    def __init__(self, draft: Draft, may_change: Callable[[Node], bool] = lambda node: True):
        self.draft, self.may_change = draft, may_change
        self.found: dict[int, Constant] = {}
        self.folded: dict[str, int] = {}
        self.kept: dict[str, str] = {}
        self.dropped: list[str] = []
        for node in list(draft.nodes):
            if len(node.outputs) != 1 or None in node.inputs or len(node.shapes[0]) < 2:
                continue
            constant = self._of(node)
            if constant is not None and constant.known.any():
                self.found[node.outputs[0]] = constant

    def _of(self, node: Node) -> Constant | None:
        if is_linear(node):
            return self._linear(node)
        given = [self.found.get(t) for t in node.inputs]
        if all(c is None for c in given):
            return None
        if node.spec.repeats_channels:
            return self._flat(node, given[0])
        if node.spec.flow == "concat":
            return self._joined(node)
        if node.spec.flow == "merge" and self._dropped(node, given):
            return None
        is_each = node.spec.flow == "pass" and len(given) == 1 or node.spec.flow == "merge"
        return self._tried(node, given) if is_each and all(c is not None for c in given) else None

    def _linear(self, node):
        constant = self.found.get(node.inputs[0])
        if constant is not None and self.may_change(node):
            self._fold(node, constant)
        dead, function = _unfed(node), activation(node.op)
        if not dead.any() or function is not None and not is_elementwise(function):
            return None
        value = node.weights.get("bias", np.zeros(outputs_of(node)))
        if function is not None:
            value = np.asarray(function(keras.ops.convert_to_tensor(value.astype("float32"))), "float64")
        return Constant(dead, np.where(dead, value, 0.0))

    def _fold(self, node, constant):
        times = inputs_of(node) // len(constant.known)
        value = np.tile(constant.value, times)
        known = np.tile(constant.known, times) & _read(node)
        why = uneven_reason(node, self.draft.shapes[node.inputs[0]]) if np.any(value[known]) else None
        if why:
            self.kept[node.path] = f"{np.count_nonzero(value[known])} constant input channels stay: {why}"
            known &= value == 0
        if not known.any():
            return
        add_bias(node, response(node, np.where(known, value, 0.0)))
        path = node.spec.kernels[0]
        node.change(**{path: node.weights[path] * along_inputs(node, (~known).astype("float64"))})
        self.folded[node.path] = int(known.sum())

    def _flat(self, node, constant):
        channels, wide = len(constant.known), node.shapes[0][-1]
        if wide is None or wide % channels:
            return None
        return Constant(np.tile(constant.known, wide // channels), np.tile(constant.value, wide // channels))

    def _joined(self, node):
        sizes = [self.draft.shapes[t][-1] for t in node.inputs]
        if getattr(node.op, "axis", -1) not in (-1, len(node.shapes[0]) - 1) or None in sizes:
            return None
        nothing = [Constant(np.zeros(n, bool), np.zeros(n)) for n in sizes]
        parts = [self.found.get(t, none) for t, none in zip(node.inputs, nothing, strict=True)]
        return Constant(np.concatenate([p.known for p in parts]), np.concatenate([p.value for p in parts]))

    def _dropped(self, node, given) -> bool:
        """Removes a sum with only one operand that is not zero, and the operations that only computed the others."""
        full = [k for k, c in enumerate(given) if c is None or not c.is_zero]
        if not node.spec.is_sum or len(full) != 1 or not node.is_single or not self.may_change(node):
            return False
        if any(self.draft.shapes[t] != node.shapes[0] for t in node.inputs):
            return False
        kept = node.inputs[full[0]]
        self.draft.pick(node, full[0])
        self.dropped.append(node.path)
        if kept in self.found:
            self.found[node.outputs[0]] = self.found[kept]
        return True

    def _tried(self, node, given):
        """Runs an operation on the constants; channels of the result that are equal at all positions are constants."""
        shapes = [self.draft.shapes[t] for t in node.inputs]
        if node.spec.kernels or any(s[-1] != node.shapes[0][-1] for s in shapes):
            return None
        tensors = [
            np.broadcast_to(c.value, [1, *(n or _OPEN for n in s[1:-1]), s[-1]])
            for c, s in zip(given, shapes, strict=True)
        ]
        y = self.draft.run_node(node, *tensors)
        y = y.reshape(-1, y.shape[-1])
        same = np.ptp(y, axis=0) <= _SAME * np.abs(y[0])
        known = np.logical_and.reduce([same, *(c.known for c in given)])
        return Constant(known, np.where(known, y[0], 0.0))


def _read(node: Node) -> np.ndarray:
    """Returns which input channels have a weight that is not zero: `(channels,)` bool."""
    path = node.spec.kernels[0]
    axes, kernel = node.spec.axes[path], np.abs(node.weights[path])
    if axes.is_grouped:
        groups = node.config["groups"]
        each = kernel.reshape(-1, *kernel.shape[-2:]).sum(axis=0)  # (j, o)
        return (each.reshape(len(each), groups, -1).sum(axis=-1).T > 0).reshape(-1)
    return kernel.sum(axis=axes.beside_inputs) > 0


def _unfed(node: Node) -> np.ndarray:
    """Returns which output channels have only weights of zero before them: `(channels,)` bool."""
    kernels = [(np.abs(node.weights[path]), node.spec.axes[path]) for path in node.spec.kernels]
    reached = None
    for kernel, axes in kernels:
        if reached is not None:  # the pointwise half of a separable convolution
            kernel = kernel * reached[:, None]
        reached = (kernel.sum(axis=axes.inputs) > 0).reshape(-1)
    return ~reached


def unread_groups(channels: Channels) -> np.ndarray:
    """Returns the channel groups whose readers' weights are all zero.

    At least one group of each layer is left out, since a layer needs one channel.

    Args:
        channels: The channel groups of a model.
    """
    read = [np.array([], int)]
    for use in channels.uses.values():
        for path, axis, roots in channels.reads(use):
            value = np.moveaxis(np.asarray(full_precision(weight(use.op, path))), axis, 0)
            read.append(roots[np.any(value.reshape(len(value), -1), axis=1)])
    dead = np.setdiff1d(channels.groups, np.concatenate(read))
    for use in channels.uses.values():
        for vector in (use.inner, use.output.vector() if use.output is not None else None):
            if vector is not None and len(vector) and not channels.alive(dead)[vector].any():
                dead = np.setdiff1d(dead, channels.roots[vector[:1]])
    return dead
