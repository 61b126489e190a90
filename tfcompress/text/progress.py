"""Shows a line with the time left for work of known length, where a command asks for it.

Functions of the library that loop over samples say so with `followed`. In a program of the user they show nothing;
a command shows them while it runs: on a terminal one line that is overwritten, elsewhere a line every ten seconds.
"""

import contextlib
import contextvars
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from tfcompress.text.log import Progress

_wanted = contextvars.ContextVar("progress", default=False)
_stream = contextvars.ContextVar[TextIO | None]("stream", default=None)
_PAUSE = 0.2  # seconds between two lines on a terminal
_FIRST = 2.0  # work that is done by then shows nothing


@contextlib.contextmanager
def progress_shown(is_wanted: object = True) -> Iterator[None]:
    """Shows the progress of the library's loops while the block runs.

    Args:
        is_wanted: The verbosity; nothing is shown where it is false or 0.
    """
    with contextlib.ExitStack() as stack:
        stream = _lasting_stderr(stack) if is_wanted else None
        wanted_before, stream_before = _wanted.set(bool(is_wanted)), _stream.set(stream)
        try:
            yield
        finally:
            _wanted.reset(wanted_before)
            _stream.reset(stream_before)


def _lasting_stderr(stack: contextlib.ExitStack) -> TextIO | None:
    """Returns a stream to where standard error goes now; it stays while TensorFlow's own output is silenced."""
    try:
        number = sys.stderr.fileno()
        return stack.enter_context(os.fdopen(os.dup(number), "w", encoding=sys.stderr.encoding, errors="replace"))
    except (AttributeError, OSError, ValueError):  # closed, or no file, such as in a notebook
        return None


class Pace:
    """Progress of one piece of work: how much is done and, from its pace, how long the rest takes.

    Args:
        title: What is done, such as "calibrating".
        total: How much there is to do.
        verbose: 0 shows nothing.

    Example:
        >>> pace = Pace("training", 3, verbose=0)
        >>> pace(1, "loss 0.25")
        >>> pace.end()
    """

    def __init__(self, title: str, total: int, verbose: int):
        self._line, self.total = Progress(title, verbose, _stream.get()), total
        self._begun = time.perf_counter()
        self._next = self._begun + _FIRST

    def __call__(self, done: float, text: str = "") -> None:
        """Shows the line if it is time for it.

        Args:
            done: How much is done.
            text: What else to show.
        """
        now = time.perf_counter()
        if now < self._next:
            return
        self._next = now + _PAUSE
        parts = [f"{int(done):,} of {self.total:,}", text, self.left(done)]
        self._line(", ".join(filter(None, parts)))

    @property
    def is_rewritten(self) -> bool:
        """Whether a line takes the place of the one before, as on a terminal."""
        return self._line.stream is not None and self._line.stream.isatty()

    def left(self, done: float) -> str:
        """Returns in words how long the rest takes; "" where that is not known, or nothing is left."""
        if not 0 < done < self.total:
            return ""
        return time_left((time.perf_counter() - self._begun) * (self.total - done) / done)

    def end(self) -> None:
        """Removes the line."""
        self._line.end()


def followed(items: Iterable[Any], title: str, total: int) -> Iterator[Any]:
    """Yields items, and shows how many are done and how long the others take, if a command asks for it.

    Args:
        items: What to yield.
        title: What is done with them.
        total: How many there are.

    Example:
        >>> list(followed("ab", "reading", 2))
        ['a', 'b']
    """
    if not _wanted.get():
        yield from items
        return
    pace = Pace(title, total, 1)
    try:
        for done, item in enumerate(items):
            pace(done)
            yield item
    finally:
        pace.end()


def time_left(seconds: float) -> str:
    """Returns a time that is left in words.

    Example:
        >>> time_left(7.6), time_left(90), time_left(7300)
        ('8 s left', '1:30 min left', '2:01 h left')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s left"
    minutes = whole // 60
    return f"{minutes}:{whole % 60:02d} min left" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h left"
