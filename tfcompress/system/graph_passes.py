"""Keeps TensorFlow from rewriting graphs that run once or twice."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_SWITCH = "disable_meta_optimizer"


@contextlib.contextmanager
def unoptimized() -> Iterator[None]:
    """Runs functions as they were traced while the block runs.

    Rewriting a graph takes as long as a hundred runs of a small one, and moves roundings.

    Example:
        >>> import tensorflow as tf
        >>> with unoptimized():
        ...     tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"]
        True
    """
    before = tf.config.optimizer.get_experimental_options().get(_SWITCH, False)
    tf.config.optimizer.set_experimental_options({_SWITCH: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_SWITCH: before})
