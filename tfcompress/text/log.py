"""Logs the package's messages and progress with the logger `tfcompress`, which writes to stderr by default.

`verbose=0` of a call silences that call. A program can change level and handlers of
`logging.getLogger("tfcompress")`, as of any other logger.
"""

import logging
import sys

from tfcompress.text.printable import printable

NAME = "tfcompress"
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
    """A line of progress: on a terminal one line that is overwritten, elsewhere lines of the logger.

    Args:
        title: Text in front of each line.
        verbose: 0 shows nothing.

    Example:
        >>> progress = Progress("benchmark", verbose=0)
        >>> progress("3 of 5 files")
        >>> progress.end()
    """

    open = False  # whether a line of progress is on the terminal

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
        """Removes the line."""
        if Progress.open and sys.stderr.isatty():
            sys.stderr.write(_OVER)
            sys.stderr.flush()
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
