"""Compares files with the model they came from and reports on it, in one call."""

import pathlib
from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

import keras

from tfcompress.benchmarking.bench_report import BenchReport
from tfcompress.benchmarking.named_artifacts import ArtifactLike, Artifacts, lineup
from tfcompress.evaluate.compare import Comparison, compare
from tfcompress.report.report import Report
from tfcompress.report.standard_sections import Contents, add_standard_sections
from tfcompress.validation import checks


def write_report(
    original: keras.Model | ArtifactLike,
    artifacts: Artifacts,
    data: Any,
    folder: str | PathLike | None = None,
    labels: Sequence[str] | None = None,
    title: str = "",
    latency: bool | BenchReport = True,
    threads: int = 1,
    output: str | None = None,
    threshold: float = 0.5,
    seed: int = 0,
    verbose: int = 1,
) -> Report:
    """Compares files with the model they came from and writes a report on the last one, as text and one HTML page.

    The page begins with the verdict and holds ratios, latency, accuracy by class, confusion matrix, wrong and changed
    samples (pictures where the inputs are some), fidelity and parity, kernels, recipe, machine, versions and date.

    Args:
        original: A built Keras model, or an artifact (path and bytes too).
        artifacts: An artifact, path or bytes; a list of them; or a dictionary by name.
        data: As for `compare`: `(x, y)` or `x` alone, or a batched `tf.data.Dataset`.
        folder: Where `report.html` and `report.txt` are written; None writes nothing.
        labels: Names of the classes, in the order of their numbers; None shows the numbers.
        title: Title of the report; empty names the last file.
        latency: Whether to measure latency, or a `BenchReport` in which the artifacts have the same names.
        threads: Threads of the interpreter.
        output: Name of the output to judge; needed where there are several.
        threshold: Where a single score becomes class 1.
        seed: Seed of the draw of the samples that are shown.
        verbose: 0 for silence, 1 for progress on stderr.

    Returns:
        The report; `text()` and `html()` return what is written.

    Raises:
        TypeError: If `original` or an artifact is of another kind.
        ValueError: If `data` or `labels` do not fit, or an output has to be chosen.

    Example:
        ```python
        import keras, numpy as np
        import tfcompress as tfc

        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
        x, y = np.random.default_rng(0).random((20, 8, 8, 1), "float32"), np.arange(20) % 2
        artifact = tfc.convert(model, calibration=x)
        report = tfc.write_report(model, {"int8": artifact}, (x, y), "report", labels=["cat", "dog"])
        ```
    """
    labels = None if labels is None else checks.texts("write_report", "labels", labels)
    title = checks.text("write_report", "title", title, empty=True)
    seed = checks.seed("write_report", seed)
    folder = None if folder is None else pathlib.Path(checks.path("write_report", "folder", folder))
    files = lineup(artifacts)
    compared = compare(original, files, data, latency, threads, output, threshold, verbose)
    _check_labels(labels, compared)
    name, artifact = list(files.items())[-1]
    contents = Contents(
        comparison=compared,
        highlight=name,
        labels=labels,
        seed=seed,
        artifact=artifact,
    )
    report = Report(title or f"{name} and the model it was made of")
    add_standard_sections(report, contents)
    if folder is not None:
        report.save(fspath(folder))
    return report


def _check_labels(labels: tuple[str, ...] | None, compared: Comparison) -> None:
    if labels is None:
        return
    count = 0 if compared.answers is None else compared.answers.count
    if len(labels) != count:
        accepted = (
            f"the names of the {count} classes that the models answer with" if count else "None, as there are none"
        )
        checks.refuse(ValueError, "write_report", "labels", accepted, list(labels))
