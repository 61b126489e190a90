"""Reads the JSON file beside a `.tflite` file; what is no metadata of an artifact is left out with a warning."""

import warnings
from collections.abc import Callable
from typing import Any

from tfcompress.system.file_pairs import matching_facts
from tfcompress.validation import strict_json

# Enough for layer names of thousands of operations and curves of sensitivity.
LARGEST_BYTES = 1 << 24


def parse_sidecar(content: bytes) -> Any:
    """Reads the JSON of a sidecar.

    Args:
        content: Bytes of the file.

    Returns:
        Whatever it holds.

    Raises:
        ValueError: If it is no JSON with one reading (see `strict_json.parse`).
    """
    return strict_json.parse(content, largest=LARGEST_BYTES)


def usable_metadata(metadata: dict[str, Any], path: str) -> dict[str, Any]:
    """Returns the metadata without the entries of a wrong type, and warns of those.

    Args:
        metadata: What a sidecar holds as metadata.
        path: Its name, for the warning.

    Returns:
        The other entries; unknown ones stay.
    """
    wrong = [key for key, is_right in _KINDS.items() if key in metadata and not is_right(metadata[key])]
    if wrong:
        warnings.warn(
            f"{path!r}: {', '.join(wrong)} of the metadata {'are' if len(wrong) > 1 else 'is'} of another type and "
            "left out; save the artifact again to renew it.",
            stacklevel=4,
        )
    return {key: value for key, value in metadata.items() if key not in wrong}


def _is_list_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, kinds) for item in value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


# The entries that this package itself reads.
_KINDS: dict[str, Callable[[Any], bool]] = {
    "layers": _are_texts,
    "slim": _is_list_of(dict),
    "surgery": _is_list_of(dict),
    "parity": _is_list_of(dict),
    "recipe": lambda value: value is None or _is_list_of(dict, str)(value),
    "mode": lambda value: isinstance(value, str),
    "versions": _are_texts,
    "calibration_samples": lambda value: value is None or (isinstance(value, int) and not isinstance(value, bool)),
}


def read_sidecar(path: str, text: bytes | None, sha256: str) -> dict[str, Any]:
    """Returns the metadata of the file with this digest; empty with a warning if there are none that can be used."""
    if text is None:
        return {}
    try:
        sidecar = parse_sidecar(text)
        sidecar = matching_facts(sidecar, sha256) or sidecar
        found = sidecar["sha256"]
        metadata = sidecar["metadata"]
    except (ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path!r} is no artifact metadata and was left out ({error!r}).", stacklevel=3)
        return {}
    if found != sha256 or not isinstance(metadata, dict):
        warnings.warn(
            f"{path!r} describes other bytes (sha256 {found!r:.80}, the file has {sha256}) and was left "
            "out; save the artifact again to renew it.",
            stacklevel=3,
        )
        return {}
    return usable_metadata(metadata, path)
