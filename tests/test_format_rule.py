"""Numbers of quantization grids stand in one place: the rows of `file_formats.py`. Everywhere else they are derived."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "tfcompress"
WATCHED = (
    "quant_spec.py",
    "export",
    "conversion",
    "fake_quant",
    "calibration",
    "fidelity",
    "layer_table/integer_rewrites.py",
    "layer_table/activations.py",
    "tflite",
    "evaluate",
    "pipeline/chain_conversion.py",
    "training",
    "techniques/quantize.py",
    "techniques/cluster.py",
    "sparsity",
    "graph",
    "session_layers",
)
CODES = {127, 128, 255, 256, 32767, 32768, 65535, 65536}
WIDTHS = {8, 16}
POWERS = {7, 8, 15, 16}

# Numbers that look like codes and are something else: (file, the line's code) to the reason.
EXCEPTIONS = {
    ("calibration/plausibility.py", "_SOUND = 32768.0"): "recordings of sound hold 16 bits",
    ("calibration/plausibility.py", '"0..255": {"scale=1 / 255": (1 / 255, 0.0)'): "pixels",
    ("calibration/plausibility.py", '"0..1": {"scale=255": (255.0, 0.0)'): "pixels",
    ("calibration/plausibility.py", '"-32768..32767": {"scale=1 / 32768"'): "sound",
    ("calibration/plausibility.py", 'return "0..255" if 64.0 < high <= 255.0'): "pixels",
    ("calibration/samples.py", "MOST_USED = 256"): "a number of samples",
    ("calibration/samples.py", "and most <= 255"): "pixels",
    ("export/simulate.py", "BATCH = 128"): "a number of samples",
    ("fake_quant/litert_rounding.py", "_FACTOR = 2.0**8"): "fractional bits of XNNPACK's factors",
    ("fake_quant/litert_rounding.py", "_LEAST, _MOST = 2.0**-8, 2.0**7"): "the factors that XNNPACK takes",
    ("fake_quant/range_floors.py", "_RATIO = 128.0"): "a ratio of scales that XNNPACK takes",
    ("tflite/optimizer/places.py", "@functools.lru_cache(maxsize=256)"): "entries of a cache",
    ("tflite/schema/element_types.py", '_BITS = {"int2": 2'): "storage of types numpy does not know",
    ("tflite/schema/element_types.py", "8 * known.itemsize"): "bits of a byte",
    ("training/callback.py", "batch_size: int = 128"): "a number of samples",
    ("training/session.py", "batch_size: int = 128"): "a number of samples",
}


def number(node):
    """The value of a plain number, else None."""
    is_number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
    return node.value if is_number else None


def is_power(node):
    """Whether a node is a power of two with an exponent such as 8 or -15."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Pow) or number(node.left) != 2:
        return False
    exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
    return number(exponent) in POWERS


def speaks_of_bits(node):
    """Whether a name or attribute ends in `bits`, also inside of a call or a tuple."""
    names = [n.attr if isinstance(n, ast.Attribute) else getattr(n, "id", "") for n in ast.walk(node)]
    return any(name.endswith("bits") or name == "_BITS" for name in names) or '"bits"' in ast.unparse(node).replace(
        "'", '"'
    )


def widths(tree):
    """Numbers that stand for a width: compared with, assigned to, or passed as something called bits."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and speaks_of_bits(node):
            yield from (n for n in ast.walk(node) if number(n) in WIDTHS)
        elif isinstance(node, ast.keyword) and (node.arg or "").endswith("bits") and number(node.value) in WIDTHS:
            yield node.value
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(speaks_of_bits(t) for t in targets):
                yield from (n for n in ast.walk(node.value) if number(n) in WIDTHS)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
            "ActivationRange",
            "QuantizeWeight",
            "Codes",
        ):
            yield from (n for n in node.args[:1] if number(n) in WIDTHS)
        elif isinstance(node, ast.arguments):
            named = [*node.posonlyargs, *node.args]
            pairs = [*zip(named[len(named) - len(node.defaults) :], node.defaults, strict=True)]
            pairs += zip(node.kwonlyargs, node.kw_defaults, strict=True)
            yield from (d for a, d in pairs if a.arg.endswith("bits") and number(d) in WIDTHS)


def found(source):
    """Lines (number, text) of a file in which a number of a quantization grid stands."""
    tree, lines = ast.parse(source), source.splitlines()
    hits = [n.lineno for n in ast.walk(tree) if number(n) in CODES or is_power(n)]
    hits += [n.lineno for n in widths(tree)]
    return [(line, lines[line - 1].strip()) for line in sorted(set(hits))]


def files():
    for name in WATCHED:
        path = PACKAGE / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def test_no_number_of_a_grid_stands_outside_of_the_table():
    used, faults, seen = set(), [], 0
    for file in files():
        seen += 1
        name = file.relative_to(PACKAGE).as_posix()
        for line, text in found(file.read_text(encoding="utf-8")):
            key = next((k for k in EXCEPTIONS if k[0] == name and k[1] in text), None)
            used.add(key)
            if key is None:
                faults.append(f"{name}:{line}: {text}")
    assert seen > 50
    assert faults == []
    assert set(EXCEPTIONS) - used == set()  # what is gone needs no reason


@pytest.mark.parametrize(
    "line",
    [
        "y = x / 255.0",
        "low = -128",
        "step = 2.0**-15",
        "if span.bits == 8: pass",
        "def f(bits=8): pass",
        "def f(*, weight_bits: int = 16): pass",
        "f(x, bits=16)",
        "bits = 8",
        "ActivationRange(16, symmetric=True)",
        "wrong = [q for q in grids if q.bits != 8]",
        'known = getattr(t, "bits", 8) == 8',
    ],
)
def test_a_number_of_a_grid_is_found(line):
    assert found(line + "\n") == [(1, line)]


@pytest.mark.parametrize("line", ["x[:8]", "align = 16", "batch = 32", "if len(content) < 8: pass", "2**31 - 1"])
def test_other_numbers_are_left_alone(line):
    assert found(line + "\n") == []
