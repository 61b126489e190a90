"""Writes the page of supported layers from the layer table, so that a new row is on it without another edit.

A hook of mkdocs: `reference/supported.md` names the place.
"""

import pathlib
import re
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLACE = "<!-- supported layers -->"
PAGE = "reference/supported.md"

# Arguments of layers whose row depends on the instance: those of everyday use.
ARGUMENTS: dict[str, tuple] = {
    "Conv1D": (4, 3), "Conv2D": (4, 3), "Conv3D": (4, 3), "Conv1DTranspose": (4, 3), "Conv2DTranspose": (4, 3),
    "Conv3DTranspose": (4, 3), "DepthwiseConv1D": (3,), "DepthwiseConv2D": (3,), "SeparableConv1D": (4, 3),
    "SeparableConv2D": (4, 3), "EinsumDense": ("abc,cd->abd", (None, 4)), "GRU": (4,), "Rescaling": (0.5,), "Dot": (1,),
    "Activation": ("relu",), "Resizing": (4, 4), "MultiHeadAttention": (2, 4), "GroupQueryAttention": (4, 4, 2),
}  # fmt: skip
BUILT = ("MultiHeadAttention", "GroupQueryAttention")  # their projections are there once they are built
NO_ACTIVATIONS = ("deserialize", "get", "serialize", "threshold")  # the last one needs arguments
CUT = {"mix", "grouped", "both", "attention", "project"}
READ = {
    "pass", "merge", "concat", "move", "reduce", "each step", "choose", "stack", "split", "pad", "place", "along",
    "first", "matmul", "einsum",
}  # fmt: skip


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Puts the tables where the page asks for them; called by mkdocs for every page."""
    return markdown.replace(PLACE, tables()) if page.file.src_uri == PAGE else markdown


def tables() -> str:
    """All tables of the page, as Markdown."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    parts = [
        _section("Layers with weights to compress", _layers(lambda spec: bool(spec.kernels))),
        _section("Layers without", _layers(lambda spec: not spec.kernels)),
        _activations(),
        _operations(),
        _floats(),
    ]
    return "\n".join(parts)


def _section(title: str, rows: Iterable[str]) -> str:
    header = "| layer | compressed weights | channels | in an int8 file |\n|---|---|---|---|"
    return "\n".join([f"## {title}\n", header, *rows, ""])


def _layers(wanted: Callable[[Any], bool]) -> list[str]:
    """A row of the page for each row of the table of types, whose facts are those of an example."""
    from tfcompress.layer_table.lookup import rows

    found = []
    for kind, row in rows().items():
        if kind.__module__.split(".")[0] != "keras":
            continue
        spec = _refined(kind, row)
        if wanted(spec):
            weights = ", ".join(f"`{path}`" for path in spec.kernels) or "-"
            found.append(f"| `{name(kind)}` | {weights} | {_channels(spec)} | {_integer(spec)} |")
    return found


def name(kind: type) -> str:
    """The public name of a layer type of Keras; classes may have another one."""
    import keras

    public = [n for n in vars(keras.layers) if getattr(keras.layers, n) is kind]
    return min(public, key=lambda n: (n != kind.__name__, n), default=kind.__name__)


def _refined(kind: type, row: Any) -> Any:
    """The row of an example of a type; the row as it stands where no example is made."""
    import keras

    from tfcompress.layer_table.lookup import spec_of

    known = name(kind)
    if known in ("Bidirectional", "TimeDistributed"):
        inner = keras.layers.LSTM(4) if known == "Bidirectional" else keras.layers.Dense(4)
        return spec_of(kind(inner))
    try:
        layer = kind(*ARGUMENTS.get(known, ()))
    except (TypeError, ValueError):  # it needs arguments that do not change its row
        return row
    if known in BUILT:
        layer.build((None, 5, 8), (None, 5, 8))
    return spec_of(layer)


def _channels(spec: Any) -> str:
    if spec.outside is not None:
        return "-"
    if spec.flow in CUT:
        return "cut"
    return "read" if spec.flow in READ else "whole" if spec.flow == "whole" else "kept"


