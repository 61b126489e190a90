"""Atomic writes: a file is written whole or not at all.

Bytes go to a temporary file in the target's folder, which then replaces the target with `os.replace`, so that a
reader never sees half a file, and an error leaves the old file. The file behind a symbolic link
is replaced, not the link; a file keeps its permissions and, where the system allows it, its owner.
Devices and FIFOs are written directly, because replacing one would leave an ordinary file.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping

from tfcompress.system.folder_lock import locked_folder, temporary_file


def write_files(contents: Mapping[str | os.PathLike, bytes]) -> None:
    """Writes one or several files atomically.

    All temporary files are written before the first target is replaced, so a full disk or a bad
    path changes no target.

    Args:
        contents: the bytes of each file, by path. The folders must exist.

    Raises:
        FileNotFoundError: if a folder does not exist.
        IsADirectoryError: if a path is a folder.
        TypeError: if a value is not bytes.
        ValueError: if a path is not valid for a file.

    Example:
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> write_files({folder / "a.bin": b"one", folder / "b.bin": b"two"})
    >>> sorted(path.name for path in folder.iterdir())
    ['a.bin', 'b.bin']
    """
    with Staged(contents) as staged:
        staged.move_all()


class Staged:
    """Files written under temporary names, to be moved to their targets; files never moved are removed.

    Args:
        contents: the bytes of each file, by path.
    """

    def __init__(self, contents: Mapping[str | os.PathLike, bytes]):
        self._waiting: dict[str, tuple[str, int]] = {}
        self._straight: dict[str, bytes] = {}
        targets = {os.fsdecode(os.fspath(path)): content for path, content in contents.items()}
        for path, content in targets.items():
            _check(path, content)
        try:
            for path, content in targets.items():
                if is_written_directly(path):
                    self._straight[path] = content
                else:
                    self._waiting[path] = _written(path, content)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Staged":
        """Returns itself; the files are not moved yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Removes files that were not moved."""
        self.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other writers out of the folders of these files."""
        folders = sorted({os.path.dirname(os.path.realpath(path)) for path in self._waiting})
        with contextlib.ExitStack() as locks:
            for folder in folders:  # in one order everywhere, so that two writers never wait for each other
                locks.enter_context(locked_folder(folder))
            yield

    def move(self, path: str | os.PathLike) -> None:
        """Moves one file to its target; to be called inside `locked`."""
        path = os.fsdecode(os.fspath(path))
        temporary, handle = self._waiting[path]
        os.replace(temporary, os.path.realpath(path))
        del self._waiting[path]
        os.close(handle)

    def link(self, path: str | os.PathLike, other: str | os.PathLike) -> None:
        """Gives one file another, new name in the same folder as well; its move to the target is still to come."""
        temporary, _ = self._waiting[os.fsdecode(os.fspath(path))]
        try:
            os.link(temporary, other)
        except OSError:  # a file system without hard links
            shutil.copyfile(temporary, other)

    def move_all(self) -> None:
        """Writes devices and FIFOs, then moves every file to its target."""
        for path, content in self._straight.items():
            with open(path, "wb", buffering=0) as stream:
                _write(stream.fileno(), content)
        with self.locked():
            for path in list(self._waiting):
                self.move(path)

    def close(self) -> None:
        """Removes files that were not moved."""
        for temporary, handle in self._waiting.values():
            with contextlib.suppress(FileNotFoundError):
                os.remove(temporary)
            os.close(handle)
        self._waiting = {}


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, suffix: str = "") -> Iterator[str]:
    """Makes a write by other code, such as `model.save`, atomic.

    Args:
        path: the target.
        suffix: end of the temporary name, for code that requires one.

    Yields:
        The temporary path to write to; it replaces the target when the block ends without an error.

    Example:
    >>> import pathlib, tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
    >>> with whole_file(target) as temporary:
    ...     _ = pathlib.Path(temporary).write_text("all of it")
    >>> target.read_text()
    'all of it'
    """
    path = os.fsdecode(os.fspath(path))
    _check(path, b"")
    folder = os.path.dirname(os.path.realpath(path))
    if is_written_directly(path):
        folder = "."
    temporary, handle = temporary_file(folder, suffix=suffix)
    try:
        yield temporary
        if is_written_directly(path):
            with open(temporary, "rb") as source, open(path, "wb", buffering=0) as target:
                shutil.copyfileobj(source, target)
            return
        _take_over(path, temporary)
        with locked_folder(folder):
            os.replace(temporary, os.path.realpath(path))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        os.close(handle)


def is_written_directly(path: str | os.PathLike) -> bool:
    """Whether a path must be written directly, not replaced: a device, a FIFO, or an open file such as /dev/stdout.

    Raises:
        OSError: if it is a socket, or the path can't be read.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISSOCK(mode):
        raise OSError(f"{os.fsdecode(path)!r} is a socket, which can't be written; give the path of a file.")
    return not stat.S_ISREG(mode) or _is_handle(os.fsdecode(path))


def _is_handle(path: str) -> bool:
    """Whether a path leads through links to an open file of a process."""
    for _ in range(40):  # as many links as Linux follows
        if not os.path.islink(path):
            return False
        if os.path.realpath(os.path.dirname(path) or ".").startswith("/proc/"):
            return True
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return False


def _written(path: str, content: bytes) -> tuple[str, int]:
    """Writes a temporary file beside the target, with the target's permissions."""
    temporary, handle = temporary_file(os.path.dirname(os.path.realpath(path)))
    try:
        _write(handle, content)
        _take_over(path, temporary)
    except BaseException:
        os.remove(temporary)
        os.close(handle)
        raise
    return temporary, handle


def _write(handle: int, content: bytes) -> None:
    left = memoryview(content).cast("B")
    while left:
        left = left[os.write(handle, left) :]


def _take_over(path: str, temporary: str) -> None:
    """Gives a new file the permissions and owner of the one it replaces."""
    try:
        old = os.stat(path)
    except FileNotFoundError:
        return
    new = os.stat(temporary)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with contextlib.suppress(OSError):  # only root gives files away
            os.chown(temporary, old.st_uid, old.st_gid)
    os.chmod(temporary, stat.S_IMODE(old.st_mode))


def _check(path: str, content: bytes) -> None:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise TypeError(
            f"write_files: the content of each file must be bytes. Received: {path!r} with "
            f"{type(content).__name__}. Encode text with .encode()."
        )
    if not path or "\0" in path:
        raise ValueError(f"{path!r} is no path of a file: it is empty or holds a NUL character.")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder; give the path of a file in it.")
    folder = os.path.dirname(os.path.realpath(path)) if os.path.islink(path) else os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"The folder {folder!r} does not exist, so {path!r} cannot be written. Create it first."
        )
