"""Shows what a file holds: fidelity, parity, kernels, ranges, changes of the network's shape."""

import pathlib
import re
from typing import Any

from tfcompress.evaluate.kernels import kernel_table, range_table
from tfcompress.report import charts
from tfcompress.report.report import Report
from tfcompress.tflite.artifact import Artifact


def add_file(report: Report, artifact: Artifact) -> None:
    """Adds zeros by kernel, the ranges of its activations, and a table of its kernels.

    Args:
        report: Report to add to.
        artifact: The file.
    """
    kernels, ranges = kernel_table(artifact), range_table(artifact)
    if kernels:
        zeros = dict(zip(_unique(kernels, "layer"), (row["sparsity"] for row in kernels), strict=True))
        drawing = charts.bars(zeros, limit=1.0, quantity="zeros by kernel")
        report.add_picture("Zeros by kernel", drawing, "Fraction of the weights in the file.")
    if ranges:
        spans = {name: (row["low"], row["high"]) for name, row in zip(_unique(ranges, "name"), ranges, strict=True)}
        drawing = charts.ranges(spans, quantity="ranges of activations")
        note = "Real values that the codes of each activation span."
        report.add_picture("Ranges by layer", drawing, note)
    if kernels:
        report.add_table(
            "Kernels in the file",
            [{**row, "shape": " x ".join(map(str, row["shape"]))} for row in kernels],
            columns={
                "layer": "layer",
                "op": "op",
                "shape": "shape",
                "weights": "weights",
                "sparsity": "zeros",
                "values": "values",
                "values_per_channel": "values per channel",
                "scales": "scales",
                "bytes": "bytes",
            },
            note="Values: distinct codes in the kernel, and the most in one output channel.",
        )


def add_fidelity(report: Report, artifact: Artifact) -> None:
    """Adds a table of how far the outputs of a file are from those of the model it was made of.

    Args:
        report: Report to add to.
        artifact: The file; nothing is added if it was never compared.
    """
    found = artifact.fidelity
    if found is None:
        return
    rows = [
        {
            "output": row.output,
            "against": row.reference,
            "kernels": "XNNPACK" if row.xnnpack else "plain",
            "agreement": row.agreement,
            "error": row.error,
            "largest": row.largest_error,
            "channel": row.channel_error,
            "codes": row.codes,
            "saturated": row.saturated,
        }
        for row in found.outputs
    ]
    columns = {"output": "output", "against": "against", "kernels": "kernels", "agreement": "same class"}
    columns |= {"error": "error", "largest": "largest error", "channel": "worst channel"}
    columns |= {"codes": "codes used", "saturated": "saturated"}
    note = f"{found.sentence()}. On calibration samples; errors as a fraction of the output's spread."
    report.add_table("Fidelity", rows, columns=columns, note=note)
    if found.lost_at:
        report.add_warning(f"The largest loss arises at {found.lost_at['layer']}.")
    if found.remedies:
        tried = [
            {"what": r["what"], "agreement": r["agreement"], "error": r["error"], "channel": r["channel_error"]}
            for r in found.remedies
        ]
        titles = {"what": "what was tried", "agreement": "same class", "error": "error", "channel": "worst channel"}
        report.add_table("What helps", tried, columns=titles)


def add_parity(report: Report, artifact: Artifact) -> None:
    """Adds a table of how far the outputs of a file are from the simulation of it.

    Args:
        report: Report to add to.
        artifact: The file; nothing is added if it was never compared.
    """
    rows = [
        {**row, "kernels": "XNNPACK" if row.get("xnnpack") else "plain", "gap": f"{row['largest_gap']:.2f} steps"}
        for row in artifact.metadata.get("parity") or []
        if all(isinstance(row.get(key), int | float) for key in ("samples", "agreement", "equal", "largest_gap"))
    ]
    if rows:
        columns = {"kernels": "kernels", "samples": "samples", "agreement": "same class", "equal": "equal outputs"}
        note = "Against the simulation in TensorFlow; the largest gap is in steps of the output's scale."
        report.add_table("Parity", rows, columns=columns | {"gap": "largest gap"}, note=note)


def add_recipe(report: Report, artifact: Artifact) -> None:
    """Adds the recipe that a file names, and how it was converted.

    Args:
        report: Report to add to.
        artifact: The file; nothing is added if it does not say how it was made.
    """
    held = artifact.metadata
    steps = [entry if isinstance(entry, str) else _call(entry) for entry in held.get("recipe") or []]
    if held.get("mode"):
        samples = f", {held['calibration_samples']} calibration samples" if held.get("calibration_samples") else ""
        steps.append(f"convert: {held['mode']}{samples}")
    if steps:
        report.add_text("Recipe", "\n".join(steps), verbatim=True)


def add_shape_changes(report: Report, artifact: Artifact) -> None:
    """Adds a table of how the network's shape was changed before conversion: each layer, or why it was left.

    Args:
        report: Report to add to.
        artifact: The file; nothing is added if the shape was not changed.
    """
    rows = artifact.metadata.get("surgery") or []
    cut = [row for row in rows if isinstance(row.get("before"), int) and isinstance(row.get("after"), int)]
    shares = {
        name: row["after"] / row["before"]
        for name, row in zip(_unique(cut, "layer"), cut, strict=True)
        if row["before"] and row["after"] <= row["before"]
    }
    if shares:
        drawing = charts.bars(shares, limit=1.0, quantity="what is left of each layer")
        report.add_picture(
            "What is left of each layer", drawing, "Share of the channels, ranks or parameters that were there."
        )
    if rows:
        cells = [
            {**row, "technique": _words(row["technique"]), "what": row.get("what") or f"left: {row['reason']}"}
            for row in rows
        ]
        columns = {"technique": "technique", "layer": "layer", "what": "what was done, or why not"}
        columns |= {"before": "before", "after": "after"} if any(row.get("before") is not None for row in rows) else {}
        report.add_table("Changes of the network's shape", cells, columns=columns)


def _call(entry: Any) -> str:
    """Returns a saved technique or schedule as code, without what was not set; a teacher by the name of its file."""
    if isinstance(entry, list | tuple):
        return f"[{', '.join(map(_call, entry))}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return repr(entry)
    settings = {key: value for key, value in entry["config"].items() if value not in (None, "", [], {}, ())}
    if isinstance(settings.get("teacher"), str):
        settings["teacher"] = pathlib.PurePath(settings["teacher"]).name
    return f"{entry.get('class_name')}({', '.join(f'{key}={_call(value)}' for key, value in settings.items())})"


def _words(name: str) -> str:
    """Returns the name of a class as words: "prune channels"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def _unique(rows: list[dict[str, Any]], key: str) -> list[str]:
    """Returns the names of rows; a repeated name gets a number."""
    counts: dict[str, int] = {}
    names = []
    for row in rows:
        counts[row[key]] = counts.get(row[key], 0) + 1
        names.append(row[key] if counts[row[key]] == 1 else f"{row[key]} #{counts[row[key]]}")
    return names
