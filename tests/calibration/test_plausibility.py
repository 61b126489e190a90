"""Calibration pictures on another scale than the training's are warned of; others are not."""

import keras
import numpy as np
import pytest
from PIL import Image

import tfcompress as tfc
from tfcompress.calibration.plausibility import scaling_doubt

pytestmark = pytest.mark.sampled(4)

L = keras.layers


@pytest.fixture
def pictures(rng):
    """Four classes of a bright quadrant, pixels of 0..255."""
    y = rng.integers(0, 4, 400)
    x = rng.integers(20, 80, (400, 12, 12, 1)).astype("uint8")
    for k, c in enumerate(y):
        x[k, 6 * (c // 2) : 6 * (c // 2) + 6, 6 * (c % 2) : 6 * (c % 2) + 6] += 100
    return x, y


def trained(x, y, *layers):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(x.shape[1:]), *layers, L.Flatten(), L.Dense(4)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3), loss)
    model.fit(x, y, epochs=8, verbose=0)
    return model


def conv():
    return L.Conv2D(6, 3, strides=2, activation="relu")


def doubt(model, x):
    return scaling_doubt(model, {"x": x.astype("float32")}, model.predict(x, verbose=0), "classes")


def test_pixels_for_a_model_of_0_to_1(pictures):
    x, y = pictures
    model = trained(x / 255.0, y, conv())
    assert "values of 0..255" in doubt(model, x) and "scale=1 / 255" in doubt(model, x)
    assert doubt(model, x / 255.0) == ""


@pytest.mark.slow
def test_a_batch_normalization_knows_both_ways(pictures):
    x, y = pictures
    small = trained(x / 255.0, y, L.Conv2D(6, 3, strides=2), L.BatchNormalization(momentum=0.8), L.ReLU())
    assert "scale=1 / 255" in doubt(small, x) and doubt(small, x / 255.0) == ""
    large = trained(x.astype("float32"), y, L.Conv2D(6, 3, strides=2), L.BatchNormalization(momentum=0.8), L.ReLU())
    assert "scale=255" in doubt(large, x / 255.0) and doubt(large, x) == ""


def test_a_model_that_scales_by_itself(pictures):
    x, y = pictures
    model = trained(x.astype("float32"), y, L.Rescaling(1 / 255), conv())
    assert "scales the input by itself" in doubt(model, x / 255.0)
    assert doubt(model, x) == ""


def test_other_data_are_never_doubted(rng):
    model = keras.Sequential([keras.Input((5,)), L.Dense(3)])
    x = (rng.random((40, 5)) * 255).astype("float32")
    assert scaling_doubt(model, {"x": x}, model.predict(x, verbose=0) * 1000, "classes") == ""


@pytest.mark.parametrize("shape", [(144,), (12, 12)])
def test_raw_pixels_need_a_word_in_every_shape(pictures, shape):
    x, y = pictures
    x = x.reshape(-1, *shape)
    model = trained(x / 255.0, y, L.Flatten(), L.Dense(16, activation="relu"))
    assert "scale=1 / 255" in doubt(model, x) and doubt(model, x / 255.0) == ""
    answers = model.predict(x, verbose=0)
    assert scaling_doubt(model, {"x": x.astype("float32")}, answers, "classes", is_told=True) == ""


def test_raw_sound_needs_a_word(rng):
    model = keras.Sequential([keras.Input((80, 1)), L.Conv1D(4, 9), L.GlobalAveragePooling1D(), L.Dense(2)])
    x = np.round(rng.normal(0, 8000, (20, 80, 1)).clip(-32768, 32767)).astype("float32")
    assert "scale=1 / 32768" in doubt(model, x) and doubt(model, x / 32768.0) == ""


@pytest.mark.e2e
def test_a_folder_is_scaled_as_it_is_told(pictures, tmp_path):
    x, y = pictures
    model = trained(x / 127.5 - 1, y, conv())
    for k in range(40):
        Image.fromarray(x[k, ..., 0]).save(tmp_path / f"{k:02}.png")
    with pytest.warns(UserWarning, match="Pass scale=1 / 255"):
        tfc.convert(model, calibration=tmp_path)
    artifact = tfc.convert(model, calibration=tmp_path, scale=1 / 127.5, offset=-1)
    same = tfc.convert(model, calibration=(x[:40] / 127.5 - 1).astype("float32"))
    assert artifact.inputs[0].scale == pytest.approx(same.inputs[0].scale, rel=1e-6)
    array = tfc.convert(model, calibration=x[:40], scale=1 / 127.5, offset=-1)
    assert array.content == artifact.content


@pytest.mark.parametrize("scale", ["1/255", [1.0], float("nan"), True, 0])
def test_scales_that_are_no_numbers_are_refused(scale, rng):
    model = keras.Sequential([keras.Input((5,)), L.Dense(3)])
    with pytest.raises(ValueError, match="scale must"):
        tfc.convert(model, calibration=rng.random((12, 5)), scale=scale)


def test_whole_numbers_are_not_scaled(rng):
    model = keras.Sequential([keras.Input((5,), dtype="int32"), L.Embedding(9, 4), L.Flatten(), L.Dense(3)])
    with pytest.raises(ValueError, match="takes int32 numbers as they are"):
        tfc.convert(model, calibration=rng.integers(0, 9, (12, 5)), scale=0.5)
    with pytest.raises(ValueError, match="scale must name inputs"):
        tfc.convert(model, calibration=rng.integers(0, 9, (12, 5)), scale={"other": 0.5})
