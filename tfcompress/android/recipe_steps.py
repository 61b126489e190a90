"""Lists the techniques and conversion of a file as steps for a manifest, and titles it in English and Chinese."""

import functools
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from tfcompress.file_formats import FORMATS
from tfcompress.tflite.artifact import Artifact

Step = dict[str, Any]

LANGUAGES = ("en", "zh")
_TITLES = pathlib.Path(__file__).with_name("titles.json")


def steps_of(artifact: Artifact, stored: Sequence[dict[str, Any]] | None = None) -> list[Step]:
    """Returns the techniques and the conversion that made a file, with the settings that are plain values.

    Args:
        artifact: The file; its metadata hold the recipe.
        stored: The recipe as `Recipe.to_json` writes it, for a file whose metadata only name the techniques,
            because a teacher cannot be stored in them. It is used if it lists the same techniques.

    Returns:
        Dictionaries with `op` and settings, in order; the last one is `convert`.

    Example:
        >>> steps_of(artifact)  # doctest: +SKIP
        [{'op': 'prune', 'sparsity': 0.5}, {'op': 'convert', 'mode': 'int8', 'calibration_samples': 256}]
    """
    recipe = artifact.metadata.get("recipe") or []
    names = [_name(entry) for entry in recipe]
    if stored is not None and any(isinstance(entry, str) for entry in recipe):
        if [_name(entry) for entry in stored] == names:
            recipe = stored
    steps = [{"op": name, **_settings(entry)} for name, entry in zip(names, recipe, strict=True)]
    last: Step = {"op": "convert", "mode": str(artifact.metadata.get("mode", "unknown"))}
    if artifact.metadata.get("calibration_samples"):
        last["calibration_samples"] = int(artifact.metadata["calibration_samples"])
    return [*steps, last]


def title_of(steps: Sequence[Step], encrypted: bool = False) -> dict[str, str]:
    """Makes a readable title of a file's steps.

    Args:
        steps: Steps from `steps_of`.
        encrypted: Whether the file is encrypted.

    Returns:
        Texts by language: `en` and `zh`.

    Example:
        >>> title_of([{"op": "prune", "sparsity": 0.5}, {"op": "quantize"}, {"op": "convert", "mode": "int8"}])["en"]
        'int8: pruned 50%, quantized in training'
        >>> sorted(title_of([{"op": "convert", "mode": "int8"}]))
        ['en', 'zh']
    """
    *techniques, conversion = steps
    mode = conversion["mode"]
    words = [(f"technique.{step['op']}", _filled(step)) for step in techniques]
    is_integer = mode in FORMATS and FORMATS[mode].is_integer
    if is_integer and not any(step["op"] == "quantize" for step in techniques):
        words.append(("after training", {}))
    titles = {}
    for language in LANGUAGES:
        tail = _text("between techniques", language).join(_text(word, language, **gaps) for word, gaps in words)
        title = _text(f"mode.{mode}", language) + (
            _text("between head and techniques", language) + tail if tail else ""
        )
        titles[language] = title + (_text("encrypted", language) if encrypted else "")
    return titles


@functools.cache
def texts() -> dict[str, dict[str, str]]:
    """Returns the words of titles, by key and language, as `titles.json` has them."""
    return json.loads(_TITLES.read_text(encoding="utf-8"))


def _text(key: str, language: str, **gaps: str) -> str:
    """Returns a text with its gaps filled; a technique of the user's own has no text and is given by its name."""
    found = texts().get(key)
    return key.partition(".")[2] if found is None else found[language].format(**gaps)


def _filled(step: Step) -> dict[str, str]:
    """Returns the values for the gaps of a technique's text."""
    sparsity = step.get("sparsity")
    share = f" {sparsity:.0%}" if isinstance(sparsity, float) else ""
    return {"share": share, "clusters": f" {step['clusters']}" if "clusters" in step else ""}


def _name(entry: dict[str, Any] | str) -> str:
    """Returns the class name of a technique in lower case, from its configuration or its text."""
    found = entry["class_name"] if isinstance(entry, dict) else re.match(r"\w*", entry)[0]
    return found.lower()


def _settings(entry: dict[str, Any] | str) -> Step:
    """Returns the settings of a technique that are texts or numbers, without the seed."""
    if isinstance(entry, str):
        return {}
    settings = entry["config"].items()
    return {key: value for key, value in settings if key != "seed" and isinstance(value, str | int | float)}
