"""Detects drift: compares histograms of an app's log with references of the training data.

The log and the reference are counted in the same bins: predicted classes, and their confidence. Two measures say
how far they are apart, and the size of the sample says how much of that is chance.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress.android.manifest import MANIFEST, check_document
from tfcompress.android.monitor.confidence import confidences
from tfcompress.android.monitor.histograms import counts, shannon_distance, stability_index, stability_noise
from tfcompress.android.monitor.log import MonitorLog, Usage
from tfcompress.text.table import number, text_table
from tfcompress.tflite.artifact import Artifact, Samples

# N. Siddiqi, "Credit Risk Scorecards", Wiley 2006: below 0.1 no change, above 0.25 a major one.
MODERATE_INDEX, MAJOR_INDEX = 0.10, 0.25
# The usual default of drift monitors for the Jensen-Shannon distance, such as CapyMOA's and Evidently's.
MODERATE_DISTANCE = 0.1
VERDICTS = ("stable", "too few answers to tell", "moderate shift", "major shift")
SOURCES = (
    f"PSI: stability index (Siddiqi 2006): from {MODERATE_INDEX:.2f} a moderate, from {MAJOR_INDEX:.2f} a major shift.",
    f"JS: Jensen-Shannon distance (Lin 1991): from {MODERATE_DISTANCE:.2f} a moderate shift, as is usual in monitors.",
    "chance: the PSI that chance alone exceeds once in twenty times (Yurdakul 2018); a smaller PSI is no shift.",
)


@dataclass(frozen=True)
class Reference:
    """Histograms of a variant's predictions on training data.

    Attributes:
        data: What the data are.
        sha256: Digest of the variant's file.
        classes: Answers by class.
        confidence: Answers by confidence.
        confidence_edges: Edges of its bins.
    """

    data: str
    sha256: str
    classes: tuple[int, ...]
    confidence: tuple[int, ...]
    confidence_edges: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """Comparison of one histogram of a variant with its reference.

    Attributes:
        name: The variant.
        histogram: "classes" or "confidence".
        seen: Counts of the log.
        expected: Counts of the reference.
        bins: Label of each bin.
        index: Population stability index.
        distance: Jensen-Shannon distance.
        noise: Index that chance alone exceeds once in twenty times.
    """

    name: str
    histogram: str
    seen: tuple[int, ...]
    expected: tuple[int, ...]
    bins: tuple[str, ...]
    index: float
    distance: float
    noise: float

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if self.index <= self.noise:
            return VERDICTS[1] if self.noise >= MODERATE_INDEX else VERDICTS[0]
        if self.index >= MAJOR_INDEX:
            return VERDICTS[3]
        moderate = self.index >= MODERATE_INDEX or self.distance >= MODERATE_DISTANCE
        return VERDICTS[2] if moderate else VERDICTS[0]


@dataclass(frozen=True)
class Monitoring:
    """Comparison of a log with references.

    Attributes:
        log: The log.
        drifts: Two for each variant that has predictions and a reference.
        notes: Further notes, one sentence each.
    """

    log: MonitorLog
    drifts: tuple[Drift, ...]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The worst verdict of all histograms."""
        found = [drift.verdict for drift in self.drifts]
        return max(found, key=VERDICTS.index) if found else VERDICTS[1]

    def text(self) -> str:
        """Returns the source of the log, tables of use and drift, thresholds with their sources, and the verdict."""
        document, days = self.log.document, self.log.days
        device, runtime = document["device"], document["runtime"]
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}, {len(days)} days"
        parts = [f"{device['name']}, {device['system']}; {runtime['name']} {runtime['version']}; {span}"]
        parts.append(text_table(_USE_HEADER, [_use_row(usage, self.log) for usage in self.log.usage()]))
        if self.drifts:
            parts.append(text_table(_DRIFT_HEADER, [_drift_row(drift) for drift in self.drifts]))
        parts.append("\n".join((*SOURCES, *self.notes)))
        parts.append(f"Verdict: {self.verdict}.")
        return "\n\n".join(parts)


def monitor(log: MonitorLog, references: Mapping[str, Reference]) -> Monitoring:
    """Compares a log with references.

    Args:
        log: What an app exported.
        references: By name of the variant; see `references_of` and `reference`.

    Returns:
        The comparison. A variant without reference or answers is noted.

    Raises:
        ValueError: If log and reference have other bins or classes, or no variant of the log has a reference.

    Example:
        ```python
        from tfcompress.android.monitor.monitor import monitor, references_of
        from tfcompress.android.monitor.log import MonitorLog

        print(monitor(MonitorLog.load("log.json"), references_of("assets/models/manifest.json")).text())
        ```
    """
    drifts, notes = [], []
    usages = log.usage()
    if not any(usage.name in references for usage in usages):
        raise ValueError(
            f"monitor: no variant of the log has a reference. In the log: {[usage.name for usage in usages]}; "
            f"references: {list(references)}."
        )
    for usage in usages:
        found = references.get(usage.name)
        if found is None:
            notes.append(f"{usage.name}: there is no reference for it.")
        elif not usage.count:
            notes.append(f"{usage.name}: it has not answered yet.")
        else:
            if found.sha256 != usage.sha256:
                notes.append(f"{usage.name}: the log is of another file than the reference (their SHA-256 differ).")
            drifts += _compared(usage, found, log)
    return Monitoring(log, tuple(drifts), tuple(notes))


