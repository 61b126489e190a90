"""`tfcompress inspect`: shows the contents of a `.tflite` file, or what can be compressed in a Keras model."""

import json

from absl import flags

from tfcompress.cli.command import Command
from tfcompress.cli.start import start_tensorflow


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_boolean("json", False, "Prints JSON.", flag_values=values)


def _run(values: flags.FlagValues, arguments: list[str]) -> int:
    path = arguments[0]
    if not path.endswith(".tflite"):
        start_tensorflow(values.verbose)
    look = _artifact if path.endswith(".tflite") else _model
    facts, text = look(path)
    print(json.dumps(facts, indent=2, default=list) if values.json else text)
    if narrow := facts.get("unsupported_widths"):
        from tfcompress.tflite.kernels.widths import UnsupportedWidth

        raise UnsupportedWidth(narrow)
    return 0


def _artifact(path: str) -> tuple[dict, str]:
    from tfcompress.evaluate.energy import energy
    from tfcompress.evaluate.kernels import kernel_table, range_table
    from tfcompress.tflite.artifact import Artifact
    from tfcompress.tflite.kernels.widths import unsupported_widths

    artifact = Artifact.load(path)
    kernels, ranges = kernel_table(artifact), range_table(artifact)
    try:
        estimate = energy(artifact)
    except ValueError:  # a loop, or a custom operation: all else still holds
        estimate = None
    facts = {
        "bytes": artifact.size,
        "gzip_bytes": artifact.gzip_size,
        "sha256": artifact.sha256,
        "is_integer": artifact.is_integer,
        "min_runtime": artifact.min_runtime,
        "op_versions": artifact.op_versions,
        "ops": artifact.ops_table(),
        "unsupported_widths": list(unsupported_widths(artifact.model)),
        "kernels": kernels,
        "ranges": ranges,
        "estimated_uj": None if estimate is None else estimate.uj,
        "metadata": artifact.metadata,
    }
    parts = [artifact.summary(), *_tables(kernels, ranges)]
    if estimate is not None:
        parts.append(f"Energy of one inference, estimated: {estimate.uj:.3g} uJ\n{estimate.table.note}")
    return facts, "\n\n".join(parts)


def _tables(kernels: list[dict], ranges: list[dict]) -> list[str]:
    from tfcompress.text.table import number, text_table

    parts = []
    if kernels:
        cells = [
            [row["layer"], number(row["weights"]), f"{row['sparsity']:.1%}", number(row["values"]),
             number(row["values_per_channel"]), number(row["scales"])]
            for row in kernels
        ]  # fmt: skip
        header = ["kernel", "weights", "zeros", "values", "per channel", "scales"]
        parts.append(text_table(header, cells))
    if ranges:
        cells = [[row["name"], f"{row['low']:.4g}", f"{row['high']:.4g}"] for row in ranges]
        parts.append(text_table(["activation", "lowest", "highest"], cells))
    return parts


def _model(path: str) -> tuple[dict, str]:
    from tfcompress.export.loading import load_model
    from tfcompress.text.table import text_table

    model = load_model(path)
    layers = [_layer(path, op) for path, op in _leaves(model)]
    facts = {"name": model.name, "parameters": model.count_params(), "layers": layers}
    cells = [
        [row["layer"], row["type"], f"{row['parameters']:,}", ", ".join(row["kernels"]) or "-",
         row["int8"]]
        for row in layers
    ]  # fmt: skip
    header = ["layer", "type", "parameters", "can be compressed", "in an int8 file"]
    title = f"{model.name}: {model.count_params():,} parameters"
    return facts, f"{title}\n\n{text_table(header, cells)}"


def _leaves(model: object):
    from tfcompress.graph.tree import leaves

    return leaves(model)


def _layer(path: str, op: object) -> dict:
    from tfcompress.layer_table.lookup import spec_of

    spec = spec_of(op)
    if not spec.is_known:
        int8 = "unknown type: describe it with tfc.describe"
    elif spec.float_ops:
        int8 = f"stays float: {', '.join(spec.float_ops)}"
    else:
        int8 = "integer"
    return {
        "layer": path,
        "type": type(op).__name__,
        "parameters": op.count_params() if hasattr(op, "count_params") else 0,
        "kernels": list(spec.kernels),
        "int8": int8,
    }


COMMAND = Command(
    name="inspect",
    summary="Shows what is in a .tflite file, or what can be compressed in a Keras model.",
    arguments="FILE",
    least=1,
    most=1,
    detail="""
For a .tflite file: sizes, inputs and outputs, each op with its types and the layer it came from,
zeros and distinct values of each kernel, range of each activation, an estimate of the energy of one inference.
A file whose weights are too narrow for the runtime's kernels is shown and refused. For a Keras model
(.keras, .h5, SavedModel): each layer, which of its weights can be compressed, and whether it becomes
integer.
""",
    examples=("tfcompress inspect int8.tflite", "tfcompress inspect model.keras --json"),
    define=_define,
    run=_run,
    place=6,
)
