"""Data come from the named place or from nowhere, whole or not at all, and drawn ones say so."""

import gzip
import struct

import numpy as np
import pytest

from tfcompress.datasets.mnist import load_fashion_mnist, load_mnist

FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


@pytest.fixture
def arrays():
    """A set of the right form and of small size."""
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (12, 28, 28), dtype=np.uint8),
        "y_train": np.arange(12, dtype=np.uint8) % 10,
        "x_test": rng.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        "y_test": np.arange(5, dtype=np.uint8),
    }


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data in the environment and an empty Keras cache."""
    monkeypatch.delenv("TFCOMPRESS_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture
def offline(monkeypatch):
    """Every connection is refused, as on a machine without a network."""
    import socket

    def refuse(*_args, **_kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


def write_idx(folder, arrays, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for part, array in arrays.items():
        header = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        content = header + array.tobytes()
        content = gzip.compress(content) if suffix else content
        (folder / (FILES[part] + suffix)).write_bytes(content)
    return folder


def assert_holds(digits, arrays):
    for split in ("train", "test"):
        x, y = getattr(digits, f"x_{split}"), getattr(digits, f"y_{split}")
        assert x.dtype == np.float32 and x.shape == (*arrays[f"x_{split}"].shape, 1)
        assert np.array_equal(np.rint(x[..., 0] * 255), arrays[f"x_{split}"])
        assert y.dtype == np.int64 and np.array_equal(y, arrays[f"y_{split}"])


@pytest.mark.parametrize("form", ["npz", "folder", "subfolder", "idx.gz", "idx"])
def test_every_form_of_a_path_gives_the_same_arrays(form, arrays, tmp_path):
    if form.startswith("idx"):
        path = write_idx(tmp_path / "set", arrays, suffix=".gz" if form == "idx.gz" else "")
    else:
        folder = tmp_path / "set" / ("mnist" if form == "subfolder" else "")
        folder.mkdir(parents=True)
        np.savez_compressed(folder / "mnist.npz", **arrays)
        path = folder / "mnist.npz" if form == "npz" else tmp_path / "set"
    digits = load_mnist(path)
    assert (digits.source, digits.label) == ("path", "MNIST")
    assert_holds(digits, arrays)


def test_path_before_environment_before_cache(arrays, tmp_path, monkeypatch):
    places = {}
    for count, place in enumerate(("keras/datasets", "environment", "path"), start=1):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        places[place] = {**arrays, "x_test": arrays["x_test"][:count], "y_test": np.arange(count)}
        np.savez(folder / "mnist.npz", **places[place])
    cached = load_mnist()
    assert cached.source == "keras-cache"
    assert_holds(cached, places["keras/datasets"])
    monkeypatch.setenv("TFCOMPRESS_DATA", str(tmp_path / "environment"))
    environment = load_mnist()
    assert environment.source == "environment"
    assert_holds(environment, places["environment"])
    assert_holds(load_mnist(tmp_path / "path"), places["path"])


def test_fashion_mnist_never_mistakes_mnist_files_in_a_shared_root(arrays, tmp_path, monkeypatch):
    write_idx(tmp_path / "root", arrays)  # MNIST's files bear the same names
    swapped = {**arrays, "x_test": 255 - arrays["x_test"]}
    monkeypatch.setenv("TFCOMPRESS_DATA", str(write_idx(tmp_path / "root", arrays)))
    write_idx(tmp_path / "root" / "fashion_mnist", swapped)
    fashion = load_fashion_mnist()
    assert (fashion.source, fashion.label) == ("environment", "Fashion-MNIST")
    assert_holds(fashion, swapped)
    assert_holds(load_mnist(), arrays)
    assert_holds(load_fashion_mnist(tmp_path / "root" / "fashion_mnist"), swapped)


@pytest.mark.parametrize("load", [load_mnist, load_fashion_mnist])
def test_a_named_place_without_data_is_an_error_not_a_fallback(load, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="path names nothing that exists.*gone"):
        load(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte.*empty"):
        load(tmp_path / "empty")
    monkeypatch.setenv("TFCOMPRESS_DATA", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="TFCOMPRESS_DATA"):
        load()


def damage_cut(content):
    return content[: len(content) // 2]


def damage_other(_content):
    return b"<html>404</html>"


@pytest.mark.parametrize("damage", [damage_cut, damage_other])
@pytest.mark.parametrize("form", ["mnist.npz", FILES["x_test"] + ".gz", FILES["y_test"]])
def test_damaged_files_are_named(damage, form, arrays, tmp_path):
    if form == "mnist.npz":
        np.savez(tmp_path / form, **arrays)
    else:
        write_idx(tmp_path, arrays, suffix=".gz" if form.endswith(".gz") else "")
    (tmp_path / form).write_bytes(damage((tmp_path / form).read_bytes()))
    with pytest.raises(ValueError, match="damaged or is not MNIST"):
        load_mnist(tmp_path)


def test_small_files_that_unfold_without_end_are_refused(arrays, tmp_path, monkeypatch):
    from tfcompress.datasets import mnist

    monkeypatch.setattr(mnist, "_LARGEST_IDX", 1000)
    write_idx(tmp_path, arrays)
    with pytest.raises(ValueError, match="unpacks to more than 1,000 bytes"):
        load_mnist(tmp_path)


def test_a_missing_idx_file_is_named(arrays, tmp_path):
    write_idx(tmp_path, arrays)
    (tmp_path / (FILES["y_test"] + ".gz")).unlink()
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte"):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"x_train": np.zeros((12, 32, 32), np.uint8)},
        {"x_train": np.zeros((12, 28, 28), np.float32)},
        {"y_test": np.zeros(4, np.uint8)},
        {"y_train": np.full(12, 10, np.uint8)},
        {"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, np.uint8)},
        {"y_test": np.zeros(5, np.float32)},
    ],
)
def test_arrays_that_are_not_mnist_are_refused(change, arrays, tmp_path):
    np.savez(tmp_path / "mnist.npz", **{**arrays, **change})
    with pytest.raises(ValueError, match="MNIST: [xy]_(train|test)"):
        load_mnist(tmp_path)


def test_pickled_objects_are_never_loaded(tmp_path, arrays):
    np.savez(tmp_path / "mnist.npz", **{**arrays, "y_test": np.array([print], object)})
    with pytest.raises(ValueError, match="damaged or is not MNIST"):
        load_mnist(tmp_path)


def test_without_any_source_digits_are_drawn_and_say_so(offline, capsys):
    digits = load_mnist()
    assert digits.source == "drawn" and "not MNIST" in digits.label
    assert (len(digits.x_train), len(digits.x_test)) == (12_000, 2_000)
    assert "DRAWN" in capsys.readouterr().err


def test_a_cut_download_in_the_cache_is_reported_and_not_used(offline, tmp_path, capsys):
    cache = tmp_path / "keras" / "datasets"
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"PK\x03\x04 half of it")
    assert load_mnist().source == "drawn"
    assert "cache holds no whole MNIST" in capsys.readouterr().err


def test_fashion_mnist_has_no_stand_in(offline):
    with pytest.raises(FileNotFoundError, match="TFCOMPRESS_DATA"):
        load_fashion_mnist()


def test_the_socket_timeout_is_put_back(offline):
    import socket

    before = socket.getdefaulttimeout()
    with pytest.raises(FileNotFoundError):
        load_fashion_mnist()
    assert socket.getdefaulttimeout() == before


def test_the_real_mnist(mnist):
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(mnist.y_test).tolist() == counts
    assert mnist.x_train.shape == (60_000, 28, 28, 1)
    assert 0.130 < mnist.x_train.mean() < 0.131


def test_the_real_fashion_mnist(fashion_mnist):
    assert np.bincount(fashion_mnist.y_test).tolist() == [1000] * 10
    assert fashion_mnist.x_train.shape == (60_000, 28, 28, 1)
    assert 0.285 < fashion_mnist.x_train.mean() < 0.287
