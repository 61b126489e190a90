"""Activation ranges: round the output of an operation to a grid whose bounds follow the data or are trained.

The rounding is TensorFlow's own FakeQuant op, which the LiteRT converter reads. While training, the
gradient passes straight through; the range follows the batches as a mean that starts as a plain
average and turns into an exponential one, so that it needs no first guess.
"""

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras
import tensorflow as tf

from tfcompress.fake_quant.transforms.base import Transform, straight_through
from tfcompress.fake_quant.transforms.file_rounding import round_in_file
from tfcompress.fake_quant.transforms.masked_values import counted
from tfcompress.fake_quant.transforms.taps import record_gradient
from tfcompress.file_formats import INT8, Codes
from tfcompress.graph.keras_private import full_precision
from tfcompress.quant_spec import QuantSpec

TRAIN, OBSERVE, APPLY = "train", "observe", "apply"
# Values a percentile is taken of: a full sort of every activation would cost more than the step.
_SAMPLE = 16384
# Prevents a division by zero in a range that saw only zeros; `fake_quant/range_floors.py` finds what a file needs.
_NOTHING = 1e-30
# Steps that the code of zero is away from a half.
_CLEAR = 1e-3
# Smallest ratio of the shorter to the longer side of a trained range, so that the exponent of both can move.
_SIDE = 1e-6


_later: ContextVar[tuple[Any, list[tuple]] | None] = ContextVar("later", default=None)


@contextlib.contextmanager
def widened_later() -> Iterator[list[tuple]]:
    """Collects what ranges observe while a graph is traced; updates of variables in it would take half of the tracing.

    Yields:
        A list of `(range, low, high)`, tensors of the graph; `widen_by` takes their values. Ranges inside of a loop or
        branch are not listed, and update themselves.
    """
    found: list[tuple] = []
    token = _later.set((tf.compat.v1.get_default_graph(), found))
    try:
        yield found
    finally:
        _later.reset(token)


def _collecting() -> tuple[Any, list[tuple]]:
    """Returns the graph in which ranges only collect what they observe, and the list; None without one."""
    held = _later.get()
    return (None, []) if held is None else held


def _observed(span) -> list[tuple]:
    """Returns what a range has observed in the graph that is traced now, as `(low, high)`."""
    graph, found = _collecting()
    return [tuple(bounds) for s, *bounds in found if s is span] if graph is tf.compat.v1.get_default_graph() else []


