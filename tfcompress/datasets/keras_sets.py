"""Gets data sets through Keras: its cache, or a download that does not wait for ever."""

import contextlib
import os
import pathlib
import socket
import sys

import numpy as np

from tfcompress.text.log import tell

_STALL_SECONDS = 8.0


def cache_folder() -> pathlib.Path:
    """Returns the folder in which Keras keeps data sets."""
    home = os.environ.get("KERAS_HOME")
    return (pathlib.Path(home) if home else pathlib.Path.home() / ".keras") / "datasets"


def download(dataset: str, name: str) -> dict[str, np.ndarray]:
    """Downloads and verifies the files with Keras; a stalled connection is given up after seconds.

    Args:
        dataset: Name of the module in `keras.datasets`.
        name: What the data are called, for the message.

    Returns:
        The arrays `x_train`, `y_train`, `x_test` and `y_test`, as Keras gives them.

    Raises:
        Exception: A bare one, from Keras, if the URL cannot be fetched.
    """
    import keras  # only here: reading files needs no TensorFlow

    tell(f"tfcompress: Downloading {name} through Keras ...")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALL_SECONDS)  # Keras sets no timeout of its own
    try:
        with contextlib.redirect_stdout(sys.stderr):
            (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, dataset).load_data()
    finally:
        socket.setdefaulttimeout(before)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def one_line(error: Exception) -> str:
    r"""Returns the text of an error, or its type where it has none.

    >>> one_line(ValueError("two\nlines")), one_line(EOFError())
    ('two lines', 'EOFError')
    """
    return " ".join(str(error).split()) or type(error).__name__
