"""The table of activation functions: how an integer file computes each, and where the output scale comes from."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from tfcompress.file_formats import INT8
from tfcompress.layer_table.integer_rewrites import (
    BENT,
    PROBABILITY,
    TANH,
    elu,
    log_sigmoid,
    mish,
    selu,
    silu,
    softplus,
    squareplus,
)
from tfcompress.layer_table.registry import present, spec_of
from tfcompress.layer_table.spec import FIXED, FUSE, JOIN, OWN, SIGMOID, SOFTMAX
from tfcompress.validation import checks

LOGARITHM = (-INT8.activations.steps / 16.0, 0.0)  # steps of 1/16


@dataclass(frozen=True)
class ActivationSpec:
    """The row of one activation function: how an integer file computes it.

    Args:
        grid: The origin of the scale of its output, as in `LayerSpec`.
        fixed: Its output range where LiteRT fixes it.
        float_ops: LiteRT operations that stay float where `written` is None or can't be used (inside a loop).
        across: Whether one channel's value depends on the others, so that no channel can be removed.
        written: Its integer rewrite, a function `(x, grid)` as in `LayerSpec`; None where LiteRT runs Keras' own
            operations in int8.
        inside: Names of the values inside the rewrite that need a calibrated range.
        is_positive: Whether its outputs are never negative.
        relu_cap: The largest value of a ReLU that has one.
        probabilities: "softmax" or "sigmoid" where its outputs are such probabilities; None elsewhere.
    """

    grid: str = OWN
    fixed: tuple[float, float] | None = None
    float_ops: tuple[str, ...] = ()
    across: bool = False
    written: Callable | None = None
    inside: tuple[str, ...] = ()
    is_positive: bool = False
    relu_cap: float | None = None
    probabilities: str | None = None


_activations: dict[object, ActivationSpec] = {
    keras.activations.linear: ActivationSpec(FUSE),
    keras.activations.relu: ActivationSpec(FUSE, is_positive=True),
    keras.activations.relu6: ActivationSpec(FUSE, is_positive=True, relu_cap=6.0),
    keras.activations.softmax: ActivationSpec(FIXED, PROBABILITY, across=True, probabilities=SOFTMAX),
    keras.activations.sigmoid: ActivationSpec(FIXED, PROBABILITY, probabilities=SIGMOID),
    keras.activations.tanh: ActivationSpec(FIXED, TANH),
    keras.activations.log_softmax: ActivationSpec(FIXED, LOGARITHM, across=True),
    keras.activations.softplus: ActivationSpec(OWN, written=softplus, inside=(*BENT, "size")),
    keras.activations.mish: ActivationSpec(OWN, written=mish, inside=(*BENT, "size", "softplus")),
    keras.activations.selu: ActivationSpec(OWN, written=selu, inside=(*BENT, "elu")),
    keras.activations.squareplus: ActivationSpec(OWN, written=squareplus, inside=("squares", "root", "sum")),
    keras.activations.silu: ActivationSpec(OWN, written=silu),
    keras.activations.leaky_relu: ActivationSpec(OWN, written=lambda x, grid: grid.bent(x, 0.2)),
    keras.activations.hard_tanh: ActivationSpec(JOIN),
    keras.activations.elu: ActivationSpec(OWN, float_ops=("ELU",), written=elu, inside=BENT),
    keras.activations.log_sigmoid: ActivationSpec(
        OWN, float_ops=("NEG",), written=log_sigmoid, inside=("below", "size")
    ),
}


# Elementwise functions of Keras besides those above, those of `keras.ops` too (whose gelu is another one); a custom
# function is declared with `elementwise`
_EACH = {
    function
    for module in (keras.activations, keras.ops)
    for function in present(
        module,
        "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu",
        "relu6", "soft_shrink", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink", "threshold",
    )
}  # fmt: skip
_NAMED = [getattr(f, "__name__", "") for f, row in _activations.items() if callable(f) and not row.across]
_EACH |= set(present(keras.ops, *_NAMED))


def elementwise(function: Callable) -> Callable:
    """Declares that a custom activation function is elementwise, so that channels in front of it can be pruned.

    Args:
        function: The function that layers are given; usable as a decorator.

    Returns:
        The function.

    Example:
        >>> import keras, tfcompress as tfc
        >>> @tfc.elementwise
        ... def cubed(x):
        ...     return x * x * x
        >>> layers = [keras.layers.Dense(16, activation=cubed, name="d"), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((4,)), *layers])
        >>> tfc.PruneChannels(0.5).apply(model).get_layer("d").units
        8
    """
    checks.function("elementwise", "function", function)
    _EACH.add(function)
    return function


def is_elementwise(function: object) -> bool:
    """Whether an activation function is known to be elementwise, so that channels can be removed."""
    return function in _EACH or (function in _activations and not _activations[function].across)


def activation(layer: object) -> Callable | None:
    """Returns the activation function of a layer; None where there is none, or a linear one.

    Args:
        layer: A layer or operation, of any type.

    Example:
        >>> import keras
        >>> activation(keras.layers.Dense(2, activation="relu")).__name__, activation(keras.layers.Dense(2))
        ('relu', None)
    """
    found = getattr(layer, "activation", None)
    return found if callable(found) and found is not keras.activations.linear else None


def probabilities(layer: object) -> str | None:
    """Returns "softmax" or "sigmoid" where a layer, or its activation function, computes such probabilities."""
    return activation_spec(activation(layer)).probabilities or spec_of(layer).probabilities


def activation_spec(function: object) -> ActivationSpec:
    """Returns the row of an activation function; an unlisted one has an output range of its own."""
    return _activations.get(function, ActivationSpec())