@keras.saving.register_keras_serializable("tfcompress")
class ActivationRange(Transform):
    """An activation range that is the moving average of the minima and maxima of the batches.

    Args:
        bits: Bits of a code, 2..16.
        momentum: Part of the old range kept per step once the average has filled up, in [0, 1).
        symmetric: Whether low = -high (int16 activations).
        positive: Whether the tensor is known to be >= 0 (behind a ReLU), so that low = 0.
        softmax: Role of a tensor that only goes into a softmax (`masked_values`), so that a mask sets no range.
    """

    shown_as = "moving"  # in plans; as `Quantize(ranges=)` names it

    title = ""
    """Name in reports: the operation, or the input, whose values it bounds."""

    def __init__(
        self,
        bits: int = INT8.activations.bits,
        momentum: float = 0.99,
        symmetric: bool = False,
        positive: bool = False,
        softmax: str = "",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.softmax = softmax
        self.bits, self.momentum, self.symmetric, self.positive = (
            bits,
            momentum,
            symmetric,
            positive,
        )
        self._build_state()

    def _build_state(self):
        self.low = self.state("low", ())
        self.high = self.state("high", ())
        self.seen = self.state("seen", ())
        self.built = True

    def bounds(self) -> tuple[Any, Any]:
        """Returns `(low, high)` as tensors, with low <= 0 <= high and a span above zero."""
        state = tuple(map(tf.convert_to_tensor, (self.low, self.high, self.seen)))
        for low, high in _observed(self):
            state = self._widened(state, low, high)
        return self._grid(*state[:2])

    def _grid(self, low, high):
        low, high = tf.minimum(low, 0.0), tf.maximum(high, 0.0)
        high = tf.where(high - low > _NOTHING, high, low + _NOTHING)
        if self.symmetric:
            high = tf.maximum(high, -low)
            low = -high
        return low, high

    def extremes(self, x):
        """Returns the lowest and highest value of a batch."""
        low = tf.zeros(()) if self.positive else tf.reduce_min(x)
        return low, tf.reduce_max(x)

    def _extremes(self, x):
        return self.extremes(counted(x, self.softmax))

    def call(self, x, how: str = APPLY, export: bool = False):
        """Returns `x` on the grid ("train", "apply"), or `x` itself while the range only observes ("observe").

        With `export`, the bounds become attributes of the node, where the converter looks for them. It reads every
        such node as 8 bits, so other widths make none; `conversion/packers.py` writes 16-bit ranges into the file.
        """
        if export and self.bits != INT8.activations.bits:
            return x
        if export:
            with tf.init_scope():
                low, high = self.limits()
            return round_in_file(x, low, high, self.bits)
        if how == OBSERVE:
            self._observe(*self._extremes(x))
            return x
        if how == TRAIN:
            self._follow(*self._extremes(tf.stop_gradient(x)))
            return fake_quant(x, *self.bounds(), self.bits)
        return fake_quant(x, *self._known(x), self.bits)

    def _follow(self, low, high) -> None:
        """Moves the range towards the lowest and highest value of one more batch."""
        # a batch that overflowed carries no information, and would stay in the mean for ever
        is_finite = tf.math.is_finite(high - low)
        low, high = tf.where(is_finite, low, self.low), tf.where(is_finite, high, self.high)
        keep = tf.minimum(self.momentum, self.seen / (self.seen + 1.0))
        self.low.assign(keep * self.low + (1.0 - keep) * low)
        self.high.assign(keep * self.high + (1.0 - keep) * high)
        self.seen.assign(self.seen + tf.cast(is_finite, tf.float32))

    def before_steps(self, trains: bool) -> tuple[Any, Any, Any]:
        """Returns low, high and whether they are set, for all steps of a loop, which can't update the range itself."""
        return *self.bounds(), tf.convert_to_tensor(self.seen) > 0

    def after_steps(self, low, high, trains: bool) -> None:
        """Takes the lowest and highest value of all steps of a loop, as of one batch."""
        if trains:
            self._follow(low, high)
        else:
            self._observe(low, high)

    def rounded(self, x):
        """Returns `x` on the grid as it is now, in a graph that is thrown away when the bounds change."""
        with tf.init_scope():
            known = tuple(float(bound) for bound in self.bounds()) if self.is_set else None
        if known is None:
            return self(x)
        # with bounds as attributes of the node, TensorFlow rounds values between two codes differently
        return tf.quantization.fake_quant_with_min_max_vars(x, *known, self.bits)

    def _known(self, x) -> tuple[Any, Any]:
        """Returns the bounds; those of the values themselves as long as no data was seen."""
        low, high = self.bounds()
        was_seen = tf.convert_to_tensor(self.seen) > 0
        return tf.cond(was_seen, lambda: (low, high), lambda: self._grid(*self._extremes(x)))

    def _observe(self, low, high) -> None:
        graph, found = _collecting()
        if graph is tf.compat.v1.get_default_graph():
            found.append((self, tf.cast(low, tf.float32), tf.cast(high, tf.float32)))
        else:
            self.widen_by(low, high)

    def widen_by(self, low, high) -> None:
        """Widens the range by the lowest and highest value of one more batch, scalars."""
        state = tuple(map(tf.convert_to_tensor, (self.low, self.high, self.seen)))
        for variable, value in zip((self.low, self.high, self.seen), self._widened(state, low, high), strict=True):
            variable.assign(value)

    def _widened(self, state: tuple, low, high) -> tuple:
        """Returns low, high and number of batches after one more batch."""
        was_seen = state[2] > 0
        lowest = tf.where(was_seen, tf.minimum(state[0], low), low)
        return lowest, tf.where(was_seen, tf.maximum(state[1], high), high), state[2] + 1.0

    def widen(self, low: float, high: float) -> None:
        """Sets the bounds, whatever data was seen."""
        self.low.assign(low)
        self.high.assign(high)

    @property
    def is_set(self) -> bool:
        """Whether any batch was seen."""
        return float(full_precision(self.seen)) > 0

    def limits(self) -> tuple[float, float]:
        """Returns `(low, high)` as Python numbers, shifted a little where zero lies half-way between two codes.

        FakeQuant, which divides in float32, and the converter would round such a zero point to different codes.
        """
        low, high = (float(bound) for bound in self.bounds())
        step = (high - low) / Codes(self.bits).steps
        place = -low / step
        if self.symmetric or abs(place - math.floor(place) - 0.5) > _CLEAR:
            return low, high
        return low - 2.0 * _CLEAR * step, high - 2.0 * _CLEAR * step

    def own_weights(self) -> list[tuple]:
        """Returns the pairs (variable, recorded gradient) for an optimizer of their own; a moving range has none."""
        return []

    def get_config(self):
        """Constructor arguments."""
        names = ("bits", "momentum", "symmetric", "positive", *(("softmax",) if self.softmax else ()))
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}


