"""Schedules given by a user's function: `progress -> value`, or `(step, total) -> value`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import keras

from tfcompress.schedules.base import Schedule
from tfcompress.text.printable import shown
from tfcompress.validation import checks

_NO_PROGRESS = ("step", "steps", "epoch", "epochs", "iteration")
_ACCEPTED = "a function of one argument, progress -> value, or of two, (step, total) -> value"
_LOOKS = 101  # positions at which a function of progress is called for its bounds


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class FunctionSchedule(Schedule):
    """A schedule that is given by a function.

    A function of one argument gets the fraction of the training that is done, 0..1; one of two gets the step about to
    run, from 0, and the number of steps of the training. It returns a number, and always the same for the same moment.

    Args:
        function: The function. A recipe with it can be written to JSON if it is registered:
            `@keras.saving.register_keras_serializable("your_package")`.

    Raises:
        TypeError: If it is no function of one or two arguments.

    Example:
        >>> FunctionSchedule(lambda progress: 0.8 * progress**2)(0.5)
        0.2
        >>> FunctionSchedule(lambda step, total: 0.8 * step / total).value(50, 100)
        0.4
    """

    function: Callable[..., float]

    def __post_init__(self) -> None:
        """Validates the signature, and the first and last value of a function of progress."""
        if isinstance(self.function, type) or not callable(self.function) or unit_of(self.function) is None:
            checks.refuse(TypeError, "FunctionSchedule", "function", _ACCEPTED, self.function)
        if self.unit == "fraction":
            _ = self.at(0.0), self.at(1.0)

    @property
    def unit(self) -> str:  # type: ignore[override]  # read off the function, never set
        """The unit that the function counts in, by its number of arguments."""
        return unit_of(self.function)

    def at(self, position: float) -> float:
        """Returns the value at a fraction of the training.

        Raises:
            ValueError: If the function needs the number of steps as well, or returns no number.
        """
        if self.unit == "steps":
            raise ValueError(f"{self._name}: a function of (step, total) needs both. Use value(step, total).")
        return self._number(self.function(position))

    def value(self, step: int, total: int | None = None, progress: float | None = None) -> float:
        """Returns the value at a training step; see `Schedule.value`.

        Raises:
            ValueError: If the function needs the length of the training, which is unknown.
        """
        if self.unit == "fraction":
            return super().value(step, total, progress)
        if total is None and progress is not None and progress >= 1:
            total = step = max(step, 1)  # the end of the training, whatever its length
        if total is None:
            raise ValueError(
                f"{self._name}: a function of (step, total) needs the number of steps of the training, which is "
                "unknown here. Give fit data of a known length or steps_per_epoch, or write a function of progress."
            )
        return self._number(self.function(min(step, total), total))

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Lowest and highest value of a function of progress; None where they depend on the length of the training."""
        if self.unit == "steps":
            return None
        values = [self.at(k / (_LOOKS - 1)) for k in range(_LOOKS)]
        return min(values), max(values)

    @property
    def final(self) -> float | None:
        """Last value of a function of progress; None where it depends on the length of the training."""
        return None if self.unit == "steps" else self.at(1.0)

    def get_config(self) -> dict[str, Any]:
        """Returns the name under which the function is registered with Keras.

        Raises:
            ValueError: If it is not registered.
        """
        name = keras.saving.get_registered_name(self.function)
        if keras.saving.get_registered_object(name) is not self.function:
            raise ValueError(
                f"{self._name}: a schedule that is a function can be written to JSON only under a registered name. "
                'Write @keras.saving.register_keras_serializable("your_package") above it, or use one of tfc.schedules.'
            )
        return {"function": name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FunctionSchedule:
        """Makes the schedule of a registered function.

        Raises:
            ValueError: If no function of that name is registered.
        """
        name = config["function"]
        function = keras.saving.get_registered_object(name) if isinstance(name, str) else None
        if not inspect.isfunction(function):
            raise ValueError(
                f"FunctionSchedule: no function is registered under the name {shown(name)}. Import the module that "
                "registers it before the recipe is read."
            )
        return cls(function)

    @property
    def _name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def _number(self, value: Any) -> float:
        if hasattr(value, "numpy"):  # a tensor, where the function is written in TensorFlow or keras.ops
            value = value.numpy()
        return checks.number("schedule", f"a value of {self._name}", value)


def unit_of(function: Any) -> str | None:
    """Returns the unit of a function by its signature: "fraction" or "steps"; None if it can't be a schedule.

    One argument is the progress, two are step and total. A function whose only argument is called `step` or `epoch`
    expects something else than the progress, and is refused.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions in C have no signature
        return None
    by_place = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    others = [p for p in parameters if p.name not in by_place]
    if any(p.kind is p.VAR_POSITIONAL or p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in others):
        return None
    if len(by_place) == 1:
        return None if by_place[0] in _NO_PROGRESS else "fraction"
    return "steps" if len(by_place) == 2 else None
