"""A file imports only from its own folder or from folders before it; private things stay private.

Imports inside functions count. tfmot and tf_keras are imported only inside functions of `legacy`,
Keras' private modules only in the graph engine.
"""

import ast
import pathlib

import pytest

ORDER = ("facts", "mechanics", "legacy", "deploy", "judge", "techniques", "training", "search")
LAST = len(ORDER)  # top-level files and `cli`: they may import everything
OLD = {"tensorflow_model_optimization", "tf_keras"}
PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "tfcompress"


def rank(parts):
    """Place in the order of a module, given by its parts below `tfcompress`."""
    return ORDER.index(parts[0]) if parts and parts[0] in ORDER else LAST


def imports(tree, parts):
    """Yields (node, dotted module, imported name or None) for every import in a file's tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ["tfcompress", *parts[: len(parts) - node.level]] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from ((node, module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func).rsplit(".", 1)[-1]
            name = node.args[0]
            if called in ("import_module", "__import__") and isinstance(name, ast.Constant):
                yield node, str(name.value), None


def private(name):
    return name is not None and name.startswith("_") and not name.startswith("__")


def folder_fault(module, name, parts):
    """What is wrong with importing this module of ours into the file with these parts."""
    target = module.split(".")[1:]
    if not target and name is not None:
        target = [name]
    if rank(parts) == LAST:
        return None
    if not target or (len(target) == 1 and target[0] not in ORDER):
        return "a folder's file imports a top-level file or the facade"
    if rank(target) > rank(parts):
        return f"{parts[0]} comes before {target[0]}"
    return None


def import_faults(tree, parts):
    """Yields (line, fault) for the imports of a file."""
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node, module, name in imports(tree, parts):
        top = module.split(".")[0]
        if top == "tfcompress":
            if fault := folder_fault(module, name, parts):
                yield node.lineno, fault
            if private(name) or any(private(part) for part in module.split(".")):
                yield node.lineno, f"{name or module} is private to its file"
        if top in OLD and (parts[0] != "legacy" or id(node) not in inside):
            yield node.lineno, f"{top} is imported outside of a function of legacy"
        if f"{module}.{name}.".startswith("keras.src.") and parts != ["mechanics", "graph"]:
            yield node.lineno, "keras.src is imported outside of mechanics/graph.py"


def attribute_faults(tree, parts):
    """Yields (line, fault) for private attributes of our modules and for keras.src."""
    ours = {
        alias.asname or alias.name.split(".")[-1]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfcompress")
        for alias in node.names
        if alias.name.islower()
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        if private(node.attr) and isinstance(node.value, ast.Name) and node.value.id in ours:
            yield node.lineno, f"{node.value.id}.{node.attr} is private to its file"
        if ast.unparse(node) == "keras.src" and parts != ["mechanics", "graph"]:
            yield node.lineno, "keras.src is used outside of mechanics/graph.py"


def print_faults(tree, parts):
    """Yields (line, fault) for prints of the library; a command line answers on stdout."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and parts[0] != "cli":
            yield node.lineno, "print is used outside of cli; tell of facts/log.py logs"


def faults(package):
    """All breaches in a package, as `file:line: fault`."""
    found = []
    for file in sorted(package.rglob("*.py")):
        relative = file.relative_to(package)
        parts = [*relative.parts[:-1], relative.stem]
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for line, fault in (*import_faults(tree, parts), *attribute_faults(tree, parts), *print_faults(tree, parts)):
            found.append(f"{relative}:{line}: {fault}")
    return found


def test_the_package_keeps_the_rule():
    assert len(list(PACKAGE.rglob("*.py"))) > 10
    assert faults(PACKAGE) == []


def test_every_folder_is_a_package_in_the_order():
    for folder in (file.parent for file in PACKAGE.rglob("*.py")):
        assert (folder / "__init__.py").is_file(), folder
        relative = folder.relative_to(PACKAGE).parts
        assert not relative or relative[0] in (*ORDER, "cli"), folder


@pytest.mark.parametrize(
    "file, line",
    [
        ("facts/spec.py", "from tfcompress.mechanics.graph import flatten"),
        ("facts/spec.py", "def f():\n    import tfcompress.judge.macs"),
        ("facts/spec.py", "from tfcompress import deploy"),
        ("facts/spec.py", "from ..judge import macs"),
        ("mechanics/transforms/mask.py", "from ...deploy import convert"),
        ("deploy/convert.py", "import importlib\nimportlib.import_module('tfcompress.judge.macs')"),
        ("judge/compare.py", "import tfcompress as tfc"),
        ("judge/compare.py", "from tfcompress import Artifact"),
        ("judge/compare.py", "from tfcompress.data import load_mnist"),
        ("judge/compare.py", "from tfcompress.deploy.artifact import _parse"),
        ("judge/compare.py", "from tfcompress.deploy import artifact\nartifact._parse()"),
        ("legacy/port.py", "import tf_keras"),
        ("deploy/loading.py", "def f():\n    import tf_keras"),
        ("cli.py", "import tensorflow_model_optimization as tfmot"),
        ("mechanics/hook.py", "from keras.src import backend"),
        ("mechanics/hook.py", "from keras import src"),
        ("mechanics/hook.py", "import keras\nkeras.src.backend"),
        ("training/run.py", "def f():\n    print(1)"),
    ],
)
def test_a_breach_is_found(tmp_path, file, line):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    (found,) = faults(tmp_path)
    assert found.startswith(f"{file}:{line.count(chr(10)) + 1}: ")


@pytest.mark.parametrize(
    "file, line",
    [
        ("judge/compare.py", "from tfcompress.deploy.artifact import Artifact"),
        ("judge/compare.py", "from tfcompress.judge import table"),
        ("judge/compare.py", "from . import table"),
        ("mechanics/transforms/mask.py", "from .base import Transform"),
        ("mechanics/transforms/mask.py", "from ...facts.spec import spec_of"),
        ("mechanics/graph.py", "from keras.src import backend"),
        ("legacy/port.py", "def f():\n    import tf_keras"),
        ("cli.py", "import tfcompress as tfc\nfrom tfcompress.search.space import Space"),
        ("demo.py", "def f():\n    from tfcompress.data import load_mnist"),
        ("cli/output.py", "print(1)"),
    ],
)
def test_what_is_allowed_passes(tmp_path, file, line):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    assert faults(tmp_path) == []
