"""Shows a comparison: its figures at the top, the table of models, ratios, trade-off and latency."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfcompress.benchmarking.bench_report import setting_of
from tfcompress.evaluate.compare import COLUMNS, Comparison
from tfcompress.evaluate.verdict import times
from tfcompress.report import charts, model_charts
from tfcompress.report.report import Report
from tfcompress.report.sections import signed

_SPARSE_NOTE = "Zeros and shared values make the zipped file smaller, not the file as it is."
_RATED = ("accuracy", "macro_f1", "agreement", "sparsity", "error", "gap")
"""Columns that are no amounts, so that a ratio of them says nothing; those of other scores end in one of `_SCORES`."""
_SCORES = ("f1", "accuracy", "precision", "recall", "agreement", "error", "gap")
_ACROSS = 9  # figures beside the name that a page is wide enough for


def facts_of(comparison: Comparison, highlight: str) -> dict[str, tuple[str, str]]:
    """Returns the figures of one model that stand at the top of a report, each with what it was before.

    Args:
        comparison: Result of `tfc.compare`.
        highlight: Name of the model.

    Returns:
        (figure, remark) by name; empty for the original itself.

    Example:
        >>> rows = [{"name": n, **dict.fromkeys(COLUMNS), "bytes": b} for n, b in (("original", 100), ("int8", 25))]
        >>> facts_of(Comparison(rows), "int8")
        {'File': ('25 B', '4.0 times smaller')}
    """
    row, original = comparison[highlight], comparison.rows[0]
    if row is original:
        return {}
    facts = {**_quality(row, original)}
    for key, title, less, more, form, unsaid in _AMOUNTS:
        if row[key] is not None:
            facts[title] = (form.format(row[key]), times(original[key], row[key], less, more) or unsaid)
    if row["sparsity"]:
        facts["Zeros"] = (f"{row['sparsity']:.1%}", "of the weights in kernels")
    return facts


_AMOUNTS = (
    ("bytes", "File", "smaller", "larger", "{:,} B", ""),
    ("gzip_bytes", "Zipped", "smaller", "larger", "{:,} B", ""),
    ("p50_us", "Latency", "faster", "slower", "{:,.1f} µs", "median of a run"),
)


def _quality(row: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    facts = {}
    if row["accuracy"] is not None:
        points = 100 * (row["accuracy"] - original["accuracy"])
        facts["Accuracy"] = (
            f"{row['accuracy']:.2%}",
            f"original {original['accuracy']:.2%}, {signed(points, 2)} points",
        )
    if row["error"] is not None:
        facts["Mean error"] = (f"{row['error']:.4g}", f"original {original['error']:.4g}")
    if row["agreement"] is not None:
        facts["Same class"] = (f"{row['agreement']:.2%}", "of the samples as the original")
    return facts


def add_comparison(report: Report, comparison: Comparison, highlight: str | None = None) -> None:
    """Adds the table of a comparison and of its ratios, charts of accuracy against bytes and of the latency.

    Every column of `COLUMNS` that has a value is shown.

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
    chosen = None if highlight is None else names.index(highlight)
    judged = [row for row in comparison.rows if row["accuracy"] is not None]
    left_out = {"gap"} if judged else set()  # with classes, differences of the logits do not matter
    _add_figures(report, comparison, left_out, chosen)
    _add_ratios(report, comparison, chosen)
    if judged:
        points = [{**row, "gzip": row["gzip_bytes"]} for row in judged]
        drawing = charts.tradeoff(points, highlight=highlight)
        note = f"Further up and to the left is better. {_SPARSE_NOTE}{_certainty(comparison, chosen or 0)}"
        report.add_picture("Accuracy against bytes", drawing, note)
    if comparison.bench is not None:
        add_latency(report, comparison, highlight)


def add_latency(report: Report, comparison: Comparison, highlight: str | None = None) -> None:
    """Adds a chart of the times that a comparison measured.

    Args:
        report: Report to add to.
        comparison: Result of `tfc.compare` with a benchmark.
        highlight: Name of the model the report is about.
    """
    bench = comparison.bench
    found = {row["name"]: bench[row["name"]]["latency"] for row in comparison.rows if row["name"] in bench}
    if found:
        drawing = model_charts.latency(found, highlight)
        note = f"Bars: median of a run; lines: to the 90th percentile. {setting_of(bench.document)}."
        report.add_picture("Latency", drawing, note)


def _add_figures(report: Report, comparison: Comparison, left_out: set[str], chosen: int | None) -> None:
    shown = _held(comparison, [key for key in COLUMNS if key not in left_out])
    parts = _across(shown)
    for number, keys in enumerate(parts):
        report.add_table(
            "Models" if not number else "Models, further figures",
            comparison.rows,
            columns={"name": "model", **{key: COLUMNS[key][0] for key in keys}},
            digits={key: digits for key, (_, digits) in COLUMNS.items()},
            highlight=chosen,
            note=" ".join(comparison.notes) if keys is parts[-1] else "",
        )


def _add_ratios(report: Report, comparison: Comparison, chosen: int | None) -> None:
    """Adds how many times less of each amount the files need."""
    original, *others = comparison.rows
    amounts = [key for key in COLUMNS if key not in _RATED and not key.endswith(_SCORES) and original[key]]
    amounts = [key for key in amounts if any(row[key] for row in others)]
    if not amounts or not others:
        return
    rows = []
    for row in others:
        ratios = {key: float(original[key] / row[key]) if row[key] else None for key in amounts}
        known = row["accuracy"] is not None
        points = signed(100 * (row["accuracy"] - original["accuracy"]), 2) if known else None
        rows.append({"name": row["name"], "points": points, **ratios})
    scored = ["points"] if original["accuracy"] is not None else []
    titles = {"points": "accuracy, points", **{key: COLUMNS[key][0] for key in amounts}}
    for number, keys in enumerate(_across([*scored, *amounts])):
        report.add_table(
            "Against the original" if not number else "Against the original, further figures",
            rows,
            columns={"name": "model", **{key: titles[key] for key in keys}},
            digits=2,
            highlight=chosen - 1 if chosen else None,
            note=f"How many times less than {original['name']}: 2.00 is half, 0.50 is double.",
        )


def _across(keys: Sequence[str]) -> list[Sequence[str]]:
    """Divides columns among tables that a page is wide enough for."""
    return [keys[i : i + _ACROSS] for i in range(0, len(keys), _ACROSS)]


def _held(comparison: Comparison, keys: Sequence[str]) -> list[str]:
    return [key for key in keys if any(row.get(key) is not None for row in comparison.rows)]


def _certainty(comparison: Comparison, row: int) -> str:
    """Says how well the accuracy is known from so many samples."""
    answers = comparison.answers
    if answers is None or answers.true is None or not answers.by_sample:
        return ""
    share, count = comparison.rows[row]["accuracy"], answers.true.size
    # Half of Wilson's interval, which is no point where all answers are right.
    points = 196 / (1 + _Z2 / count) * np.sqrt(share * (1 - share) / count + _Z2 / (4 * count**2))
    return f" From {count:,} samples the accuracy of {comparison.rows[row]['name']} is known to ±{points:.2f} points."


_Z2 = 1.96**2  # of an interval that holds in 95 of 100 cases
