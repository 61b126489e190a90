"""Reads and writes JSON that every program understands in the same way, as signed manifests need it.

Python's own reader takes the last of two equal keys, `NaN`, and UTF-16; another program may take the
first, or stop. Whatever two programs could read differently is an error here.
"""

import json
import math
from typing import Any, NoReturn

DEEPEST = 32
LARGEST_BYTES = 1 << 20
# For configurations of Keras, which are larger: a teacher in a recipe is a whole model, with models nested in it.
LARGEST_CONFIG, DEEPEST_CONFIG = 1 << 26, 200
_WIDTH = 120  # characters of a line of `write`
_INT64 = range(-(2**63), 2**63)


def parse(content: bytes, largest: int = LARGEST_BYTES, deepest: int = DEEPEST) -> Any:
    """Reads JSON (RFC 8259) strictly.

    Args:
        content: UTF-8 without a byte order mark.
        largest: Bytes it may have, 1 MiB if not given.
        deepest: How deep arrays and objects may be nested.

    Returns:
        Dicts, lists, strings, ints, floats, booleans and None.

    Raises:
        ValueError: If it is not UTF-8 or JSON, an object has a key twice, a number is not finite or an
            integer does not fit into 64 bits, a string holds half a surrogate pair, arrays and objects are nested
            deeper than `deepest`, or it is larger than `largest`.

    Example:
        >>> parse(b'{"a": [1, 2.5, null]}')
        {'a': [1, 2.5, None]}
        >>> parse(b'{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ...
        ValueError: JSON: the key 'a' stands twice in one object.
    """
    if len(content) > largest:
        raise ValueError(f"JSON: at most {largest:,} bytes are read. Received: {len(content):,}.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"JSON: the text is not UTF-8: {error}.") from error
    if text.startswith("\ufeff"):
        raise ValueError("JSON: the text starts with a byte order mark.")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"JSON: {error}.") from error
    except RecursionError:
        raise ValueError(f"JSON: nested more than {deepest} deep.") from None
    _check(value, deepest)
    return value


def parse_recipe(text: str | bytes) -> Any:
    """Reads JSON that Keras wrote: as `parse`, but infinities are accepted and the limits of size are higher.

    Args:
        text: JSON text.

    Returns:
        The value.

    Raises:
        ValueError: If it is no JSON, an object has a key twice, or it is nested deeper than `DEEPEST_CONFIG`.
    """
    if len(text) > LARGEST_CONFIG:
        raise ValueError(f"JSON: at most {LARGEST_CONFIG:,} characters are read. Received: {len(text):,}.")
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"JSON: {error}.") from error
    except RecursionError:
        raise ValueError(f"JSON: nested more than {DEEPEST_CONFIG} deep.") from None
    _check(value, DEEPEST_CONFIG)
    return value


def write(value: Any) -> bytes:
    r"""Writes JSON in a fixed format: keys in their order, one space a level, UTF-8, a line feed at the end.

    A value that fits into a line of 120 characters is written in one line, and so is a list of plain values.

    Args:
        value: A value that JSON can hold.

    Returns:
        The bytes; `parse` gives `value` back.

    Raises:
        ValueError: If `parse` would refuse the result.
        TypeError: If JSON cannot hold the value.

    Example:
        >>> write({"b": [1, 2], "a": "值"}).decode()
        '{"b": [1, 2], "a": "值"}\n'
    """
    content = (_text(value, 0) + "\n").encode("utf-8")
    parse(content)
    return content


def _text(value: Any, depth: int) -> str:
    line = _plain(value)
    if not isinstance(value, dict | list | tuple) or len(line) + depth <= _WIDTH or _is_flat_list(value):
        return line
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict):
        parts = [f"{_plain(key)}: {_text(item, depth + 1)}" for key, item in value.items()]
        return "{" + inner + f",{inner}".join(parts) + outer + "}"
    return "[" + inner + f",{inner}".join(_text(item, depth + 1) for item in value) + outer + "]"


def _is_flat_list(value: Any) -> bool:
    return not isinstance(value, dict) and not any(isinstance(item, dict | list | tuple) for item in value)


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"JSON: the key {key!r:.80} stands twice in one object.")
        found[key] = value
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"JSON: {name} is no JSON number.")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"JSON: the number {text:.24} is too large.")
    return value


def _integer(text: str) -> int:
    # 19 digits and a sign hold 64 bits; longer texts are not even converted
    if len(text) > 20 or int(text) not in _INT64:
        raise ValueError(f"JSON: the integer {text[:24]} does not fit into 64 bits.")
    return int(text)


def _check(value: Any, deepest: int) -> None:
    level, depth = [value], 0  # level by level, so that no depth is too much for this function itself
    while level:
        for text in (text for text in level if isinstance(text, str)):
            _check_string(text)
        holders = [each for each in level if isinstance(each, dict | list)]
        depth += 1
        if holders and depth > deepest:
            raise ValueError(f"JSON: nested more than {deepest} deep.")
        level = [item for each in holders for item in (each.values() if isinstance(each, dict) else each)]
        level += [key for each in holders if isinstance(each, dict) for key in each]


def _check_string(value: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"JSON: the string {value!r:.80} holds half a surrogate pair.")
