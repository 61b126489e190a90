"""A file imports only from its own folder or from folders before it, in no circle; private things stay private.

Imports inside functions count. tfmot and tf_keras are imported only inside functions of `legacy`,
Keras' private modules only in the graph engine.
"""

import ast
import pathlib

import pytest

# Folders of the package, and files beside them, each before those that may import it.
ORDER = (
    "moved_modules",
    "system",
    "text",
    "validation",
    "datasets",
    "selection",
    "schedules",
    "file_formats",
    "quant_spec",
    "layer_table",
    "graph",
    "fake_quant",
    "session_layers",
    "sparsity",
    "channels",
    "similarity",
    "rewrites",
    "low_rank",
    "partition",
    "legacy",
    "tflite",
    "benchmarking",
    "evaluate",
    "report",
    "calibration",
    "data_files",
    "export",
    "fidelity",
    "conversion",
    "distillation",
    "budgets",
    "pipeline",
    "techniques",
    "training",
    "testing",
    "android",
    "demo",
    "cli",
)
LAST = len(ORDER)  # the facade, the way in, and two public modules of release 0.1: they may import everything
FACADE = {"android", "demo", "cli"}  # they use the public names, as a user does
LAST_FILES = {"__init__", "__main__", "data", "zoo"}
MOST_FILES, MOST_LINES, MOST_FUNCTION_LINES = 15, 400, 40
OLD = {"tensorflow_model_optimization", "tf_keras"}
PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "tfcompress"
KERAS_PRIVATE = ["graph", "keras_private"]


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
    if not target or target[0] not in ORDER:
        if parts[0] in FACADE and name is None:
            return None
        return "a folder's file imports the facade or a name of release 0.1"
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
        if f"{module}.{name}.".startswith("keras.src.") and parts != KERAS_PRIVATE:
            yield node.lineno, "keras.src is imported outside of graph/keras_private.py"


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
        if ast.unparse(node) == "keras.src" and parts != KERAS_PRIVATE:
            yield node.lineno, "keras.src is used outside of graph/keras_private.py"


# Private attributes of objects that a file did not make itself, by (file or folder, attribute): what they are.
ALLOWED_PRIVATE = {
    ("graph/keras_private.py", ""): "the one file for what Keras does not publish",
    ("legacy/", ""): "reads models of Keras 2 as they are",
    ("fake_quant/patching.py", "_getframe"): "Python has no other name for the stack",
    ("training/callback_order.py", "_getframe"): "Python has no other name for the stack",
    ("tflite/optimizer/packing.py", "_tab"): "generated readers of flatbuffers have no other way to their table",
}


def object_faults(tree, parts):
    """Yields (line, fault) for private attributes that the file itself neither sets nor defines."""
    file = "/".join(parts) + ".py"
    own = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    own |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    own |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not private(node.attr) or node.attr in own:
            continue
        if ast.unparse(node.value) in ("self", "cls", "super()"):
            continue
        if not any(file.startswith(place) and attr in ("", node.attr) for place, attr in ALLOWED_PRIVATE):
            yield node.lineno, f"{ast.unparse(node)} is private to what has it"


def print_faults(tree, parts):
    """Yields (line, fault) for prints of the library; a command line answers on stdout."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print" and parts[0] != "cli":
            yield node.lineno, "print is used outside of cli; tell of text/log.py logs"


def trees(package):
    """Yields (file below the package, its parts, its tree)."""
    for file in sorted(package.rglob("*.py")):
        relative = file.relative_to(package)
        yield relative, [*relative.parts[:-1], relative.stem], ast.parse(file.read_text(encoding="utf-8"))


def faults(package):
    """All breaches in a package, as `file:line: fault`."""
    found = []
    for relative, parts, tree in trees(package):
        rules = (import_faults, attribute_faults, object_faults, print_faults)
        lines = dict(pair for rule in rules for pair in rule(tree, parts))
        found += [f"{relative}:{line}: {fault}" for line, fault in lines.items()]
    return found


def for_types_only(tree):
    """Nodes below `if TYPE_CHECKING:`, which no run imports."""
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {id(n) for block in blocks for n in ast.walk(block)}


def circles(package):
    """Circles of files that import each other, also inside functions, each as sorted names of modules."""
    known = {".".join(parts).removesuffix(".__init__") for _, parts, _ in trees(package)}
    needs = {}
    for _, parts, tree in trees(package):
        skip = for_types_only(tree)
        found = set()
        for node, module, name in imports(tree, parts):
            if module.split(".")[0] == "tfcompress" and id(node) not in skip:
                target = ".".join(module.split(".")[1:])
                full = f"{target}.{name}".strip(".")
                found.add(full if full in known else target)
        needs[".".join(parts).removesuffix(".__init__")] = found & known - {""}
    reach = {file: set(found) for file, found in needs.items()}
    while True:
        grown = {file: found.union(*(reach[x] for x in found)) for file, found in reach.items()}
        if grown == reach:
            break
        reach = grown
    rings = {tuple(sorted({x for x in reach[f] if f in reach[x]})) for f in reach if f in reach[f]}
    return sorted(rings)


def test_the_package_keeps_the_rule():
    assert len(list(PACKAGE.rglob("*.py"))) > 10
    assert faults(PACKAGE) == []


def test_no_files_import_each_other():
    assert circles(PACKAGE) == []


def test_a_circle_is_found(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.py").write_text("from tfcompress.text.b import x\n")
    (tmp_path / "text" / "b.py").write_text("def f():\n    from tfcompress.text import c\n")
    (tmp_path / "text" / "c.py").write_text("import tfcompress.text.a\n")
    assert circles(tmp_path) == [("text.a", "text.b", "text.c")]


def test_every_folder_is_a_package_in_the_order():
    for file in PACKAGE.rglob("*.py"):
        assert (file.parent / "__init__.py").is_file(), file
        first = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        assert first in ORDER or first in LAST_FILES, file


def lines_of(function):
    """Lines of a function without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    told = function.body[0]
    return lines - (told.end_lineno - told.lineno + 1)


