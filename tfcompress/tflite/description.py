"""Describes an artifact as text: mode, sizes, inputs and outputs, and a table of its operations."""

from typing import TYPE_CHECKING

from tfcompress.text.printable import inline
from tfcompress.tflite.tensor_spec import TensorSpec

if TYPE_CHECKING:
    from tfcompress.tflite.artifact import Artifact


def summary(artifact: "Artifact") -> str:
    """Describes an artifact as text; names from the file are shown without control characters."""
    mode = inline(str(artifact.metadata.get("mode", "unknown mode")))
    numbers = "integer only" if artifact.is_integer else f"{len(artifact.float_ops())} float ops"
    lines = [
        f"{mode}, {numbers}, {artifact.size:,} bytes (gzip {artifact.gzip_size:,}), "
        f"runtime >= {inline(artifact.min_runtime) or 'not stored'}",
        *([inline(artifact.verdict())] if artifact.fidelity is not None else []),
        *(f"input  {_describe(spec)}" for spec in artifact.inputs),
        *(f"output {_describe(spec)}" for spec in artifact.outputs),
    ]
    header = ("#", "op", "in", "out", "shape", "bytes", "layer")
    rows = [
        (
            str(row["index"]) if not row["subgraph"] else f"{row['subgraph']}:{row['index']}",
            row["op"],
            ",".join(row["input_dtypes"]),
            row["output_dtype"],
            "x".join(map(str, row["output_shape"])),
            f"{row['constant_bytes']:,}",
            row["layer"],
        )
        for row in artifact.ops_table()
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (inline(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _describe(spec: TensorSpec) -> str:
    shape = "x".join("any" if size == -1 else str(size) for size in spec.shape)
    text = f"{inline(spec.name)}: {spec.dtype} {shape}"
    if spec.is_quantized:
        text += f", scale {spec.scale:.6g}, zero point {spec.zero_point}"
    return text
