"""Checks arguments: each function takes a value as a user may write it, and returns it in one standard form.

A wrong argument raises a TypeError (wrong kind) or a ValueError (wrong value) that names its owner, the argument, what
is accepted, and what was received. NumPy values become Python values, so that they can be written to JSON.
"""

import math
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

import numpy as np

from tfcompress.text.printable import shown

# the largest seed that NumPy and keras.utils.set_random_seed accept
LARGEST_SEED = 2**32 - 1
# LiteRT's interpreter would start any number of threads
MOST_THREADS = 1024
# about the largest float32; larger values overflow in training
LARGEST_NUMBER = 1e38


class WrongKind(TypeError, ValueError):
    """The error for an argument of a wrong kind: a TypeError, and a ValueError for code that catches only that."""


def refuse(kind: type[Exception], owner: str, name: str, accepted: str, value: Any, hint: str = "") -> NoReturn:
    """Raises an error about an argument, in the form that all checks share.

    Args:
        kind: `TypeError` or `ValueError`.
        owner: Class or function whose argument it is.
        name: The argument.
        accepted: What is accepted, such as "a whole number in 2..256".
        value: What was received.
        hint: A way out, a sentence.

    Raises:
        TypeError: If `kind` is `TypeError`.
        ValueError: If `kind` is `ValueError`.
    """
    of_type = f" of type {type(value).__name__}" if kind is TypeError else ""
    raise (WrongKind if kind is TypeError else kind)(
        f"{owner}: {name} must be {accepted}. Received: {name}={shown(value)}{of_type}.{' ' if hint else ''}{hint}"
    )


def objects(owner: str, name: str, value: Any, kind: type, shown_kind: str) -> None:
    """Refuses anything but a list of objects of one kind, such as what a hook of the user returned.

    Args:
        owner: Class or function whose value it is.
        name: The argument or hook.
        value: What was received.
        kind: A class.
        shown_kind: Its public name.

    Raises:
        TypeError: If it is no list, or one of its entries is of another kind.
    """
    accepted = f"a list of {shown_kind} objects"
    if not isinstance(value, list | tuple):
        refuse(TypeError, owner, name, accepted, value)
    for each in value:
        if not isinstance(each, kind):
            refuse(TypeError, owner, f"each entry of {name}", f"an object of a subclass of {shown_kind}", each)


def is_number(value: Any) -> bool:
    """Whether a value is a real number; booleans are not."""
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
    """Checks a finite number within bounds, and returns it.

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
    """Checks an integer within bounds, and returns it.

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
        TypeError: If it is not an int (2.0 and True are not).
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
    """Checks a seed of random numbers, and returns it."""
    return whole(owner, name, value, 0, LARGEST_SEED)


def threads(owner: str, value: Any) -> int:
    """Checks a number of interpreter threads, and returns it."""
    return whole(owner, "threads", value, 1, MOST_THREADS)


def flag(owner: str, name: str, value: Any) -> bool:
    """Checks a boolean, and returns it; 1, 0 and texts are refused.

    Raises:
        TypeError: If it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        refuse(TypeError, owner, name, "True or False", value)
    return bool(value)


def verbosity(owner: str, value: Any) -> int:
    """Checks a verbosity (0, 1 or 2, as in Keras), and returns it; True and False count as 1 and 0."""
    return int(value) if isinstance(value, bool | np.bool_) else whole(owner, "verbose", value, 0, 2)


def choice(owner: str, name: str, value: Any, choices: Collection[str], accepted: str = "") -> str:
    """Checks that a text is one of some words, and returns it; `accepted` replaces their list in the error.

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
    """Checks a text, and returns it; it may be empty only with `empty=True`.

    NUL and half surrogate pairs are refused, since no file can hold them.

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
    """Checks the path of a file or folder, and returns it as text.

    Raises:
        TypeError: If it is no path.
        ValueError: If it is empty or not valid for any file.
    """
    if not isinstance(value, str | os.PathLike):
        refuse(TypeError, owner, name, "a path", value)
    return text(owner, name, os.fspath(value))


def held(value: Any) -> tuple[Any, ...] | None:
    """Returns the items of a list, set or iterator; None for texts, bytes, dicts and what can't be iterated."""
    if isinstance(value, str | bytes | bytearray | memoryview | Mapping):
        return None
    try:
        return tuple(value)
    except TypeError:
        return None


def texts(owner: str, name: str, value: Any, accepted: str = "a list of texts") -> tuple[str, ...]:
    """Checks several texts, and returns them as a tuple; a single text becomes a tuple of one.

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
    """Checks a function or other callable, and returns it.

    Raises:
        TypeError: If it can't be called, or is a class.
    """
    if not callable(value) or isinstance(value, type):
        refuse(TypeError, owner, name, what, value)
    return value


def pair(owner: str, name: str, value: Any, what: str = "a pair") -> tuple[Any, Any]:
    """Checks a tuple or list of two values, and returns it as a tuple.

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
    """Checks that a value may hold samples, and returns it; None is accepted. The samples are checked when read.

    Raises:
        TypeError: If it can't hold any samples.
    """
    holds = isinstance(value, str | os.PathLike) or hasattr(value, "__array__") or callable(value)
    holds = holds or hasattr(value, "__iter__") or hasattr(value, "__getitem__")
    if value is not None and (not holds or isinstance(value, type | bytes | bytearray | np.generic)):
        refuse(TypeError, owner, name, "samples: an array, a dict of arrays, a dataset, a generator or a folder", value)
    return value


def within(owner: str, name: str, check: Callable[[], Any]) -> Any:
    """Runs a check of something inside an argument, and puts the argument's name in front of its error.

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
