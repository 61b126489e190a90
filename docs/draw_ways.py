"""Draws `ways.svg` from the tables of `walkthrough.md`: folders in their order, and the file of each step.

Run it after an edit of the tables: `python docs/draw_ways.py`.
"""

import importlib.util
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
PAGE, PICTURE = HERE / "walkthrough.md", HERE / "ways.svg"
ROW, STEP, LABELS, GAP, TOP = 19, 27, 150, 46, 64
STYLE = """
.page { fill: #fff }
text { font: 12px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600; font-size: 14px }
.dot text { font-size: 11px; fill: #fff; text-anchor: middle }
.row { stroke: #d8dee4 }
.way { fill: none; stroke-width: 2; opacity: .5 }
.fit { fill: #8250df; stroke: #8250df }
.convert { fill: #0969da; stroke: #0969da }
.longest { fill: #1a7f37; stroke: #1a7f37 }
.dot circle { stroke: none }
.dot text { stroke: none }
@media (prefers-color-scheme: dark) { .page { fill: #0d1117 } text { fill: #d1d7e0 } .row { stroke: #3d444d } }
"""


def folders() -> tuple[str, ...]:
    """Folders of the package, each before those that may import it, as the import rule has them."""
    path = HERE.parent / "tests" / "test_import_rule.py"
    spec = importlib.util.spec_from_file_location("import_rule", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ORDER


def tables(page: str) -> dict[str, list[str]]:
    """Heading of a section -> the file of each step of its table."""
    found = {}
    for section in page.split("\n## ")[1:]:
        heading = section.splitlines()[0].strip()
        steps = re.findall(r"^\| \d+ \| `([\w/]+\.py)` \|", section, re.MULTILINE)
        if steps:
            found[heading] = steps
    return found


def drawing(page: str, order: tuple[str, ...]) -> str:
    """The picture as SVG text."""
    rows = order[::-1]
    ways = tables(page)
    titles = ("fit, in time", "convert, in time", "longest chain of calls in a convert")
    width = LABELS + sum(len(steps) * STEP + GAP for steps in ways.values())
    height = TOP + len(rows) * ROW + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<title>The folders of the package in their order, and the files of a fit and of a convert</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}" rx="8"/>',
        '<text x="8" y="24">imports go down</text>',
    ]
    for k, name in enumerate(rows):
        y = _height(k)
        parts.append(f'<line class="row" x1="8" x2="{width - 8}" y1="{y + 9}" y2="{y + 9}"/>')
        parts.append(f'<text x="8" y="{y + 4}">{name}</text>')
    left = LABELS
    for kind, title, steps in zip(("fit", "convert", "longest"), titles, ways.values(), strict=True):
        parts.append(f'<text class="head" x="{left}" y="24">{title}</text>')
        parts += _way(kind, left, [rows.index(file.split("/")[0].removesuffix(".py")) for file in steps])
        left += len(steps) * STEP + GAP
    return "\n".join([*parts, "</svg>", ""])


def _height(row: int) -> int:
    return TOP + row * ROW


def _way(kind: str, left: int, rows: list[int]) -> list[str]:
    """A line through numbered dots, one for each step."""
    places = [(left + 14 + k * STEP, _height(row)) for k, row in enumerate(rows)]
    line = " ".join(f"{x},{y}" for x, y in places)
    dots = [
        f'<g class="dot {kind}"><circle cx="{x}" cy="{y}" r="9"/><text x="{x}" y="{y + 4}">{k}</text></g>'
        for k, (x, y) in enumerate(places, 1)
    ]
    return [f'<polyline class="way {kind}" style="fill:none" points="{line}"/>', *dots]


if __name__ == "__main__":
    PICTURE.write_text(drawing(PAGE.read_text(encoding="utf-8"), folders()), encoding="utf-8")
