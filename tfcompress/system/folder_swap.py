"""Replaces a folder by a finished new one in one step, so that a whole folder exists at every moment.

Linux exchanges two folders in one step (`renameat2` with RENAME_EXCHANGE), macOS too (`renamex_np` with
RENAME_SWAP). Where neither is available, the files are replaced one after the other inside the folder.
"""

import contextlib
import ctypes
import errno
import os
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence

from tfcompress.system.atomic import Staged, write_files
from tfcompress.system.folder_lock import locked_folder, temporary_folder

_AT_FDCWD, _EXCHANGE = -100, 2
# errors of systems and file systems that cannot exchange folders; EBUSY: the folder is a mount point
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EXDEV, errno.EBUSY, errno.EPERM}


def replace_folder(
    folder: str | os.PathLike,
    files: Mapping[str, bytes],
    beside: Mapping[str | os.PathLike, bytes],
    last: Sequence[str] = (),
) -> None:
    """Writes a folder with exactly these files, and further files beside it.

    A reader finds the old folder or the new one, whole, even if this process is killed. If anything fails, the old
    folder stays, or the one that another writer has put there meanwhile.

    Args:
        folder: the folder, made or replaced; a symbolic link stays and leads to the new one. Missing parent folders
            are made.
        files: the bytes of each file, by path in the folder.
        beside: further files, by path.
        last: paths that are written last where folders can't be exchanged, such as a manifest of the others.

    Raises:
        OSError: if it can't be written.
    """
    folder = os.path.realpath(folder)
    parent = os.path.dirname(folder)
    os.makedirs(parent, exist_ok=True)
    with Staged(beside) as others:
        fresh, handle = temporary_folder(parent)
        try:
            for path, content in files.items():
                place = os.path.join(fresh, path)
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "wb") as file:
                    file.write(content)
            _take_over(folder, fresh)
            with locked_folder(parent):
                if _put(fresh, folder):
                    _finish(others, fresh, folder, handle)
                else:
                    others.move_all()
                    _fill(folder, files, last)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            if handle is not None:
                os.close(handle)


def exchange(one: str, other: str) -> bool:
    """Exchanges two folders in one step.

    Args:
        one: path of the first.
        other: path of the second, on the same file system.

    Returns:
        False if this system or file system cannot.

    Raises:
        OSError: if it could, but not with these.
    """
    call = _system_call()
    if call is None:
        return False
    if call(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), one, None, other)


def _system_call():
    library = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        return lambda a, b: library.renameat2(_AT_FDCWD, a, _AT_FDCWD, b, ctypes.c_uint(_EXCHANGE))
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return lambda a, b: library.renamex_np(a, b, ctypes.c_uint(_EXCHANGE))
    return None


def _put(fresh: str, folder: str) -> bool:
    """Moves the fresh folder to its place; the old one, if any, is then at the path of the fresh one."""
    if not os.path.lexists(folder):
        try:
            os.rename(fresh, folder)
            return True
        except OSError as error:  # a program that does not lock was faster
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    return exchange(fresh, folder)


def _fill(folder: str, files: Mapping[str, bytes], last: Sequence[str]) -> None:
    """Replaces the files of a folder one after the other, then removes all others."""
    for path in files:
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
    for path in sorted(files, key=lambda path: (path in last, list(last).index(path) if path in last else 0)):
        write_files({os.path.join(folder, path): files[path]})
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = os.path.join(place, name)
            if os.path.relpath(path, folder).replace(os.sep, "/") not in files:
                os.remove(path)
        with contextlib.suppress(OSError):  # not empty
            os.rmdir(place)


def _finish(others: Staged, fresh: str, folder: str, handle: int | None) -> None:
    """Moves the files beside the folder; if that fails, restores the old folder unless another writer replaced it."""
    try:
        others.move_all()
    except BaseException:
        if handle is not None and os.path.isdir(fresh) and os.path.samestat(os.fstat(handle), os.stat(folder)):
            exchange(fresh, folder)
        elif handle is not None and not os.path.isdir(fresh):  # there was no folder before
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(handle), os.stat(folder)):
                    os.rename(folder, fresh)
        raise


def _take_over(folder: str, fresh: str) -> None:
    """Gives a new folder the permissions of the old one."""
    with contextlib.suppress(FileNotFoundError):
        os.chmod(fresh, stat.S_IMODE(os.stat(folder).st_mode))
