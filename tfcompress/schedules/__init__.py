"""Schedules under their public names, and `schedule`, which makes one of a number, a function or a tfmot schedule.

`tfcompress.schedules.polynomial(0.0, 0.8, begin=0.1, stop=0.7)` grows from 0 to 0.8 between a
tenth and seven tenths of the training. The lower-case names are the classes themselves.
"""

from __future__ import annotations

from typing import Any

from tfcompress.schedules.base import Schedule
from tfcompress.schedules.functions import FunctionSchedule, unit_of
from tfcompress.schedules.shapes import Constant, Cosine, Exponential, Linear, Polynomial, Steps
from tfcompress.schedules.tfmot import Called, Gated, from_tfmot
from tfcompress.text.printable import shown
from tfcompress.validation import checks

__all__ = [
    "Called",
    "Constant",
    "Cosine",
    "Exponential",
    "FunctionSchedule",
    "Gated",
    "Linear",
    "Polynomial",
    "Schedule",
    "Steps",
    "constant",
    "cosine",
    "exponential",
    "from_tfmot",
    "linear",
    "polynomial",
    "schedule",
    "steps",
]

constant, linear, polynomial = Constant, Linear, Polynomial
cosine, exponential, steps = Cosine, Exponential, Steps


def schedule(value: Any) -> Schedule:
    """Makes a schedule of a number, a schedule, a function or a tfmot schedule.

    Args:
        value: A finite number (becomes `Constant`), a schedule (returned unchanged), a function
            `progress -> value` or `(step, total) -> value` (becomes `FunctionSchedule`), or an
            object that `from_tfmot` accepts.

    Returns:
        A schedule.

    Raises:
        TypeError: If it is none of these.

    Example:
        >>> schedule(0.8)
        Constant(level=0.8)
    """
    if isinstance(value, Schedule):
        return value
    if checks.is_number(value):
        return Constant(checks.number("schedule", "value", value))
    if callable(value) and hasattr(value, "get_config") and not isinstance(value, type):
        return from_tfmot(value)
    if callable(value) and not isinstance(value, type) and unit_of(value) is not None:
        return FunctionSchedule(value)
    raise TypeError(
        "A schedule must be a number, one of tfcompress.schedules, a function progress -> value or "
        "(step, total) -> value, or a tfmot pruning schedule. "
        f"Received: value={shown(value)} of type {type(value).__name__}."
    )
