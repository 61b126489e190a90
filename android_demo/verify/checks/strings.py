"""English and Chinese texts have the same names and the same placeholders."""

import pathlib
import re
import xml.etree.ElementTree as ElementTree

from stagekit import Failed

_PLACEHOLDER = re.compile(r"%(?:\d+\$)?[-#+ 0,(]*\d*(?:\.\d+)?[a-zA-Z%]")


def texts(folder: pathlib.Path) -> dict[str, list[str]]:
    """The texts of a values folder: name to one text, to the items of an array or of a plural."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("*.xml")):
        for element in ElementTree.parse(file).getroot():
            kind, name = element.tag, element.get("name")
            if kind not in ("string", "string-array", "plurals") or element.get("translatable") == "false":
                continue
            if f"{kind} {name}" in found:
                raise Failed(f"{file.name}: {kind} {name} stands there twice")
            items = [element] if kind == "string" else list(element)
            found[f"{kind} {name}"] = ["".join(item.itertext()) for item in items]
    return found


def check(resources: pathlib.Path, languages: tuple[str, ...] = ("zh",)) -> int:
    """The number of texts; raises `Failed` with all differences."""
    base = texts(resources / "values")
    if not base:
        raise Failed(f"{resources}/values holds no texts")
    faults = []
    for language in languages:
        other = texts(resources / f"values-{language}")
        faults += [f"{language} lacks {name}" for name in base if name not in other]
        faults += [f"{language} has {name}, which English lacks" for name in other if name not in base]
        for name in base.keys() & other.keys():
            faults += [f"{language}: {name}: {fault}" for fault in _differences(name, base[name], other[name])]
    if faults:
        raise Failed("\n".join(sorted(faults)))
    return len(base)


def _differences(name: str, ours: list[str], theirs: list[str]) -> list[str]:
    # Languages have different plural forms; each form takes the placeholders of the last, `other`.
    if name.startswith("plurals"):
        wanted = _placeholders(ours[-1])
        return [
            f"{text!r} has other placeholders than {ours[-1]!r}" for text in theirs if _placeholders(text) != wanted
        ]
    if len(ours) != len(theirs):
        return [f"{len(theirs)} items instead of {len(ours)}"]
    pairs = zip(ours, theirs, strict=True)
    return [f"{b!r} has other placeholders than {a!r}" for a, b in pairs if _placeholders(a) != _placeholders(b)]


def _placeholders(text: str) -> list[str]:
    # A percent sign of its own, %%, is text.
    return sorted(found for found in _PLACEHOLDER.findall(text) if found != "%%")
