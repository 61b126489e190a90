"""Masks set no range: masked attention in int8 is as near to the float model as attention without a mask."""

import keras
import numpy as np
import pytest
from keras import ops

import tfcompress as tfc

pytestmark = [
    pytest.mark.sampled(4),
    pytest.mark.needs_keras("3.14", rows=["gated heads"]),
    # before, Keras itself fails at the mask of Attention
    pytest.mark.needs_keras("3.12", rows=["attention over padding"]),
]

L = keras.layers
T = 12
RNG = np.random.default_rng(0)
X = (1.5 * RNG.normal(size=(32, T, 16))).astype("float32")
IDS = np.where(np.arange(T) < RNG.integers(4, T + 1, (32, 1)), RNG.integers(1, 30, (32, T)), 0).astype("int32")


def series(function):
    x = keras.Input((T, 16))
    return keras.Model(x, function(x)), X


def words(function):
    x = keras.Input((T,), dtype="int32", name="ids")
    h = L.Embedding(30, 16, mask_zero=True, embeddings_initializer="normal")(x)
    return keras.Model(x, function(h)), IDS


def masked_softmax(x):
    scores = L.Rescaling(0.25)(L.Dot((2, 2))([x, x]))
    return L.Dot((2, 1))([L.Softmax()(scores, np.tril(np.ones((1, T, T), bool))), x])


def given_mask():
    x, ids = keras.Input((T, 16), name="x"), keras.Input((T,), dtype="int32", name="ids")
    y = L.MultiHeadAttention(2, 8)(x, x, attention_mask=ops.expand_dims(ops.not_equal(ids, 0), 1))
    return keras.Model([x, ids], y), {"x": X, "ids": IDS}


CAUSAL = {"use_causal_mask": True}
NETS = {
    "heads": lambda: series(lambda x: L.MultiHeadAttention(2, 8)(x, x, **CAUSAL)),
    "heads that drop": lambda: series(lambda x: L.MultiHeadAttention(2, 8, dropout=0.2)(x, x, **CAUSAL)),
    "gated heads": lambda: series(lambda x: L.MultiHeadAttention(2, 8, use_gate=True)(x, x, **CAUSAL)),
    "grouped heads": lambda: series(lambda x: L.GroupQueryAttention(8, 4, 2)(x, x, **CAUSAL)),
    "attention": lambda: series(lambda x: L.Attention(use_scale=True)([x, x], **CAUSAL)),
    "summed attention": lambda: series(lambda x: L.AdditiveAttention()([x, x], **CAUSAL)),
    "softmax": lambda: series(masked_softmax),
    "padding": lambda: words(lambda h: L.MultiHeadAttention(2, 8)(h, h)),
    "padding and the past": lambda: words(lambda h: L.MultiHeadAttention(2, 8, dropout=0.1)(h, h, **CAUSAL)),
    "attention over padding": lambda: words(lambda h: L.Attention()([h, h])),
    "mask of one's own": given_mask,
}


def built(name):
    keras.utils.set_random_seed(0)
    model, x = NETS[name]()
    for v in model.trainable_variables:
        if v.path.endswith("bias"):
            v.assign(0.2 * RNG.normal(size=v.shape))
    return model, x


def error(found, wanted):
    return np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std()


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking:UserWarning")
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached to it:UserWarning")
@pytest.mark.parametrize("name", NETS)
def test_an_int8_file_is_near_the_float_model(name):
    model, x = built(name)
    wanted = model.predict(x, verbose=0)
    artifact = tfc.convert(model, calibration=x)
    assert artifact.is_integer
    for on in (True, False):
        assert error(artifact.predict(x, xnnpack=on), wanted) < 0.04
    assert max(p["largest_gap"] for p in artifact.metadata["parity"]) < 5
    scales = [float(np.max(t.scale)) for t in artifact.model.graphs[0].tensors if t.scale is not None]
    assert max(scales) < 1.0  # no scale comes from a mask


@pytest.mark.parametrize("name", ["heads", "grouped heads", "attention", "summed attention", "softmax"])
def test_a_16_bit_file_is_nearer(name):
    model, x = built(name)
    artifact = tfc.convert(model, mode="int16x8", calibration=x)
    assert error(artifact.predict(x), model.predict(x, verbose=0)) < 0.01


def test_training_sees_what_the_file_computes():
    model, x = built("heads")
    wanted = model.predict(x, verbose=0)
    model.compile("sgd", "mse", jit_compile=False)
    compression = tfc.Compression([tfc.Quantize("int8")], verbose=0)
    model.fit(x, wanted, epochs=3, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    assert error(artifact.predict(x), model.predict(x, verbose=0)) < 0.05
    assert error(artifact.predict(x), compression.predict(x)) < 0.02


def test_a_future_value_changes_nothing_before_it():
    model, x = built("heads")
    artifact = tfc.convert(model, calibration=x)
    other = x.copy()
    other[:, -1] = -other[:, -1]
    before, after = artifact.predict(x)[:, :-1], artifact.predict(other)[:, :-1]
    assert np.abs(before - after).max() <= artifact.outputs[0].scale * 1.01


def test_a_plain_softmax_layer_gets_no_operation_more():
    model = keras.Sequential([keras.Input((8,)), L.Dense(4), L.Softmax()])
    artifact = tfc.convert(model, calibration=X.reshape(-1, 8)[:64])
    assert [op.name for op in artifact.model.graphs[0].ops] == ["FULLY_CONNECTED", "SOFTMAX"]
