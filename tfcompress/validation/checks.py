"""Checks of arguments: each takes a value as a user may write it and returns it in its one plain form.

An argument that does not fit ends in one TypeError (wrong kind) or ValueError (wrong value) that names its owner, the
argument, what is accepted, and what was received. Values of NumPy become Python's, so that they go to JSON.
"""

import math
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

import numpy as np

from tfcompress.text.printable import shown

# numpy and tf.keras.utils.set_random_seed take no larger seed
LARGEST_SEED = 2**32 - 1
# an interpreter starts as many threads as it is told to
MOST_THREADS = 1024
# a float32 holds values up to here; what is larger overflows in training
LARGEST_NUMBER = 1e38


class WrongKind(TypeError, ValueError):
    """An argument of a wrong kind: a TypeError, and a ValueError for those who handle all bad arguments alike."""


def refuse(kind: type[Exception], owner: str, name: str, accepted: str, value: Any, hint: str = "") -> NoReturn:
    """Raises the one form of error.

    Args:
        kind: `TypeError` or `ValueError`.
        owner: Class or function whose argument it is.
        name: The argument.
        accepted: What is accepted, such as "a whole number in 2..256".
        value: What was received.
        hint: A way out, a sentence.

    Raises:
        TypeError: As asked for.
        ValueError: As asked for.
    """
    of_type = f" of type {type(value).__name__}" if kind is TypeError else ""
    raise (WrongKind if kind is TypeError else kind)(
        f"{owner}: {name} must be {accepted}. Received: {name}={shown(value)}{of_type}.{' ' if hint else ''}{hint}"
    )


def is_number(value: Any) -> bool:
    """Whether a value is a real number; truth values are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def number(
    owner: str,
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    hint: str = "",
    accepted: str = "",
) -> float:
    """A finite number within bounds.

    Args:
        owner: Whose argument it is.
        name: The argument.
        value: What was given.
        least: Smallest value accepted.
        most: Largest value accepted.
        above: Values must be larger than this.
        below: Values must be smaller than this.
        hint: A way out.
        accepted: What is accepted, in other words than the bounds.

    Returns:
        A Python float.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not finite or out of bounds.

    Example:
        >>> number("Prune", "l1", 1, least=0)
        1.0
    """
    wanted = accepted or _interval(least, most, above, below)
    if not is_number(value):
        refuse(
            TypeError, owner, name, wanted if accepted or "," in wanted else f"a number {wanted}".strip(), value, hint
        )
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or abs(found) > LARGEST_NUMBER:
        refuse(ValueError, owner, name, wanted if "," in wanted else "finite", value, hint)
    if not _inside(found, least, most, above, below):
        refuse(ValueError, owner, name, wanted, value, hint)
    return found


def whole(owner: str, name: str, value: Any, least: int, most: int, hint: str = "", accepted: str = "") -> int:
    """A whole number within bounds.

    Args:
        owner: Whose argument it is.
        name: The argument.
        value: What was given.
        least: Smallest value accepted.
        most: Largest value accepted.
        hint: A way out.
        accepted: What is accepted, in other words than the bounds.

    Returns:
        A Python int.

    Raises:
        TypeError: If it is no int (2.0 and True are none).
        ValueError: If it is out of bounds.

    Example:
        >>> whole("Cluster", "clusters", np.int64(16), 2, 256)
        16
    """
    wanted = accepted or (f"in {least}..{most}" if most <= LARGEST_SEED else f">= {least} and at most {most}")
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        refuse(TypeError, owner, name, accepted or f"an int {wanted}", value, hint)
    if not least <= value <= most:
        refuse(ValueError, owner, name, wanted, value, hint)
    return int(value)


def seed(owner: str, value: Any, name: str = "seed") -> int:
    """A seed of random numbers."""
    return whole(owner, name, value, 0, LARGEST_SEED)


def threads(owner: str, value: Any) -> int:
    """A number of threads of an interpreter."""
    return whole(owner, "threads", value, 1, MOST_THREADS)


def flag(owner: str, name: str, value: Any) -> bool:
    """True or False; 1, 0 and texts are neither.

    Raises:
        TypeError: If it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        refuse(TypeError, owner, name, "True or False", value)
    return bool(value)


def verbosity(owner: str, value: Any) -> int:
    """How much is said: 0, 1 or 2, as for Keras; True and False count as 1 and 0."""
    return int(value) if isinstance(value, bool | np.bool_) else whole(owner, "verbose", value, 0, 2)


