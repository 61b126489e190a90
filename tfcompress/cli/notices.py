"""Warnings of a command: one line each on stderr, without the place in the code they come from."""

import contextlib
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def warnings_in_one_line(command: str) -> Iterator[None]:
    """Shows warnings as `tfcompress COMMAND: warning: TEXT` while the block runs.

    Args:
        command: Name of the command.
    """

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"tfcompress {command}: warning: {message}", file=file or sys.stderr)

    held, warnings.showwarning = warnings.showwarning, show
    try:
        yield
    finally:
        warnings.showwarning = held
