"""Schedules: a value over the course of a training, such as a sparsity, penalty or temperature.

The moment is a fraction of the training (0..1) or, with `unit="steps"`, a step number from 0.
After the end, the last value holds for every later step. Schedules are frozen, have no state and
are written to JSON with `keras.saving`.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

from tfcompress.text.printable import shown
from tfcompress.validation import checks

MOST_STEPS = 2**53  # a float counts steps exactly up to here

_UNITS = ("fraction", "steps")


class Schedule(abc.ABC):
    """Base class of all schedules: a value for each step of a training.

    Training calls `value` with a step; `__call__` takes a fraction of the training, for plots. A
    subclass is a frozen dataclass with a field or class attribute `unit`, the method `at` and the
    properties `bounds` and `final`.
    """

    unit: str = "fraction"
    stop: float | None = None
    """Position from which on the final value holds; None where there is none, or it is unknown."""

    @abc.abstractmethod
    def at(self, position: float) -> float:
        """Returns the value at a position counted in this schedule's `unit`."""

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[float, float] | None:
        """Lowest and highest value of the schedule; None where they are not known in advance."""

    @property
    @abc.abstractmethod
    def final(self) -> float | None:
        """Value at the end of the training; None where it depends on the length of the training."""

    def due(self, step: int) -> bool:
        """Whether a technique may update its masks or clusters at this step (tfmot's `frequency`)."""
        del step
        return True

    def __call__(self, progress: float) -> float:
        """Returns the value at a fraction of the training.

        Args:
            progress: Fraction of the training that is done, 0..1; larger counts as 1.

        Returns:
            The value, a Python float.

        Raises:
            ValueError: If progress is negative or not finite, or this schedule counts in steps.
        """
        if self.unit == "steps":
            raise ValueError(
                f"{type(self).__name__}: this schedule counts in steps, so it has no value at a "
                f"fraction of the training. Received: progress={progress}. Use value(step) instead."
            )
        progress = checks.number(type(self).__name__, "progress", progress, least=0)
        return self.at(min(progress, 1.0))

    def value(self, step: int, total: int | None = None, progress: float | None = None) -> float:
        """Returns the value at a training step.

        Args:
            step: Number of training steps done before this one; 0 is the first step.
            total: Steps of the whole training, or None when unknown.
            progress: Fraction of the training done, 0..1; used instead of `step / total`. For
                trainings of unknown length, where only the epoch is known.

        Returns:
            The value, a Python float. Steps beyond the end hold the final value.

        Raises:
            ValueError: If step is negative, or a schedule in fractions gets neither total nor
                progress.

        Example:
            >>> from tfcompress.schedules.shapes import Linear
            >>> Linear(0.0, 0.8, stop=0.5).value(step=25, total=100)
            0.4
            >>> Linear(0.0, 0.8, begin=100, stop=200, unit="steps").value(step=150)
            0.4
        """
        step = checks.whole(type(self).__name__, "step", step, 0, MOST_STEPS)
        if self.unit == "steps":
            return self.at(step)
        if progress is None:
            if total is None or total < 1:
                raise ValueError(
                    f"{type(self).__name__}: a schedule in fractions of the training needs its "
                    f"length. Received: total={total}. Pass total >= 1 or progress, or make the "
                    'schedule with unit="steps".'
                )
            progress = step / total
        return self(progress)

    def get_config(self) -> dict[str, Any]:
        """Fields of the dataclass, as JSON-able values."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Schedule:
        """Inverse of `get_config`."""
        return cls(**config)


def store(owner: object, name: str, value: Any) -> None:
    """Sets a validated field while a frozen dataclass is being made."""
    object.__setattr__(owner, name, value)  # the dataclass is frozen


def check_unit(owner: str, unit: Any) -> None:
    """Raises an error for a unit other than "fraction" and "steps"."""
    checks.choice(owner, "unit", unit, _UNITS)


def position(owner: str, name: str, value: Any, unit: str) -> float:
    """Checks a moment of the training and returns it: a fraction 0..1 as float, or a step as int."""
    found = checks.number(owner, name, value)
    if unit == "fraction":
        if not 0.0 <= found <= 1.0:
            raise ValueError(
                f"{owner}: {name} must be a fraction of the training in [0, 1]. Received: "
                f'{name}={shown(value)}. To count in steps, pass unit="steps".'
            )
        return found
    if not 0 <= found <= MOST_STEPS or found != int(found):
        raise ValueError(
            f"{owner}: {name} must be a whole step number >= 0, at most {MOST_STEPS}. Received: {name}={shown(value)}. "
            'To count in fractions of the training, pass unit="fraction".'
        )
    return int(found)
