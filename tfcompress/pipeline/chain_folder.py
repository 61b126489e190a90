"""Writes the files of a chain and the index that names them, so that they fit each other at every moment.

If the folder holds a chain already, the new files are first written under temporary names, and an index with these
names replaces the old one. Then the files get their usual names, and the index too. A reader finds the complete old
chain or the complete new one, also after a writer was killed at any point.
"""

import contextlib
import os
from collections.abc import Callable, Mapping

from tfcompress.system.atomic import Staged

_ASIDE = ".chain-"


def write_chain(folder: str, files: Mapping[str, bytes], index: str, text: Callable[[dict[str, str]], str]) -> None:
    """Writes the files of a chain and its index.

    Args:
        folder: where; it must exist.
        files: the bytes by file name.
        index: name of the index.
        text: makes the index from the name that each file has.
    """
    paths = {name: os.path.join(folder, name) for name in (*files, index)}
    final = text({name: name for name in files}).encode()
    contents: dict[str | os.PathLike, bytes] = {paths[name]: content for name, content in files.items()}
    with Staged({**contents, paths[index]: final}) as staged, staged.locked():
        if os.path.exists(paths[index]):
            _commit_beside(folder, files, paths, index, text, staged)
        for path in contents:
            staged.move(path)
        staged.move(paths[index])
        _remove_aside(folder)


def _commit_beside(folder, files, paths, index, text, staged: Staged) -> None:
    _remove_aside(folder, keep=paths[index])
    beside = {name: f"{_ASIDE}{os.urandom(8).hex()}.tflite" for name in files}
    for name, other in beside.items():
        staged.link(paths[name], os.path.join(folder, other))
    with Staged({paths[index]: text(beside).encode()}) as between:
        between.move(paths[index])


def _remove_aside(folder: str, keep: str = "") -> None:
    """Removes files with temporary names, except those that an index names."""
    named = ""
    if keep:
        with open(keep, encoding="utf-8", errors="replace") as file:
            named = file.read()
    for name in os.listdir(folder):
        if name.startswith(_ASIDE) and name not in named:
            with contextlib.suppress(OSError):
                os.remove(os.path.join(folder, name))
