"""Gives names to the artifacts that are measured side by side."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from tfcompress.text.printable import shown
from tfcompress.tflite.artifact import Artifact

ArtifactLike = Artifact | str | PathLike | bytes
Artifacts = ArtifactLike | Mapping[str, ArtifactLike] | Sequence[ArtifactLike]


def lineup(artifacts: Artifacts) -> dict[str, Artifact]:
    """Returns one or several artifacts by name, in their order.

    Args:
        artifacts: An `Artifact`, a path of a `.tflite` file or its bytes; a list of these; or a
            dictionary from name to one of these. Without a dictionary a path is named after its
            file, other artifacts after their mode; a name that comes again gets `-2`, `-3`, ...

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
    for name, given in named:
        if name is not None and not (isinstance(name, str) and name):
            raise ValueError(f"artifacts: names must be non-empty strings. Received: {shown(name)}.")
        artifact = _artifact(given)
        result[_free(name or _name(given, artifact), result)] = artifact
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


def _name(given: ArtifactLike, artifact: Artifact) -> str:
    if isinstance(given, (str, PathLike)):
        return Path(given).stem
    return str(artifact.metadata.get("mode") or "artifact")


def _free(name: str, taken: Mapping[str, Artifact]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
