"""Reads the texts of flags as the Python values that a field of a technique takes."""

import ast
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfcompress.cli.technique_fields import schedule_names
from tfcompress.text.printable import shown

_OBJECTS = ("QuantSpec", "Where")
_NONE, _TRUE, _FALSE = "none", "true", "false"
_OPEN, _CLOSED = "([{", ")]}"


@dataclass(frozen=True)
class Call:
    """A value that is made when TensorFlow is there: a schedule, a `Where`, a `QuantSpec`.

    Attributes:
        name: What is called.
        positional: Its arguments.
        named: Its arguments by name.
    """

    name: str
    positional: tuple
    named: dict[str, Any]

    def made(self) -> Any:
        """Returns the object."""
        import tfcompress as tfc

        home = tfc if self.name in _OBJECTS else tfc.schedules
        return getattr(home, self.name)(*self.positional, **self.named)


def read_value(text: str, kind: str) -> Any:
    """Reads the text of a flag.

    Args:
        text: What the user wrote.
        kind: Type of the field, as it is written in the class.

    Returns:
        The value; a `Call` for one that is made later.

    Raises:
        ValueError: If the text is no value of this type.

    Example:
        >>> read_value("0.5", "float | None"), read_value("8,4", "Any"), read_value("head:none", "dict | None")
        (0.5, (8, 4), {'head': None})
    """
    parts = [part.strip() for part in split(kind, "|")]
    whole = text.strip()
    if whole.lower() == _NONE and {"None", "Any"} & set(parts):
        return None
    if whole[:1] in ("[", "{") and "str" not in parts:
        return _json(whole)
    errors = []
    several = len(split(whole)) > 1  # a list, where the type has one
    for part in sorted(filter("None".__ne__, parts), key=lambda part: several and not part.startswith("tuple[")):
        try:
            return _read(whole, part)
        except ValueError as error:
            errors.append(str(error))
    raise ValueError(f"{errors[-1]}. Received: {shown(text)}")


def accepted(kind: str) -> str:
    """Returns in a word or two what a flag of a type takes, for the help.

    Example:
        >>> accepted("float | None"), accepted("tuple[tuple[str, str], ...]")
        ('number', 'a:b,c:d')
    """
    parts = [part.strip() for part in split(kind, "|")]
    words = [_WORDS.get(part, "text") for part in parts if part != "None"]
    words += ["list"] if any(part.startswith("tuple[tuple") for part in parts) else []
    return "a:b,c:d" if "list" in words else "|".join(dict.fromkeys(words))


_WORDS = {
    "int": "integer",
    "float": "number",
    "Any": "value",
    "dict": "layer:value,...",
    "tuple[str, ...]": "a,b,...",
    "tuple[float, ...]": "1,2,...",
}


def split(text: str, mark: str = ",") -> list[str]:
    """Splits a text at a mark that lies in no brackets.

    Example:
        >>> split("a,conv(1,2),b")
        ['a', 'conv(1,2)', 'b']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in _OPEN) - (letter in _CLOSED)
        if letter == mark and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _read(text: str, part: str) -> Any:
    if part.startswith("tuple["):
        return _tuple(text, part[len("tuple[") : -1])
    return _READERS.get(part, _any)(text)


def _tuple(text: str, inside: str) -> tuple:
    each = split(inside)[0].strip()
    if not each.startswith("tuple["):
        return tuple(_read(one.strip(), each) for one in split(text))
    pairs = [tuple(part.strip() for part in split(one, ":")) for one in split(text)]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("it takes pairs such as a:b,c:d")
    return tuple(pairs)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("it takes a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("it takes a number") from None


def _any(text: str) -> Any:
    """Reads a text whose type the class itself decides on."""
    if text.lower() in (_NONE, _TRUE, _FALSE):
        return {_NONE: None, _TRUE: True, _FALSE: False}[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    if (call := _call(text)) is not None:
        return call
    parts = split(text)
    return tuple(_any(part.strip()) for part in parts) if len(parts) > 1 else text


def _table(text: str) -> dict[str, Any]:
    found = {}
    for entry in split(text):
        name, mark, value = entry.rpartition(":")
        if not mark or not name.strip():
            raise ValueError("it takes layer:value, such as head:none,Dense:0.5")
        found[name.strip()] = _any(value.strip())
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is no JSON ({error}). Received: {shown(text)}") from None


def _call(text: str) -> Call | None:
    """Returns the call that a text is, such as `polynomial(0, 0.8, stop=0.7)`; None if it is none."""
    name, mark, _ = text.partition("(")
    if not mark or name not in (*schedule_names(), *_OBJECTS):
        return None
    try:
        node: Any = ast.parse(text, mode="eval").body
        values = tuple(ast.literal_eval(each) for each in node.args)
        return Call(name, values, {k.arg: ast.literal_eval(k.value) for k in node.keywords})
    except (ValueError, SyntaxError, AttributeError, RecursionError, MemoryError):
        raise ValueError(f"{name}(...) takes numbers and texts, such as polynomial(0, 0.8, stop=0.7)") from None


_READERS: dict[str, Callable[[str], Any]] = {"int": _whole, "float": _number, "str": str, "Any": _any, "dict": _table}
