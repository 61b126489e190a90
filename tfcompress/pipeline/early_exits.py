"""Makes early exits: classifiers on tensors inside a network.

BranchyNet, Teerapittayanon et al. 2016: most samples are easy, and a small head on early features classifies them.
"""

import math

import keras

from tfcompress.layer_table.lookup import probabilities
from tfcompress.partition.subgraph import Piece, StepGraph, StepTensor
from tfcompress.pipeline.routing import LOGITS, PROBABILITIES

HEADS = ("auto", "flatten", "average")
DEAREST = 0.1  # share of the network's MACs that a flattened head may have with head="auto"


def answer_of(course: StepGraph) -> tuple[StepTensor, str, str | None]:
    """Returns a classifier's output, its kind ("logits" or "probabilities") and the activation that makes it.

    Raises:
        ValueError: If the model has several outputs, or other ones than `(n, classes)`.
    """
    outputs = keras.tree.flatten(course.outputs)
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[1] is None:
        shapes = [t.shape for t in outputs]
        raise ValueError(
            "split: how='hierarchical' needs a classifier with one output (n, classes), on whose confidence a sample "
            f"may leave early. Received: model {course.model.name!r} with outputs {shapes}. "
            "Use how='recursive' or 'modular'."
        )
    maker = course.graph.maker(outputs[0])
    op = maker.op if maker is not None else None
    found = probabilities(op)
    if found is not None:
        return outputs[0], PROBABILITIES, found
    return outputs[0], LOGITS, None


def head_input(course: StepGraph, piece: Piece) -> StepTensor:
    """Returns the tensor of a part that its head reads: the last one made of those that are float features.

    Raises:
        ValueError: If there is none.
    """
    fitting = [t for t in piece.gives if t.dtype.startswith(("float", "bfloat")) and 2 <= len(t.shape) <= 5]
    fitting = [t for t in fitting if t.shape[-1] is not None]
    if not fitting:
        raise ValueError(
            f"split: no early exit can be put behind {course.steps[piece.steps[-1]].path!r}: the tensors there, "
            f"{[(t.name, t.shape, t.dtype) for t in piece.gives]}, are no features (n, ..., channels). "
            "Name another boundary: at=['layer']."
        )
    return max(fitting, key=lambda t: t.number)


def make_head(
    tensor: StepTensor, classes: int, activation: str | None, how: str, name: str, macs: int | None, seed: int
) -> keras.Model:
    """Makes a head: features are flattened or averaged, and a Dense layer classifies them.

    Args:
        tensor: The tensor it reads.
        classes: Number of classes.
        activation: Activation of the output; None for logits.
        how: "flatten", "average", or "auto": flatten where the head then has at most a tenth of the network's MACs.
        name: Name of the Dense layer.
        macs: MACs of the whole network; None where unknown.
        seed: Seed of the initial weights.

    Returns:
        A model with the input and the head's layers.
    """
    x = inputs = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{name}_input")
    if len(tensor.shape) > 2:
        sizes = tensor.shape[1:]
        flat = None if None in sizes else math.prod(sizes) * classes
        if how == "auto":
            how = "flatten" if flat is not None and macs is not None and flat <= DEAREST * macs else "average"
        if how == "flatten" and flat is None:
            raise ValueError(f"split: head='flatten' needs fixed sizes; {tensor.name!r} has {tensor.shape}.")
        x = _vector(x, how, f"{name}_{how}")
    start = keras.initializers.GlorotUniform(seed=seed)
    y = keras.layers.Dense(classes, activation=activation, kernel_initializer=start, name=name)(x)
    return keras.Model(inputs, y, name=f"{name}_head")


def _vector(x, how: str, name: str):
    """Turns the features of each sample into one vector."""
    if how == "flatten":
        return keras.layers.Flatten(name=name)(x)
    if len(x.shape) == 3:
        return keras.layers.GlobalAveragePooling1D(name=name)(x)
    if len(x.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(name=name)(x)
    return keras.layers.GlobalAveragePooling3D(name=name)(x)


def apply(head: keras.Model, x):
    """Applies the layers of a head to a tensor."""
    for layer in head.layers[1:]:
        x = layer(x)
    return x
