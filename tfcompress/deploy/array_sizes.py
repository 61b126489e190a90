"""Looks at the sizes that an .npy or .npz file claims before anything of it is read.

A header of 128 bytes can claim terabytes, and a small zip can hold a large array of zeros: NumPy would ask for the
memory at once.
"""

import math
import os
import tokenize
import zipfile
from typing import BinaryIO

import numpy as np

_VERSIONS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Version 3.0, for field names beyond Latin-1, is for structured arrays, which no model takes.
# Longer headers are refused by NumPy too: they take long to read and may crash Python's parser.
_LONGEST_HEADER = 10_000


def check_sizes(stream: BinaryIO) -> None:
    """Makes sure that arrays have as many bytes as they claim, and fit into memory.

    Args:
        stream: An open .npy or .npz file, at its start; it is there again afterwards.

    Raises:
        ValueError: If a claim is wrong or too large, or a header is damaged.
    """
    start = stream.read(6)
    stream.seek(0)
    if start == np.lib.format.MAGIC_PREFIX:
        size = os.fstat(stream.fileno()).st_size
        _check_memory(_check_array(stream, size, "the array"))
    elif start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with zipfile.ZipFile(stream) as archive:
            _check_memory(sum(_check_member(archive, info) for info in archive.infolist()))
    stream.seek(0)


def _check_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    with archive.open(info) as member:
        if member.read(6) != np.lib.format.MAGIC_PREFIX:
            raise ValueError(f"{info.filename!r} in it is no array")
    with archive.open(info) as member:
        return _check_array(member, info.file_size, repr(info.filename))


def _check_array(stream: BinaryIO, size: int, what: str) -> int:
    """Bytes of an array whose file has `size` bytes."""
    version = np.lib.format.read_magic(stream)
    if version not in _VERSIONS:
        raise ValueError(f"{what} has version {version} of the format, read are {tuple(_VERSIONS)}")
    try:
        shape, _, dtype = _VERSIONS[version](stream, max_header_size=_LONGEST_HEADER)
    except (SyntaxError, tokenize.TokenError, RecursionError, MemoryError, TypeError, OverflowError) as error:
        raise ValueError(f"the header of {what} is damaged: {error}") from None
    if dtype.hasobject:
        raise ValueError(f"{what} holds Python objects, which are not read")
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed > size - stream.tell():
        raise ValueError(f"{what} claims shape {shape} of {dtype}, {claimed:,} bytes; the file has {size:,}")
    return claimed


def _check_memory(claimed: int) -> None:
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # this system does not say
        return
    if claimed > there > 0:
        raise ValueError(f"it unfolds to {claimed:,} bytes, and this machine has {there:,} bytes of memory")
