"""Finds out whether activation functions of one's own take each value for itself, by the operations that they call."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.graph.inside.functions import named_arguments_of
from tfcompress.graph.inside.interception import Interception
from tfcompress.graph.keras_private import override_attributes
from tfcompress.layer_table.inner_operation import InnerOperation
from tfcompress.layer_table.lookup import activation, activation_spec, elementwise, is_elementwise, spec_of

_SHAPE = (2, 3, 5)


def declare_elementwise(layers: Iterable[Any]) -> None:
    """Declares the activation functions of layers that take each value for itself, as `tfc.elementwise` does."""
    for layer in layers:
        function = activation(layer)
        if function is None or is_elementwise(function) or activation_spec(function).across:
            continue
        if takes_each_value(function):
            elementwise(function)


def takes_each_value(function: Callable) -> bool:
    """Whether a function computes each value of its result from the value at the same place alone.

    Args:
        function: A function of one tensor. It is run on made-up numbers.

    Example:
        >>> import keras
        >>> from tfcompress.graph.flat.activations import takes_each_value
        >>> takes_each_value(lambda x: x * keras.ops.sigmoid(1.7 * x)), takes_each_value(lambda x: x / keras.ops.sum(x))
        (True, False)
    """
    kept: list[bool] = []

    def look(op, number, f, plain, args, kwargs):
        made = plain(*args, **kwargs)
        row = spec_of(InnerOperation(f.attribute, f.kind, named_arguments_of(f, args, kwargs)))
        sizes = [np.shape(x) for x in keras.tree.flatten((args, kwargs)) if hasattr(x, "shape")]
        is_each = row.flow in ("pass", "merge", "choose") and np.shape(made) == _SHAPE
        kept.append(is_each and all(size in ((), (1,), _SHAPE) for size in sizes))
        return made

    interception = Interception(look, floats_only=False)
    x = tf.constant(np.random.default_rng(0).normal(size=_SHAPE) * 3, "float32")
    try:
        with override_attributes(interception.overrides()), interception.within(function):
            made = np.asarray(function(x))
        alone = np.asarray(function(tf.reshape(x, (-1, 1))))
    except Exception:  # whatever the function raises
        return False
    return all(kept) and made.shape == _SHAPE and np.allclose(made.reshape(-1), alone.reshape(-1), 1e-5, 1e-6)
