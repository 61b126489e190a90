"""check_transform: checks a transform of your own."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.transforms.base import FIXED_POINT, Transform
from tfcompress.testing.promises import check_registered, require_promise
from tfcompress.validation import checks


def check_transform(transform: Transform, weight: np.ndarray | None = None) -> None:
    """Checks a transform: shape, fixed point, gradient, state, configuration.

    Args:
        transform: The transform. One that is built already is checked with its state.
        weight: A weight for it, float32; None for random numbers, with as many axes as the transform has letters.

    Raises:
        AssertionError: If something does not hold; the sentence says what.
        TypeError: If it is no transform.

    Example:
        >>> import numpy as np, tfcompress as tfc
        >>> from tfcompress.fake_quant.transforms.mask import Mask
        >>> mask = Mask("io")
        >>> mask.build((2, 2))
        >>> _ = mask.mask.assign([[1.0, 0.0], [0.0, 1.0]])
        >>> tfc.testing.check_transform(mask, np.float32([[1, 2], [3, 4]]))
    """
    if not isinstance(transform, Transform):
        checks.refuse(TypeError, "check_transform", "transform", "an object of a subclass of tfc.Transform", transform)
    who, rng = type(transform).__name__, np.random.default_rng(0)
    if weight is None:
        weight = rng.normal(size=(3, 3, 4, 8)[4 - len(transform.axes or "xyio") :]).astype("float32")
    if not transform.built:
        transform.build(weight.shape)
    value = np.asarray(transform(weight))
    require_promise(value.shape == weight.shape, f"{who}: the shape must stay {weight.shape}. Received: {value.shape}")
    require_promise(np.isfinite(value).all(), f"{who}: it turns finite values into values that are not finite")
    transform.settle(tf.constant(weight))
    if transform.lasting:
        _check_fixed_point(transform, value, who)
    _check_gradient(transform, weight, rng, who)
    wrong = [v.name for v in transform.variables if "float" in v.dtype and v.dtype != "float32"]
    require_promise(not wrong, f"{who}: state must be float32, as self.state makes it. Received: {wrong}")
    require_promise(
        not transform.trainable_variables, f"{who}: state must be no trainable variable; make it by self.state"
    )
    _check_copy(transform, weight, who)


def _check_copy(transform: Transform, weight: np.ndarray, who: str) -> None:
    """Checks that a transform can be made again from its configuration and its saved state."""
    check_registered(type(transform))
    try:
        twin = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(transform))
    except (TypeError, ValueError) as error:
        given = sorted(transform.get_config())
        raise AssertionError(
            f"{who}: get_config must hold every constructor argument; from those that it holds, {given}, the transform "
            "can't be made again"
        ) from error
    require_promise(
        twin.get_config() == transform.get_config(), f"{who}: get_config must hold every constructor argument"
    )
    if not twin.built:
        twin.build(weight.shape)
    stored: dict[str, Any] = {}
    transform.save_own_variables(stored)
    twin.load_own_variables(stored)
    require_promise(
        np.array_equal(np.asarray(twin(weight)), np.asarray(transform(weight))),
        f"{who}: a copy made from its configuration and saved state gives different values",
    )


def _check_fixed_point(transform: Transform, value: np.ndarray, who: str) -> None:
    again = np.asarray(transform(value))
    most, gap = float(np.abs(value).max(initial=0.0)), float(np.abs(again - value).max(initial=0.0))
    require_promise(
        gap <= FIXED_POINT * most,
        f"{who}: a second pass changes values by {gap:.3g}; at most {FIXED_POINT:g} of the largest |w| ({most:.3g}) is "
        "rounding. What is computed from the weight must come out the same from the result, or be stored as state "
        "(`settle`)",
    )
    require_promise(
        np.array_equal(again == 0, value == 0), f"{who}: a second pass changes which values are exactly zero"
    )


def _check_gradient(transform: Transform, weight: np.ndarray, rng: Any, who: str) -> None:
    w, upstream = tf.constant(weight), rng.normal(size=weight.shape).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(w)
        value = transform(w)
        total = tf.reduce_sum(value * upstream)
    slope = tape.gradient(total, w)
    require_promise(
        slope is not None, f"{who}: no gradient reaches the weight. Wrap the rounding in self.straight_through"
    )
    slope, value = np.asarray(slope), np.asarray(value)
    passes = np.isclose(slope, upstream, rtol=1e-5, atol=1e-6) | (slope == 0) & (value == 0)
    require_promise(
        bool(passes.all()),
        f"{who}: the gradient must reach each weight as it is, or be 0 where the value is 0; it does not for "
        f"{int((~passes).sum())} of {passes.size}. Wrap the rounding in self.straight_through",
    )
