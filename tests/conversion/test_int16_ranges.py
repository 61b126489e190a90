"""Ranges trained for 16 bits are those of the file, whatever the calibration data say."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.fake_quant.state import CompressionState

L = keras.layers
X = np.random.default_rng(0).normal(size=(128, 8, 8, 2)).astype("float32")


def plain(x):
    return L.Dense(2)(L.Flatten()(L.Conv2D(6, 3, activation="relu", name="c")(x)))


def joined(x):
    h = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, padding="same")(x)))
    g = L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(h))
    h = L.MaxPooling2D()(L.ReLU()(L.Add()([g, h])))
    h = L.Concatenate()([h, L.Conv2D(8, 1, activation="silu")(h)])
    return L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(L.SeparableConv2D(6, 3)(h)))


def trained(net, scheme="int16x8"):
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 2))
    model = keras.Model(x, net(x))
    model.compile("adam", "mse", jit_compile=False)
    compression = tfc.Compression([tfc.Quantize(scheme)], verbose=0)
    y = np.random.default_rng(1).random((128, *model.output.shape[1:]))
    model.fit(X, y, epochs=8, verbose=0, callbacks=[compression])
    return model, compression


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("net", [plain, joined])
def test_poor_calibration_does_not_matter(net):
    model, compression = trained(net)
    artifact = compression.convert(mode="int16x8", calibration=0.1 * X[:50])
    wanted = compression.predict(X)
    assert np.sqrt(np.mean((artifact.predict(X) - wanted) ** 2)) < 0.002 * wanted.std()
    assert max(p["largest_gap"] for p in artifact.metadata["parity"]) < 6
    plain = model.predict(X, verbose=0)
    assert np.sqrt(np.mean((artifact.predict(X) - plain) ** 2)) < 0.15 * plain.std()


def test_the_scales_are_the_trained_ones():
    model, compression = trained(plain)
    artifact = compression.convert(mode="int16x8", calibration=0.1 * X[:50])
    state = CompressionState.of(model)
    bounds = {span.limits()[1] for span in state.ranges}
    scales = {float(t.scale[0]) * 32767 for t in artifact.model.graphs[0].tensors if t.dtype == "int16"}
    assert all(min(abs(s - b) for b in bounds) < 1e-4 * s for s in scales)
    assert any("trained for 16 bits" in note for note in artifact.metadata["notes"])


def test_ranges_of_another_width_are_refused():
    _, compression = trained(plain, "int8")
    with pytest.raises(ValueError, match="8 bits.*int16x8"):
        compression.convert(mode="int16x8", calibration=X[:50])


def test_filters_of_zeros_convert():
    """TensorFlow gives their weights a scale of 0, which was taken for damage: no pruned filter could be converted."""
    model = keras.Sequential([keras.Input((8, 8, 2)), L.Conv2D(6, 3), L.Flatten(), L.Dense(2)])
    kernel, bias = model.layers[0].get_weights()
    kernel[..., 1::2] = 0
    model.layers[0].set_weights([kernel, bias + 0.5])
    artifact = tfc.convert(model, calibration=X, mode="int16x8", diagnose=False)
    wanted = model.predict(X, verbose=0)
    assert np.abs(artifact.predict(X) - wanted).max() < 0.02 * np.abs(wanted).max()
