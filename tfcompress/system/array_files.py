"""Reads `.npy` and `.npz` files safely: headers are checked first, which may claim an array of terabytes."""

import os
import tokenize
import zipfile
import zlib
from typing import IO

import numpy as np
from numpy.lib import format as npy

# Pictures and sensor data shrink to a tenth at best; arrays of almost only zeros shrink further, but are small.
LARGEST_RATIO = 100
FREE_BYTES = 1 << 30
_DAMAGE = (
    ArithmeticError, EOFError, LookupError, NotImplementedError, OSError, RuntimeError, SyntaxError, TypeError,
    MemoryError, ValueError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def load_arrays(path: str | os.PathLike) -> np.ndarray | dict[str, np.ndarray]:
    """Reads a `.npy` or `.npz` file of plain arrays.

    Args:
        path: A `.npy` or `.npz` file.

    Returns:
        The array of a `.npy` file, or the arrays of a `.npz` file by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, is damaged, holds Python objects, or its header does not fit the size of
            the file.

    Example:
        >>> import tempfile, os
        >>> path = os.path.join(tempfile.mkdtemp(), "x.npy")
        >>> np.save(path, np.arange(3))
        >>> load_arrays(path)
        array([0, 1, 2])
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as stream:
            if not zipfile.is_zipfile(path):
                return _array(stream, size)
            with zipfile.ZipFile(stream) as archive:
                return _members(archive, size)
    except _DAMAGE as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: is no whole .npz or .npy file of plain arrays: {text[:300]}") from None


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, np.ndarray]:
    entries = archive.infolist()
    total, most = sum(entry.file_size for entry in entries), max(FREE_BYTES, LARGEST_RATIO * size)
    if total > most:
        raise ValueError(f"it unpacks to {total:,} bytes from {size:,}; at most {most:,} are read")
    found = {}
    for entry in entries:
        with archive.open(entry) as stream:
            found[entry.filename.removesuffix(".npy")] = _array(stream, entry.file_size)
    return found


def _array(stream: IO[bytes], size: int) -> np.ndarray:
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"it is of version {version[0]}.{version[1]} of the format; 1.0 and 2.0 are read")
    shape, is_fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if min(shape, default=0) < 0 or not dtype.itemsize:
        raise ValueError(f"no array has the shape {shape} and type {dtype}")
    count = 1
    for length in shape:  # Python's integers: NumPy's would overflow
        count *= int(length)
    left = size - stream.tell()
    if count * dtype.itemsize != left:
        raise ValueError(
            f"its header says {count * dtype.itemsize:,} bytes (shape {shape}, type {dtype}), {left:,} are there"
        )
    values = np.frombuffer(bytearray(stream.read(left)), dtype)
    return values.reshape(shape[::-1]).transpose() if is_fortran else values.reshape(shape)
