"""Defines a subcommand: its flags, its help, and the function that runs it."""

import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from absl import flags

LARGEST_SEED = 2**32 - 1  # that NumPy takes
_WIDTH = 88


class WrongUsage(ValueError):
    """The error for flags that contradict each other or have a value that is not accepted."""


def check_folder(flag: str, path: str) -> None:
    """Raises if a flag that names the folder to write to names a file, before the work is done.

    Args:
        flag: Name of the flag, without dashes.
        path: Its value.

    Raises:
        WrongUsage: In that case.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise WrongUsage(f"--{flag}={path}: there is a file of this name; name a folder, new or not")


@dataclass(frozen=True)
class Command:
    """One subcommand of `tfcompress`.

    Attributes:
        name: What the user types.
        summary: One line for the overview.
        arguments: The positional arguments as shown in the usage line, such as "MODEL".
        least: How many positional arguments there must be.
        most: How many there may be; None for any number.
        detail: Paragraphs of the help.
        examples: Command lines for the help.
        define: Adds the command's flags to the `FlagValues` it is given.
        required: Flags that must be given.
        aliases: Further names of it.
        older: Older names of flags that are still taken, each with the name of today.
        words: Arguments of the library, in its errors, with the flag for each; those not here have flags of their name.
        place: Place in the overview, lower ones first; commands of one place by name.
        run: Does the work with parsed flags and positional arguments; returns the exit code.
    """

    name: str
    summary: str
    arguments: str
    least: int
    most: int | None
    detail: str
    examples: Sequence[str]
    define: Callable[[flags.FlagValues], None]
    run: Callable[[flags.FlagValues, list[str]], int]
    required: Sequence[str] = ()
    aliases: Sequence[str] = ()
    place: int = 100
    older: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def flag_values(self) -> flags.FlagValues:
        """Returns new flags of this command alone, so that a flag of another command is refused."""
        values = flags.FlagValues()
        self.define(values)
        flags.DEFINE_integer("verbose", 1, "0: only results and errors, 1: progress.", 0, 1, flag_values=values)
        flags.DEFINE_boolean("help", False, "Shows this help.", flag_values=values)
        values.set_gnu_getopt(True)  # flags may stand behind the files
        return values

    def parse(self, arguments: Sequence[str]) -> tuple[flags.FlagValues, list[str]]:
        """Reads flags and positional arguments.

        Args:
            arguments: What follows the command's name.

        Returns:
            The flags and the positional arguments.

        Raises:
            absl.flags.Error: If a flag is unknown, malformed or out of range, or a positional
                argument is missing or too many.
        """
        values = self.flag_values()
        rest = list(values([self.name, *(self._today(each, values) for each in arguments)])[1:])
        if values.help:
            return values, rest
        if len(rest) < self.least:
            raise flags.Error(f"{self.arguments} is missing")
        if self.most is not None and len(rest) > self.most:
            raise flags.Error(f"too many arguments: {' '.join(rest[self.most :])}")
        missing = [f"--{name}" for name in self.required if not values[name].present]
        if missing:
            raise flags.Error(f"{', '.join(missing)} must be given")
        return values, rest

    def _today(self, argument: str, values: flags.FlagValues) -> str:
        """Returns an argument with its flag as it is called: `--round-to` as `--round_to`, older names as today's."""
        if not argument.startswith("--"):
            return argument
        name, mark, value = argument[2:].partition("=")
        known = name.replace("-", "_")
        known = self.older.get(known, known)
        is_flag = known in values or known.removeprefix("no") in values
        return f"--{known}{mark}{value}" if is_flag else argument

    def usage(self) -> str:
        """Returns the usage line."""
        needed = [f"--{name}=..." for name in self.required]
        words = ["tfcompress", self.name, self.arguments, *needed, "[--flag=value ...]"]
        return " ".join(filter(None, words))

    def help(self) -> str:
        """Returns the help text: usage, description, flags, examples."""
        values = self.flag_values()
        lines = [f"usage: {self.usage()}", "", *_wrap(self.summary)]
        for paragraph in self.detail.strip().split("\n\n"):
            lines += ["", *_wrap(paragraph)]
        for title, group in _groups(values).items():
            lines += ["", *_wrap(f"{title.rstrip('.:')}:")]
            for text, alike in group.items():
                lines += [*_wrap(", ".join(_shown(flag) for flag in alike), "  "), *_wrap(text, "      ")]
        lines += ["", "Examples:", *(f"  {example}" for example in self.examples)]
        return "\n".join(lines)


def define_seed(values: flags.FlagValues, what: str, default: int | None = 0) -> None:
    """Defines the flag `--seed`.

    Args:
        values: Flags to add it to.
        what: What it is the seed of.
        default: Its default.
    """
    flags.DEFINE_integer("seed", default, what, 0, LARGEST_SEED, flag_values=values)


def _groups(values: flags.FlagValues) -> dict[str, dict[str, list[flags.Flag]]]:
    """Returns the flags by heading and text: the command's own by name, then groups, and last what groups share."""
    every = {id(values[name]): values[name] for name in values}.values()  # a short name is no second flag
    found: dict[str, dict[str, list[flags.Flag]]] = {}
    for flag in sorted(every, key=_place):
        texts = found.setdefault(getattr(flag, "group", "Flags"), {})
        texts.setdefault(flag.help, []).append(flag)
    return found


def _place(flag: flags.Flag) -> tuple[bool, bool, str]:
    """Returns the order in the help; flags of one group stay in the order in which they were defined."""
    is_own = not hasattr(flag, "group")
    return not is_own, getattr(flag, "is_shared", False), flag.name if is_own else ""


def _shown(flag: flags.Flag) -> str:
    if title := getattr(flag, "title", ""):
        return title
    if flag.boolean:
        return f"--[no]{flag.name}" + (" (on)" if flag.default else "")
    if flag.default not in (None, "", []):
        return f"--{flag.name}={flag.default_as_str.strip(chr(39))}"
    return f"--{flag.name}=<{flag.flag_type()}>"


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(" ".join(text.split()), _WIDTH, initial_indent=indent, subsequent_indent=indent)
