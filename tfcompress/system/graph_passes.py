"""Keeps TensorFlow from rewriting graphs that run once or twice."""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

_SWITCH = "disable_meta_optimizer"


@contextlib.contextmanager
def unoptimized() -> Iterator[None]:
    """Runs functions as they were traced while the block runs.

    Rewriting a graph takes as long as a hundred runs of a small one, and moves roundings. The switch is one for all
    threads: the first block turns it, the last one turns it back.

    Example:
        >>> import tensorflow as tf
        >>> with unoptimized():
        ...     tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
        True
    """
    _blocks.enter()
    try:
        yield
    finally:
        _blocks.leave()


class _Blocks:
    """Blocks of all threads that run now."""

    def __init__(self) -> None:
        self.lock, self.count, self.before = threading.Lock(), 0, False

    def enter(self) -> None:
        with self.lock:
            if not self.count:
                self.before = tf.config.optimizer.get_experimental_options().get(_SWITCH, False)
                _turn(True)
            self.count += 1

    def leave(self) -> None:
        with self.lock:
            self.count -= 1
            if not self.count:
                _turn(self.before)


def _turn(is_on: bool) -> None:
    tf.config.optimizer.set_experimental_options({_SWITCH: is_on})


_blocks = _Blocks()
