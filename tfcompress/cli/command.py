"""Defines a subcommand: its flags, its help, and the function that runs it."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from absl import flags

_WIDTH = 88


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
        rest = list(values([self.name, *arguments])[1:])
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
        lines += ["", "Flags:"]
        for name in sorted(values):
            lines += _flag_lines(values[name])
        lines += ["", "Examples:", *(f"  {example}" for example in self.examples)]
        return "\n".join(lines)


def _flag_lines(flag: flags.Flag) -> list[str]:
    shown = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    if not flag.boolean and flag.default not in (None, "", []):
        shown += f"={flag.default_as_str.strip(chr(39))}"
    elif not flag.boolean:
        shown += f"=<{flag.flag_type()}>"
    elif flag.default:
        shown += " (on)"
    return [f"  {shown}", *_wrap(flag.help, "      ")]


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(" ".join(text.split()), _WIDTH, initial_indent=indent, subsequent_indent=indent)
