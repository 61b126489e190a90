"""What the documentation says of the code is so: files exist, the longest way is measured, the picture is redrawn."""

import gc
import importlib.util
import pathlib
import re
import sys

import keras
import numpy as np
import pytest

import tfcompress as tfc

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS, PACKAGE = ROOT / "docs", ROOT / "tfcompress"
OF_DEVELOPERS = ("walkthrough.md", "layout.md", "extending.md", "glossary.md")
PAGES = [*(DOCS / name for name in OF_DEVELOPERS), ROOT / "CONTRIBUTING.md", ROOT / "tests" / "README.md"]


def module(path):
    """A script that lies beside the documentation, or a test file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


DRAW = module(DOCS / "draw_ways.py")
ORDER = DRAW.folders()


def rank(file):
    """Place of a file's folder in the order; the public face is behind all of them."""
    first = file.split("/")[0].removesuffix(".py")
    return ORDER.index(first) if first in ORDER else len(ORDER)


def section(heading):
    text = (DOCS / "walkthrough.md").read_text(encoding="utf-8")
    return next(part for part in text.split("\n## ") if part.startswith(heading))


def longest_way():
    """The documented steps as (file, function)."""
    return re.findall(r"^\| \d+ \| `([\w/.]+)` \| `(\w+)` \|", section("The longest way"), re.MULTILINE)


def called_from():
    """Files that are documented to call functions from later folders."""
    return set(re.findall(r"^\| `([\w/.]+)` \|", section("Functions that are handed"), re.MULTILINE))


def stacks(work):
    """Runs something and returns every stack of the package's functions in it, each as (file, function) pairs."""
    root, stack, found = f"{pathlib.Path(tfc.__file__).parent}/", [], set()

    def look(frame, event, _):
        file = frame.f_code.co_filename
        if file.startswith(root):
            if event == "call":
                stack.append((file.removeprefix(root), frame.f_code.co_name))
                found.add(tuple(stack))
            elif event == "return" and stack:
                stack.pop()

    gc.collect()  # what other tests left would end in the middle of the work
    gc.disable()
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return found


def entries(stack):
    """A stack with one entry for each change of the file."""
    return [step for k, step in enumerate(stack) if not k or stack[k - 1][0] != step[0]]


def goes_up(stack):
    return any(rank(after[0]) > rank(before[0]) for before, after in zip(stack, stack[1:], strict=False))


@pytest.fixture(scope="module")
def measured():
    """The stacks of a training, and of two conversions: with trained ranges and with calibrated ones."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    x = np.random.default_rng(0).random((32, 8, 8, 1), "float32")
    plain = keras.models.clone_model(model)
    model.compile("adam", "mse")
    compression = tfc.Compression([tfc.Prune(0.5), tfc.Quantize("int8")], verbose=0)
    fit = stacks(lambda: model.fit(x, np.zeros((32, 3)), batch_size=16, verbose=0, callbacks=[compression]))
    trained = stacks(lambda: tfc.convert(model, calibration=x, diagnose=False))
    calibrated = stacks(lambda: tfc.convert(plain, calibration=x, diagnose=False))
    return fit, trained | calibrated


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w.]+/)+[\w.]*)[:`]", text))
    assert named
    lost = [name for name in named if "<" not in name and not any((top / name).exists() for top in (ROOT, PACKAGE))]
    assert lost == []


def test_the_layout_lists_the_folders_in_the_order_of_the_import_rule():
    table = (DOCS / "layout.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)(?:/|\.py)`", row)]
    assert tuple(listed) == ORDER


def test_the_documented_way_never_goes_back_up():
    way = longest_way()
    assert way[0] == ("conversion/convert.py", "convert")
    assert len(way) > 5
    assert not goes_up(way)


def test_the_documented_way_is_taken_and_no_other_is_longer(measured):
    conversions = [stack for stack in measured[1] if stack[0][1] == "convert" and not goes_up(stack)]
    way = longest_way()
    assert max(len(entries(stack)) for stack in conversions) == len(way)
    files = [file for file, _ in way]
    same = [stack for stack in conversions if [file for file, _ in entries(stack)] == files]
    assert same, "no conversion passes through these files in this order"
    assert any(holds(stack, way) for stack in same), "no conversion passes through these functions"


def holds(stack, way):
    """Whether a stack has the steps of a way, in their order."""
    rest = iter(stack)
    return all(step in rest for step in way)


def test_calls_of_later_folders_are_those_that_are_documented(measured):
    up = set()
    for stack in measured[0] | measured[1]:
        up |= {a[0] for a, b in zip(stack, stack[1:], strict=False) if rank(b[0]) > rank(a[0])}
    assert up - called_from() == set()
    assert len(up) > 3


def test_the_picture_shows_the_tables():
    page = (DOCS / "walkthrough.md").read_text(encoding="utf-8")
    assert DRAW.PICTURE.read_text(encoding="utf-8") == DRAW.drawing(page, ORDER), "run: python docs/draw_ways.py"


def test_every_public_name_is_in_the_reference():
    names = module(DOCS / "public_names.py")
    page = names.reference(names.homes())
    assert [name for name in tfc.__all__ if f"::: tfcompress.{name}\n" not in page] == []
    assert names.PLACE in (DOCS / "api.md").read_text(encoding="utf-8")


def test_docstrings_are_brought_into_the_form_that_the_reference_reads():
    prepared = module(DOCS / "docstrings.py").prepared if importlib.util.find_spec("griffe") else None
    if prepared is None:
        pytest.skip("griffe is not installed (extra `docs`)")
    assert prepared("A.\n\nExample:\n    >>> 1\n    1") == "A.\n\nExamples:\n    >>> 1\n    1"
    assert prepared("Args:\n    a, b: Both.") == "Args:\n    a: Both.\n    b: Both."