@keras.saving.register_keras_serializable("tfcompress")
class PercentileRange(ActivationRange):
    """An activation range that is the moving average of percentiles of the batches, which ignores outliers.

    Args:
        percentile: Per cent of the values inside the range, in (50, 100].
        **kwargs: As for `ActivationRange`.
    """

    shown_as = "percentile"  # in plans; as `Quantize(ranges=)` names it

    def __init__(self, percentile: float = 99.99, **kwargs):
        super().__init__(**kwargs)
        self.percentile = percentile

    def extremes(self, x):
        """Returns the lower and upper percentile."""
        flat = tf.reshape(x, (-1,))
        stride = tf.maximum(tf.size(flat) // _SAMPLE, 1)
        ordered = tf.ensure_shape(tf.sort(flat[::stride]), (None,))  # batches may differ in size
        last = tf.cast(tf.size(ordered) - 1, tf.float32)
        at = tf.cast(tf.math.ceil(last * (self.percentile / 100.0)), tf.int32)
        low = tf.zeros(()) if self.positive else ordered[tf.size(ordered) - 1 - at]
        return low, ordered[at]

    def _widened(self, state: tuple, low, high) -> tuple:
        """Returns the means of low and high and the number of batches after one more batch."""
        keep = state[2] / (state[2] + 1.0)
        return keep * state[0] + (1.0 - keep) * low, keep * state[1] + (1.0 - keep) * high, state[2] + 1.0

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "percentile": self.percentile}


