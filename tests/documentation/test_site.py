"""README is short and true, every page is in the menu, links of the repository lead somewhere, pictures are redrawn."""

import importlib.util
import json
import pathlib
import re

import pytest

from tfcompress.cli import main

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (DOCS / "results.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def script(name):
    path = DOCS / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(text):
    """Anchors of a page, made of its headings as the site makes them."""
    found = set(re.findall(r"\{#([\w-]+)\}", text))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
        found.add(re.sub(r"[\s]+", "-", plain))
    return found


def links(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'src="([^"]+)"', text)]
    return [link for link in found if not link.startswith("https://")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1].split("\nhooks:")[0]
    named = re.findall(r"- ([\w/-]+\.md)$", menu, re.MULTILINE)
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_readme_is_read_in_a_minute():
    assert len(README.splitlines()) <= 150
    assert len(re.findall(r"^python3 -m venv .* && pytest", README, re.MULTILINE)) == 1  # what `.ci/run` looks for


def rows_of_figures():
    part = README.split("## What it is worth")[1].split("\n## ")[0]
    return [line for line in part.splitlines() if re.search(r"`[\w]+\.py", line)]


@pytest.mark.parametrize("row", rows_of_figures(), ids=lambda row: row.split("|")[1].strip()[:30])
def test_figures_of_readme_stand_in_the_results_with_their_command(row):
    command = re.findall(r"`(\w+\.py[^`]*)`", row)[-1]
    script_name = command.split()[0]
    assert (ROOT / "tests" / "bench" / script_name).is_file()
    part = next(p for p in RESULTS.split("\n## ") if f"tests/bench/{script_name}" in p)
    figures = re.findall(r"\b\d{1,3}(?:,\d{3})+\b|\b\d+\.\d+\b|\b4[037]\b", row.rsplit("|", 2)[0])
    assert figures
    assert [figure for figure in figures if figure not in part] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_benches_name_files_and_options_that_exist(page):
    for name, options in re.findall(r"python tests/bench/(\w+\.py)([^`\n]*)`", page.read_text(encoding="utf-8")):
        source = (ROOT / "tests" / "bench" / name).read_text(encoding="utf-8")
        assert [option for option in re.findall(r"--[\w-]+", options) if f'"{option}"' not in source] == []


def commands():
    """Each command that a page names in its text or shows in a block, as (command, flags)."""
    found = set()
    for page in PAGES:
        text = re.sub(r"\\\\\n\s*", " ", page.read_text(encoding="utf-8"))
        for name, rest in re.findall(r"(?:^|`)tfcompress ([a-z]+)([^`\n#]*)", text, re.MULTILINE):
            found.add((name, tuple(re.findall(r"--(\w+)", rest))))
    return sorted(found)


@pytest.mark.parametrize(
    ("name", "flags"), [row for row in commands() if row[0] != "makes"]
)  # "tfcompress makes Keras 3 models smaller"
def test_commands_that_pages_name_have_these_flags(name, flags, capsys):
    if name == "compare":  # another name
        name = "report"
    assert main(["tfcompress", name, "--help"]) == 0
    known = set(re.findall(r"--(?:\[no\])?(\w+)", capsys.readouterr().out))
    assert [flag for flag in flags if flag not in known and flag.removeprefix("no") not in known] == []


def test_versions_of_readme_are_those_that_setup_allows():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    tried = re.findall(r"^\| (3\.\d+) \| (2\.\d+) \| (3\.\d+) \|$", README, re.MULTILINE)
    assert len(tried) == 4
    for python, tensorflow, keras_version in tried:
        assert f"Python :: {python}" in setup
        assert f"| {python} | {tensorflow}." in RESULTS and f"| {keras_version}." in RESULTS
    low, high = re.search(r'"keras>=(3\.\d+),<3\.(\d+)"', setup).groups()
    assert tried[0][2] == low and tried[-1][2] == f"3.{int(high) - 1}"


def test_the_picture_shows_the_figures_of_the_reference_models():
    draw = script("draw_overview.py")
    figures = json.loads(draw.FIGURES.read_text(encoding="utf-8"))
    assert draw.PICTURE.read_text(encoding="utf-8") == draw.drawing(figures), "run: python docs/draw_overview.py"
    sizes = {row["file"]: row["bytes"] for row in figures}
    for name in ("float32.tflite", "int8_compressed.tflite"):
        assert (ROOT / "models" / "mnist" / name).stat().st_size == sizes[name]
        assert f"{sizes[name]:,} bytes" in draw.PICTURE.read_text(encoding="utf-8")


def test_the_app_of_the_site_is_the_app():
    app = ROOT / "android_demo" / "docs" / "screenshots" / "draw.png"
    assert (DOCS / "pictures" / "app.png").read_bytes() == app.read_bytes(), "copy it again"
