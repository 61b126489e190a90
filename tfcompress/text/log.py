"""The lines that the package writes while it works: the logger `tfcompress`, on stderr unless told otherwise.

`verbose=0` of a call keeps that call quiet; `logging.getLogger("tfcompress")` is a logger like any other: its level and
its handlers are the program's to change.
"""

import logging
import sys

from tfcompress.text.printable import printable

NAME = "tfcompress"
_OVER = "\r\x1b[K"  # back to the beginning of the line, and empty it


class _Stderr(logging.StreamHandler):
    """Writes to what `sys.stderr` is at that moment, which notebooks and tests exchange."""

    def __init__(self):
        logging.Handler.__init__(self)

    @property
    def stream(self):
        return sys.stderr

    def emit(self, record):
        """Writes over a line of progress that stands on a terminal."""
        if Progress.open and self.stream.isatty():
            self.stream.write(_OVER)
        Progress.open = False
        super().emit(record)


class Progress:
    """One line on a terminal that is written over; lines of the logger elsewhere.

    Args:
        title: What stands in front of each line.
        verbose: 0 says nothing.

    Example:
        >>> progress = Progress("benchmark", verbose=0)
        >>> progress("3 of 5 files")
        >>> progress.end()
    """

    open = False  # whether one stands on the terminal

    def __init__(self, title: str, verbose: int):
        self.title, self.verbose = title, verbose

    def __call__(self, text: str) -> None:
        """Shows a line in place of the last one."""
        line = f"{self.title}: {printable(text)}"
        if not self.verbose or not logger.isEnabledFor(logging.INFO):
            return
        if not sys.stderr.isatty():
            tell(line)
            return
        sys.stderr.write(f"{_OVER}{line}")
        sys.stderr.flush()
        Progress.open = True

    def end(self) -> None:
        """Takes the line away."""
        if Progress.open and sys.stderr.isatty():
            sys.stderr.write(_OVER)
            sys.stderr.flush()
        Progress.open = False


def _made() -> logging.Logger:
    made = logging.getLogger(NAME)
    if not made.handlers:  # a program that set its own before keeps them
        made.addHandler(_Stderr())
        made.propagate = False
    if made.level == logging.NOTSET:
        made.setLevel(logging.INFO)
    return made


logger = _made()


def tell(line: str, is_wanted: object = True) -> None:
    """Logs a line of progress, or the plan.

    Args:
        line: The line, or several.
        is_wanted: What `verbose` says; nothing is logged where it is false or 0.

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
