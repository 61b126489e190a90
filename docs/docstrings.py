"""Reads the docstrings of the package for the API reference: an extension of Griffe, which mkdocstrings uses."""

import re

import griffe

SECTION = re.compile(r"^(\s*)Example:$", re.MULTILINE)
SEVERAL = re.compile(r"^([ \t]+)(\w+(?:, \w+)+): (.+)$", re.MULTILINE)


def prepared(text: str) -> str:
    """A docstring in the form that Griffe reads: "Examples" is its section, and each argument has a line of its own."""
    text = SECTION.sub(r"\1Examples:", text)
    return SEVERAL.sub(lambda m: "\n".join(f"{m[1]}{name}: {m[3]}" for name in m[2].split(", ")), text)


class Docstrings(griffe.Extension):
    """Prepares every docstring."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Called by Griffe for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = prepared(obj.docstring.value)
