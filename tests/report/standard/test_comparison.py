"""The comparison's table, ratios, charts and figures are what the models and files are."""

import numpy as np
import pytest

from tfcompress.evaluate import compare as compare_module
from tfcompress.evaluate.compare import COLUMNS, Comparison, compare
from tfcompress.evaluate.per_class import Answers
from tfcompress.report.report import Report
from tfcompress.report.sections import Table
from tfcompress.report.standard.comparison import add_comparison, facts_of


def section(report, title):
    return next(part for part in report.sections if part.title == title)


def test_a_comparison_becomes_table_and_picture(made):
    model, artifact, x, y = made
    compared = compare(model, {"int8": artifact}, (x, y), latency=False, verbose=0)
    report = Report("T")
    add_comparison(report, compared, highlight="int8")
    table = section(report, "Models")
    assert isinstance(table, Table) and table.highlight == 1
    assert "latency" not in " ".join(table.header) and "p50" not in " ".join(table.header)
    row = dict(zip(table.header, table.cells[1], strict=True))
    assert row["bytes"] == f"{artifact.size:,}"
    assert row["accuracy"] == f"{compared['int8']['accuracy']:.4f}"
    picture = section(report, "Accuracy against bytes")
    assert f"{artifact.size:,} B" in picture.picture.description
    with pytest.raises(ValueError, match="highlight must be one of"):
        add_comparison(report, compared, highlight="int9")


def test_without_labels_there_is_no_accuracy_to_draw(made):
    model, artifact, x, _ = made
    compared = compare(model, {"int8": artifact}, x, latency=False, verbose=0)
    report = Report("T")
    add_comparison(report, compared)
    assert [part.title for part in report.sections] == ["Models", "Against the original"]


def rows_of(*rows):
    return [{**dict.fromkeys(COLUMNS), **row} for row in rows]


ROWS = rows_of(
    {"name": "original", "accuracy": 0.9, "bytes": 1000, "gzip_bytes": 900, "p50_us": 40.0, "sparsity": 0.1},
    {"name": "int8", "accuracy": 0.85, "bytes": 250, "gzip_bytes": 300, "p50_us": 10.0, "sparsity": 0.4},
)


def test_ratios_are_quotients_with_the_original():
    report = Report("T")
    add_comparison(report, Comparison(ROWS), highlight="int8")
    table = section(report, "Against the original")
    assert dict(zip(table.header, table.cells[0], strict=True)) == {
        "model": "int8",
        "accuracy, points": "-5.00",
        "bytes": "4.00",
        "gzip bytes": "3.00",
        "p50 us": "4.00",
    }
    assert table.highlight == 0 and "original" in table.note


def test_figures_at_the_top_say_what_they_were():
    assert facts_of(Comparison(ROWS), "int8") == {
        "Accuracy": ("85.00%", "original 90.00%, -5.00 points"),
        "File": ("250 B", "4.0 times smaller"),
        "Zipped": ("300 B", "3.0 times smaller"),
        "Latency": ("10.0 µs", "4.0 times faster"),
        "Zeros": ("40.0%", "of the weights in kernels"),
    }
    assert facts_of(Comparison(ROWS), "original") == {}


def test_new_columns_appear_without_another_edit(monkeypatch):
    added = {f"amount{i}": (f"amount {i}", 1) for i in range(6)}
    monkeypatch.setitem(compare_module.COLUMNS, "energy_mj", ("energy mJ", 2))
    for key, value in added.items():
        monkeypatch.setitem(compare_module.COLUMNS, key, value)
    first, second = ({**row, "energy_mj": 8.0 / (1 + i), **dict.fromkeys(added, 2.0)} for i, row in enumerate(ROWS))
    report = Report("T")
    add_comparison(report, Comparison([first, second]), highlight="int8")
    found = [part for part in report.sections if isinstance(part, Table)]
    assert all(len(table.header) <= 10 for table in found)
    shown = {}
    for table in found:
        shown[table.title] = dict(zip(table.header, table.cells[-1], strict=True))
    figures = shown["Models"] | shown["Models, further figures"]
    assert figures["energy mJ"] == "4.00" and {title for title, _ in added.values()} <= set(figures)
    assert shown["Against the original"]["energy mJ"] == "2.00"


def test_the_chart_says_how_well_an_accuracy_is_known():
    true = np.zeros(400, int)
    report = Report("T")
    answers = Answers((true, true), true, 2)
    rows = rows_of(*({"name": name, "accuracy": 0.9, "bytes": 10} for name in ("original", "int8")))
    add_comparison(report, Comparison(rows, answers=answers), highlight="int8")
    note = section(report, "Accuracy against bytes").note
    # Half of Wilson's interval of 0.9 from 400 samples: (0.9259 - 0.8668) / 2.
    assert "From 400 samples the accuracy of int8 is known to ±2.95 points." in note


@pytest.mark.slow
def test_latency_is_what_was_measured(made):
    _, artifact, x, y = made
    compared = compare(artifact, {"int8": artifact}, (x, y), verbose=0)
    report = Report("T")
    add_comparison(report, compared, highlight="int8")
    median = compared.bench["int8"]["latency"]["p50_us"]
    assert f"int8 {median:,.1f} µs" in section(report, "Latency").picture.description
