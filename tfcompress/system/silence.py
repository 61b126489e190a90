"""Silence while TensorFlow converts: it talks through Python's logging, its warnings and the process' own streams."""

import contextlib
import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    r"""Keeps TensorFlow from writing while the block runs; errors are raised as ever.

    Yields:
        What was written to Python's standard output meanwhile.

    Example:
        >>> with quiet() as said:
        ...     print("endpoints of the model")
        >>> said.getvalue()
        'endpoints of the model\n'
    """
    with _silence.entered() as said:
        yield said


class _Silence:
    """One silence for all threads: the first that asks for it begins it, the last ends it."""

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
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), _stderr_away():
            warnings.simplefilter("ignore")
            yield said
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _stderr_away() -> Iterator[None]:
    """The converter is C++ and writes past Python to file descriptor 2."""
    held = os.dup(2)
    away = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(away, 2)
        yield
    finally:
        os.dup2(held, 2)
        os.close(held)
        os.close(away)
