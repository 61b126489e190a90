"""Shows where, when and with which versions a report was made."""

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from tfcompress.benchmarking.environment import host_facts
from tfcompress.report.report import Report

_PACKAGES = {"TensorFlow": "tensorflow", "Keras": "keras", "NumPy": "numpy"}


def add_provenance(report: Report, data: str = "") -> None:
    """Adds date, machine and versions.

    Args:
        report: Report to add to.
        data: What the figures were measured on; may be empty.

    Example:
        >>> report = Report("Digits")
        >>> add_provenance(report)
        >>> [row[0] for row in report.sections[0].cells][:3]
        ['date', 'processor', 'cores']
    """
    rows = [{"what": what, "value": value} for what, value in _facts(host_facts(), data).items() if value]
    report.add_table("Where and with what", rows, columns={"what": "what", "value": "value"}, texts=("value",))


def _facts(host: Mapping[str, Any], data: str) -> dict[str, str]:
    device = host["device"]
    return {
        "data": data,
        "date": host["created"].replace("T", " ").replace("Z", " UTC"),
        "processor": device["name"],
        "cores": str(device["cores"]),
        "system": f"{_distribution()}{device['system']}, {device['machine']}",
        "Python": platform.python_version(),
        **{title: _version(package) for title, package in _PACKAGES.items()},
        "LiteRT": host["runtime"]["version"],
        "tfcompress": host["generator"]["version"],
    }


def _distribution() -> str:
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, "
    except (OSError, KeyError):  # not Linux, or one without that file
        return ""


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
