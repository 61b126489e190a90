"""The inputs of a Keras model or of a `.tflite` file, as readers of data need them."""

from typing import Any

from tfcompress.data_files.arrays import Input
from tfcompress.tflite.artifact import Artifact


def inputs_of(model: Any) -> list[Input]:
    """Returns name, shape and type of each input, in the order of the model.

    Args:
        model: A Keras model (one around a SavedModel too) or an `Artifact`.

    Returns:
        `(name, shape without the batch axis, type)`; None in a shape is any size. Quantized inputs take real values,
        so their type is float32.
    """
    if not isinstance(model, Artifact):
        from tfcompress.graph.keras_private import input_triples  # imports Keras, which a file does not need

        return input_triples(model)
    return [
        (
            spec.name,
            tuple(None if size == -1 else size for size in spec.shape[1:]),
            "float32" if spec.is_quantized else spec.numpy_type.name,
        )
        for spec in model.inputs
    ]
