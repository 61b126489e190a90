"""What a model file may hold, looked at before anything of it is read: no way out of the file, no size without bytes.

HDF5 datasets may lie in any other file of the machine, links lead to other files, and a few bytes of HDF5 or zip stand
for gigabytes of zeros. None of it is in a file that Keras wrote.
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

# Weights hardly get smaller by packing; those of which nine in ten are zero shrink to about a fifth. Files that claim
# more than this times their own bytes are bombs. Below the free bytes nobody is harmed.
LARGEST_RATIO = 32
FREE_BYTES = 1 << 26
# Configurations of the largest applications of Keras take a few megabytes.
LARGEST_TEXT = 1 << 26
# A nested model adds about three levels; hard links may also lead in circles.
DEEPEST = 100
# Objects in a file: a model of a thousand layers has some ten thousand.
MOST_OBJECTS = 1_000_000

# To start a process and look at headers, and bytes a second that the slowest disk reads.
LONGEST_SECONDS = 30.0
SLOWEST_BYTES = 10_000_000

WEIGHTS = "model.weights.h5"
# What h5py, zipfile, zlib and json raise on damaged bytes.
DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError, RecursionError,
    RuntimeError, TypeError, ValueError, zipfile.BadZipFile,
)  # fmt: skip


def allowed(size: int) -> int:
    """Bytes that a file of this size may unpack to."""
    return max(FREE_BYTES, LARGEST_RATIO * size)


def check_hdf5(file: h5py.File, size: int) -> None:
    """Returns if everything in an HDF5 file lies in it, and is not far larger than it.

    Args:
        file: The open file; nothing but headers is read.
        size: Its bytes.

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
    """Returns if the members of a `.keras` archive are not far larger than it and its weights pass `check_hdf5`.

    Args:
        archive: The open archive.
        size: Its bytes.

    Raises:
        ValueError: If not.
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
    """Reads a member that passed `check_archive`; never more than its stated size.

    Raises:
        KeyError: If there is none of this name.
    """
    entry = archive.getinfo(name)
    with archive.open(entry) as stream:
        return stream.read(entry.file_size)


def check_file(path: str | os.PathLike) -> None:
    """Looks at a model file of either form, or at the folder that an archive was unpacked to.

    This happens in a process of its own: the HDF5 library does not survive every damaged file, and never comes to an
    end with some.

    Args:
        path: Path of anything; what is neither HDF5 nor zip is not looked at.

    Raises:
        ValueError: If it leads out of itself, claims more than it can hold, or is damaged.
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
    """What is wrong with a file, "" if nothing is; asked once for each state of it."""
    if not sys.executable:
        return _fault(path)
    seconds = LONGEST_SECONDS + size / SLOWEST_BYTES
    try:
        child = run_module(__name__, path, seconds)
    except subprocess.TimeoutExpired:
        return f"it is damaged: the HDF5 library did not come to an end with it in {seconds:.0f} s"
    if child.returncode:
        return f"it is damaged: the HDF5 library did not survive it (exit code {child.returncode})"
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
    """The first line of an error's text, or its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:400].rstrip(".")


def _items(group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Everything below a group, with its place; refuses links that are not to objects of the file itself."""
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
