"""Arrays are found by x and y, or by the names of the inputs; others are refused with what is missing."""

import numpy as np
import pytest

from tfcompress.data_files.arrays import fit_shape
from tfcompress.data_files.reading import read_data

X = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
INPUT = [("image", (3, 4), "float32")]
TWO = [("a", (3,), "float32"), ("b", (2, 1), "float32")]


def test_both_naming_schemes_the_inputs_name_and_plain_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=[0, 1])
    np.savez(tmp_path / "b.npz", x_train=X, y_train=[0, 1], x_test=X[:1], y_test=[1])
    np.savez(tmp_path / "c.npz", image=X, y=[0, 1])
    np.save(tmp_path / "d.npy", X)
    a, b, c, d = (read_data(str(tmp_path / name), INPUT) for name in ("a.npz", "b.npz", "c.npz", "d.npy"))
    assert all(np.array_equal(part.x, X) for part in (a, b, c, d))
    assert a.held_out()[0] is a.x and a.held_out()[1].tolist() == [0, 1] == c.y.tolist()
    assert b.held_out()[0].shape == (1, 3, 4) and b.held_out()[1].tolist() == [1]
    assert d.y is None and d.name == "d.npy"


def test_several_inputs_by_name(tmp_path):
    arrays = {"a": np.arange(12.0).reshape(4, 3), "b": np.arange(8).reshape(4, 2)}
    np.savez(tmp_path / "a.npz", **arrays, y=[0, 1, 2, 3], other=[1])
    data = read_data(str(tmp_path / "a.npz"), TWO, limit=2)
    np.testing.assert_array_equal(data.x["a"], arrays["a"][[0, 3]])
    np.testing.assert_array_equal(data.x["b"], arrays["b"][[0, 3], :, None])
    assert data.y.tolist() == [0, 3]


def test_inputs_come_before_labels(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 3)), y=np.ones((4, 2, 1)))
    data = read_data(str(tmp_path / "a.npz"), [("x", (3,), "float32"), ("y", (2, 1), "float32")])
    assert set(data.x) == {"x", "y"} and data.y is None


def test_a_limit_is_at_even_distances(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.arange(9)[:, None], x_test=np.arange(3)[:, None], y_test=[0, 1, 2])
    data = read_data(str(tmp_path / "a.npz"), [("x", (1,), "float32")], limit=3)
    assert data.x.ravel().tolist() == [0, 4, 8] and data.y_test.tolist() == [0, 1, 2]


def test_only_the_missing_channel_axis_is_added(tmp_path):
    assert fit_shape(X, (3, 4, 1)).shape == (2, 3, 4, 1)
    assert fit_shape(X[..., None], (3, 4, 1)).shape == (2, 3, 4, 1)
    assert fit_shape(X, (3, 4)).shape == (2, 3, 4)
    np.save(tmp_path / "a.npy", X)
    assert read_data(str(tmp_path / "a.npy"), [("x", (None, 4, 1), "float32")]).x.shape == (2, 3, 4, 1)
    with pytest.raises(ValueError, match=r"the array has the shape \(2, 3, 4\), the model takes \(n, 12\)"):
        read_data(str(tmp_path / "a.npy"), [("x", (12,), "float32")])


@pytest.mark.parametrize(
    "inputs, content, message",
    [
        (INPUT, {"a": X}, "expected arrays x .*or image .*Found: a"),
        (INPUT, {"x": X, "y": [1]}, "2 inputs have 1 labels"),
        (INPUT, {"x_train": X, "x_test": X, "y_test": [1]}, "2 inputs have 1 labels"),
        (INPUT, {"x": X, "y": 1}, "2 inputs have no list of labels"),
        (INPUT, {"x": X[:0]}, "x holds no samples"),
        (INPUT, {"x": X, "y": np.array([print, print], object)}, "is no whole .npz or .npy file"),
        (TWO, {"x": X, "a": X}, "an array for each input, named a, b .*Missing: b. Found: a, x"),
        (TWO, {"a": np.zeros((4, 3)), "b": np.zeros((3, 2))}, "different numbers of samples: {'a': 4, 'b': 3}"),
        (TWO, {"a": np.zeros((4, 3)), "b": np.zeros((4, 2)), "y": [1]}, "4 inputs have 1 labels"),
    ],
)
def test_wrong_contents(inputs, content, message, tmp_path):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(ValueError, match=f"--data.*a.npz: .*{message}"):
        read_data(str(tmp_path / "a.npz"), inputs)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04half", b"\x93NUMPY\x01\x00half", b"text"])
def test_broken_files(content, tmp_path):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="is no whole .npz or .npy file"):
        read_data(str(tmp_path / "a.npz"), INPUT)


def test_one_array_is_not_several_inputs(tmp_path):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(ValueError, match=r"a .npy file serves a model with one input; this one has a, b. Give a .npz"):
        read_data(str(tmp_path / "a.npy"), TWO)
