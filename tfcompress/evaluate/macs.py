"""Counts the MACs (multiply-accumulate operations) of a model or of a converted file."""

from typing import Any

import keras

from tfcompress.evaluate.macs_artifact import artifact_macs
from tfcompress.evaluate.macs_model import model_macs
from tfcompress.tflite.artifact import Artifact


def macs_table(subject: keras.Model | Artifact) -> list[dict[str, Any]]:
    """Counts MACs layer by layer, or op by op.

    Args:
        subject: A built Sequential or Functional model, or an artifact.

    Returns:
        Dictionaries with `name`, `op` (layer type or op name) and `macs`: an int, or None where it
        can't be known.

    Raises:
        TypeError: If `subject` is neither.
        ValueError: If the shapes in the model are not known.

    Example:
        >>> import keras
        >>> from tfcompress.evaluate.macs import macs_table
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="d")])
        >>> macs_table(model)
        [{'name': 'd', 'op': 'Dense', 'macs': 8}]
    """
    if isinstance(subject, Artifact):
        return artifact_macs(subject)
    if isinstance(subject, keras.Model):
        return model_macs(subject)
    raise TypeError(f"macs: expected a keras.Model or an Artifact. Received: {type(subject).__name__}.")


def macs(subject: keras.Model | Artifact) -> int:
    """Counts the MACs of one sample through a model, or of one call of a file (one sample at batch 1).

    Kernel size times output positions, summed; padding counts, zeros in a pruned kernel count too,
    since the runtime multiplies with them. One MAC is two floating-point operations.

    Args:
        subject: A built Sequential or Functional model, or an artifact.

    Returns:
        Number of multiply-accumulate operations.

    Raises:
        TypeError: If `subject` is neither.
        ValueError: If shapes are not known, or a layer or op can't be counted; it is named.

    Example:
        >>> import keras
        >>> from tfcompress.evaluate.macs import macs
        >>> macs(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
        8
    """
    rows = macs_table(subject)
    unknown = [f"{row['name']} ({row['op']})" for row in rows if row["macs"] is None]
    if unknown:
        raise ValueError(
            f"macs: can't count {', '.join(unknown)}. Loops and branches depend on run time: "
            "unroll them. Custom layers: tell their axes with tfcompress.describe."
        )
    return sum(row["macs"] for row in rows)
