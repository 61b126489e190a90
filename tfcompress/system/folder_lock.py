"""Locks a folder for one writer at a time, and removes temporary files of writers that were killed.

A writer holds a lock on the folder while it moves finished files into place. Each of its temporary files and folders
has a lock of its own as long as the process lives: the system drops that lock when the process ends, however it ends,
so that the next writer can tell leftovers from files that are being written.
"""

import contextlib
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # no locks on this system: no leftovers are removed, since nothing shows which writers live
    fcntl = None

PREFIX, MARK = ".tfcompress-", ".tmp"
# Longest wait for a folder, which a stopped process may hold.
PATIENCE_SECONDS = 10.0

_held = threading.local()


@contextlib.contextmanager
def locked_folder(folder: str | os.PathLike) -> Iterator[None]:
    """Locks a folder for one writer while the block runs, and removes leftovers of killed writers.

    Args:
        folder: The folder; it must exist. On file systems without locks no writer is kept out. A thread that holds
            the lock gets it again.
    """
    held, name = _held.__dict__.setdefault("folders", set()), os.path.realpath(folder)
    if fcntl is None or name in held:
        yield
        return
    handle = _opened(name, os.O_DIRECTORY)
    held.add(name)
    try:
        if handle is not None and _wait(handle):
            remove_leftovers(name)
        yield
    finally:
        held.discard(name)
        if handle is not None:
            os.close(handle)


def temporary_file(folder: str | os.PathLike, mode: int = 0o666, suffix: str = "") -> tuple[str, int]:
    """Makes a temporary file with a unique name that is valid on every file system.

    Args:
        folder: The folder to make it in.
        mode: Permissions before the umask.
        suffix: End of the name.

    Returns:
        Path and handle. The file is no leftover until the handle is closed.
    """
    while True:
        path = os.path.join(os.fspath(folder), f"{PREFIX}{secrets.token_hex(8)}{MARK}{suffix}")
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), mode)
        except FileExistsError:
            continue
        if _claimed(handle):
            return path, handle
        os.close(handle)


def temporary_folder(folder: str | os.PathLike) -> tuple[str, int | None]:
    """Makes a temporary folder, as `temporary_file` does; the handle is None where folders can't be opened."""
    while True:
        path = os.path.join(os.fspath(folder), f"{PREFIX}{secrets.token_hex(8)}{MARK}")
        try:
            os.mkdir(path)
        except FileExistsError:
            continue
        handle = _opened(path, os.O_DIRECTORY) if fcntl else None
        if fcntl is None or handle is not None and _claimed(handle):
            return path, handle
        if handle is not None:  # another process took it for a leftover and removed it
            os.close(handle)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Removes temporary files and folders whose writers have ended; those of living writers stay."""
    with os.scandir(os.fspath(folder)) as entries:
        names = [entry.path for entry in entries if entry.name.startswith(PREFIX) and MARK in entry.name]
    for path in names:
        handle = _opened(path, getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        if handle is None:
            continue
        try:
            if _try(handle):
                _remove(path, os.fstat(handle))
        finally:
            os.close(handle)


def _remove(path: str, status: os.stat_result) -> None:
    with contextlib.suppress(OSError):  # those of another user stay
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        elif stat.S_ISREG(status.st_mode):
            os.unlink(path)


def _claimed(handle: int) -> bool:
    """Locks a new file; False if another process removed it as a leftover before it was locked."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        return True  # no locks here, so no process removes leftovers either
    return os.fstat(handle).st_nlink > 0


def _opened(path: str | os.PathLike, flags: int) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | flags | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None


def _try(handle: int) -> bool | None:
    """Takes a lock if it is free, and says whether it did; None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _wait(handle: int) -> bool:
    """Waits for a lock up to `PATIENCE_SECONDS`, and says whether it was taken."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (had := _try(handle)) is False and time.monotonic() < end:
        time.sleep(0.01)
    return bool(had)
