"""The register of the bench's nets, and the samples and blocks they share."""

import keras
import numpy as np
from keras import layers as L

NETS = {}


def net(function):
    """Registers a function `(rng) -> (model, samples)` under its name."""
    if function.__name__ in NETS:
        raise ValueError(f"net: the name {function.__name__!r} is taken. Give the net another one.")
    NETS[function.__name__] = function
    return function


def pictures(rng, side=32, channels=3, count=24):
    """Smooth pictures of 0..1."""
    coarse = rng.random((count, 8, 8, channels))
    at = np.arange(side) * 8 // side
    return np.clip(coarse[:, at][:, :, at] + rng.normal(0, 0.05, (count, side, side, channels)), 0, 1).astype("float32")


def sequences(rng, steps=24, width=8, count=24):
    """Correlated sequences around 0."""
    return np.cumsum(rng.normal(0, 0.3, (count, steps, width)), axis=1).astype("float32")


def tokens(rng, steps=16, vocabulary=60, count=24):
    """Token ids, none of them 0."""
    return rng.integers(1, vocabulary, (count, steps)).astype("int32")


def padding(rng, steps=16, count=24):
    """Padding masks: 1 for the first steps of each row, at least a third of them."""
    lengths = rng.integers(steps // 3, steps + 1, (count, 1))
    return (np.arange(steps)[None] < lengths).astype("int32")


def conv(h, filters, size=3, strides=1, act="relu", **options):
    """Convolution, BatchNormalization, activation."""
    h = L.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, **options)(h)
    h = L.BatchNormalization()(h)
    return L.Activation(act)(h) if act else h


def pooled(h, classes=5):
    """Classifier over the mean of a sequence."""
    return L.Dense(classes)(L.GlobalAveragePooling1D()(h))


def on_pictures(side, rng, layers):
    """A model of pictures: the layers, one after the other, and its samples."""
    h = i = keras.Input((side, side, 3))
    for layer in layers:
        h = layer(h)
    return keras.Model(i, h), pictures(rng, side)


def on_steps(steps, width, rng, layers):
    """A model of sequences: the layers, one after the other, and its samples."""
    h = i = keras.Input((steps, width))
    for layer in layers:
        h = layer(h)
    return keras.Model(i, h), sequences(rng, steps, width)
