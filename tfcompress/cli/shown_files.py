"""Repeats the command line that was given, with the names of files instead of their paths."""

import os
import pathlib
import re
import shlex
from collections.abc import Sequence

from absl import flags

_LEFT_OUT = ("out", "json", "verbose")  # where and how it was told


def command_line(values: flags.FlagValues, command: str, arguments: Sequence[str]) -> str:
    """Returns the command that was given, with the names of its files instead of their paths.

    Args:
        values: The command's flags.
        command: Its name.
        arguments: Files given to it.

    Returns:
        The command line; flags that say only where the results go are left out.
    """
    given = {id(values[name]): values[name] for name in values if values[name].present}
    told = [flag.serialize() for flag in given.values() if flag.name not in _LEFT_OUT]
    names = [pathlib.PurePath(path).name for path in arguments]
    return shlex.join(["tfcompress", command, *names, *(_without_paths(word) for word in told)])


def _without_paths(word: str) -> str:
    """Returns a flag with its value; files and folders that are there by their name."""
    flag, equals, value = word.partition("=")
    parts = re.split("(,)", value)
    return flag + equals + "".join(pathlib.PurePath(p).name if os.sep in p and os.path.exists(p) else p for p in parts)
