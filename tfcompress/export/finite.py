"""Checks that weights, variances, ranges and the outputs on calibration samples are finite before conversion.

A NaN makes converters and delegates fail, up to a crash of the process, and their messages never name the layer.
"""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfcompress.graph.keras_private import float32, full_precision, input_specs, override_attributes
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import FOLD, spec_of

_LARGEST = float(np.finfo(np.float32).max)


def check_weights(model: keras.Model, who: str = "convert") -> None:
    """Raises if a weight is NaN or infinite, or the variance of a BatchNormalization is negative.

    Args:
        model: The model.
        who: Name of the function that checks, for the error.

    Raises:
        ValueError: In that case; the message names layer and weight.
    """
    named, known = [], set()
    for path, op in leaves(model):
        for v in getattr(op, "variables", []):
            named.append((path, v))
            known.add(id(v))
        if spec_of(op).grid == FOLD and op.built:
            _check_variance(path, op, who)
    named += [(v.path.rsplit("/", 1)[0], v) for v in model.variables if id(v) not in known]
    for path, v in named:
        if v.dtype in ("float32", "float16", "bfloat16", "float64"):
            _check_weight(path, v, who)


def _check_weight(path: str, variable, who: str) -> None:
    value = np.asarray(full_precision(variable), "float32")
    bad = ~np.isfinite(value)
    if bad.any():
        count = f"{int(bad.sum())} of {value.size} values are" if value.size > 1 else "its value is"
        raise ValueError(
            f"{who}: weights of layer {path!r} are not finite: {variable.name}: {count} NaN or infinite. If training "
            "diverged, load the weights of an earlier epoch, or train again with a smaller learning rate or "
            "clipnorm=1.0 in the optimizer."
        )


def _check_variance(path: str, norm, who: str) -> None:
    variance = np.asarray(full_precision(norm.moving_variance), "float32")
    low = float(variance.min()) if variance.size else 0.0
    if low + norm.epsilon <= 0:
        raise ValueError(
            f"{who}: moving_variance of layer {path!r} holds {low:g}, and epsilon is {norm.epsilon:g}: their root is "
            "not a number. A variance is never negative: correct the weight, or run some training steps to measure it."
        )


def check_outputs(model: keras.Model, outputs, samples: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Raises if the outputs on calibration samples hold NaN or infinity.

    Args:
        model: The float model.
        outputs: Its outputs for the samples, arrays `(n, ...)` in any structure.
        samples: One dict by input name per sample.

    Raises:
        ValueError: In that case; the message names the first layer whose values are not finite.
    """
    rows = [~np.isfinite(np.asarray(y, "float32")).reshape(len(y), -1).all(axis=1) for y in keras.tree.flatten(outputs)]
    bad = np.logical_or.reduce(rows)
    if not bad.any():
        return
    index = int(np.argmax(bad))
    path = _first_overflow(model, samples[index]) or "unknown"
    raise ValueError(
        f"convert: the model's answer to calibration sample {index} is NaN or infinite ({int(bad.sum())} of {len(bad)} "
        f"samples); the first layer whose values are not finite is {path!r}. Values must fit float32 (below 3.4e38): "
        "look at the weights of that layer and of those before it, and at functions such as log and division."
    )


def _first_overflow(model: keras.Model, sample: Mapping[str, np.ndarray]) -> str | None:
    """Returns the path of the first operation whose outputs are not finite."""
    found: list[str] = []

    def looking(path, call):
        def look(*args, **kwargs):
            outputs = call(*args, **kwargs)
            if not found and not all(map(_finite, keras.tree.flatten(outputs))):
                found.append(path)
            return outputs

        return look

    specs = input_specs(model)
    x = [tf.convert_to_tensor(sample[spec.name]) for spec in keras.tree.flatten(specs)]
    with float32(model), override_attributes([(op, "call", looking(path, op.call)) for path, op in leaves(model)]):
        model.call(keras.tree.pack_sequence_as(specs, x))
    return found[0] if found else None


def _finite(x) -> bool:
    return not tf.is_tensor(x) or not x.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(x)))


def check_ranges(state) -> None:
    """Raises if an activation range is not finite, or wider than float32 can hold.

    Args:
        state: The operation plans of a model, with `ranges`.

    Raises:
        ValueError: In that case; the message names the operation or input.
    """
    for span in state.ranges:
        low, high = (float(np.asarray(full_precision(v))) for v in (span.low, span.high))
        if not np.isfinite([low, high]).all() or high - low > _LARGEST:
            raise ValueError(
                f"convert: the activation range of {span.title or 'an operation'} is ({low:g}, {high:g}), which no "
                "integer scale can hold. Its values were NaN, infinite or too large on the data: look at the weights "
                "of that layer and of those before it, and at functions such as log and division."
            )
