"""Weights and BatchNormalization statistics as after a training, so that no law holds by chance."""

import keras
import numpy as np


def shake_norms(model, x, rng, shift: float, low: float, high: float) -> None:
    """Sets every moving mean and variance near those of a batch.

    Args:
        model: A built model.
        x: The batch.
        rng: NumPy's generator.
        shift: Deviation of the mean, as a fraction of that of the values.
        low: Smallest factor of the variance.
        high: Largest factor of the variance.
    """
    norms = [op for op in model._flatten_layers() if isinstance(op, keras.layers.BatchNormalization) and op.built]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(x, training=True)
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum = before
        spread = np.sqrt(norm.moving_variance.numpy())
        norm.moving_mean.assign(norm.moving_mean.numpy() + shift * spread * rng.normal(size=spread.shape))
        norm.moving_variance.assign(spread**2 * rng.uniform(low, high, spread.shape))


def shake_constants(model, rng, spread: float) -> None:
    """Moves weights that begin as a constant, as after a training: biases, scales, tables of positions.

    Args:
        model: A built model.
        rng: NumPy's generator.
        spread: Deviation of what is added.
    """
    for variable in model.trainable_variables:
        value = np.asarray(variable)
        if value.size and np.all(value == value.flat[0]):
            variable.assign(value + spread * rng.normal(size=value.shape))
