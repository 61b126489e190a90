"""Every XML file of the demo is well-formed."""

import pathlib
import xml.etree.ElementTree as ElementTree

from stagekit import Failed

_BUILT = {"target", "build", "work", ".gradle", ".git"}


def sources(demo: pathlib.Path, pattern: str) -> list[pathlib.Path]:
    """Files that match, without those that a build made."""
    return sorted(p for p in demo.rglob(pattern) if p.is_file() and not _BUILT & set(p.relative_to(demo).parts))


def check(demo: pathlib.Path) -> int:
    """The number of files; raises `Failed` at the first that can't be parsed."""
    files = sources(demo, "*.xml")
    for file in files:
        try:
            ElementTree.parse(file)
        except ElementTree.ParseError as problem:
            raise Failed(f"{file.relative_to(demo)}: {problem}") from problem
    return len(files)
