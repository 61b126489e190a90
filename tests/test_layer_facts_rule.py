"""What is true of a layer type is read in the layer table: nothing outside of it knows axis letters or layer types.

Outside of `layer_table/` there is no axis-letter literal, no list or comparison of layer types (by class or by name),
no table of activation functions, and nobody asks a layer for its `activation` but `layer_table/activations.py`. To make
a layer (`keras.layers.Dense(3)`), to inherit from one and to name one in an annotation decides nothing about a model.
"""

import ast
import pathlib

import keras
import pytest

from tfcompress.layer_table.axes import LETTERS

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "tfcompress"
TABLE = "layer_table"

# Kinds of objects, whatever they compute; no rows of the table.
KINDS = {
    "Layer": "every layer, unlike a node of keras.ops",
    "InputLayer": "what Keras puts where a model begins; it computes nothing",
    "Wrapper": "whoever holds another layer as `.layer`, a session's own ones too",
}

# Where it is right all the same: (file or folder, what, why).
EXCEPTIONS = (
    ("legacy/", "", "reads models of Keras 2, whose classes and configurations are not those of the table"),
    ("graph/keras_private.py", "RNN", "which layers loop over time is asked of all layers, described or not"),
    ("graph/keras_private.py", "GroupQueryAttention", "its private parts have other names than MultiHeadAttention's"),
    ("graph/plain_layers.py", "equation", "computes the weights of layers that Keras quantized, as each class does"),
    ("low_rank/candidates.py", "equation", "names the equation in the reason why a layer is left alone"),
    ("graph/call_observers.py", "Identity", "operations of a TensorFlow graph, which are no layers"),
    ("fake_quant/transforms/file_rounding.py", "", "operations of a TensorFlow graph, which are no layers"),
    ("export/post_training.py", "TFSMLayer", "holds a SavedModel, whose inside is no Keras layer"),
)

TYPES = {name for name in vars(keras.layers) if isinstance(getattr(keras.layers, name), type)} - set(KINDS)
# What a class calls itself; operations of .tflite files are written in capitals.
NAMES = {getattr(keras.layers, name).__name__ for name in TYPES}
# Nodes of keras.ops that have no layer's name; the table has rows for them by name.
NAMES |= {"Relu", "Relu6", "Sigmoid", "Tanh", "Divide", "TrueDivide", "Matmul", "Einsum", "Clip", "Pad", "GetItem"}
ACTIVATIONS = {name for name in vars(keras.activations) if name.islower()} - {"get", "serialize", "deserialize"}
# Arguments that some layer types have and others lack.
ARGUMENTS = {"equation", "kernel_size", "filters", "units", "pool_size", "num_heads", "cell", "depth_multiplier"}
WORDS = {"move", "mix", "end", "io", "mode"}  # of letters that are axes' too


def dotted(node):
    """The dotted name of an attribute or name, empty for other expressions."""
    return ast.unparse(node) if isinstance(node, (ast.Attribute, ast.Name)) else ""


def harmless(tree):
    """Ids of nodes that make a layer, inherit from one or annotate."""
    found = set()
    for node in ast.walk(tree):
        parts = []
        if isinstance(node, ast.Call):
            parts = [node.func]
        elif isinstance(node, ast.ClassDef):
            parts = node.bases
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
            parts = [a.annotation for a in every if a is not None and a.annotation is not None]
            parts += [node.returns] if node.returns is not None else []
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation]
        found |= {id(n) for part in parts for n in ast.walk(part)}
    return found


