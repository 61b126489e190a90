"""CIFAR-10 comes from the named place or from nowhere, checked; drawn pictures say so."""

import numpy as np
import pytest

from tfcompress.datasets.cifar import load_cifar10


@pytest.fixture
def arrays():
    """A set of the right form and of small size; labels as in Keras, (n, 1)."""
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8),
        "y_train": (np.arange(12, dtype=np.uint8) % 10)[:, None],
        "x_test": rng.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8),
        "y_test": np.arange(5, dtype=np.uint8)[:, None],
    }


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data in the environment, an empty Keras cache, and no network."""
    import socket

    def refuse(*_args, **_kwargs):
        raise OSError("network is unreachable")

    monkeypatch.delenv("TFCOMPRESS_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


def assert_holds(pictures, arrays):
    for part in ("train", "test"):
        assert np.array_equal(getattr(pictures, f"x_{part}"), arrays[f"x_{part}"])
        y = getattr(pictures, f"y_{part}")
        assert y.dtype == np.int64 and np.array_equal(y, arrays[f"y_{part}"].ravel())


@pytest.mark.parametrize("form", ["file", "folder", "subfolder"])
@pytest.mark.parametrize("named_by", ["path", "environment"])
def test_every_form_of_a_place_gives_the_same_arrays(form, named_by, arrays, tmp_path, monkeypatch):
    folder = tmp_path / "set" / ("cifar10" if form == "subfolder" else "")
    folder.mkdir(parents=True)
    np.savez(folder / "cifar10.npz", **arrays)
    place = folder / "cifar10.npz" if form == "file" else tmp_path / "set"
    if named_by == "environment":
        monkeypatch.setenv("TFCOMPRESS_DATA", str(place))
    pictures = load_cifar10(place if named_by == "path" else None)
    assert (pictures.source, pictures.label) == (named_by, "CIFAR-10")
    assert pictures.classes[3] == "cat"
    assert_holds(pictures, arrays)


def test_what_keras_gives_is_taken(arrays, monkeypatch):
    import keras

    parts = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: parts)
    pictures = load_cifar10()
    assert pictures.source == "keras"
    assert_holds(pictures, arrays)


def test_a_named_place_without_data_is_an_error_not_a_fallback(tmp_path):
    with pytest.raises(FileNotFoundError, match="cifar10.npz.*gone"):
        load_cifar10(tmp_path / "gone")


@pytest.mark.parametrize("place", ["empty folder", "file of MNIST"])
def test_an_environment_with_other_data_leaves_the_drawn_pictures_which_say_so(place, tmp_path, monkeypatch, capsys):
    (tmp_path / "mnist.npz").write_bytes(b"not read")
    monkeypatch.setenv("TFCOMPRESS_DATA", str(tmp_path / "mnist.npz" if place == "file of MNIST" else tmp_path))
    pictures = load_cifar10()
    assert pictures.source == "drawn" and "not CIFAR-10" in pictures.label
    assert pictures.x_train.shape == (12_000, 32, 32, 3) and pictures.x_train.dtype == np.uint8
    assert np.bincount(pictures.y_test).tolist() == [200] * 10
    said = capsys.readouterr().err
    assert "DRAWN" in said and "TFCOMPRESS_DATA" in said


@pytest.mark.parametrize(
    "change",
    [
        {"x_train": np.zeros((12, 28, 28), np.uint8)},
        {"x_train": np.zeros((12, 32, 32, 3), np.float32)},
        {"y_test": np.zeros(4, np.uint8)},
        {"y_train": np.full(12, 10, np.uint8)},
        {"x_test": np.zeros((0, 32, 32, 3), np.uint8), "y_test": np.zeros(0, np.uint8)},
        {"y_test": np.zeros(5, np.float32)},
    ],
)
def test_arrays_that_are_not_cifar10_are_refused(change, arrays, tmp_path):
    np.savez(tmp_path / "cifar10.npz", **{**arrays, **change})
    with pytest.raises(ValueError, match="CIFAR-10: [xy]_(train|test)"):
        load_cifar10(tmp_path)


def test_damaged_and_incomplete_files_are_named(arrays, tmp_path):
    (tmp_path / "cifar10.npz").write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match="cifar10.npz"):
        load_cifar10(tmp_path)
    del arrays["y_test"]
    np.savez(tmp_path / "cifar10.npz", **arrays)
    with pytest.raises(ValueError, match="no array y_test"):
        load_cifar10(tmp_path)
