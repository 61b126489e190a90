"""Silences TensorFlow while it converts: its logging, its warnings and what it writes to the process' streams."""

import contextlib
import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator

# TensorFlow's own, and the one through which its converter speaks. Both write to Python's stream of errors, which in a
# notebook is not the descriptor that is redirected here.
_LOGGERS = ("tensorflow", "absl")


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    r"""Keeps TensorFlow from writing while the block runs; errors are still raised.

    Yields:
        A stream with the text written to Python's standard output meanwhile.

    Example:
        >>> with quiet() as said:
        ...     print("endpoints of the model")
        >>> said.getvalue()
        'endpoints of the model\n'
    """
    with _silence.entered() as said:
        yield said


class _Silence:
    """Silence shared by all threads: the first `quiet` block begins it, the last one ends it."""

    def __init__(self):
        self.lock, self.count, self.stack, self.said = threading.RLock(), 0, None, None

    @contextlib.contextmanager
    def entered(self) -> Iterator[io.StringIO]:
        with self.lock:
            if not self.count:
                self.stack = contextlib.ExitStack()
                self.said = self.stack.enter_context(_silent())
            self.count += 1
            said = self.said
        try:
            yield said
        finally:
            with self.lock:
                self.count -= 1
                if not self.count:
                    self.stack.close()


_silence = _Silence()


@contextlib.contextmanager
def _silent() -> Iterator[io.StringIO]:
    said = io.StringIO()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), _stderr_away():
            warnings.simplefilter("ignore")
            yield said
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _stderr_away() -> Iterator[None]:
    """Redirects file descriptor 2, to which the converter, written in C++, writes directly."""
    held = os.dup(2)
    away = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(away, 2)
        yield
    finally:
        os.dup2(held, 2)
        os.close(held)
        os.close(away)
