"""Imports TensorFlow for a command, with a line that says so and without its start-up messages."""

import sys

from tfcompress.system.silence import quiet


def start_tensorflow(verbose: int = 1) -> None:
    """Imports TensorFlow and Keras, quietly.

    Args:
        verbose: 1 says on stderr that it takes a while.

    Raises:
        ImportError: If they cannot be imported.
    """
    if "tensorflow" in sys.modules:
        return
    if verbose:
        print("loading TensorFlow ...", file=sys.stderr, flush=True)
    with quiet():  # C++ code writes to stderr on import, whatever the log level
        import keras  # noqa: F401
