"""One writer at a time in a folder, and no leftovers of writers that were killed.

A writer holds a lock on the folder while it moves finished files into place. Its temporary files and folders carry a
lock of their own for as long as it lives: the system drops that lock when the process ends, however it ends, so that
the next writer can tell what is left over from what is being written.
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
except ImportError:  # no locks on this system: nothing is cleaned, for nobody can tell who lives
    fcntl = None

PREFIX, MARK = ".tfcompress-", ".tmp"
# A stopped process may hold a folder; nobody waits for it longer than this.
PATIENCE_SECONDS = 10.0

_held = threading.local()


@contextlib.contextmanager
def locked_folder(folder: str | os.PathLike) -> Iterator[None]:
    """Lets one writer at a time into a folder, and removes what killed ones left there.

    Args:
        folder: The folder; it must exist. On file systems without locks nobody is kept out. A thread that has it
            gets it again.
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
    """Makes a file under a name that nobody else has and that fits every file system.

    Args:
        folder: Where.
        mode: Permissions before the umask.
        suffix: End of the name.

    Returns:
        Path and handle. The file counts as living until the handle is closed.
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
    """Like `temporary_file`, a folder; the handle is None where folders can't be opened."""
    while True:
        path = os.path.join(os.fspath(folder), f"{PREFIX}{secrets.token_hex(8)}{MARK}")
        try:
            os.mkdir(path)
        except FileExistsError:
            continue
        handle = _opened(path, os.O_DIRECTORY) if fcntl else None
        if fcntl is None or handle is not None and _claimed(handle):
            return path, handle
        if handle is not None:  # a cleaning neighbour was faster
            os.close(handle)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Removes temporary files and folders whose writers are gone; those of living writers stay."""
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
    with contextlib.suppress(OSError):  # somebody else's, which stays
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        elif stat.S_ISREG(status.st_mode):
            os.unlink(path)


def _claimed(handle: int) -> bool:
    """Whether a fresh file is locked and still there; a cleaner may have come between making and locking it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        return True  # no locks here, so nobody cleans either
    return os.fstat(handle).st_nlink > 0


def _opened(path: str | os.PathLike, flags: int) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | flags | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None


def _try(handle: int) -> bool | None:
    """Whether a lock was free and is ours now; None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _wait(handle: int) -> bool:
    """Whether the lock was had within the time that is waited."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (had := _try(handle)) is False and time.monotonic() < end:
        time.sleep(0.01)
    return bool(had)
