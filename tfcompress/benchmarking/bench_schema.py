"""Reads the published schema of benchmark reports, and validates documents with the part of JSON Schema it uses.

The Android app and other programs write reports by `bench_schema.json`. The validator refuses a
schema keyword it does not know, so that no rule in the file is silently ignored.
"""

import json
import math
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA_NAME = "tfcompress.bench/1"
_PATH = Path(__file__).with_name("bench_schema.json")

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: _is_number(value),
    # JSON Schema: 1.0 is an integer too.
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
}
_NOTES = {"$schema", "$id", "$defs", "title", "description"}


@cache
def bench_schema() -> dict[str, Any]:
    """Returns the JSON Schema of `tfcompress.bench/1`, as parsed from `bench_schema.json`.

    Returns:
        The schema document; do not change it.

    Example:
        >>> bench_schema()["$id"]
        'tfcompress.bench/1'
    """
    return json.loads(_PATH.read_text(encoding="utf-8"))


def validate(document: Any, schema: dict[str, Any] | None = None) -> None:
    """Checks a parsed JSON document against the schema of benchmark reports.

    Args:
        document: What `json.loads` returned.
        schema: Another schema within the supported keywords; None takes `bench_schema()`.

    Raises:
        ValueError: If the document breaks a rule; the message names the place, as in
            `report.results[0].bytes`.
        NotImplementedError: If the schema uses a keyword that this validator does not check.

    Example:
        >>> validate({"schema": "tfcompress.bench/1"})
        Traceback (most recent call last):
        ...
        ValueError: report: must have created, generator, device, ...
    """
    root = bench_schema() if schema is None else schema
    _check(document, root, root, "report")


def _check(value: Any, rule: dict[str, Any], root: dict[str, Any], where: str) -> None:
    for keyword, argument in rule.items():
        if keyword in _NOTES:
            continue
        if keyword == "$ref":
            _check(value, _resolve(argument, root), root, where)
        elif keyword == "properties":
            for name in argument if isinstance(value, dict) else ():
                if name in value:
                    _check(value[name], argument[name], root, f"{where}.{name}")
        elif keyword == "items":
            for index, item in enumerate(value if isinstance(value, list) else ()):
                _check(item, argument, root, f"{where}[{index}]")
        elif keyword == "anyOf":
            _check_any(value, argument, root, where)
        elif keyword in _RULES:
            accepted = _RULES[keyword](value, argument)
            if accepted:
                raise ValueError(f"{where}: {accepted}. Received: {_short(value)}.")
        else:
            raise NotImplementedError(f"{where}: schema keyword {keyword!r} is not supported.")


def _check_any(value: Any, rules: list[dict], root: dict[str, Any], where: str) -> None:
    faults = []
    for rule in rules:
        try:
            _check(value, rule, root, where)
            return
        except ValueError as error:
            faults.append(str(error))
    raise ValueError(" or ".join(faults))


def _resolve(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    node = root
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # a huge integer has no float, and no such number is ever measured
    return abs(value) <= sys.float_info.max if isinstance(value, int) else math.isfinite(value)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = f"an integer of {value.bit_length():,} bits"
    return text if len(text) <= 80 else text[:77] + "..."


def _type(value: Any, names: str | list[str]) -> str | None:
    names = [names] if isinstance(names, str) else names
    return None if any(_TYPES[n](value) for n in names) else f"must be {' or '.join(names)}"


def _required(value: Any, names: list[str]) -> str | None:
    missing = [name for name in names if name not in value] if isinstance(value, dict) else []
    return f"must have {', '.join(missing)}" if missing else None


def _enum(value: Any, choices: list) -> str | None:
    # JSON knows true and 1 as different values, Python's `in` does not.
    same = any(type(choice) is type(value) and choice == value for choice in choices)
    return None if same else f"must be one of {choices}"


# As in JSON Schema, a rule applies to its own kind of value and accepts every other kind.
_RULES: dict[str, Callable[[Any, Any], str | None]] = {
    "type": _type,
    "required": _required,
    "enum": _enum,
    "const": lambda value, only: _enum(value, [only]),
    "minimum": lambda value, least: f"must be at least {least}" if _is_number(value) and value < least else None,
    "minLength": lambda value, least: (
        f"must have at least {least} characters" if isinstance(value, str) and len(value) < least else None
    ),
    "minItems": lambda value, least: (
        f"must have at least {least} items" if isinstance(value, list) and len(value) < least else None
    ),
    "pattern": lambda value, pattern: (
        f"must match {pattern}" if isinstance(value, str) and not re.search(pattern, value) else None
    ),
}
