"""Cleans the output of commands: control characters of foreign files as escapes, errors as one line.

Every command prints names and texts of files from elsewhere. Control characters in them can make a terminal hide
text, forge it, or write to the clipboard. So both streams show them as escapes.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from tfcompress.text.printable import printable

# Progress lines start with it to overwrite themselves; texts of files do not start a line on stderr.
_REWRITE = "\r\x1b[K"
_LONGEST_ERROR = 2000  # characters; longer texts are dumps


class _Clean:
    """A text stream that shows control characters as escapes."""

    def __init__(self, stream: Any, may_rewrite: bool):
        self._stream, self._may_rewrite = stream, may_rewrite

    def write(self, text: str) -> int:
        """Writes printable text."""
        lead = _REWRITE if self._may_rewrite and text.startswith(_REWRITE) else ""
        self._stream.write(lead + self._encodable(printable(text[len(lead) :].replace("\r\n", "\n"))))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)

    def _encodable(self, text: str) -> str:
        """Escapes characters that the stream's encoding does not have."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def clean_output() -> Iterator[None]:
    """Shows control characters as escapes on both streams while the block runs."""
    held = sys.stdout, sys.stderr
    sys.stdout = _Clean(held[0], False) if held[0] is not None else None
    sys.stderr = _Clean(held[1], True) if held[1] is not None else None
    try:
        yield
    finally:
        sys.stdout, sys.stderr = held


def one_line(error: BaseException) -> str:
    r"""Returns an error as one line.

    Example:
        >>> one_line(ValueError("a\nb")), one_line(MemoryError())
        ('a b', 'there is not enough memory for this')
        >>> one_line(FileNotFoundError(2, "No such file or directory", "model.keras"))
        'model.keras: No such file or directory'
    """
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{os.fspath(error.filename)}: {error.strerror}"
    elif isinstance(error, MemoryError):
        text = "there is not enough memory for this" + (f": {text}" if text else "")
    elif isinstance(error, RecursionError):
        text = f"something is nested too deep: {text}"
    elif not isinstance(error, ValueError | TypeError | OSError | RuntimeError | ImportError) or not text:
        # no message for people; the type says more than the text
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= _LONGEST_ERROR else f"{text[: _LONGEST_ERROR - 4]} ..."


def say_warnings_in_one_line() -> None:
    """Prints warnings as one line without the place in the source, for the whole process."""

    def show(message, category, filename, lineno, file=None, line=None):
        print(f"tfcompress: warning: {' '.join(str(message).split())}", file=file or sys.stderr)

    warnings.showwarning = show


def silence_stdout() -> None:
    """Redirects standard output to the null device, so that its last flush at the end of the process can't fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
