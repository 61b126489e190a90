"""Names files in what a command writes: by their own names, never by their full paths."""

import collections
import pathlib
import shlex
from collections.abc import Sequence

from absl import flags


def short_names(paths: Sequence[str]) -> list[str]:
    """Returns the name of each file; those that share it get their folder, and equal ones a number.

    Args:
        paths: Paths of files.

    Returns:
        A name for each, no two the same.

    Example:
        >>> short_names(["/home/a/int8.tflite", "b/int8.tflite", "b/int8.tflite", "float.tflite"])
        ['a/int8.tflite', 'b/int8.tflite', 'b/int8.tflite-2', 'float.tflite']
    """
    parts = [pathlib.PurePath(path).parts for path in paths]
    often = collections.Counter(part[-1] for part in parts)
    names = ["/".join(part[-2:]) if often[part[-1]] > 1 else part[-1] for part in parts]
    seen: collections.Counter[str] = collections.Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        names[i] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return names


def command_line(values: flags.FlagValues, command: str, arguments: Sequence[str], named: Sequence[str]) -> str:
    """Returns the command that was given, with the names of its files instead of their paths.

    Args:
        values: The command's flags.
        command: Its name.
        arguments: Files given to it.
        named: Flags to repeat where they were given.

    Returns:
        The command line.
    """
    words = ["tfcompress", command, *(pathlib.PurePath(path).name for path in arguments)]
    for name in named:
        if values[name].present:
            value = values[name].value
            if isinstance(value, bool):
                words.append(f"--{name}" if value else f"--no{name}")
            else:
                words.append(f"--{name}={','.join(value) if isinstance(value, list) else _file(value)}")
    return shlex.join(words)


def _file(value: object) -> str:
    """Returns a value; a path of a file that is there by its name."""
    return pathlib.PurePath(value).name if isinstance(value, str) and pathlib.Path(value).exists() else str(value)
