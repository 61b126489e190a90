"""Says the library's errors in the words of the command line: arguments by the names of their flags.

Errors of the library have one form, "convert: percentile must be ... Received: percentile=20." Here it becomes
"--percentile must be ... Received: --percentile=20."
"""

import ast
import re
from collections.abc import Mapping
from typing import Any

from absl import flags

from tfcompress.cli.command import Command
from tfcompress.cli.technique_flags import TechniqueFlag

_HEAD = re.compile(r"(?P<owner>[A-Za-z_][\w.]*)(?:, [^:]{1,40})?: (?P<rest>.+)", re.DOTALL)
_WORD = re.compile(r"(?P<name>[a-z_]\w*)(?=[ :])")
_VALUE = r"x\[:\d+\]|x\b|\{[^{}]*\}|\[[^\[\]]*\]|\([^()]*\)|'[^']*'|"  # others stay as they are
_GIVEN = re.compile(rf"(?<![\w.\-])(?P<name>[a-z_]\w*)=(?P<value>{_VALUE})")
_CHOICE = re.compile(r"give (one of|either) ")
_NAME = re.compile(r"[a-z_]+")
_QUOTED = re.compile(r"`(?P<name>[a-z_]\w*)`")
_CALLS = re.compile(r"\w\((?:[^()]|\([^()]*\))*\)")  # code, such as tfc.convert(model, calibration=x)


def in_flags(text: str, command: Command, values: flags.FlagValues) -> tuple[str, bool]:
    """Says an error in the words of the command line.

    Args:
        text: The error, one line.
        command: The command that ran into it.
        values: Its flags.

    Returns:
        The text with flags in place of arguments, and whether it is about a flag.
    """
    every = {id(values[name]): values[name] for name in values}.values()
    named = {flag.name: flag.name for flag in every} | dict(command.words)
    techniques: dict[str, dict[str, str]] = {}
    for flag in every:
        if isinstance(flag, TechniqueFlag):
            techniques.setdefault(flag.technique.name, {})[flag.field] = flag.short_name or flag.name
    match = _HEAD.match(text)
    table = named | (techniques.get(match["owner"], {}) if match else {})
    said = _arguments(_head(text, match, named, table) if match else text, table)
    return said.removeprefix(f"{command.name}: "), said != text


def _head(text: str, match: Any, named: Mapping[str, str], table: Mapping[str, str]) -> str:
    """Returns the text with its first words, "owner: argument", as a flag."""
    if match["owner"] not in named and _CHOICE.match(match["rest"]):  # of fields of a technique
        choice, stop, rest = match["rest"].partition(". ")
        return _NAME.sub(lambda found: f"--{table[found[0]]}" if found[0] in table else found[0], choice) + stop + rest
    word = _WORD.match(match["rest"])
    if word is not None and word["name"] in table:
        rest = match["rest"][word.end() :]
        value = re.match(r" '([^']*)'", rest)
        return f"--{table[word['name']]}" + (f"={value[1]}{rest[value.end() :]}" if value else rest)
    return f"--{named[match['owner']]}: {match['rest']}" if match["owner"] in named else text


def _arguments(text: str, table: Mapping[str, str]) -> str:
    """Returns the text with every "argument=value" outside of code as a flag."""
    code = [found.span() for found in _CALLS.finditer(text)]

    def flag(found: re.Match) -> str:
        name = table.get(found["name"])
        if name is None or any(begin <= found.start() < end for begin, end in code):
            return found[0]
        return f"--{name}={_as_typed(found['value'])}"

    said = _GIVEN.sub(flag, text)
    return _QUOTED.sub(lambda found: f"--{table[found['name']]}" if found["name"] in table else found[0], said)


def _as_typed(value: str) -> str:
    """Returns a value of Python as one types it in a shell."""
    if value.startswith("x"):
        return "FILE"
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    if isinstance(found, dict):
        return ",".join(f"{name}={each}" for name, each in found.items())
    return ",".join(map(str, found)) if isinstance(found, list | tuple) else str(found)