def choice(owner: str, name: str, value: Any, choices: Collection[str], accepted: str = "") -> str:
    """One of some words; `accepted` says them in other words.

    Raises:
        TypeError: If it is no text.
        ValueError: If it is none of them.
    """
    wanted = accepted or f"one of {tuple(choices)}"
    if not isinstance(value, str):
        refuse(TypeError, owner, name, wanted, value)
    if value not in choices:
        refuse(ValueError, owner, name, wanted, value)
    return str(value)


def text(owner: str, name: str, value: Any, empty: bool = False) -> str:
    """A text, not empty unless that is said, without NUL and half surrogate pairs (no file holds those).

    Raises:
        TypeError: If it is no text.
        ValueError: If it is empty or can't be written.
    """
    if not isinstance(value, str):
        refuse(TypeError, owner, name, "a text", value)
    if not value and not empty:
        refuse(ValueError, owner, name, "a text that is not empty", value)
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        refuse(ValueError, owner, name, "a text of valid characters", value)
    return str(value)


def path(owner: str, name: str, value: Any) -> str:
    """The path of a file or folder.

    Raises:
        TypeError: If it is no path.
        ValueError: If it is empty or no file can have it.
    """
    if not isinstance(value, str | os.PathLike):
        refuse(TypeError, owner, name, "a path", value)
    return text(owner, name, os.fspath(value))


def held(value: Any) -> tuple[Any, ...] | None:
    """What a list, set or iterator holds; None for texts, bytes, dicts and what can't be iterated."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping):
        return None
    try:
        return tuple(value)
    except TypeError:
        return None


def texts(owner: str, name: str, value: Any, accepted: str = "a list of texts") -> tuple[str, ...]:
    """Several texts; a single one counts as one of them.

    Raises:
        TypeError: If it is neither.
        ValueError: If one is empty.
    """
    found = (value,) if isinstance(value, str) else held(value)
    if found is None:
        refuse(TypeError, owner, name, accepted, value)
    for each in found:
        if not isinstance(each, str):
            refuse(TypeError, owner, name, accepted, value)
        text(owner, name, each)
    return found


def function(owner: str, name: str, value: Any, what: str = "a function") -> Callable:
    """Something to call.

    Raises:
        TypeError: If it can't be called, or is a class.
    """
    if not callable(value) or isinstance(value, type):
        refuse(TypeError, owner, name, what, value)
    return value


def pair(owner: str, name: str, value: Any, what: str = "a pair") -> tuple[Any, Any]:
    """Two values, as a tuple or list.

    Raises:
        TypeError: If it is no tuple or list.
        ValueError: If there are not two.
    """
    if not isinstance(value, tuple | list):
        refuse(TypeError, owner, name, what, value)
    if len(value) != 2:
        refuse(ValueError, owner, name, what, value)
    return tuple(value)


def data(owner: str, name: str, value: Any) -> Any:
    """Something that may hold samples, looked at closely only when it is read; None for none.

    Raises:
        TypeError: If it can't hold any.
    """
    holds = isinstance(value, str | os.PathLike) or hasattr(value, "__array__") or callable(value)
    holds = holds or hasattr(value, "__iter__") or hasattr(value, "__getitem__")
    if value is not None and (not holds or isinstance(value, type | bytes | bytearray | np.generic)):
        refuse(TypeError, owner, name, "samples: an array, a dict of arrays, a dataset, a generator or a folder", value)
    return value


def within(owner: str, name: str, check: Callable[[], Any]) -> Any:
    """Runs a check of something inside an argument; its error gets the argument's name in front.

    Raises:
        TypeError: If the check does.
        ValueError: If the check does.
    """
    try:
        return check()
    except (TypeError, ValueError) as error:
        kind = WrongKind if isinstance(error, TypeError) else ValueError
        raise kind(f"{owner}: {name}: {error}") from error


def _inside(value, least, most, above, below) -> bool:
    return (
        (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def _interval(least, most, above, below) -> str:
    low = least if above is None else above
    high = most if below is None else below
    if low is None and high is None:
        return ""
    if high is None:
        return f"above {low:g}" if least is None else f">= {low:g}"
    if low is None:
        return f"below {high:g}" if most is None else f"<= {high:g}"
    return f"in {'(' if least is None else '['}{low:g}, {high:g}{')' if most is None else ']'}"
