"""What several chapters of a report are made of."""

import keras
import numpy as np
import pytest

from tfcompress.conversion.convert import convert


@pytest.fixture(scope="module")
def made():
    """A model, its int8 file, samples and classes of which four answers count as wrong."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(3, 3, activation="relu", name="conv"),
        layers.Flatten(name="flatten"),
        layers.Dense(3, name="head"),
    ]
    model = keras.Sequential(stack)
    x = np.random.default_rng(0).random((40, 8, 8, 1), "float32")
    y = np.asarray(model(x)).argmax(-1)
    y[:4] = (y[:4] + 1) % 3  # four answers that count as wrong
    return model, convert(model, calibration=x), x, y
