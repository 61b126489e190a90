"""Shows the inputs and outputs of a model's operations to a function while data runs through the model."""

from collections.abc import Callable, Iterator

import keras
import numpy as np

from tfcompress.graph.keras_private import float32, input_specs, override_attributes


def show_activations(
    model: keras.Model,
    ops: list[keras.Operation],
    x: list[np.ndarray],
    look: Callable[[keras.Operation, np.ndarray, np.ndarray], np.ndarray | None],
    batch: int = 64,
) -> None:
    """Runs samples through a model at inference, in float32, and shows inputs and outputs of operations to a function.

    Args:
        model: A Functional or Sequential model.
        ops: Operations with one input and one output.
        x: One array `(n, ...)` per input of the model, in its order.
        look: Function `(op, input, output)`, called for each batch and each call of an operation; a value that it
            returns replaces the output.
        batch: Samples at a time.

    Example:
        >>> import keras, numpy as np
        >>> from tfcompress.graph.activation_probe import show_activations
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.ReLU()])
        >>> x = [np.ones((5, 2))]
        >>> show_activations(model, model.layers[1:], x, lambda op, a, b: print(a.shape, (b >= 0).all()))
        (5, 3) True
    """

    def showing(op, call):
        def shown(*args, **kwargs):
            made = call(*args, **kwargs)
            other = look(op, np.asarray(args[0]), np.asarray(made))
            return made if other is None else keras.ops.convert_to_tensor(other)

        return shown

    with float32(model), override_attributes([(op, "call", showing(op, op.call)) for op in ops]):
        for _ in iterate_outputs(model, x, batch):
            pass


def iterate_outputs(model: keras.Model, x: list[np.ndarray], batch: int = 64) -> Iterator[list[np.ndarray]]:
    """Yields a model's outputs at inference, batch by batch, run eagerly: for a model that runs only once.

    Args:
        model: A Functional or Sequential model.
        x: One array `(n, ...)` per input of the model, in its order.
        batch: Samples at a time.
    """
    structure = input_specs(model)
    for start in range(0, len(x[0]), batch):
        given = [np.asarray(a[start : start + batch]) for a in x]
        made = model(keras.tree.pack_sequence_as(structure, given), training=False)
        yield [np.asarray(y) for y in keras.tree.flatten(made)]
