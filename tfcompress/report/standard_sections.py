"""The standard sections of a report, in reading order, for `tfcompress demo`, `compress` and `report`.

To add a section, write one function here with `@_section`; it adds nothing where the contents have nothing to show.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfcompress.evaluate.compare import COLUMNS, Comparison
from tfcompress.evaluate.kernels import kernel_table, range_table
from tfcompress.report import charts
from tfcompress.report.report import Report
from tfcompress.tflite.artifact import Artifact


@dataclass(frozen=True)
class Curves:
    """Values after each epoch.

    Attributes:
        title: Heading.
        lines: Values by name of the line.
        note: Caption; may be empty.
        log: Whether the axis is logarithmic.
    """

    title: str
    lines: Mapping[str, Sequence[float]]
    note: str = ""
    log: bool = False


@dataclass(frozen=True)
class PredictedImages:
    """Images with a model's predictions.

    Attributes:
        images: Images in 0..1, (n, height, width, 1 or 3).
        predicted: Class numbers the model gave, (n,).
        labels: Right class numbers, (n,).
        classes: Names of the classes; None shows the numbers.
    """

    images: np.ndarray
    predicted: np.ndarray
    labels: np.ndarray
    classes: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The contents of a report; sections without contents are left out.

    Attributes:
        facts: Figures at the top: name to figure, or to (figure, remark).
        warnings: Sentences that must not be overlooked.
        comparison: Result of `tfc.compare`.
        highlight: Name of the model in it that the report is about.
        measured_elsewhere: Functions that add sections about the same files on other devices.
        curves: Curves of the training.
        artifact: The file whose kernels and ranges are shown.
        samples: Images with the file's predictions.
        recipe: The recipe as text.
        plan: What was done to each weight and activation, as text.
        seconds: Stage to the time it took.
        command: Command line that repeats all of it.
    """

    facts: Mapping[str, str | tuple[str, str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    comparison: Comparison | None = None
    highlight: str | None = None
    measured_elsewhere: Sequence[Callable[[Report], None]] = ()
    curves: Sequence[Curves] = ()
    artifact: Artifact | None = None
    samples: PredictedImages | None = None
    recipe: str = ""
    plan: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    command: str = ""


SECTIONS: list[Callable[[Report, Contents], None]] = []
"""The standard sections in reading order: functions that add to a report what its contents hold."""


def add_standard_sections(report: Report, contents: Contents) -> None:
    """Adds every standard section that the contents have something for.

    Args:
        report: Report to add to.
        contents: What it is about.

    Example:
        >>> report = Report("Digits")
        >>> add_standard_sections(report, Contents(plan="conv: 8 bits", command="tfcompress demo"))
        >>> [section.title for section in report.sections]
        ['What was done to each weight and activation', 'How to repeat']
    """
    for section in SECTIONS:
        section(report, contents)


def _section(function: Callable[[Report, Contents], None]) -> Callable[[Report, Contents], None]:
    SECTIONS.append(function)
    return function


@_section
def _top(report: Report, contents: Contents) -> None:
    if contents.comparison is not None and (said := contents.comparison.verdict(contents.highlight)):
        report.add_text("", said.splitlines())
    if contents.facts:
        report.add_facts(contents.facts)
    for text in contents.warnings:
        report.add_warning(text)


@_section
def _models(report: Report, contents: Contents) -> None:
    if contents.comparison is not None:
        add_comparison(report, contents.comparison, contents.highlight)


@_section
def _elsewhere(report: Report, contents: Contents) -> None:
    for add in contents.measured_elsewhere:
        add(report)


@_section
def _training(report: Report, contents: Contents) -> None:
    for curves in contents.curves:
        report.add_picture(curves.title, charts.curves(curves.lines, log=curves.log), curves.note)


@_section
def _shapes(report: Report, contents: Contents) -> None:
    if contents.artifact is not None:
        add_shape_changes(report, contents.artifact)


@_section
def _file(report: Report, contents: Contents) -> None:
    if contents.artifact is not None:
        add_file(report, contents.artifact)


@_section
def _answers(report: Report, contents: Contents) -> None:
    if (found := contents.samples) is not None:
        add_samples(report, found.images, found.predicted, found.labels, found.classes)


@_section
def _made_with(report: Report, contents: Contents) -> None:
    for title, text in (("Recipe", contents.recipe), ("What was done to each weight and activation", contents.plan)):
        if text:
            report.add_text(title, text, verbatim=True)


@_section
def _time(report: Report, contents: Contents) -> None:
    if contents.seconds:
        seconds = {stage: f"{value:.1f} s" for stage, value in contents.seconds.items()}
        report.add_facts(seconds, title="Where the time went")


@_section
def _again(report: Report, contents: Contents) -> None:
    if contents.command:
        report.add_text("How to repeat", contents.command, verbatim=True)


_SPARSE_NOTE = "Zeros and shared values make the zipped file smaller, not the file as it is."


def add_comparison(report: Report, comparison: Comparison, highlight: str | None = None) -> None:
    """Adds the table of a comparison, and a chart of accuracy against bytes where there were labels.

    Args:
        report: Report to add to.
        comparison: Result of `tfc.compare`.
        highlight: Name of the model the report is about.

    Raises:
        ValueError: If no model has that name.
    """
    names = [row["name"] for row in comparison.rows]
    if highlight is not None and highlight not in names:
        raise ValueError(f"add_comparison: highlight must be one of {names}. Received: {highlight!r}")
    judged = [row for row in comparison.rows if row["accuracy"] is not None]
    left_out = {"gap"} if judged else set()  # with classes, differences of the logits do not matter
    shown = {
        key: title
        for key, (title, _) in COLUMNS.items()
        if key not in left_out and any(row[key] is not None for row in comparison.rows)
    }
    report.add_table(
        "Models",
        comparison.rows,
        columns={"name": "model", **shown},
        digits={key: digits for key, (_, digits) in COLUMNS.items()},
        highlight=None if highlight is None else names.index(highlight),
        note=" ".join(comparison.notes),
    )
    if judged:
        points = [{**row, "gzip": row["gzip_bytes"]} for row in judged]
        drawing = charts.tradeoff(points, highlight=highlight)
        note = f"Further up and to the left is better. {_SPARSE_NOTE}"
        report.add_picture("Accuracy against bytes", drawing, note)


def add_file(report: Report, artifact: Artifact) -> None:
    """Adds the fidelity of a file, zeros by kernel, the ranges of its activations, and a table of its kernels.

    Args:
        report: Report to add to.
        artifact: The file.
    """
    add_fidelity(report, artifact)
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


def add_samples(
    report: Report,
    images: np.ndarray,
    predicted: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str] | None = None,
    count: int = 10,
) -> None:
    """Adds images with a model's predictions: the first ones, then the first mistakes.

    Args:
        report: Report to add to.
        images: Images in 0..1, (n, height, width, 1 or 3).
        predicted: Class numbers the model gave, (n,).
        labels: Right class numbers, (n,).
        classes: Names of the classes; None shows the numbers.
        count: Images of each kind.
    """
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    wrong = np.flatnonzero(predicted != labels)
    chosen = [*range(min(count, len(images))), *(i for i in wrong[:count] if i >= count)]

    def named(values: np.ndarray) -> list[Any]:
        return [classes[v] if classes else int(v) for v in values[chosen]]

    drawing = charts.samples(images[chosen], named(predicted), named(labels))
    note = (
        f"The first {min(count, len(images))} test images and the first mistakes; "
        f"{len(wrong):,} of {len(labels):,} answers are wrong."
    )
    report.add_picture("Samples", drawing, note, wide=True)


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
