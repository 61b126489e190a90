"""Finds the places of activation ranges in the trace of a model: one range for every int8 scale of the file.

A range is placed behind the last operation that fuses (Conv, BatchNormalization, ReLU become one), is shared where
LiteRT wants one scale (Concatenate, AveragePooling), moves behind operations that only pick values (MaxPooling,
Flatten), where it gives the same result on fewer numbers, and is left out where LiteRT fixes the scale (Softmax).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfcompress.fake_quant.input_scaling import (
    ProductAndSum,
    can_fold_scaling,
    commutes_with_scaling,
    factor_and_offset,
    product_of,
)
from tfcompress.fake_quant.inside.integer_forms import fixed_by_activation, fuses_activation, integer_forms
from tfcompress.fake_quant.inside.integer_functions import VALUES, find_integer_functions
from tfcompress.fake_quant.inside.normalizations import INSIDE as NORMALIZATION
from tfcompress.fake_quant.inside.normalizations import find_normalizations
from tfcompress.fake_quant.inside.softmax_inputs import constants_limit, softmax_inputs
from tfcompress.fake_quant.op_plan import OpPlacement
from tfcompress.fake_quant.weight_reads import fold_target
from tfcompress.graph.trace import Call, Trace
from tfcompress.layer_table.lookup import (
    AVERAGE,
    BLEND,
    FIXED,
    FOLD,
    FUSE,
    JOIN,
    NONE,
    OWN,
    SAME,
    LayerSpec,
    activation,
    activation_spec,
    spec_of,
)

_BETWEEN = (AVERAGE, BLEND)  # new values on the scale of the input
_WHOLE = {name: (float(np.iinfo(name).min), float(np.iinfo(name).max)) for name in ("uint8", "int8")}


@dataclass
class RangeRequest:
    """A request for one activation range: its name in reports, and what is known of the values.

    Args:
        name: Name in reports.
        positive: Whether the tensor is >= 0.
        fixed: Its bounds, if they are known.
        softmax: Its role if it only goes into a softmax.
    """

    name: str
    positive: bool = False
    fixed: tuple[float, float] | None = None
    softmax: str = ""


@dataclass
class Placement:
    """The places of all activation ranges of a model.

    Args:
        placements: The placement of each operation, by `id(operation)`.
        inputs: Ranges of the model's inputs (None for integer inputs).
        behind: The origin of the scale of each tensor of the trace: a range, fixed limits, or None where a later
            operation gives the tensor its scale.
    """

    placements: dict[int, OpPlacement]
    inputs: list[RangeRequest | None]
    behind: dict[int, RangeRequest | tuple[float, float] | None]


def place(
    trace: Trace,
    name: Callable[[Any], str],
    left_out: Callable[[Any], bool] = lambda op: False,
) -> Placement:
    """Finds the place of every activation range.

    Args:
        trace: The trace of the model.
        name: Function that returns the path of an operation.
        left_out: Function that says whether an operation stays float.

    Returns:
        The placement.
    """
    return _Placer(trace, name, left_out).placement()


class _Placer:
    def __init__(self, trace, name, left_out):
        self.trace, self.name, self.left_out = trace, name, left_out
        self.placements: dict[int, OpPlacement] = defaultdict(OpPlacement)
        self.graph = trace.graph
        self.floats: set[int] = set()  # tensors of layers that stay float
        self.behind: dict[int, RangeRequest | tuple[float, float] | None] = {}  # tensor -> the origin of its scale
        self.ahead: set[int] = set()  # operations that are folded into what reads them
        self.roles = softmax_inputs(self.graph)
        self.normalizations = find_normalizations(self.graph)
        self.functions = find_integer_functions(self.graph)
        self.stepped = {id(step.op) for steps in self.functions.values() for step in steps}

    def placement(self) -> Placement:
        inputs = []
        for k, (t, dtype) in enumerate(zip(self.trace.inputs, self.trace.input_dtypes, strict=True)):
            is_float = dtype.startswith("float") or k in self.trace.float_inputs
            span = (
                RangeRequest(f"input {k}", fixed=_WHOLE.get(dtype), softmax=self.roles.get(t, ""))
                if is_float and not self._only_joined(t)
                else None
            )
            if is_float:  # integers get their scale from the layer that makes floats of them
                self.behind[t] = span
            inputs.append(span)
        for call in self.trace.calls:
            if not self.left_out(call.op):
                self._fold(call)
        for call in self.trace.calls:
            if call.inputs and call.inputs[0] in self.trace.inputs:
                self._front(call)
            self._pair(call)
        for call in self.trace.calls:
            self._visit(call)
        for call in self.trace.calls:
            if self.graph.times(call.op) == 1 and call.outputs:
                placement = self.placements[id(call.op)]
                placement.target = self._scale_of(call.outputs[0], (JOIN, SAME, FUSE, FOLD))
                if spec_of(call.op).is_table:
                    placement.table = self._scale_of(call.outputs[0], (JOIN, SAME))
        return Placement(dict(self.placements), inputs, self.behind)

    def _only_joined(self, t) -> bool:
        """Whether an input is only read by an operation that joins it with others, and so takes its output scale."""
        user = self._only_user(t)
        return user is not None and spec_of(user.op).grid == JOIN and len(set(user.inputs)) > 1

    def _scale_of(self, t, through: tuple[str, ...]) -> RangeRequest | None:
        """Returns the range that gives a tensor its scale, found through operations behind it with such a grid."""
        while (span := self.behind.get(t)) is None:
            user = self._only_user(t)
            if user is None or spec_of(user.op).grid not in through:
                return None
            t = user.outputs[0]
        return span if isinstance(span, RangeRequest) else None

    def _only_user(self, t) -> Call | None:
        """Returns the only operation that reads a tensor; None if there are more, or the tensor is a model output."""
        user = self.graph.only_reader(t)
        return None if user is None or self.left_out(user.op) else user

    def _fold(self, call):
        norm = call.op
        if spec_of(norm).grid != FOLD or self.graph.times(norm) > 1:
            return
        maker = self.graph.maker(call.inputs[0])
        if maker is None or self._only_user(call.inputs[0]) is not call or not self._carries(maker):
            return
        if self._affine(call) or spec_of(norm).scale_and_shift is not None:
            self.placements[id(maker.op)].norm = norm
            self.placements[id(norm)].folds = True

    def _front(self, call):
        """Plans to fold input scaling into the layers that read it; an offset only where nothing pads with zeros."""
        if self.left_out(call.op) or self.graph.times(call.op) > 1 or not call.dtypes[0].startswith("float"):
            return
        pair = None if spec_of(call.op).grid == FOLD else factor_and_offset(call.op)
        readers = None if pair is None else self._readers(call.outputs[0], pair)
        if readers:
            self.placements[id(call.op)].folds = True
            self.ahead.add(id(call.op))
            for reader in readers:
                self.placements[id(reader.op)].front = call.op

    def _readers(self, tensor, pair) -> list[Call] | None:
        """Returns the layers whose kernels read a tensor, directly or moved; None if any other operation reads it."""
        found = []
        for user in self.graph.readers(tensor):
            spec = spec_of(user.op)
            if tensor in user.outputs:  # an identity: its readers read this tensor
                continue
            if self.left_out(user.op) or self.graph.times(user.op) > 1 or user.inputs.count(tensor) > 1:
                return None
            if can_fold_scaling(user.op, *pair) and not self.placements[id(user.op)].folds:
                found.append(user)
            elif spec.grid == SAME and spec.flow in ("move", "pass") and len(user.outputs) == 1 and not spec.written:
                behind = self._readers(user.outputs[0], pair) if commutes_with_scaling(user.op, *pair) else None
                if behind is None:
                    return None
                found += behind
            else:
                return None
        return None if self.graph.is_output(tensor) else found

    def _pair(self, call):
        """Plans to compute a product and a sum with constants as one operation, or in the layers that read the sum."""
        product = product_of(self.graph, call)
        if product is None or call.outputs[0] in self.roles or call.shapes[0][-1] is None:
            return  # a mask of huge numbers is cut off, and scaling by channel needs their number
        if any(self.left_out(op) or self.placements[id(op)].folds for op in (product.op, call.op)):
            return
        made = ProductAndSum(product.op, call.op)
        pair = factor_and_offset(made)
        readers = None if pair is None else self._readers(call.outputs[0], (pair[0], pair[1] or 1.0))
        self.ahead.add(id(product.op))
        self.placements[id(product.op)].folds = True
        if readers:
            self.ahead.add(id(call.op))
            self.placements[id(call.op)].folds = True
        for op in [reader.op for reader in readers] if readers else [call.op]:
            self.placements[id(op)].front = made

    def _affine(self, call) -> bool:
        """Whether an operation only scales and shifts the channels of the last axis."""
        if isinstance(self.placements[id(call.op)].front, ProductAndSum):
            return self.placements[id(call.op)].front.sum is call.op
        axis = getattr(call.op, "axis", -1) if spec_of(call.op).grid == FOLD else -1
        axis = axis if isinstance(axis, int) else axis[0]
        return spec_of(call.op).affine and axis in (-1, len(call.shapes[0]) - 1)

    def _carries(self, call) -> bool:
        """Whether a normalization can be folded into the kernel of this call."""
        spec = spec_of(call.op)
        if not spec.kernels or spec.step or spec.inner or not spec.is_known:
            return False
        if self.left_out(call.op) or self.graph.times(call.op) > 1:
            return False
        if activation(call.op) is not None:
            return False
        _, axes = fold_target(call.op)
        reads = axes.is_convolution or axes.input_channel is not None or axes.kept_channel is not None
        return axes.has_one_output_axis and reads

    def _visit(self, call):
        placement, spec = self.placements[id(call.op)], spec_of(call.op)
        if id(call.op) in self.trace.noticed.drawing:  # dropout that is active at inference is no identity
            spec = replace(spec, grid=OWN)
        placement.is_last |= any(map(self.graph.is_output, call.outputs))
        if self.left_out(call.op):
            self.floats.update(call.outputs)
            return
        if id(call.op) in self.stepped:
            return self._function(call, placement)
        self._inner(call, placement, spec)
        self._normalization(call, placement)
        placement.cuts = constants_limit(self.graph, call, self.roles)
        placement.affine = self._affine(call)
        if call.inputs and self.graph.times(call.op) == 1:
            placement.sources = tuple(self.behind.get(t) for t in call.inputs)
        for k, t in enumerate(call.outputs):
            if not call.dtypes[k].startswith("float") or self.graph.maker(t) not in (call, None):
                continue  # integers have no scale; a tensor that is passed on unchanged keeps its scale
            self._output(call, placement, spec, k, t)

    def _function(self, call, placement):
        """Plans the table of a function of integers where it ends; its range is that of the integers."""
        if (steps := self.functions.get(id(call.op))) is not None:
            span = RangeRequest(f"{self.name(call.op)} (integers)")
            placement.ends_function, placement.inside[VALUES] = call.dtypes[0], span
            self.placements[id(steps[-1].op)].inside[VALUES] = span

    def _normalization(self, call, placement):
        """Plans to compute a normalization in its last operation, and the ranges inside."""
        found = self.normalizations.get(id(call.op))
        if found is None:
            return
        placement.normalizes = (found.axes, found.epsilon, found.place)
        for name in NORMALIZATION if found.epsilon else NORMALIZATION[:-1]:
            placement.inside.setdefault(name, RangeRequest(f"{self.name(call.op)} ({name})"))

    def _inner(self, call, placement, spec):
        forms = integer_forms(call.op)
        if spec.within == "masked softmax" and not call.masked:
            return
        if forms and call.dtypes[0].startswith("float"):
            placement.written = True
            for name in (name for form in forms for name in form.inside):
                placement.inside.setdefault(name, RangeRequest(f"{self.name(call.op)} ({name})"))
        if spec.kernels and not spec.step and not spec.inner and spec.is_known and not fuses_activation(call.op):
            placement.before = placement.before or RangeRequest(f"{self.name(call.op)} (before activation)")

    def _output(self, call, placement, spec, k, t):
        activated = spec.kernels and spec.is_known and not spec.shares
        fixed = spec.fixed if spec.grid == FIXED else fixed_by_activation(call.op) if activated else None
        if fixed is not None:
            placement.fixed, self.behind[t] = fixed, fixed
            return
        if k < len(spec.shares) and spec.shares[k] != OWN:
            placement.outputs[k] = self.behind[t] = placement.inside[spec.shares[k]]
            return
        if id(call.op) in self.ahead:  # codes stay as they are
            self.behind[t] = self.behind.get(call.inputs[0])
            return
        source = self.behind.get(call.inputs[0]) if call.inputs else None
        if spec.grid in (SAME, FUSE) and self.floats & set(call.inputs):
            self.floats.add(t)
            return
        if spec.grid == NONE or spec.grid == SAME and (source is not None or self._pushed(call)):
            self.behind[t] = source
            return
        if spec.grid in _BETWEEN and isinstance(source, RangeRequest):
            placement.outputs[k], self.behind[t] = source, source
            return
        if spec.grid in _BETWEEN and source is not None:
            # given another scale, LiteRT would convert the input to it first, and clip what lies beyond the averages
            placement.fixed = self.behind[t] = source
            return
        self._own(call, k, t, spec)

    def _pushed(self, call) -> bool:
        """Whether the range of the input was moved behind a later operation."""
        return bool(call.inputs) and call.inputs[0] in self.behind

    def _own(self, call, k, t, spec):
        """Places the range of a tensor, at its operation or at a later one that serves both."""
        self.behind[t] = None
        user = self._only_user(t)
        if user is not None and self._taken_over(call, spec, user):
            return
        op, at, index = call.op, t, k
        # joined values without a range right behind them take the scale of an input that has one
        moves = spec.grid != JOIN or all(self.behind.get(i) is None for i in call.inputs)
        while moves and (user := self._only_user(at)) and spec_of(user.op).pushes and self.graph.times(user.op) == 1:
            op, at, index = user.op, user.outputs[0], 0
        if at != t and (user := self._only_user(at)) is not None and self._taken_over(call, spec, user, moved=True):
            self.behind[at] = None
            return
        made = RangeRequest(self.name(call.op), self._positive(call.op), softmax=self.roles.get(at, ""))
        span = self.placements[id(op)].outputs.get(index) or made
        self.placements[id(op)].outputs[index] = span
        self.behind[t] = self.behind[at] = span

    def _taken_over(self, call, spec, user, moved: bool = False) -> bool:
        """Whether the next operation gives this tensor its scale: it joins; or fuses or folds, if no range moved."""
        grid = spec_of(user.op).grid
        if spec_of(user.op).is_bias and spec.kernels and not moved:
            return self._lends(call.op, spec)
        if grid == JOIN or moved:
            return grid == JOIN and spec.grid not in _BETWEEN
        if grid == FOLD:
            return self.placements[id(user.op)].folds and id(user.op) not in self.ahead
        return grid == FUSE and self._lends(call.op, spec)

    def _lends(self, op, spec) -> bool:
        """Whether LiteRT fuses a ReLU into this operation."""
        return (
            activation(op) is None
            and spec.is_known
            and not spec.step
            and (bool(spec.kernels) or spec.flow == "merge" or spec.affine)
        )

    @staticmethod
    def _positive(op) -> bool:
        spec = spec_of(op)
        return spec.is_positive or spec.is_known and activation_spec(activation(op)).is_positive


def stays_float(trace: Trace, left_out: Callable[[Any], bool]) -> set[int]:
    """Returns the ids of the operations that stay float: those left out, and those that only move their values."""
    ops, tensors = set(), set()
    for call in trace.calls:
        moves = spec_of(call.op).grid in (SAME, FUSE) and tensors & set(call.inputs)
        if moves or left_out(call.op):
            ops.add(id(call.op))
            tensors.update(call.outputs)
    return ops


def float_reasons(ops: Iterable[Any]) -> dict[int, tuple[str, ...]]:
    """Returns, by `id(operation)`, the LiteRT operations that stay float according to the layer table."""
    reasons = {}
    for op in ops:
        function = activation(op)
        lost = spec_of(op).float_ops
        if function and not any(form.written for form in integer_forms(op) if not isinstance(form, LayerSpec)):
            lost += activation_spec(function).float_ops
        if lost:
            reasons[id(op)] = tuple(dict.fromkeys(lost))
    return reasons
