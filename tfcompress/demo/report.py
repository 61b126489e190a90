"""Builds the report of the demo: figures first, then comparison, pictures, how to repeat it."""

import dataclasses
from typing import TYPE_CHECKING, Any

from tfcompress.benchmarking.environment import host_facts
from tfcompress.report.report import Report
from tfcompress.report.standard_sections import Contents, Curves, add_standard_sections

if TYPE_CHECKING:
    from tfcompress.demo.main import DemoResult


def demo_report(result: "DemoResult") -> Report:
    """Builds the report of a finished demo.

    Args:
        result: Result of `demo`.

    Returns:
        The report; `save(folder)` writes it as text and as an HTML page.
    """
    digits, final = result.digits, result.comparison.rows[-1]
    where = host_facts()["device"]
    report = Report(
        f"A digit classifier in {final['bytes']:,} bytes, integer only",
        f"Data: {digits.label}; {len(digits.x_test):,} test images that no training has seen. "
        f"{where['machine']}, {where['cores']} cores, seed {result.seed}.",
    )
    add_standard_sections(report, _contents(result))
    return report


def _contents(result: "DemoResult") -> Contents:
    digits = result.digits
    return Contents(
        facts=_facts(result),
        warnings=[_DRAWN.format(digits.label)] if digits.source == "drawn" else [],
        comparison=result.comparison,
        highlight=result.comparison.rows[-1]["name"],
        curves=[
            Curves(title, {stage: history[key] for stage, history in result.history.items()}, note, log=True)
            for key, title, note in _LOSSES
        ],
        artifact=result.artifact,
        seed=result.seed,
        recipe="\n".join(map(_brief, result.recipe)),
        plan=result.plan,
        seconds=result.seconds,
        command=_how(result),
        data=f"{digits.label}; {len(digits.x_test):,} test images",
    )


_DRAWN = (
    "All figures here were made with {}. They show that the steps work, not how accurate they are on handwriting. "
    "Repeat with --data=mnist.npz for that."
)
_LOSSES = (
    (
        "val_loss",
        "Loss on images held out",
        "Cross entropy on training images that no gradient has seen, after each epoch.",
    ),
    (
        "loss",
        "Loss in training",
        "The loss of each training, on shifted images; distillation multiplies by the square of the "
        "temperature, so the students' values are higher.",
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
    """Returns a technique as code, with the arguments that differ from the defaults."""
    given = (
        f"{field.name}={getattr(technique, field.name)!r}"
        for field in dataclasses.fields(technique)
        if getattr(technique, field.name) != field.default
    )
    return f"{type(technique).__name__}({', '.join(given)})"


def _how(result: "DemoResult") -> str:
    data = "" if result.digits.source == "drawn" else " --data=mnist.npz"
    return f"tfcompress demo{data} --out=out --seed={result.seed}"
