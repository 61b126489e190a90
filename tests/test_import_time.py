"""`import tfcompress` is quick and takes no framework with it; names come when they are used."""

import ast
import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

import tfcompress

HEAVY = ["tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "numpy"]
PROGRAM = f"""
import json, sys, time
start = time.perf_counter()
import tfcompress
seconds = time.perf_counter() - start
names = dir(tfcompress)
print(json.dumps({{
    "seconds": seconds,
    "heavy": [name for name in {HEAVY} if name in sys.modules],
    "names": names,
}}))
"""


def python(program):
    # tfmot, where another test has imported it, tells all later processes to take tf_keras for Keras
    clean = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=clean)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_quick_and_takes_no_framework():
    answers = [json.loads(python(PROGRAM)) for _ in range(3)]
    assert all(answer["heavy"] == [] for answer in answers)
    assert min(answer["seconds"] for answer in answers) < 0.3  # of three, for a busy machine
    assert set(tfcompress.__all__) <= set(answers[0]["names"])
    assert "__version__" in answers[0]["names"]


@pytest.mark.slow
def test_dir_lists_public_names_alone_also_when_modules_are_imported():
    shown = json.loads(python("import json, tfcompress; tfcompress.Prune; print(json.dumps(dir(tfcompress)))"))
    assert [name for name in shown if not name.startswith("__")] == sorted(tfcompress.__all__)


@pytest.mark.parametrize("name", tfcompress.__all__)
def test_every_public_name_is_there(name):
    value = getattr(tfcompress, name)
    assert value is getattr(tfcompress, name)
    if tfcompress._HOMES[name] is None:
        assert value is importlib.import_module(f"tfcompress.{name}")
    else:
        assert value.__name__ == name
        assert value.__doc__


@pytest.mark.slow
def test_using_every_name_imports_no_tfmot():
    names = [f"tfcompress.{name}" for name in tfcompress.__all__]
    old = "('tensorflow_model_optimization', 'tf_keras')"
    program = f"import sys, tfcompress; {'; '.join(names)}; "
    assert python(program + f"print([m for m in {old} if m in sys.modules])").strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'tfcompress' has no attribute 'Prun'"):
        _ = tfcompress.Prun
    with pytest.raises(ImportError):
        from tfcompress import Prun  # noqa: F401


def test_editors_see_what_runs():
    """The imports under TYPE_CHECKING are the table of public names."""
    tree = ast.parse(pathlib.Path(tfcompress.__file__).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    seen = {alias.asname: (node.module, alias.name) for node in block.body for alias in node.names}
    ran = {n: (f"tfcompress.{home}" if home else "tfcompress", n) for n, home in tfcompress._HOMES.items()}
    assert seen == ran
    assert pathlib.Path(tfcompress.__file__).with_name("py.typed").exists()
