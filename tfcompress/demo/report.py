"""The report of the main job: figures first, then comparison, pictures, how to repeat it."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tfcompress.benchmarking.environment import surroundings
from tfcompress.report import charts
from tfcompress.report.report import Report
from tfcompress.report.standard_sections import add_comparison, add_file, add_samples

if TYPE_CHECKING:
    from tfcompress.demo.main import DemoResult


def demo_report(result: "DemoResult") -> Report:
    """Builds the report of a finished job.

    Args:
        result: What `demo` made and measured.

    Returns:
        The report; `save(folder)` writes it as text and as an HTML page.
    """
    digits, final = result.digits, result.comparison.rows[-1]
    where = surroundings()["device"]
    report = Report(
        f"A digit classifier in {final['bytes']:,} bytes, integer only",
        f"Data: {digits.label}; {len(digits.x_test):,} test images that no training has seen. "
        f"{where['machine']}, {where['cores']} cores, seed {result.seed}.",
    )
    report.add_facts(_facts(result))
    if digits.source == "drawn":
        report.add_warning(
            f"All figures here were made with {digits.label}. They say that the way works, not how "
            "well it does on handwriting. Repeat with --data=mnist.npz for that."
        )
    add_comparison(report, result.comparison, highlight=final["name"])
    for key, title, note in _LOSSES:
        lines = {stage: history[key] for stage, history in result.history.items()}
        report.add_picture(title, charts.curves(lines, log=True), note)
    add_file(report, result.artifact)
    add_samples(report, digits.x_test, np.argmax(result.outputs, axis=-1), digits.y_test)
    report.add_text("Recipe", "\n".join(map(_brief, result.recipe)), verbatim=True)
    report.add_text("What was done to each weight and activation", result.plan, verbatim=True)
    seconds = {stage: f"{value:.1f} s" for stage, value in result.seconds.items()}
    report.add_facts(seconds, title="Where the time went")
    report.add_text("How to repeat", _how(result), verbatim=True)
    return report


_LOSSES = (
    (
        "val_loss",
        "Loss on images held out",
        "Cross entropy on training images that no gradient has seen, after each epoch.",
    ),
    (
        "loss",
        "Loss in training",
        "What each training minimizes, on shifted images; distillation counts the square of the "
        "temperature, so the students' values lie higher.",
    ),
)


def _facts(result: "DemoResult") -> dict[str, tuple[str, str]]:
    rows = result.comparison
    teacher, final = rows.rows[0], rows.rows[-1]
    files = len(result.digits.x_test)
    return {
        "Accuracy": (f"{final['accuracy']:.2%}", f"teacher {teacher['accuracy']:.2%}"),
        "File": (f"{final['bytes']:,} B", f"{final['gzip_bytes']:,} B gzipped"),
        "Zeros": (f"{final['sparsity']:.1%}", "of the weights in kernels"),
        "Latency": (f"{final['p50_us']:.0f} µs", "median, one thread"),
        "File and training agree": (f"{result.same_class:,}", f"of {files:,} images"),
        "Whole job": (
            f"{sum(result.seconds.values()):.0f} s",
            f"{result.peak_bytes / 1e9:.2f} GB at most",
        ),
    }


def _brief(technique: Any) -> str:
    """A technique as one would write it: only what differs from the defaults."""
    given = (
        f"{field.name}={getattr(technique, field.name)!r}"
        for field in dataclasses.fields(technique)
        if getattr(technique, field.name) != field.default
    )
    return f"{type(technique).__name__}({', '.join(given)})"


def _how(result: "DemoResult") -> str:
    data = "" if result.digits.source == "drawn" else " --data=mnist.npz"
    return f"tfcompress demo{data} --out=out --seed={result.seed}"
