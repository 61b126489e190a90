"""What was done to a file, as plain steps for a manifest, and a title made of them in English and Chinese."""

import re
from collections.abc import Sequence
from typing import Any

from tfcompress.tflite.artifact import Artifact

Step = dict[str, Any]

_MODES = {
    "float32": ("float32", "float32"),
    "float16": ("float16 weights", "float16 权重"),
    "dynamic": ("dynamic range", "动态范围量化"),
    "int8": ("int8", "int8"),
    "int16x8": ("int16x8", "int16x8"),
}
_AFTER_TRAINING = ("after training", "训练后量化")
_IN_TRAINING = ("quantized in training", "量化感知训练")


def steps_of(artifact: Artifact, stored: Sequence[dict[str, Any]] | None = None) -> list[Step]:
    """The techniques a file went through and its conversion, with the settings that are plain values.

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
    """A title for people.

    Args:
        steps: What `steps_of` gave.
        encrypted: Whether the file is encrypted.

    Returns:
        Texts by language: `en` and `zh`.

    Example:
        >>> title_of([{"op": "prune", "sparsity": 0.5}, {"op": "quantize"}, {"op": "convert", "mode": "int8"}])["en"]
        'int8: pruned 50%, quantized in training'
        >>> title_of([{"op": "convert", "mode": "int8"}])["zh"]
        'int8：训练后量化'
    """
    *techniques, conversion = steps
    mode = conversion["mode"]
    head = _MODES.get(mode, (mode, mode))
    words = [_words(step) for step in techniques]
    if mode in ("int8", "int16x8") and not any(step["op"] == "quantize" for step in techniques):
        words.append(_AFTER_TRAINING)
    titles = {}
    for place, (language, colon, comma) in enumerate((("en", ": ", ", "), ("zh", "：", "、"))):
        tail = comma.join(word[place] for word in words)
        titles[language] = head[place] + (colon + tail if tail else "")
    if encrypted:
        titles = {"en": titles["en"] + " (encrypted)", "zh": titles["zh"] + "（已加密）"}
    return titles


def _name(entry: dict[str, Any] | str) -> str:
    """Class name of a technique in lower case, of its configuration or of its text."""
    found = entry["class_name"] if isinstance(entry, dict) else re.match(r"\w*", entry)[0]
    return found.lower()


def _settings(entry: dict[str, Any] | str) -> Step:
    """Settings that say something: no gaps, no objects, no seed."""
    if isinstance(entry, str):
        return {}
    settings = entry["config"].items()
    return {key: value for key, value in settings if key != "seed" and isinstance(value, str | int | float)}


def _words(step: Step) -> tuple[str, str]:
    if step["op"] == "prune":
        sparsity = step.get("sparsity")
        share = f" {sparsity:.0%}" if isinstance(sparsity, float) else ""
        return f"pruned{share}", f"剪枝{share}"
    if step["op"] == "cluster":
        clusters = f" {step['clusters']}" if "clusters" in step else ""
        return f"clustered{clusters}", f"聚类{clusters}"
    if step["op"] == "quantize":
        return _IN_TRAINING
    if step["op"] == "distill":
        return "distilled", "蒸馏"
    return step["op"], step["op"]  # a technique of the user's own
