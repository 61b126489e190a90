"""Reads a benchmark report of a phone, and adds it to a report beside the times of the host.

Times of two machines are shown side by side, each under the name of its device; none is derived from the other.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from tfcompress.benchmarking.bench_report import BenchReport, energy_uj, notes_of, setting_of
from tfcompress.report.report import Report
from tfcompress.tflite.artifact import Artifact

_DECIMALS = {**dict.fromkeys(("p50", "p90", "init", "first", "energy", "host"), 1), "top1": 4, "agreement": 4}
_NAMED = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}


def load_phone_report(path: str | os.PathLike) -> BenchReport:
    """Reads a report that the Android app shared.

    Args:
        path: A JSON file of schema `tfcompress.bench/1`.

    Returns:
        The report.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it breaks the schema, or was not measured on an Android device; the message names the file.

    Example:
        >>> load_phone_report("phone.json")  # doctest: +SKIP
        BenchReport(int8_ptq: p50 41.0 us)
    """
    report = BenchReport.load(path)
    device = report.document["device"]
    if device.get("sdk") is None:
        raise ValueError(
            f"{os.fspath(path)}: was not measured on an Android device: device.sdk is missing. Received: "
            f"{device['name']!r}, {device['system']}. Times of another machine are no times of a phone; "
            "`tfcompress bench HOST.json PHONE.json` shows both."
        )
    return report


def measured_on_phone(phone: BenchReport, artifacts: Mapping[str, Artifact]) -> list[dict[str, Any]]:
    """Returns the results of a phone for these files, matched by the files' digests.

    Args:
        phone: A report from `load_phone_report`.
        artifacts: Files by name.

    Raises:
        ValueError: If the phone measured none of the files.
    """
    digests = {artifact.sha256 for artifact in artifacts.values()}
    known = [result for result in phone.results if result["sha256"] in digests]
    if not known:
        raise ValueError(
            f"The phone's report has none of these files ({', '.join(artifacts)}): no SHA-256 is the same. It has: "
            f"{', '.join(phone)}. Report on the files that the app carries."
        )
    return known


def add_phone(
    report: Report,
    phone: BenchReport,
    artifacts: Mapping[str, Artifact],
    host: BenchReport | None = None,
) -> None:
    """Adds the times of a phone beside those of the host, matched by the files' digests.

    Args:
        report: Report to add to.
        phone: A report from `load_phone_report`.
        artifacts: The files of the report by name.
        host: The same files measured on the host, by the same names; None where none were.

    Raises:
        ValueError: If the phone measured none of the files.
    """
    names = {artifact.sha256: name for name, artifact in artifacts.items()}
    known = measured_on_phone(phone, artifacts)
    device = phone.document["device"]
    times = {} if host is None else {result["name"]: float(result["latency"]["p50_us"]) for result in host.results}
    rows = [_row(result, names[result["sha256"]], times) for result in known]
    columns = {"name": "model", "on": "runs on", "threads": "threads", "p50": "p50 us", "p90": "p90 us"}
    columns |= {"init": "init us", "first": "first us"}
    columns = {key: title if key == "name" else f"{title}, phone" for key, title in columns.items()}
    if any(row["top1"] is not None for row in rows):  # on the samples that the app carries
        columns |= {"samples": "samples, phone", "top1": "top-1, phone", "agreement": "agreement, phone"}
    if any(row["energy"] is not None for row in rows):
        columns["energy"] = "uJ (coarse), phone"
    if host is not None:
        columns["host"] = "p50 us, host"
    others = [result["name"] for result in phone.results if result["sha256"] not in names]
    notes = [f"Phone: {setting_of(phone.document)}."]
    if host is not None:
        notes.append(f"Host: {setting_of(host.document)}. Its times say nothing about the phone's.")
    notes += notes_of(phone.document, memory=False)
    if others:
        notes.append(f"Also measured, and not in this report: {', '.join(others)}.")
    report.add_table(f"On {device['name']}", rows, columns=columns, digits=_DECIMALS, note=" ".join(notes))


def _row(result: dict[str, Any], name: str, host: Mapping[str, float]) -> dict[str, Any]:
    latency = result["latency"]
    return {
        "name": name if pathlib.Path(name).stem == result["name"] else f"{name} ({result['name']})",
        "on": _NAMED[result["accelerator"]["actual"]],
        "threads": result["threads"],
        "p50": float(latency["p50_us"]),
        "p90": float(latency["p90_us"]),
        "init": float(result["init_us"]),
        "first": float(result["first_us"]),
        **{key: result.get(key) for key in ("samples", "top1", "agreement")},
        "energy": energy_uj(result),
        "host": host.get(name),
    }
