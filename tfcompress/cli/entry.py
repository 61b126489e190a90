"""Runs the command line: picks the subcommand, and turns errors into an exit code and one clear line.

Exit codes: 0 done, 1 the work failed, 2 wrong usage, 3 the file is not fully integer or misses --require, 130
stopped with Ctrl-C.
"""

import difflib
import os
import sys
import traceback
from collections.abc import Sequence

from absl import flags

import tfcompress
from tfcompress.cli.command import Command, WrongUsage
from tfcompress.cli.commands import found_commands
from tfcompress.cli.flag_words import in_flags
from tfcompress.cli.output import clean_output, one_line, say_warnings_in_one_line, silence_stdout
from tfcompress.text.progress import progress_shown

COMMANDS: dict[str, Command] = found_commands()
_BY_NAME = COMMANDS | {alias: command for command in COMMANDS.values() for alias in command.aliases}
TRACEBACK = "TFCOMPRESS_TRACEBACK"  # if set in the environment, the traceback is printed before the error's line
DONE, FAILED, USAGE, REFUSED, STOPPED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command `tfcompress`.

    Args:
        argv: Program name and arguments; None takes `sys.argv`.

    Returns:
        The exit code: 0 done, 1 the work failed, 2 wrong usage, 3 the file is not fully integer or misses
        --require, 130 stopped with Ctrl-C.

    Example:
        >>> main(["tfcompress", "--version"])
        tfcompress 0.1.0
        0
    """
    if argv is None:
        say_warnings_in_one_line()
    try:
        with clean_output():
            code = _dispatch(list((sys.argv if argv is None else argv)[1:]))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe (head, less) has closed it
        silence_stdout()
        return DONE
    except KeyboardInterrupt:
        print("\ntfcompress: stopped.", file=sys.stderr)
        return STOPPED
    except OSError as error:  # the output can't be written, such as to a full disk
        silence_stdout()
        print(f"tfcompress: standard output: {one_line(error)}", file=sys.stderr)
        return FAILED
    return code


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(_overview(), file=sys.stderr)
        return USAGE
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "-help", "--help", "help"):
        known = _BY_NAME.get(rest[0]) if rest else None
        print(known.help() if known else _overview())
        return DONE
    if name in ("-v", "--version", "version"):
        print(f"tfcompress {tfcompress.__version__}")
        return DONE
    if name not in _BY_NAME:
        return _wrong_usage("tfcompress", _unknown(name))
    return _run(_BY_NAME[name], rest)


def _run(command: Command, arguments: list[str]) -> int:
    try:
        values, rest = command.parse(arguments)
    except flags.Error as error:
        return _wrong_usage(f"tfcompress {command.name}", " ".join(str(error).split()))
    if values.help:
        print(command.help())
        return DONE
    # Set before TensorFlow is imported; a value of the user is kept.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with progress_shown(values.verbose):
            return command.run(values, rest)
    except KeyboardInterrupt:
        print(f"\ntfcompress {command.name}: stopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:
        raise
    # Every error ends in one line: files come from anywhere, and their readers may raise any error.
    except Exception as error:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        return _failed(command, values, error)


def _failed(command: Command, values: flags.FlagValues, error: Exception) -> int:
    """Prints an error in the words of the command line; one about what a flag was given is wrong usage."""
    who, code = f"tfcompress {command.name}", getattr(type(error), "exit_code", FAILED)
    if code == REFUSED:  # a table of what was refused
        print(f"{who}: {error}", file=sys.stderr)
        return code
    text, is_of_flag = in_flags(one_line(error), command, values)
    if isinstance(error, WrongUsage) or is_of_flag and isinstance(error, ValueError | TypeError):
        return _wrong_usage(who, text)
    print(f"{who}: {text}", file=sys.stderr)
    return code


def _wrong_usage(who: str, message: str) -> int:
    end = "" if message.endswith((".", "?", "!")) else "."
    print(f"{who}: {message}{end} See: {who} --help", file=sys.stderr)
    return USAGE


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _BY_NAME, 1)
    hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(COMMANDS)}."
    return f"unknown command {name!r}. {hint}"


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "usage: tfcompress COMMAND [ARGUMENT ...] [--flag=value ...]",
        "",
        "Smaller Keras models as verified integer TensorFlow Lite files.",
        "",
        "Commands:",
        *(f"  {name.ljust(width)}  {command.summary}" for name, command in COMMANDS.items()),
        "",
        "Help of a command: tfcompress COMMAND --help. Version: tfcompress --version.",
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not fully integer or not as faithful as required, 130 stopped.",
        f"With {TRACEBACK}=1 in the environment an error shows its traceback.",
    ]
    return "\n".join(lines)
