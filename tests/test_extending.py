"""The examples of docs/extending.md run, in their order, as a reader would run them."""

import pathlib
import re

import pytest

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "extending.md"
TEXT = PAGE.read_text(encoding="utf-8")
KINDS = (
    "A layer type",
    "A criterion for weights",
    "A criterion for channels",
    "A weight technique",
    "A schedule",
    "A file format",
    "An integer rewrite",
    "A section of a report",
    "A kind of data file",
    "A command",
)


def sections():
    """Heading -> (number of its first line, the code in it), for each section with code."""
    found = {}
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE):
        heading, start = part.splitlines()[0], TEXT[: TEXT.index(part)].count("\n")
        for code in re.finditer(r"^```python\n(.*?)^```", part, re.MULTILINE | re.DOTALL):
            line = start + part[: code.start(1)].count("\n")
            found.setdefault(heading, []).append((line, code[1]))
    return found


def test_every_kind_of_extension_has_an_example():
    assert tuple(sections())[1:] == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_example_runs(kind, unregistered):
    found = sections()
    names = {"__name__": "example"}
    for line, code in [*found["# Extending"], *found[kind]]:
        exec(compile("\n" * line + code, str(PAGE), "exec"), names)
    assert "*Test:*" in TEXT.split(f"## {kind}\n")[1].split("\n## ")[0]
