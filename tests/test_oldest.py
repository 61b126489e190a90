"""The versions that are said to work are one statement: setup.py, tests/oldest.txt and the errors agree."""

import ast
import pathlib
import re

from tfcompress.graph import keras_private

ROOT = pathlib.Path(__file__).resolve().parents[1]


def setup_arguments():
    """The literal arguments of setup() in setup.py."""
    calls = [n for n in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
    (call,) = [n for n in calls if getattr(n.func, "id", "") == "setup"]
    literal = (ast.Constant, ast.List)
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords if isinstance(k.value, literal)}


def bounds():
    """Lower and upper bounds of what setup.py asks for, by name."""
    found = {}
    for line in setup_arguments()["install_requires"]:
        name, lowest, above = re.fullmatch(r"([a-z-]+)>=([\d.]+)(?:,<([\d.]+))?", line).groups()
        found[name] = (lowest, above)
    return found


def test_the_oldest_versions_are_the_lower_bounds():
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pinned.keys() == bounds().keys()
    for name, (lowest, _) in bounds().items():
        assert f"{pinned[name]}.".startswith(f"{lowest}."), name


def test_errors_name_the_versions_that_setup_allows():
    lowest, above = bounds()["keras"]
    major, minor = above.split(".")
    assert f"{lowest} to {major}.{int(minor) - 1}" in keras_private.TRIED


def test_the_oldest_python_is_named():
    said = setup_arguments()
    named = [c.rpartition(" ")[2] for c in said["classifiers"] if re.search(r"Python :: 3\.\d+$", c)]
    assert said["python_requires"] == f">={named[0]}"