@keras.saving.register_keras_serializable("tfcompress")
class LearnedRange(ActivationRange):
    """An activation range whose bounds are trained (as in LSQ, Esser et al. 2020).

    The bounds are stored as `-exp(a)` and `exp(b)`, so zero always lies between them and one learning
    rate serves ranges of any size. The variables are not the model's, so their gradient is recorded
    for an optimizer of their own. The first batch (or calibration) sets them.
    """

    shown_as = "learned"  # in plans; as `Quantize(ranges=)` names it

    def _build_state(self):
        super()._build_state()
        self.exponents = self.state("exponents", (2,), watched=True)
        self.gradients = self.state("gradients", (2,))

    def call(self, x, how: str = APPLY, export: bool = False):
        """Returns `x` on the grid; while training the bounds receive their gradient."""
        if export or how == OBSERVE:
            return super().call(x, how, export)
        start = _logarithms(tf.stack(self._outer(x)))
        exponents = tf.convert_to_tensor(self.exponents)
        if how == TRAIN:
            is_finite = tf.reduce_all(tf.math.is_finite(start))
            fresh = (tf.convert_to_tensor(self.seen) < 1.0) & is_finite
            exponents = tf.where(fresh, start, exponents)
            self.exponents.assign(exponents)
            # LSQ's gradient scale keeps the step of the range in proportion to that of the weights
            codes = tf.cast(tf.size(x), tf.float32) * float(Codes(self.bits).steps)
            exponents = record_gradient(exponents, self.gradients, tf.math.rsqrt(codes))
        low, high = self._range(exponents)
        if how == TRAIN:
            self.low.assign(low)
            self.high.assign(high)
            self.seen.assign(self.seen + tf.cast(is_finite, tf.float32))
            return tf.quantization.fake_quant_with_min_max_vars(x, low, high, self.bits)
        return fake_quant(x, *self._known(x), self.bits)

    def before_steps(self, trains: bool) -> tuple[Any, Any, Any]:
        """Returns the trained bounds, through which the gradient of all steps reaches the exponents."""
        if not trains:
            return super().before_steps(trains)
        codes = float(Codes(self.bits).steps)
        exponents = record_gradient(tf.convert_to_tensor(self.exponents), self.gradients, codes**-0.5)
        return *self._range(exponents), tf.convert_to_tensor(self.seen) > 0

    def after_steps(self, low, high, trains: bool) -> None:
        """Takes the extremes of the first batch as the bounds, and notes those that were trained since."""
        if not trains:
            self._observe(low, high)
            return
        start = _logarithms(tf.stack([-low, high]))
        is_finite = tf.reduce_all(tf.math.is_finite(start))
        fresh = (tf.convert_to_tensor(self.seen) < 1.0) & is_finite
        self.exponents.assign(tf.where(fresh, start, tf.convert_to_tensor(self.exponents)))
        low, high = self._range(tf.convert_to_tensor(self.exponents))
        self.low.assign(low)
        self.high.assign(high)
        self.seen.assign(self.seen + tf.cast(is_finite, tf.float32))

    def _outer(self, x):
        low, high = self._extremes(tf.stop_gradient(x))
        return -low, high

    def _range(self, exponents):
        low, high = -tf.exp(exponents[0]), tf.exp(exponents[1])
        if self.symmetric:
            high = tf.maximum(high, -low)
            return -high, high
        return (tf.zeros(()) if self.positive else low), high

    def widen_by(self, low, high) -> None:
        """Widens the range, and sets the exponents that it is trained by."""
        super().widen_by(low, high)
        self._take_exponents()

    def _take_exponents(self):
        self.exponents.assign(_logarithms(tf.stack([-self.low, tf.convert_to_tensor(self.high)])))

    def widen(self, low: float, high: float) -> None:
        """Sets the bounds and the exponents that they are trained by."""
        super().widen(low, high)
        self._take_exponents()

    def own_weights(self) -> list[tuple]:
        """Returns the pairs (variable, recorded gradient) for an optimizer of their own."""
        return [(self.exponents, self.gradients)]


def range_for(spec: QuantSpec, title: str, positive: bool) -> ActivationRange:
    """Returns a new activation range of the kind that a quantization scheme names.

    Args:
        spec: The scheme; its activations are quantized.
        title: Name of the range in reports.
        positive: Whether the values are known to be >= 0.
    """
    common: dict[str, Any] = {
        "bits": spec.activation_bits,
        "momentum": spec.momentum,
        "symmetric": spec.symmetric_activations,
        "positive": positive and not spec.symmetric_activations,
    }
    if spec.ranges == "percentile":
        made = PercentileRange(percentile=spec.percentile, **common)
    else:
        made = (LearnedRange if spec.ranges == "learned" else ActivationRange)(**common)
    made.title = title
    return made


def _logarithms(sides):
    """Logarithms of the two sides of a range, neither far below the other."""
    return tf.math.log(tf.maximum(sides, tf.maximum(_SIDE * tf.reduce_max(sides), _NOTHING)))


def fake_quant(x, low, high, bits: int = INT8.activations.bits):
    """Rounds a tensor to the grid of TensorFlow's FakeQuant; the gradient passes straight through."""
    return straight_through(lambda x: tf.quantization.fake_quant_with_min_max_vars(x, low, high, bits), x)
