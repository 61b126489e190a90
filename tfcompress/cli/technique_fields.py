"""Reads the public techniques and their fields from their source, so that help needs no TensorFlow.

What a class says of itself is enough: the fields of its dataclass with type and default, and their text under Args.
"""

import ast
import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BASES = ("Technique", "GraphTechnique")  # base classes for authors
_FOLDER = "tfcompress.techniques."
SHARED = ("where", "overrides")  # fields of every technique


@dataclass(frozen=True)
class Field:
    """A field of a technique.

    Attributes:
        name: Its name.
        kind: Its type as it is written, such as "float | None".
        default: Its default.
        text: What the class says of it.
    """

    name: str
    kind: str
    default: Any
    text: str


@dataclass(frozen=True)
class TechniqueFields:
    """A public technique and what can be set of it.

    Attributes:
        name: Name of its class.
        summary: First sentence of its text.
        fields: Its own fields in their order, then `where` and `overrides` where it tells of them.
    """

    name: str
    summary: str
    fields: tuple[Field, ...]


@functools.cache
def read_techniques() -> dict[str, TechniqueFields]:
    """Reads all public techniques.

    Returns:
        Technique by name of its class.

    Example:
        >>> [field.name for field in read_techniques()["Cluster"].fields[:3]]
        ['clusters', 'start', 'per_channel']
    """
    homes = public_homes()
    shared = _own_fields(_class("Technique", homes["Technique"]), {})
    found = {}
    for name, home in homes.items():
        node = _class(name, home) if home.startswith(_FOLDER) and name not in _BASES else None
        if node is not None and {ast.unparse(base) for base in node.bases} & set(_BASES):
            text = ast.get_docstring(node) or ""
            told = _arguments(text)
            others = [Field(f.name, f.kind, f.default, told[f.name]) for f in shared if f.name in told]
            summary = " ".join(text.partition("\n\n")[0].split())
            found[name] = TechniqueFields(name, summary, (*_own_fields(node, told), *others))
    return found


def public_homes() -> dict[str, str]:
    """Returns the module of each public name, as `tfcompress/__init__.py` tells it to editors."""
    tree = ast.parse(_source("tfcompress"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    return {alias.name: str(n.module) for n in block.body if isinstance(n, ast.ImportFrom) for alias in n.names}


@functools.cache
def schedule_names() -> tuple[str, ...]:
    """Returns the names of the schedules, such as "polynomial", that a flag may call."""
    tree = ast.parse(_source("tfcompress.schedules"))
    listed = next(n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__")
    made = {ast.unparse(name) for n in tree.body if isinstance(n, ast.Assign) for name in _parts(n.targets[0])}
    return tuple(name for name in ast.literal_eval(listed.value) if name in made)


def _parts(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple) else [target]


def _source(module: str) -> str:
    """Returns the source of a module without importing it; only the folders above it are imported."""
    spec = importlib.util.find_spec(module)
    loader: Any = None if spec is None else spec.loader
    return loader.get_source(module) if loader is not None else ""


def _class(name: str, home: str) -> Any:
    tree = ast.parse(_source(home))
    return next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)


def _own_fields(node: ast.ClassDef, told: dict[str, str]) -> tuple[Field, ...]:
    told = told or _arguments(ast.get_docstring(node) or "")
    return tuple(
        Field(n.target.id, ast.unparse(n.annotation), _default(n.value), told.get(n.target.id, ""))
        for n in node.body
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    )


def _default(value: ast.expr | None) -> Any:
    if isinstance(value, ast.Call):  # dataclasses.field(default=...)
        value = next((k.value for k in value.keywords if k.arg == "default"), None)
    return None if value is None else ast.literal_eval(value)


def _arguments(text: str) -> dict[str, str]:
    """Returns the text of each argument in the section Args of a docstring."""
    return {name: " ".join(lines) for name, lines in _entries(text.splitlines())}


def _entries(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    begun = False
    name, said = "", list[str]()
    for line in lines:
        if line and not line.startswith(" "):
            begun = line == "Args:"
            continue
        if not begun or not line.strip():
            continue
        if line.startswith("     "):
            said.append(line.strip())
            continue
        if name:
            yield name, said
        name, _, first = line.strip().partition(": ")
        said = [first]
    if name:
        yield name, said
