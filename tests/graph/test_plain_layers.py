"""Weights that Keras quantized are read back: what the codes stand for."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.graph.clone import copied

L = keras.layers


def quantized(layer, shape, dtype="float32"):
    model = keras.Sequential([keras.Input(shape, dtype=dtype), layer])
    plain = np.asarray(layer.embeddings if isinstance(layer, L.Embedding) else layer.kernel)
    layer.quantize("int8")
    return model, plain


@pytest.mark.slow
@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("layer", "shape", "dtype"),
    [
        (lambda: L.Dense(5, activation="relu"), (8,), "float32"),
        (lambda: L.EinsumDense("abc,cde->abde", (6, 2, 4), bias_axes="de"), (6, 8), "float32"),
        (lambda: L.EinsumDense("abcd,cde->abe", (6, 7)), (6, 2, 4), "float32"),
        (lambda: L.Embedding(9, 6), (4,), "int32"),
    ],
)
def test_the_weights_are_those_of_before_but_for_the_rounding(layer, shape, dtype):
    layer = layer()
    model, plain = quantized(layer, shape, dtype)
    copy = copied(model)[0].layers[-1]
    got = np.asarray(copy.embeddings if isinstance(copy, L.Embedding) else copy.kernel)
    assert got.shape == plain.shape and got.dtype == np.float32 and copy.quantization_mode is None
    assert np.abs(got - plain).max() <= 0.51 * np.abs(plain).max() / 127


def test_a_quantized_model_converts_and_is_not_trained():
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    layer = L.Dense(5)
    model, _ = quantized(layer, (8,))
    wanted = model.predict(x, verbose=0)
    got = tfc.convert(model, calibration=x).predict(x)
    assert np.sqrt(np.mean((got - wanted) ** 2)) <= 0.03 * wanted.std()
    with pytest.raises(ValueError, match=r"Layers \['dense.*'\].*hold codes of Keras"):
        tfc.Compression(tfc.Prune(0.5)).set_model(model)
