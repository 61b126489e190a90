"""Gives names to the artifacts that are measured side by side."""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath, path
from pathlib import PurePath

from tfcompress.text.printable import shown
from tfcompress.tflite.artifact import Artifact

ArtifactLike = Artifact | str | PathLike | bytes
Artifacts = ArtifactLike | Mapping[str, ArtifactLike] | Sequence[ArtifactLike]


def lineup(artifacts: Artifacts) -> dict[str, Artifact]:
    """Returns one or several artifacts by name, in their order.

    Args:
        artifacts: An `Artifact`, a path of a `.tflite` file or its bytes; a list of these; or a
            dictionary from name to one of these. Without a dictionary a path is named after its
            file and, where several files have one name, the folders that tell them apart; other artifacts
            after their mode; a name that comes again gets `-2`, `-3`, ...

    Returns:
        At least one artifact by name.

    Raises:
        TypeError: If something is none of these.
        ValueError: If there is no artifact, a name is empty or no string, or bytes are no
            `.tflite` file.
        FileNotFoundError: If a path does not exist.

    Example:
        >>> lineup([])
        Traceback (most recent call last):
        ...
        ValueError: artifacts: give at least one Artifact, path or bytes. Received: none.
    """
    if isinstance(artifacts, Mapping):
        named = list(artifacts.items())
    elif isinstance(artifacts, Sequence) and not isinstance(artifacts, (str, bytes)):
        named = [(None, artifact) for artifact in artifacts]
    else:
        named = [(None, artifacts)]
    if not named:
        raise ValueError("artifacts: give at least one Artifact, path or bytes. Received: none.")
    result: dict[str, Artifact] = {}
    files = [each for _, each in named if isinstance(each, (str, PathLike))]
    short = dict(zip((fspath(each) for each in files), short_names(files), strict=True))
    for name, given in named:
        if name is not None and not (isinstance(name, str) and name):
            raise ValueError(f"artifacts: names must be non-empty strings. Received: {shown(name)}.")
        artifact = _artifact(given)
        result[_free(name or _name(given, artifact, short), result)] = artifact
    return result


def _artifact(given: ArtifactLike) -> Artifact:
    if isinstance(given, Artifact):
        return given
    if isinstance(given, bytes):
        return Artifact.foreign(given)
    if isinstance(given, (str, PathLike)):
        return Artifact.load(given)
    raise TypeError(
        "artifacts: expected Artifact, a path of a .tflite file, or its bytes. "
        f"Received: {type(given).__name__}. Make an artifact of a model with tfcompress.convert."
    )


def short_names(paths: Sequence[str | PathLike]) -> list[str]:
    """Names files by the last part of their path; files of one name by the shortest ends that tell them apart.

    Args:
        paths: Paths of files.

    Returns:
        A name for each, with "/" between its parts; the same for the same file.

    Example:
        >>> short_names(["out/a/int8.tflite", "out/b/int8.tflite", "out/float.tflite"])
        ['a/int8.tflite', 'b/int8.tflite', 'float.tflite']
    """
    every = [PurePath(path.normpath(fspath(each))).parts for each in paths]
    return ["/".join(parts[-_length(parts, set(every)) :]).replace("//", "/") for parts in every]


def _length(parts: tuple[str, ...], every: set[tuple[str, ...]]) -> int:
    """Returns how many last parts of a path it takes to tell it from all other paths."""
    others = every - {parts}
    return next((n for n in range(1, len(parts)) if all(o[-n:] != parts[-n:] for o in others)), len(parts))


def _name(given: ArtifactLike, artifact: Artifact, short: Mapping[str, str]) -> str:
    if isinstance(given, (str, PathLike)):
        return str(PurePath(short[fspath(given)]).with_suffix(""))
    return str(artifact.metadata.get("mode") or "artifact")


def _free(name: str, taken: Mapping[str, Artifact]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
