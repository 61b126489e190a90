"""Evaluates a schedule at a moment of the training, and says whether it is due."""

from tfcompress.techniques.protocol.hook_values import Moment
from tfcompress.text.printable import shown


def level_at(plan, moment: Moment) -> float:
    """Returns the value of a schedule at a moment; at the end of training its final value, even if it ended early.

    Raises:
        ValueError: If it is no fraction below 1; the values of a user's function are known only now.
    """
    if moment.last:
        level = plan.value(max(moment.total or 0, moment.step), moment.total, 1.0)
    else:
        level = plan.value(moment.step, moment.total, moment.progress)
    if not 0 <= level < 1:
        raise ValueError(
            f"A schedule must stay in [0, 1). Received: {level} of {shown(plan)}, at step {moment.step} of "
            f"{moment.total}."
        )
    return level


def is_due(plan, first: int, step: int) -> bool:
    """Returns whether the schedule is due at one of the steps from `first` to `step`."""
    return any(plan.due(k) for k in range(first, step + 1))


def is_reached(plan, moment: Moment) -> bool:
    """Returns whether a schedule that has an end has reached it."""
    if plan.stop is None:
        return False
    return (moment.step if plan.unit == "steps" else moment.progress) >= plan.stop