def references_of(path: str | os.PathLike) -> dict[str, Reference]:
    """Reads the references in a manifest that `tfcompress android` wrote.

    Args:
        path: `manifest.json`, or the folder that holds it. Its signature is not checked.

    Returns:
        References by name of the variant.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such manifest, or no variant in it has a reference histogram.
    """
    path = pathlib.Path(path)
    path = path / MANIFEST if path.is_dir() else path
    try:
        document = check_document(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    edges = tuple(document["monitor"]["confidence_edges"])
    found = {}
    for model in document["models"]:
        histogram, header = model["reference_histogram"], model["encryption"]
        if histogram is not None:
            digest = model["sha256"] if header is None else header["plain_sha256"]
            bins = tuple(histogram["classes"]), tuple(histogram["confidence"])
            found[model["id"]] = Reference(histogram["data"], digest, *bins, edges)
    if not found:
        raise ValueError(f"{path}: no variant has a reference histogram. Export it again with --data.")
    return found


def reference(artifact: Artifact, x: Samples, semantic: str, edges: Sequence[float], data: str) -> Reference:
    """Counts the predictions of a file on data.

    Args:
        artifact: A classifier with one output (n, classes).
        x: Input values (n, ...), at least one; by input name where there are several.
        semantic: "logits" or "probabilities".
        edges: Edges of the confidence's bins, from 0 to 1.
        data: Name of the data.

    Returns:
        The reference.

    Raises:
        ValueError: If `x` does not fit the file.
    """
    outputs: Any = artifact.predict(x)
    classes = np.bincount(outputs.argmax(axis=-1), minlength=outputs.shape[-1])
    sure = counts(confidences(outputs, semantic), edges)
    return Reference(data, artifact.sha256, tuple(classes.tolist()), tuple(sure), tuple(edges))


def _compared(usage: Usage, found: Reference, log: MonitorLog) -> list[Drift]:
    if len(usage.classes) != len(found.classes):
        raise ValueError(
            f"monitor: {usage.name} has {len(usage.classes)} classes in the log and {len(found.classes)} in the "
            "reference."
        )
    if log.confidence_edges != found.confidence_edges:
        raise ValueError(
            f"monitor: the log counts confidence between other edges than the reference. Log: "
            f"{list(log.confidence_edges)}; reference: {list(found.confidence_edges)}."
        )
    edges = found.confidence_edges
    words = {
        "classes": tuple(map(str, range(len(found.classes)))),
        "confidence": tuple(f"{low:g} to {high:g}" for low, high in zip(edges, edges[1:], strict=False)),
    }
    drifts = []
    for histogram, bins in words.items():
        seen, expected = getattr(usage, histogram), getattr(found, histogram)
        measures = (measure(seen, expected) for measure in (stability_index, shannon_distance, stability_noise))
        drifts.append(Drift(usage.name, histogram, seen, expected, bins, *measures))
    return drifts


_USE_HEADER = ("variant", "answers", "failures", "p50 us", "p90 us")
_DRIFT_HEADER = ("variant", "histogram", "answers", "reference", "PSI", "chance", "JS", "verdict")


def _use_row(usage: Usage, log: MonitorLog) -> list[str]:
    edges = log.document["latency_edges_us"]
    bounds = [_latency(usage.latency_us, edges, percent) for percent in (50, 90)]
    return [usage.name, number(usage.count), number(usage.failures), *bounds]


def _latency(histogram: Sequence[int], edges: Sequence[float], percent: int) -> str:
    """Returns the bin of a nearest-rank percentile."""
    total = sum(histogram)
    if not total:
        return "-"
    rank = max(1, -(-percent * total // 100))
    place = int(np.searchsorted(np.cumsum(histogram), rank))
    return f"{edges[place]:g} to {edges[place + 1]:g}" if place + 1 < len(edges) else f"{edges[-1]:g} and more"


def _drift_row(drift: Drift) -> list[str]:
    figures = [f"{value:.3f}" for value in (drift.index, drift.noise, drift.distance)]
    sizes = [number(sum(drift.seen)), number(sum(drift.expected))]
    return [drift.name, drift.histogram, *sizes, *figures, drift.verdict]
