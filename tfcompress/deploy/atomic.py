"""Write files whole or not at all.

Bytes go to a temporary name beside the target and are moved over it with `os.replace`, so that a
reader never sees half a file and an error leaves what was there before.
"""

import os
from collections.abc import Mapping


def write_files(contents: Mapping[str | os.PathLike, bytes]) -> None:
    """Writes one or several files that belong together.

    All temporary files are written before the first target is replaced, so a full disk or a bad
    path changes no target.

    Args:
        contents: the bytes of each file, by path. The folders must exist.

    Raises:
        FileNotFoundError: if a folder does not exist.
        IsADirectoryError: if a path is a folder.
        TypeError: if a value is not bytes.

    Example:
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> write_files({folder / "a.bin": b"one", folder / "b.bin": b"two"})
    >>> sorted(path.name for path in folder.iterdir())
    ['a.bin', 'b.bin']
    """
    targets = {os.fspath(path): content for path, content in contents.items()}
    for path, content in targets.items():
        _check(path, content)
    temporary: dict[str, str] = {}
    try:
        for path, content in targets.items():
            folder, name = os.path.split(path)
            temporary[path] = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
            with open(temporary[path], "wb") as file:
                file.write(content)
        for path in targets:
            os.replace(temporary[path], path)
    finally:
        for name in temporary.values():
            if os.path.exists(name):
                os.remove(name)


def _check(path: str, content: bytes) -> None:
    if not isinstance(content, bytes | bytearray | memoryview):
        raise TypeError(
            f"write_files: the content of each file must be bytes. Received: {path!r} with "
            f"{type(content).__name__}. Encode text with .encode()."
        )
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"The folder {folder!r} does not exist, so {path!r} cannot be written. Create it first."
        )
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path!r} is a folder; give the path of a file in it.")
