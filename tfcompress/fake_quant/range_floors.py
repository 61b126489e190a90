"""Widens activation ranges that are too narrow for integer kernels, such as those of tensors that are always zero.

An integer kernel multiplies by input scale times weight scale over output scale. Above 256 XNNPACK refuses the whole
file, and finer output steps are never used: sums are multiples of input scale times weight scale.
"""

import keras
import numpy as np

from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.quantizer_placement import Placement, RangeRequest, place
from tfcompress.fake_quant.transforms.ranges import ActivationRange
from tfcompress.fake_quant.weight_reads import largest_weight
from tfcompress.file_formats import INT8
from tfcompress.graph.inside.opened import operations
from tfcompress.graph.trace import Trace, trace
from tfcompress.layer_table.lookup import spec_of

_RATIO = 128.0  # largest ratio of input scale times weight scale to output scale
_ALONE = 1.0  # width of the range of an input that is always zero, or whose source is unknown


def widen_narrow_ranges(model: keras.Model, state) -> list[str]:
    """Widens the activation ranges of a model that are narrower than integer kernels accept.

    Args:
        model: A built model.
        state: Its operation plans, their ranges filled.

    Returns:
        Titles of the ranges that saw nothing but zeros.
    """
    graph = trace(model, opens=True)
    names = {id(op): path for path, op in operations(model)}
    return _Lift(graph, place(graph, lambda op: names[id(op)]), state).done()


class _Lift:
    def __init__(self, traced: Trace, found: Placement, state):
        self.trace, self.behind, self.dead = traced, found.behind, []
        self.op_plans = {id(t.op): t for t in state.op_plans}
        self.real: dict[int, ActivationRange] = {}
        for span, real in zip(found.inputs, state.inputs, strict=False):
            self.real[id(span)] = real
        for key, placement in found.placements.items():
            t = self.op_plans.get(key)
            for k, span in placement.outputs.items() if t is not None else ():
                self.real[id(span)] = t.outputs.get(k)
        self.inputs = [real for real in state.inputs if real is not None]

    def done(self) -> list[str]:
        for real in self.inputs:
            self._widen(real, 0.0, _ALONE)
        for call in self.trace.calls:
            t = self.op_plans.get(id(call.op))
            if t is not None:
                self._visit(call, t)
        return self.dead

    def _visit(self, call, t: OpPlan):
        given = max((self._width(x) for x in call.inputs), default=0.0) or _ALONE
        peak = largest_weight(t) if spec_of(t.op).is_known else None
        most = given if not peak else given * peak  # of one input value
        least = 0.0 if peak is None else most / (INT8.weights.high * _RATIO)
        for real in t.inside.values():
            self._widen(real, 0.0, given)
        for real in (t.before, *(self._real(x) for x in call.outputs)):
            if real is not None:
                self._widen(real, least, most)

    def _real(self, tensor) -> ActivationRange | None:
        """Returns the range that gives a tensor its scale, also one placed behind a later ReLU."""
        seen = set()
        while tensor is not None and self.behind.get(tensor) is None and tensor not in seen:
            seen.add(tensor)
            users = [c for c in self.trace.graph.readers(tensor) if c.outputs]
            tensor = users[0].outputs[0] if len(users) == 1 else None
        span = self.behind.get(tensor)
        return self.real.get(id(span)) if isinstance(span, RangeRequest) else None

    def _width(self, tensor) -> float:
        span = self.behind.get(tensor)
        if isinstance(span, tuple):
            return span[1] - span[0]
        real = self._real(tensor)
        if real is None:
            return 0.0
        low, high = _seen(real)
        return float(high - low)

    def _widen(self, real: ActivationRange, least: float, alone: float):
        """Widens a range to at least `least`; a range that saw only zeros becomes `alone` wide."""
        low, high = _seen(real)
        if high == low == 0.0:
            self.dead.append(real.title)
            real.widen(0.0, alone)
        elif high - low < least:
            real.widen(low, low + least)


def _seen(real: ActivationRange) -> tuple[float, float]:
    """Returns the bounds of a range, extended to include zero."""
    low, high = float(np.asarray(real.low)), float(np.asarray(real.high))
    return min(low, 0.0), max(high, 0.0)