def test_functions_stay_small():
    long = [
        f"{relative}: {node.name} has {lines_of(node)} lines without its docstring"
        for relative, _, tree in trees(PACKAGE)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > MOST_FUNCTION_LINES
    ]
    assert long == []


def test_a_docstring_does_not_count():
    (function,) = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n').body
    assert lines_of(function) == 2


def test_folders_and_files_stay_small():
    for folder in (PACKAGE, *(f for f in PACKAGE.rglob("*") if f.is_dir())):
        assert len(list(folder.glob("*.py"))) <= MOST_FILES, folder
    for file in PACKAGE.rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES, file


@pytest.mark.parametrize(
    "file, line",
    [
        ("layer_table/lookup.py", "from tfcompress.graph.tree import flatten"),
        ("layer_table/lookup.py", "def f():\n    import tfcompress.evaluate.macs"),
        ("layer_table/lookup.py", "from tfcompress import export"),
        ("layer_table/lookup.py", "from ..evaluate import macs"),
        ("fake_quant/transforms/mask.py", "from ...conversion import convert"),
        ("export/export.py", "import importlib\nimportlib.import_module('tfcompress.training.plan')"),
        ("evaluate/compare.py", "import tfcompress as tfc"),
        ("evaluate/compare.py", "from tfcompress import Artifact"),
        ("evaluate/compare.py", "from tfcompress.data import load_mnist"),
        ("system/atomic.py", "from tfcompress.datasets import load_mnist"),
        ("quant_spec.py", "from tfcompress.layer_table.lookup import spec_of"),
        ("evaluate/compare.py", "from tfcompress.tflite.artifact import _parse"),
        ("evaluate/compare.py", "from tfcompress.tflite import artifact\nartifact._parse()"),
        ("legacy/port.py", "import tf_keras"),
        ("export/loading.py", "def f():\n    import tf_keras"),
        ("cli.py", "import tensorflow_model_optimization as tfmot"),
        ("fake_quant/patching.py", "from keras.src import backend"),
        ("fake_quant/patching.py", "from keras import src"),
        ("fake_quant/patching.py", "import keras\nkeras.src.backend"),
        ("training/run.py", "def f():\n    print(1)"),
        ("training/run.py", "def f(callback):\n    callback._plan"),
        ("graph/trace.py", "def f(model):\n    model._functional"),
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
        ("evaluate/compare.py", "from tfcompress.tflite.artifact import Artifact"),
        ("evaluate/compare.py", "from tfcompress.evaluate import scores"),
        ("evaluate/compare.py", "from . import scores"),
        ("fake_quant/transforms/mask.py", "from .base import Transform"),
        ("fake_quant/transforms/mask.py", "from ...layer_table.lookup import spec_of"),
        ("graph/keras_private.py", "from keras.src import backend"),
        ("legacy/port.py", "def f():\n    import tf_keras"),
        ("__main__.py", "import tfcompress as tfc\nfrom tfcompress.cli import main"),
        ("demo/main.py", "def f():\n    from tfcompress.datasets import load_mnist"),
        ("cli/output.py", "print(1)"),
    ],
)
def test_what_is_allowed_passes(tmp_path, file, line):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line + "\n")
    assert faults(tmp_path) == []
