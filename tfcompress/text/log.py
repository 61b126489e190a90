"""Logs the package's messages and progress with the logger `tfcompress`, which writes to stderr by default.

`verbose=0` of a call silences that call. A program can change level and handlers of
`logging.getLogger("tfcompress")`, as of any other logger.
"""

import logging
import sys
import time
from typing import TextIO

from tfcompress.text.printable import printable

NAME = "tfcompress"
PAUSE = 10.0  # seconds between lines of progress that stay
_OVER = "\r\x1b[K"  # back to the beginning of the line, and empty it


class _Stderr(logging.StreamHandler):
    """A handler that writes to the current `sys.stderr`, which notebooks and tests replace."""

    def __init__(self):
        logging.Handler.__init__(self)

    @property
    def stream(self):
        return sys.stderr

    def emit(self, record):
        """Writes a record, over the line of progress if there is one on the terminal."""
        if Progress.open and self.stream.isatty():
            self.stream.write(_OVER)
        Progress.open = False
        super().emit(record)


class Progress:
    """A line of progress: on a terminal one line that is overwritten, elsewhere a line every ten seconds.

    Args:
        title: Text in front of each line.
        verbose: 0 shows nothing.
        stream: Where to write instead of standard error and the logger.

    Example:
        >>> progress = Progress("benchmark", verbose=0)
        >>> progress("3 of 5 files")
        >>> progress.end()
    """

    open = False  # whether a line of progress is on the terminal

    def __init__(self, title: str, verbose: int, stream: TextIO | None = None):
        self.title, self.verbose, self._stream = title, verbose, stream
        self._next = 0.0  # no line before it, where lines stay

    @property
    def stream(self) -> TextIO:
        """Where the line is written."""
        return self._stream or sys.stderr

    def __call__(self, text: str) -> None:
        """Shows a line in place of the last one."""
        line = f"{self.title}: {printable(text)}"
        if not self.verbose or not logger.isEnabledFor(logging.INFO):
            return
        if self.stream.isatty():
            self.stream.write(f"{_OVER}{line}")
            Progress.open = True
            self.stream.flush()
        elif (now := time.monotonic()) >= self._next:
            self._next = now + PAUSE
            if self._stream is None:
                tell(line)
            else:
                self._stream.write(f"{line}\n")
                self._stream.flush()

    def end(self) -> None:
        """Removes the line."""
        if Progress.open and self.stream.isatty():
            self.stream.write(_OVER)
            self.stream.flush()
        Progress.open = False


def _made() -> logging.Logger:
    made = logging.getLogger(NAME)
    if not made.handlers:  # a program may have set its own before
        made.addHandler(_Stderr())
        made.propagate = False
    if made.level == logging.NOTSET:
        made.setLevel(logging.INFO)
    return made


logger = _made()


def tell(line: str, is_wanted: object = True) -> None:
    """Logs one or several lines, such as progress or the plan.

    Args:
        line: The line, or several.
        is_wanted: The verbosity; nothing is logged where it is false or 0.

    Example:
        >>> import contextlib, io
        >>> said = io.StringIO()
        >>> with contextlib.redirect_stderr(said):
        ...     tell("tfcompress: 3 of 5 trained")
        >>> said.getvalue().splitlines()
        ['tfcompress: 3 of 5 trained']
    """
    if is_wanted:
        logger.info("%s", line)
