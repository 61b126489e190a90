"""Data files give arrays in the model's form, or say what is wrong with them."""

import numpy as np
import pytest

from tfcompress.cli.arrays import factor_of, fit_shape, read_arrays

X = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_both_naming_schemes_and_plain_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=[0, 1])
    np.savez(tmp_path / "b.npz", x_train=X, y_train=[0, 1], x_test=X[:1], y_test=[1])
    np.save(tmp_path / "c.npy", X)
    a, b, c = (read_arrays(str(tmp_path / name)) for name in ("a.npz", "b.npz", "c.npy"))
    assert all(np.array_equal(part.x, X) for part in (a, b, c))
    assert a.held_out()[0] is a.x and a.held_out()[1].tolist() == [0, 1]
    assert b.held_out()[0].shape == (1, 3, 4) and b.held_out()[1].tolist() == [1]
    assert c.y is None


def test_scale_turns_bytes_into_fractions(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X, x_test=X)
    data = read_arrays(str(tmp_path / "a.npz"), "1/23")
    assert data.x.dtype == data.x_test.dtype == np.float32
    assert data.x.max() == data.x_test.max() == 1.0
    assert read_arrays(str(tmp_path / "a.npz")).x.dtype == np.uint8  # untouched


@pytest.mark.parametrize("scale, value", [("1/255", 1 / 255), ("0.5", 0.5), ("2", 2.0)])
def test_factors(scale, value):
    assert factor_of(scale) == value


@pytest.mark.parametrize("scale", ["", "a", "1/0", "1:2"])
def test_no_factor(scale):
    with pytest.raises(ValueError, match="--scale must be a number or a fraction"):
        factor_of(scale)


def test_only_the_missing_channel_axis_is_added():
    assert fit_shape(X, (3, 4, 1)).shape == (2, 3, 4, 1)
    assert fit_shape(X[..., None], (3, 4, 1)).shape == (2, 3, 4, 1)
    assert fit_shape(X, (3, 4)).shape == (2, 3, 4)
    assert fit_shape(X, (12,)).shape == (2, 3, 4)  # for the model to refuse


@pytest.mark.parametrize(
    "content, message",
    [
        ({"a": X}, "expected arrays x .*Found: a"),
        ({"x": X, "y": [1]}, "2 inputs have 1 labels"),
        ({"x": X, "y": np.array([print, print], object)}, "is no whole .npz or .npy file"),
    ],
)
def test_wrong_contents(content, message, tmp_path):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(ValueError, match=message):
        read_arrays(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04half", b"\x93NUMPY\x01\x00half", b"text"])
def test_broken_files(content, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="is no whole .npz or .npy file"):
        read_arrays(str(tmp_path / "a.npz"))


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_arrays(str(tmp_path / "a.npz"))
