"""Sounds are those of `tf.audio.decode_wav` for 16 bits, and on the same scale for other widths."""

import numpy as np
import pytest
import tensorflow as tf

from tfcompress.data_files.reading import read_data

INPUT = [("sound", (50,), "float32")]
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(50,), (50, 1)])
def test_as_tensorflow_decodes_them(shape, tmp_path, sound):
    root = tmp_path / "words"
    lengths = {"no/1.wav": 50, "no/2.WAV": 20, "yes/1.wav": 80}
    for name, length in lengths.items():
        sound(root / name, RANDOM.integers(-(2**15), 2**15, length))
    data = read_data(str(root), [("sound", shape, "float32")])
    expected = [tf.audio.decode_wav((root / name).read_bytes(), 1, 50).audio.numpy().reshape(shape) for name in lengths]
    assert data.x.dtype == np.float32
    np.testing.assert_array_equal(data.x, expected)
    assert data.y.tolist() == [0, 0, 1] and data.classes == ("no", "yes")
    assert data.notes == (
        "words: of 3 sounds 1 were shorter than 50 samples and got zeros behind, 1 were longer and were cut",
    )


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_each_width_is_scaled_to_one(width, tmp_path, sound):
    half = 2 ** (8 * width - 1)
    values = np.array([-half, -half // 2, 0, half // 2, half - 1, 1])
    sound(tmp_path / "a.wav", values + (128 if width == 1 else 0), width)
    data = read_data(str(tmp_path), [("sound", (6,), "float32")])
    np.testing.assert_array_equal(data.x[0], (values / half).astype("float32"))
    assert data.y is None and data.notes == ()


def test_channels_are_averaged(tmp_path, sound):
    values = RANDOM.integers(-(2**15), 2**15, (50, 2))
    sound(tmp_path / "a.wav", values)
    expected = values.mean(axis=1) / 2**15
    np.testing.assert_allclose(read_data(str(tmp_path), INPUT).x[0], expected, rtol=1e-6)


def test_parts_are_read_one_after_the_other(tmp_path, sound):
    for k, name in enumerate(("train/a", "train/b", "test/a", "test/b")):
        sound(tmp_path / name / "1.wav", np.full(50, 1024 * k))
    data = read_data(str(tmp_path), INPUT)
    np.testing.assert_array_equal(data.x[:, 0], np.array([0, 1024], "float32") / 2**15)
    np.testing.assert_array_equal(data.x_test[:, 0], np.array([2048, 3072], "float32") / 2**15)
    assert data.y.tolist() == data.y_test.tolist() == [0, 1]


def test_sample_rates_must_agree(tmp_path, sound):
    sound(tmp_path / "a.wav", np.zeros(50))
    sound(tmp_path / "b.wav", np.zeros(50), rate=8000)
    with pytest.raises(ValueError, match=r"--data=.*: sample rates differ: .*a.wav has 16000 Hz, .*b.wav 8000 Hz"):
        read_data(str(tmp_path), INPUT)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda content: b"no sound", "a.wav cannot be read"),
        (lambda content: b"", "a.wav cannot be read"),
        (lambda content: content[:20] + b"\x03" + content[21:], "a.wav cannot be read: unknown format: 3.*Accepted"),
        (lambda content: content[:-10], "a.wav is cut off or empty: its header says 50 samples, it holds 45"),
    ],
)
def test_damaged_files_are_named(damage, message, tmp_path, sound):
    sound(tmp_path / "a.wav", np.zeros(50))
    (tmp_path / "a.wav").write_bytes(damage((tmp_path / "a.wav").read_bytes()))
    with pytest.raises(ValueError, match=f"--data=.*{message}"):
        read_data(str(tmp_path), INPUT)


@pytest.mark.parametrize("shape", [(None,), (8, 8, 1), (50, 2)])
def test_other_inputs_take_no_sounds(shape, tmp_path, sound):
    sound(tmp_path / "a.wav", np.zeros(50))
    with pytest.raises(ValueError, match="fits an input of fixed shape .*Input 'sound' takes"):
        read_data(str(tmp_path), [("sound", shape, "float32")])
