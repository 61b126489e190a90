"""Checks model files before they are read: refuses links to other files and contents far larger than the file.

HDF5 datasets may be stored in any other file of the machine, links may lead to other files, and a few bytes of HDF5 or
zip may unpack to gigabytes of zeros. Files that Keras wrote contain none of it.
"""

import functools
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator

import h5py

from tfcompress.system.own_process import run_module

# Weights hardly compress; those of which nine in ten are zero shrink to about a fifth. Files that claim to unpack to
# more than this times their own bytes are attacks. Sizes below the free bytes do no harm.
LARGEST_RATIO = 32
FREE_BYTES = 1 << 26
# Configurations of the largest applications of Keras take a few megabytes.
LARGEST_TEXT = 1 << 26
# A nested model adds about three levels; hard links may also lead in circles.
DEEPEST = 100
# Objects in a file: a model of a thousand layers has some ten thousand.
MOST_OBJECTS = 1_000_000

# Time to start a process and read headers, and the bytes per second that the slowest disk reads.
LONGEST_SECONDS = 30.0
SLOWEST_BYTES = 10_000_000

WEIGHTS = "model.weights.h5"
# What h5py, zipfile, zlib and json raise on damaged bytes.
DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError, RecursionError,
    RuntimeError, TypeError, ValueError, zipfile.BadZipFile,
)  # fmt: skip


def allowed(size: int) -> int:
    """Returns the number of bytes that a file of this size may unpack to."""
    return max(FREE_BYTES, LARGEST_RATIO * size)


def check_hdf5(file: h5py.File, size: int) -> None:
    """Checks that everything in an HDF5 file is stored in it, and is not far larger than it.

    Args:
        file: The open file; only headers are read.
        size: Its number of bytes.

    Raises:
        ValueError: If it has an external or virtual dataset, a soft or external link at any level, groups in a
            circle, or datasets that claim more than the file can hold.
    """
    total = 0
    for place, item in _items(file):
        if isinstance(item, h5py.Dataset):
            total += _bytes(place, item)
            if total > allowed(size):
                raise ValueError(
                    f"its weights claim {total:,} bytes and more, the file has {size:,}: at most "
                    f"{allowed(size):,} are read ({place})."
                )


def check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """Checks that the members of a `.keras` archive are not far larger than it and its weights pass `check_hdf5`.

    Args:
        archive: The open archive.
        size: Its number of bytes.

    Raises:
        ValueError: If one of these does not hold.
    """
    entries = archive.infolist()
    for entry in entries:
        if entry.filename.endswith(".json") and entry.file_size > LARGEST_TEXT:
            raise ValueError(f"{entry.filename} has {entry.file_size:,} bytes, at most {LARGEST_TEXT:,} are read.")
    total = sum(entry.file_size for entry in entries)
    if total > allowed(size):
        raise ValueError(f"it unpacks to {total:,} bytes from {size:,}; at most {allowed(size):,} are read.")
    for entry in entries:
        if entry.filename.endswith(".h5"):
            with archive.open(entry) as stream, h5py.File(stream, "r") as file:
                check_hdf5(file, entry.file_size)


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Reads a member of an archive that passed `check_archive`; never more than its stated size.

    Raises:
        KeyError: If there is no member of this name.
    """
    entry = archive.getinfo(name)
    with archive.open(entry) as stream:
        return stream.read(entry.file_size)


def check_file(path: str | os.PathLike) -> None:
    """Checks an HDF5 or `.keras` model file, or the folder that an archive was unpacked to.

    The check runs in a process of its own, because the HDF5 library crashes on some damaged files and hangs on others.

    Args:
        path: Path of anything; files that are neither HDF5 nor zip are not checked.

    Raises:
        ValueError: If it refers to other files, claims more data than it can hold, or is damaged.
    """
    path = os.path.abspath(os.path.join(path, WEIGHTS) if os.path.isdir(path) else path)
    if not os.path.isfile(path) or not (h5py.is_hdf5(path) or zipfile.is_zipfile(path)):
        return
    state = os.stat(path)
    fault = _fault_apart(path, state.st_mtime_ns, state.st_size)
    if fault:
        raise ValueError(f"{path!r} is cut off, damaged or not as Keras writes it: {fault}.")


@functools.lru_cache(maxsize=64)
def _fault_apart(path: str, changed: int, size: int) -> str:
    """Checks a file in a process of its own; returns what is wrong with it, "" if nothing is.

    The result is cached for each modification time and size.
    """
    if not sys.executable:
        return _fault(path)
    seconds = LONGEST_SECONDS + size / SLOWEST_BYTES
    try:
        child = run_module(__name__, path, seconds)
    except subprocess.TimeoutExpired:
        return f"it is damaged: the HDF5 library did not finish reading it in {seconds:.0f} s"
    if child.returncode:
        return f"it is damaged: the HDF5 library crashed on it (exit code {child.returncode})"
    return child.stdout.decode("utf-8")


def _fault(path: str) -> str:
    size = os.path.getsize(path)
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                check_hdf5(file, size)
                _read_all(file)
            return ""
        with open(path, "rb") as stream, zipfile.ZipFile(stream) as archive:
            check_archive(archive, size)
            for entry in archive.infolist():
                if entry.filename.endswith(".h5"):
                    with h5py.File(io.BytesIO(read_member(archive, entry.filename)), "r") as file:
                        _read_all(file)
        return ""
    except DAMAGE as error:
        return first_line(error)


def _read_all(file: h5py.File) -> None:
    for _, item in [("", file), *_items(file)]:
        for name in item.attrs:
            _ = item.attrs[name]
        if isinstance(item, h5py.Dataset):
            _ = item[()]


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:400].rstrip(".")


def _items(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yields everything below a group with its path; refuses links, which Keras never writes."""
    stack, count = [("", group)], 0
    while stack:
        path, here = stack.pop()
        if path.count("/") > DEEPEST:
            raise ValueError(f"its groups lie more than {DEEPEST} deep in each other, or in a circle.")
        for name in here:
            place = f"{path}/{name}"
            link = here.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                kind = "to another file" if isinstance(link, h5py.ExternalLink) else "to another place"
                raise ValueError(f"{place!r} is a link {kind}, which Keras never writes; such files are refused.")
            item = here[name]
            count += 1
            if count > MOST_OBJECTS:
                raise ValueError(f"it has more than {MOST_OBJECTS:,} objects, or groups in a circle.")
            yield place, item
            if isinstance(item, h5py.Group):
                stack.append((place, item))


def _bytes(place: str, dataset: h5py.Dataset) -> int:
    if dataset.external:
        raise ValueError(f"the contents of {place!r} lie in other files; such files are refused.")
    if dataset.is_virtual:
        raise ValueError(f"{place!r} is put together from other datasets; such files are refused.")
    return 0 if dataset.shape is None else dataset.size * max(1, dataset.dtype.itemsize)


if __name__ == "__main__":
    sys.stdout.buffer.write(_fault(sys.argv[1]).encode("utf-8", "backslashreplace"))
