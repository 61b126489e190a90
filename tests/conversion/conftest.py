"""Conversions as `convert` makes them, for the tests of its steps."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.conversion.conversion import Conversion
from tfcompress.file_formats import FORMATS
from tfcompress.graph.keras_private import input_triples

L = keras.layers
X = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype("float32")


@pytest.fixture
def x():
    """Samples of the small model."""
    return X


@pytest.fixture
def small():
    """A convolution and a Dense layer, float."""
    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(4, 3, activation="relu", name="conv"), L.Flatten(name="flat"), L.Dense(3, name="head")]
    return keras.Sequential([keras.Input((6, 6, 2), name="x"), *layers])


@pytest.fixture
def conversion_of():
    """Makes the conversion of a model with one input, as `convert` does before its first step."""

    def make(model, mode="int8", samples=X, **options):
        row = FORMATS[mode]
        ((name, _, _),) = input_triples(model)
        asked = {"io": row.io[0], "signature": "serving_default", "scales": "auto"}
        asked |= {"allow_float": (), "leave_float": ()}
        each = None if samples is None else [{name: one[None]} for one in samples]
        return Conversion(model=model, file_format=row, samples=each, **{**asked, **options})

    return make


@pytest.fixture
def trained():
    """Trains a model for one epoch under a quantization scheme, from ranges of the samples."""

    def train(model, x, scheme):
        compression = tfc.Compression(tfc.Quantize(scheme), calibration=x, verbose=0)
        model.compile(keras.optimizers.SGD(0.0), "mse")
        model.fit(x, model.predict(x, verbose=0), batch_size=len(x), verbose=0, callbacks=[compression])
        return model

    return train
