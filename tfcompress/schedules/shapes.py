"""Shapes of schedules: a constant, four ramps and a staircase.

A ramp has the value `start` up to `begin` and exactly `end` from `stop` on; between them it moves
in one direction. A ramp may fall as well as rise.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping

import keras

from tfcompress.schedules.base import Schedule, check_unit, position, store
from tfcompress.text.printable import shown
from tfcompress.validation import checks


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class Constant(Schedule):
    """A schedule with the same value at every step.

    Args:
        level: The value, any finite number.

    Example:
        >>> Constant(0.8)(0.0)
        0.8
    """

    level: float

    def __post_init__(self) -> None:
        """Validates."""
        store(self, "level", checks.number("Constant", "level", self.level))

    def at(self, position: float) -> float:
        """Returns the level."""
        return self.level

    def value(self, step: int, total: int | None = None, progress: float | None = None) -> float:
        """Returns the level, whatever the length of the training."""
        return super().value(step, total, 0.0 if progress is None else progress)

    @property
    def bounds(self) -> tuple[float, float]:
        """The level as lowest and highest value."""
        return self.level, self.level

    @property
    def final(self) -> float:
        """The level."""
        return self.level


@dataclasses.dataclass(frozen=True)
class Ramp(Schedule):
    """Base class of schedules that go from `start` to `end` between two positions; subclasses define the curve.

    Args:
        start: Value up to `begin`.
        end: Value from `stop` on.
        begin: Where the ramp begins: fraction of the training 0..1, or a step.
        stop: Where it ends, same unit.
        unit: "fraction" or "steps": the unit of begin and stop.
    """

    start: float
    end: float
    begin: float = 0.0
    stop: float = 1.0
    unit: str = "fraction"

    def __post_init__(self) -> None:
        """Validates values, unit and positions."""
        name = type(self).__name__
        check_unit(name, self.unit)
        store(self, "start", checks.number(name, "start", self.start))
        store(self, "end", checks.number(name, "end", self.end))
        store(self, "begin", position(name, "begin", self.begin, self.unit))
        store(self, "stop", position(name, "stop", self.stop, self.unit))
        if self.begin > self.stop:
            raise ValueError(f"{name}: begin must not be after stop. Received: begin={self.begin}, stop={self.stop}.")

    def at(self, position: float) -> float:
        """Returns the value at a position in this schedule's unit."""
        if position >= self.stop:
            return self.end
        if position <= self.begin:
            return self.start
        left = self._left((position - self.begin) / (self.stop - self.begin))
        return self.end + (self.start - self.end) * left

    @abc.abstractmethod
    def _left(self, way: float) -> float:
        """Returns the part of the distance to `end` that is left: 1 at way 0, 0 at way 1, monotone."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The smaller and the larger of start and end."""
        return min(self.start, self.end), max(self.start, self.end)

    @property
    def final(self) -> float:
        """The end."""
        return self.end


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class Linear(Ramp):
    """A straight line from `start` to `end`.

    Args:
        start, end, begin, stop, unit: As in every `Ramp`.

    Example:
        >>> Linear(0.0, 1.0)(0.25)
        0.25
    """

    def _left(self, way: float) -> float:
        return 1.0 - way


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class Polynomial(Ramp):
    """A polynomial ramp, fast at first, then slow: `end + (start - end) * (1 - way) ** power`.

    The gradual pruning schedule of Zhu and Gupta, "To prune, or not to prune", 2017 (power 3).

    Args:
        start, end, begin, stop, unit: As in every `Ramp`.
        power: Exponent > 0; 1 is a straight line.

    Example:
        >>> Polynomial(0.0, 1.0)(0.5)
        0.875
    """

    power: float = 3.0

    def __post_init__(self) -> None:
        """Validates, the power too."""
        super().__post_init__()
        store(self, "power", checks.number("Polynomial", "power", self.power))
        if self.power <= 0:
            checks.refuse(ValueError, "Polynomial", "power", "> 0", self.power)

    def _left(self, way: float) -> float:
        return (1.0 - way) ** self.power


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class Cosine(Ramp):
    """A cosine ramp, slow, then fast, then slow: half a cosine wave from `start` to `end`.

    The annealing curve of Loshchilov and Hutter, "SGDR", 2017, without restarts.

    Args:
        start, end, begin, stop, unit: As in every `Ramp`.

    Example:
        >>> Cosine(0.0, 1.0)(0.5)
        0.5
    """

    def _left(self, way: float) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * way))


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class Exponential(Ramp):
    """An exponential ramp that reaches `end` exactly at `stop`.

    The part left is `(exp(-rate * way) - exp(-rate)) / (1 - exp(-rate))`. For sparsity, the rate
    `ln((1 - start) / (1 - end))` takes the same fraction of the remaining weights in every step,
    as in Frankle and Carbin, "The Lottery Ticket Hypothesis", 2019.

    Args:
        start, end, begin, stop, unit: As in every `Ramp`.
        rate: Not 0, at most 700 in absolute value; > 0 is fast at first, < 0 is fast at the end.

    Example:
        >>> round(Exponential(0.0, 0.75, rate=math.log(4))(0.5), 12)  # half, and half again
        0.5
    """

    rate: float = 5.0

    def __post_init__(self) -> None:
        """Validates, the rate too."""
        super().__post_init__()
        store(self, "rate", checks.number("Exponential", "rate", self.rate))
        if not 1e-9 <= abs(self.rate) <= 700:  # exp(710) is beyond float64, 1e-9 is a line
            raise ValueError(
                "Exponential: rate must not be 0 and at most 700 in size. "
                f"Received: rate={self.rate}. For a straight line use Linear."
            )

    def _left(self, way: float) -> float:
        return math.expm1(self.rate * (1.0 - way)) / math.expm1(self.rate)


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class Steps(Schedule):
    """A staircase: each value holds from its position until the next one.

    Args:
        values: `{position: value}` or pairs; positions are fractions of the training, or steps.
        start: Value before the first position.
        unit: "fraction" or "steps": the unit of the positions.

    Example:
        >>> Steps({0.2: 0.5, 0.6: 0.8})(0.4)
        0.5
        >>> Steps({1000: 0.5}, unit="steps").value(step=999)
        0.0
    """

    values: tuple[tuple[float, float], ...]
    start: float = 0.0
    unit: str = "fraction"

    def __post_init__(self) -> None:
        """Validates, and stores the pairs in the order of their positions."""
        check_unit("Steps", self.unit)
        values = self.values
        pairs = tuple(values.items()) if isinstance(values, Mapping) else checks.held(values)
        if not pairs:
            raise ValueError(f"Steps: values must map at least one position to a value. Received: {shown(values)}.")
        given = [checks.pair("Steps", "values", each, "a dict or pairs (position, value)") for each in pairs]
        stored = sorted(
            (position("Steps", "values: position", at, self.unit), checks.number("Steps", "values: value", value))
            for at, value in given
        )
        if len({at for at, _ in stored}) != len(stored):
            raise ValueError(f"Steps: values: each position may come once. Received: {shown(values)}.")
        store(self, "values", tuple(stored))
        store(self, "start", checks.number("Steps", "start", self.start))

    def at(self, position: float) -> float:
        """Returns the last value at or before a position."""
        reached = [value for begin, value in self.values if begin <= position]
        return reached[-1] if reached else self.start

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value, `start` included unless the first position is 0."""
        stairs = [value for _, value in self.values]
        if self.values[0][0] > 0:
            stairs.append(self.start)
        return min(stairs), max(stairs)

    @property
    def final(self) -> float:
        """The last value."""
        return self.values[-1][1]
