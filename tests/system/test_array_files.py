"""Array files as NumPy writes them; headers that claim what is not there are refused before memory is taken."""

import io
import zipfile

import numpy as np
import pytest

from tfcompress.system.array_files import load_arrays


def header(shape, descr="<f4"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    "x", [np.arange(12.0).reshape(3, 4), np.zeros((0, 3), "u1"), np.float32(3), np.asfortranarray(np.ones((2, 5)))]
)
def test_arrays_come_back(tmp_path, x):
    np.save(tmp_path / "x.npy", x)
    found = load_arrays(tmp_path / "x.npy")
    np.testing.assert_array_equal(found, x)
    assert found.dtype == np.asarray(x).dtype and found.flags.writeable
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", x=x, other=np.arange(3))
        found = load_arrays(tmp_path / "x.npz")
        assert list(found) == ["x", "other"]
        np.testing.assert_array_equal(found["x"], x)


@pytest.mark.parametrize("shape", [(10**12, 4), (2**40, 2**40), (-3, 2), (5,)])
def test_a_header_that_claims_other_bytes_is_refused(tmp_path, shape):
    path = tmp_path / "x.npy"
    path.write_bytes(header(shape) + b"\0" * 16)
    with pytest.raises(ValueError, match="x.npy: is no whole .npz or .npy file.*(says|no array has)"):
        load_arrays(path)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", header(shape) + b"\0" * 16)
    with pytest.raises(ValueError, match="x.npz: is no whole"):
        load_arrays(tmp_path / "x.npz")


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header((1 << 20,), "|u1") + bytes(1 << 20))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # the size after unpacking, in the list at the end
    data[at : at + 4] = (3 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match="unpacks to 3,221,225,472 bytes"):
        load_arrays(path)


def test_objects_and_other_files_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}, 3], object), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        load_arrays(tmp_path / "x.npy")
    for content in (b"", b"PK\x05\x06", b"\x93NUMPY\x01\x00\xff", b"text"):
        (tmp_path / "x.npy").write_bytes(content)
        with pytest.raises(ValueError, match="is no whole"):
            load_arrays(tmp_path / "x.npy")
    with pytest.raises(FileNotFoundError):
        load_arrays(tmp_path / "none.npy")
