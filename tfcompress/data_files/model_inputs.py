"""What a Keras model or a `.tflite` file takes and answers, as readers of data need it."""

from typing import Any

from tfcompress.data_files.arrays import Input, Inputs
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


def class_count(model: Any) -> int | None:
    """Returns the number of classes that a model answers with.

    Args:
        model: A Keras model or an `Artifact`.

    Returns:
        The length of its one output (n, classes); None for other outputs, for a single score, and
        for a subclassed model, which does not say.
    """
    if isinstance(model, Artifact):
        shapes = [spec.shape for spec in model.outputs]
    else:
        import keras

        shapes = [tuple(spec.shape) for spec in keras.tree.flatten(getattr(model, "outputs", None) or [])]
    if len(shapes) != 1 or len(shapes[0]) != 2 or (shapes[0][-1] or 0) < 2:
        return None
    return shapes[0][-1]


def packed(model: Any, x: Inputs) -> Any:
    """Returns inputs in the structure of a Keras model's call, since Keras takes no dict for a list.

    Args:
        model: A Keras model.
        x: An array, or a dict of them by input name.

    Returns:
        The arrays in the structure of the model's inputs.
    """
    import keras

    from tfcompress.graph.keras_private import input_specs, input_triples

    arrays = [x[name] for name, _, _ in input_triples(model)] if isinstance(x, dict) else [x]
    return keras.tree.pack_sequence_as(input_specs(model), arrays)
