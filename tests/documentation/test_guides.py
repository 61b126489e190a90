"""README, quick start and guides run, block by block, as a reader would run them."""

import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", DOCS / "quickstart.md", DOCS / "recipes.md", *sorted((DOCS / "guides").glob("*.md"))]
# The others take more than some seconds.
FAST = ("custom-layers", "custom-loops")
ROWS = [pytest.param(p, id=p.stem, marks=[] if p.stem in FAST else [pytest.mark.slow]) for p in PAGES]

# Guides train on random numbers for a moment, so a class may differ from file to model.
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore:fidelity")]


@pytest.mark.parametrize("page", ROWS)
def test_page_runs(page, pages, reader):
    found = pages.blocks(page.read_text(encoding="utf-8"))
    assert len(found) > 1
    for block in found:
        reader.run(block)
