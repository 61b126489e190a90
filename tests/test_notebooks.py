"""The committed notebooks are whole runs of what they show, and read as such; `.ci/run` executes each of them."""

import ast
import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="the notebooks are not beside the tests")


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def outputs(path):
    return [output for cell in cells(path, "code") for output in cell["outputs"]]


def shown_text(path):
    return "".join("".join(output.get("text", "")) for output in outputs(path))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return request.param


def test_it_is_a_whole_run_from_top_to_bottom(notebook):
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.read(notebook, as_version=4))
    counts = [cell["execution_count"] for cell in cells(notebook, "code")]
    assert counts == list(range(1, len(counts) + 1))
    assert [output["output_type"] for output in outputs(notebook) if output["output_type"] == "error"] == []


def test_it_shows_results_and_pictures_but_no_noise_and_no_place_of_the_machine(notebook):
    shown = outputs(notebook)
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert {output.get("name") for output in shown if output["output_type"] == "stream"} == {"stdout"}
    # Names of temporary files and home folders differ from run to run.
    assert re.findall(r"(?:/tmp|/home|/root|/Users)/\S*", shown_text(notebook)) == []


def test_it_proves_an_integer_file(notebook):
    shown = shown_text(notebook)
    assert re.search(r"int8, integer only, [\d,]+ bytes", shown)
    assert re.search(r"same class as the float model on \d+ of \d+ samples|same digit on [\d,]+ of", shown)


def test_it_uses_no_private_name_of_the_library(notebook):
    source = "\n".join("".join(cell["source"]) for cell in cells(notebook, "code"))
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfcompress"):
            found |= {name.name for name in node.names}
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
    assert [name for name in found if name.startswith("_")] == []


def test_readme_names_it(notebook):
    assert f"notebooks/{notebook.name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_executes_every_notebook():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "for notebook in notebooks/*.ipynb" in script and 'jupyter execute --timeout=1200 "$notebook"' in script