def aliases(tree):
    """By name, the module of Keras that stands behind it in a file."""
    found = {"keras.layers": "layers", "keras.activations": "activations"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "keras":
            found |= {a.asname or a.name: a.name for a in node.names if a.name in ("layers", "activations")}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in ("keras.layers", "keras.activations") and alias.asname:
                    found[alias.asname] = alias.name.split(".")[1]
        elif isinstance(node, ast.Assign) and dotted(node.value) in ("keras.layers", "keras.activations"):
            found |= {t.id: dotted(node.value).split(".")[1] for t in node.targets if isinstance(t, ast.Name)}
    return found


def type_faults(tree):
    """Yields (line, what, fault) for types of layers and activation functions that a file knows."""
    fine, known = harmless(tree), aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("keras.layers", "keras.activations"):
            for alias in node.names:
                yield node.lineno, alias.name, f"{alias.name} is imported from {node.module}"
        if isinstance(node, ast.Attribute) and dotted(node.value) in known and id(node) not in fine:
            module = known[dotted(node.value)]
            if node.attr in (TYPES if module == "layers" else ACTIVATIONS):
                yield node.lineno, node.attr, f"{node.attr} is decided on; its row of the layer table says what is true"
        called = dotted(node.func) if isinstance(node, ast.Call) else ""
        if called == "getattr" and dotted(node.args[0]) in known:
            yield node.lineno, ast.unparse(node.args[1]), f"types are taken out of {dotted(node.args[0])} by name"


def is_name_of_type(node):
    """Whether an expression is the name of some object's class."""
    return isinstance(node, ast.Attribute) and node.attr in ("__name__", "__qualname__")


def named_variables(tree):
    """Names that hold the name of a class."""
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_name_of_type(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def texts(node):
    """The text constants in an expression."""
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def name_faults(tree):
    """Yields (line, what, fault) where layers are told apart by the names of their classes or functions."""
    names = NAMES | ACTIVATIONS
    held = named_variables(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(is_name_of_type(s) or isinstance(s, ast.Name) and s.id in held for s in sides):
                for text in sorted(texts(node) & names):
                    yield node.lineno, text, f"a class or function is compared with the name {text!r}"
                parts = {node.left.value} if isinstance(node.left, ast.Constant) else set()
                if isinstance(node.ops[0], ast.In) and any(str(p) in t for p in parts - names for t in TYPES):
                    yield node.lineno, sorted(parts)[0], "classes are told apart by parts of their names"
        if isinstance(node, ast.Match) and is_name_of_type(node.subject):
            for text in sorted({t for case in node.cases for t in texts(case.pattern)} & names):
                yield node.lineno, text, f"a class or function is compared with the name {text!r}"
        if isinstance(node, (ast.Tuple, ast.List, ast.Set, ast.Dict)):
            keys = [k for k in (node.keys if isinstance(node, ast.Dict) else node.elts) if isinstance(k, ast.Constant)]
            named = {k.value for k in keys if isinstance(k.value, str)} & NAMES
            if len(named) > 1 and not all(name.isupper() for name in named):
                yield node.lineno, sorted(named)[0], f"a list of layer types: {', '.join(sorted(named))}"
        is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_method and node.func.attr in ("startswith", "endswith"):
            parts = tuple(t for arg in node.args for t in texts(arg))
            if parts and any(getattr(t, node.func.attr)(parts) for t in TYPES) and len(min(parts, key=len)) > 3:
                yield node.lineno, parts[0], "classes are told apart by how their names begin or end"


def is_letters(text):
    """Whether a constant may be letters of axes."""
    return isinstance(text, str) and bool(text) and not set(text) - set(LETTERS)


def letter_faults(tree):
    """Yields (line, what, fault) for literals of axis letters and for reading the letters of axes one by one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            literals = {s.value for s in sides if isinstance(s, ast.Constant) and is_letters(s.value)}
            others = " ".join(ast.unparse(s) for s in sides if not isinstance(s, ast.Constant))
            speaks = "axes" in others or "letter" in others
            for text in literals:
                if speaks or 1 < len(text) == len(set(text)) and text not in WORDS:
                    yield node.lineno, text, f"axis letters {text!r} are compared; layer_table/axes.py reads them"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            method, text, on = node.func.attr, node.args[0], ast.unparse(node.func.value)
            if method in ("find", "index", "count", "replace") and isinstance(text, ast.Constant):
                if is_letters(text.value) and ("axes" in on or "letter" in on):
                    yield node.lineno, text.value, f"axis letter {text.value!r} is looked for"
        if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] == "Axes" and node.args:
            if isinstance(node.args[0], ast.Constant) and node.args[0].value:
                yield node.lineno, node.args[0].value, f"axis letters {node.args[0].value!r} are written"
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and is_letters(node.value.value):
            text, name = node.value.value, " ".join(map(ast.unparse, node.targets))
            if "AXES" in name.upper() or "LETTER" in name.upper():
                yield node.lineno, text, f"axis letters {text!r} are held by {name}"


def loop_faults(tree):
    """Yields (line, what, fault) where the letters of axes are compared in a loop over them."""
    loops = [n for n in ast.walk(tree) if isinstance(n, (ast.For, ast.comprehension)) and "axes" in ast.unparse(n.iter)]
    letters = {n.id for loop in loops for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(s, ast.Name) and s.id in letters for s in sides):
                for text in [s.value for s in sides if isinstance(s, ast.Constant) and is_letters(s.value)]:
                    yield node.lineno, text, f"axis letters {text!r} are compared; layer_table/axes.py reads them"


def argument_faults(tree):
    """Yields (line, what, fault) where layer types are told apart by the arguments that they have."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) == "hasattr" and isinstance(node.args[1], ast.Constant):
            if (name := node.args[1].value) in ARGUMENTS:
                yield node.lineno, name, f"layers are told apart by having {name!r}; the layer table says what they are"


def activation_faults(tree):
    """Yields (line, what, fault) where a layer is asked for its activation function."""
    fault = "a layer is asked for its activation; layer_table has activation(layer)"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("getattr", "hasattr") and len(node.args) > 1:
            if isinstance(node.args[1], ast.Constant) and node.args[1].value == "activation":
                yield node.lineno, "activation", fault
        is_read = isinstance(node, ast.Attribute) and node.attr == "activation" and isinstance(node.ctx, ast.Load)
        if is_read and dotted(node.value).split(".")[-1] in ("op", "layer", "inner", "cell"):
            yield node.lineno, "activation", fault


def is_excepted(relative, what):
    """Whether a breach stands in the list of exceptions."""
    return any(str(relative).startswith(place) and name in ("", what) for place, name, _ in EXCEPTIONS)


def faults(package):
    """All breaches in a package, as `file:line: fault`, and the exceptions that were used."""
    found, used = [], set()
    for file in sorted(package.rglob("*.py")):
        relative = file.relative_to(package)
        if relative.parts[0] == TABLE:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for look in (type_faults, name_faults, letter_faults, loop_faults, argument_faults, activation_faults):
            for line, what, fault in look(tree):
                if is_excepted(relative, what):
                    used.add(next(e for e in EXCEPTIONS if str(relative).startswith(e[0]) and e[1] in ("", what)))
                else:
                    found.append(f"{relative}:{line}: {fault}")
    return found, used


def test_facts_about_layers_are_read_in_the_table():
    found, used = faults(PACKAGE)
    assert found == []
    assert used == set(EXCEPTIONS), "an exception that nothing needs any more"
    assert all(why for *_, why in EXCEPTIONS)


@pytest.mark.parametrize(
    "line",
    [
        "if isinstance(op, keras.layers.Flatten): pass",
        "if isinstance(op, (keras.layers.ReLU, keras.layers.Activation)): pass",
        "KINDS = (keras.layers.Dense,)",
        "RULES = {keras.layers.Dense: 1}",
        "if type(op) is keras.layers.Dense: pass",
        "made = keras.layers.Dense if wide else keras.layers.Conv2D",
        "L = keras.layers\nKINDS = [L.Dropout]",
        "from keras import layers as L\nisinstance(op, L.Dense)",
        "from keras.layers import Dense",
        "import keras.layers as KL\nKINDS = (KL.Dense,)",
        "KINDS = [getattr(keras.layers, name) for name in names]",
        "POSITIVE = (keras.activations.relu,)",
        "if function is keras.activations.linear: pass",
        "if type(op).__name__ == 'Softmax': pass",
        "if type(op).__name__ in ('Relu', 'Relu6'): pass",
        "name = type(op).__name__\nif name == 'Flatten': pass",
        "if function.__name__ == 'softmax': pass",
        "if type(op).__name__.endswith('Pooling2D'): pass",
        "if 'Pooling' in type(op).__name__: pass",
        "match type(op).__name__:\n    case 'Dense': pass",
        "if hasattr(op, 'kernel_size'): pass",
        "for k, a in enumerate(spec.axes['kernel']):\n    if a == 'o': pass",
        "out = [k for k, a in enumerate(axes) if a == 'o']",
        "SUMS = ('Add', 'Subtract')",
        "RULES = {'Matmul': 1, 'Einsum': 2}",
        "if name.startswith(('AveragePooling', 'Global')): pass",
        "axes = [k for k, letter in enumerate(axes) if letter in 'ocm']",
        "if 'v' in spec.axes[path]: pass",
        "if letters == 'xyio': pass",
        "if c in 'ire': pass",
        "first = spec.axes[path].find('i')",
        "axes = letters.replace('o', 'h')",
        "matrix, restore = Axes('xyio').matrix(w)",
        "_OUTPUT_LETTERS = 'ocmgnd'",
        "function = getattr(op, 'activation', None)",
        "function = call.op.activation",
    ],
)
def test_a_breach_is_found(tmp_path, line):
    (tmp_path / "rewrites").mkdir()
    (tmp_path / "rewrites" / "file.py").write_text(line + "\n")
    found, _ = faults(tmp_path)
    assert found and all(f.startswith("rewrites/file.py:") for f in found)


@pytest.mark.parametrize(
    "file, line",
    [
        ("rewrites/file.py", "layer = keras.layers.Dense(3, activation='relu')"),
        ("rewrites/file.py", "def f(op: keras.layers.Dense) -> keras.layers.Dense: ..."),
        ("rewrites/file.py", "class Mine(keras.layers.TFSMLayer): ..."),
        ("rewrites/file.py", "if isinstance(op, keras.layers.Layer) and isinstance(op, keras.Model): pass"),
        ("rewrites/file.py", "function = keras.activations.get(config.get('activation'))"),
        ("rewrites/file.py", "if spec.flow in ('move', 'pass'): pass"),
        ("rewrites/file.py", "if mode == 'int16x8' or io == 'int8': pass"),
        ("layer_table/file.py", "KINDS = (keras.layers.Dense,)\nif letters == 'xyio': pass"),
        ("legacy/file.py", "KINDS = {'Dense': 1, 'Conv2D': 2}"),
    ],
)
def test_what_is_allowed_passes(tmp_path, file, line):
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(line + "\n")
    assert faults(tmp_path)[0] == []
