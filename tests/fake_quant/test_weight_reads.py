"""What a file holds of weights: constants of one value in all channels."""

import keras
import numpy as np
import pytest
from keras import layers

import tfcompress as tfc

ONES = {"bias_initializer": "ones"}


def normalized(x):
    norm = layers.LayerNormalization(gamma_initializer="random_normal", beta_initializer="ones")
    return norm(x)


def folded(x):
    norm = layers.BatchNormalization(beta_initializer="ones", gamma_initializer=keras.initializers.RandomNormal(1.0))
    return norm(layers.Conv1D(4, 3, use_bias=False)(x))


def attended(x):
    return layers.MultiHeadAttention(2, 4, bias_initializer="ones")(x, x)


MADE = {
    "Dense": lambda x: layers.Dense(3, **ONES)(x),
    "Conv1D": lambda x: layers.Conv1D(3, 3, **ONES)(x),
    "Conv2D": lambda x: layers.Conv2D(3, 2, **ONES)(layers.Reshape((8, 2, 4))(x)),
    "DepthwiseConv1D": lambda x: layers.DepthwiseConv1D(3, **ONES)(x),
    "Conv1DTranspose": lambda x: layers.Conv1DTranspose(3, 3, **ONES)(x),
    "BatchNormalization": folded,
    "LayerNormalization": normalized,
    "MultiHeadAttention": attended,
}


FAST = ("Dense", "LayerNormalization")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in MADE])
def test_offsets_of_one_value_fit_the_scale_of_every_channel(name):
    """The converter rounded them for the first channel alone: outputs were 21 to 37 % off."""
    inputs = keras.Input((8, 8))
    model = keras.Model(inputs, MADE[name](inputs))
    x = np.random.default_rng(0).normal(size=(64, 8, 8)).astype("float32")
    artifact = tfc.convert(model, calibration=x, diagnose=False)
    wanted = model.predict(x, verbose=0)
    got = artifact.predict(x)
    spread = np.sqrt(wanted.reshape(-1, wanted.shape[-1]).var(axis=0).mean())
    assert artifact.is_integer
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.05 * spread
