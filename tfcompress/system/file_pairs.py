"""Writes and reads a file with its JSON sidecar, so that the sidecar always describes the file.

The sidecar names the SHA-256 of its file. While the file is replaced, the sidecar describes both contents,
the new one and, under "previous", the old one: it is written before the file, and the old part is removed after
it. So a reader finds facts for whichever content it got, even if a writer was killed at any point.
"""

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

from tfcompress.system.atomic import Staged, is_written_directly, write_files

_LONGEST_NAME = 255  # bytes, on every file system in common use
_TRIES = 10
_SUFFIX = ".json"


def sidecar_path(path: str | os.PathLike) -> str:
    """Returns the path of a file's sidecar: `path + ".json"`, or a shorter name where that would be too long.

    Example:
    >>> sidecar_path("model.tflite")
    'model.tflite.json'
    """
    folder, name = os.path.split(os.fsdecode(os.fspath(path)))
    raw = os.fsencode(name)
    if len(raw) + len(_SUFFIX) > _LONGEST_NAME:
        name = raw[:200].decode(errors="ignore") + "-" + hashlib.sha256(raw).hexdigest()[:16]
    return os.path.join(folder, name + _SUFFIX)


def write_pair(path: str | os.PathLike, content: bytes, facts: dict[str, Any], text: Callable[[dict], str]) -> None:
    """Writes a file and its sidecar; devices and FIFOs get the content alone.

    Args:
        path: the path of the file; its folder must exist.
        content: the bytes of the file.
        facts: the content of the sidecar; its "sha256" is that of `content`.
        text: a function that makes JSON text of facts.
    """
    path = os.fsdecode(os.fspath(path))
    if is_written_directly(path):
        write_files({path: content})
        return
    sidecars = _sidecars(path)
    with Staged({path: content, **{each: text(facts).encode() for each in sidecars}}) as staged, staged.locked():
        previous = _previous(path, sidecars)
        if previous is not None and previous["sha256"] != facts["sha256"]:
            both = text({**facts, "previous": previous}).encode()
            with Staged(dict.fromkeys(sidecars, both)) as between:
                for each in sidecars:
                    between.move(each)
            staged.move(path)
        for each in sidecars:
            staged.move(each)
        if previous is None or previous["sha256"] == facts["sha256"]:
            staged.move(path)


def read_pair(path: str | os.PathLike) -> tuple[bytes, str, bytes | None]:
    """Reads a file and the sidecar that describes it.

    Args:
        path: the file.

    Returns:
        The bytes of the file; the path of the sidecar; the bytes of the sidecar, None where there is none. The
        sidecar describes the file if both were written by `write_pair`.
    """
    path = os.fsdecode(os.fspath(path))
    before = None
    for _ in range(_TRIES):
        content = _read(path)
        sha256 = hashlib.sha256(content).hexdigest()
        found = [(each, text) for each in _sidecars(path) if (text := _read_if_any(each)) is not None]
        for each, text in found:
            if matching_facts(_parsed(text), sha256) is not None:
                return content, each, text
        if before == (content, found):  # no writer was active, so another try would find the same
            break
        before = content, found
    return (content, *found[0]) if found else (content, sidecar_path(path), None)


def matching_facts(sidecar: Any, sha256: str) -> dict[str, Any] | None:
    """Returns the part of a sidecar that describes the content with a SHA-256; None if none does."""
    for part in (sidecar, sidecar.get("previous") if isinstance(sidecar, dict) else None):
        if isinstance(part, dict) and part.get("sha256") == sha256:
            return part
    return None


def _sidecars(path: str) -> list[str]:
    """Returns the sidecars of a file; for a symbolic link those of its target and, if it exists, of the link."""
    real = sidecar_path(os.path.realpath(path))
    named = sidecar_path(path)
    if not os.path.islink(path) or os.path.realpath(named) == os.path.realpath(real):
        return [named] if not os.path.islink(path) else [real]
    return [real, named] if os.path.exists(named) else [real]


def _previous(path: str, sidecars: list[str]) -> dict[str, Any] | None:
    """Returns the facts about the present content of a file; None if there is no file."""
    content = _read_if_any(path)
    if content is None:
        return None
    sha256 = hashlib.sha256(content).hexdigest()
    for each in sidecars:
        part = matching_facts(_parsed(_read_if_any(each)), sha256)
        if part is not None and isinstance(part.get("metadata"), dict):
            return {"sha256": sha256, "bytes": len(content), "metadata": part["metadata"]}
    return {"sha256": sha256, "bytes": len(content), "metadata": {}}


def _parsed(text: bytes | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):  # a damaged sidecar describes nothing
        return None


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _read_if_any(path: str) -> bytes | None:
    if not os.path.isfile(path):  # reading a FIFO would never end
        return None
    try:
        return _read(path)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return None