def _integer(spec: Any) -> str:
    """What becomes of a layer or operation in an int8 file."""
    from tfcompress.layer_table.spec import FOLD, FUSE, NONE

    if spec.outside is not None:
        return "**no file can hold it**"
    if spec.float_ops:
        return f"**float**: {', '.join(f'`{op}`' for op in spec.float_ops)}"
    if spec.holds_code:
        return "what its function computes"
    if spec.is_identity:
        return "nothing is left of it"
    if spec.step:
        return "integer, in a loop or unrolled over time"
    if spec.written is not None or spec.within is not None:
        return "integer, rewritten"
    return {FUSE: "part of the operation before it", FOLD: "part of the kernel before it", NONE: "truth values"}.get(
        spec.grid, "integer"
    )


def _operations() -> str:
    """The table of functions and operators inside of layers and between them."""
    from tfcompress.layer_table.operation_names import OF_TENSORFLOW
    from tfcompress.layer_table.registry import _operations as table

    lines = [
        "## Functions and operators\n",
        "Calls of `keras.ops`, operators such as `+`, and functions of TensorFlow, between layers or inside of them. A "
        "product or convolution with a weight of the layer is compressed as a kernel.\n",
        "| function of `keras.ops` | the same in TensorFlow | channels | in an int8 file |",
        "|---|---|---|---|",
    ]
    usual = types.SimpleNamespace(axis=-1, order=2)  # what some rows ask of a call: along the channels
    for kind, (row, refine) in table.items():
        spec = refine(usual, row) if refine else row
        others = ", ".join(f"`tf.{n}`" for n in OF_TENSORFLOW.get(kind, ())) or "-"
        lines.append(f"| {operation(kind)} | {others} | {_channels(spec)} | {_integer(spec)} |")
    return "\n".join([*lines, ""])


SPECIAL = {"GetItem": "`x[...]`", "Conv": "`conv`", "DepthwiseConv": "`depthwise_conv`", "Resize": "`image.resize`"}


def operation(kind: str) -> str:
    """How a reader writes an operation: the function of `keras.ops`, or the name of Keras' own class."""
    import keras

    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    return SPECIAL.get(kind) or (f"`{snake}`" if hasattr(keras.ops, snake) else f"`{kind}` (class of Keras)")


def _activations() -> str:
    """The table of activation functions that layers are given by name."""
    import keras

    from tfcompress.layer_table.activations import _activations as table
    from tfcompress.layer_table.activations import is_elementwise

    functions = {n: f for n, f in sorted(vars(keras.activations).items()) if callable(f) and n not in NO_ACTIVATIONS}
    names = {f: n for n, f in functions.items() if f in table or is_elementwise(f)}
    lines = ["## Activation functions\n", "| `activation=` | channels | in an int8 file |", "|---|---|---|"]
    for function, known in sorted(names.items(), key=lambda pair: pair[1]):
        row = table.get(function)
        form = "integer" if row is None else _integer_activation(row)
        lines.append(f"| `{known}` | {'read' if is_elementwise(function) else 'whole'} | {form} |")
    return "\n".join([*lines, ""])


def _integer_activation(row: Any) -> str:
    from tfcompress.layer_table.spec import FUSE

    if row.written is not None:
        loop = f"; inside of a loop float: {', '.join(f'`{op}`' for op in row.float_ops)}" if row.float_ops else ""
        return f"integer, rewritten{loop}"
    return "part of the operation before it" if row.grid == FUSE else "integer"


def _floats() -> str:
    """The list of operations that stay float, with the reasons that errors give."""
    from tfcompress.export.float_reasons import _NEVER, _PLAIN, never_integer_reason

    lines = [
        "## Operations of LiteRT that stay float\n",
        "An int8 file with one of them is an error that names the layer, unless `allow_float` accepts it.\n",
        "| operation | reason and way out |",
        "|---|---|",
    ]
    lines += [f"| `{op}` | {never_integer_reason(op).split(', or keep it float')[0]} |" for op in sorted(_NEVER)]
    lines += ["", f"No int8 kernel either: {', '.join(f'`{op}`' for op in sorted(_PLAIN))}."]
    return "\n".join([*lines, ""])
