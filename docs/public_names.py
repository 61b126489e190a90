"""Writes the API reference of the public names, so that a new name is in it without another edit.

A hook of mkdocs: `api.md` names the place, `tfcompress._HOMES` the names, and the docstring of each folder the heading.
"""

import importlib
import inspect
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLACE = "<!-- public names -->"


def homes() -> dict[str, str | None]:
    """Public name -> the module that has it, as `tfcompress/__init__.py` says."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    return importlib.import_module("tfcompress")._HOMES


def reference(names: dict[str, str | None]) -> str:
    """Markdown that makes mkdocstrings render each name, grouped by the folder it comes from."""
    groups: dict[str, list[str]] = {}
    for name, home in sorted(names.items()):
        groups.setdefault((home or name).split(".")[0], []).append(name)
    parts = []
    for folder, members in groups.items():
        parts.append(f"## {title(folder)}\n")
        parts += [f"::: tfcompress.{name}\n" for name in members]
    return "\n".join(parts)


def title(folder: str) -> str:
    """Heading of a folder or file of the package: what its docstring says it is, up to the colon."""
    path = ROOT / "tfcompress" / folder
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    first = inspect.cleandoc(file.read_text(encoding="utf-8").split('"""')[1]).splitlines()[0]
    return first.split(":")[0].rstrip(".")


def on_page_markdown(markdown: str, page, **_) -> str:
    """Puts the reference where `api.md` asks for it; called by mkdocs for every page."""
    return markdown.replace(PLACE, reference(homes())) if page.file.src_uri == "api.md" else markdown
