"""Describes where and when a measurement was made: machine, runtime, package versions."""

import importlib.metadata
import os
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_RUNTIME = "ai-edge-litert"


def host_facts() -> dict[str, Any]:
    """Returns the parts of a benchmark report that describe the host.

    Returns:
        `created` (UTC, ISO 8601), `generator`, `device` and `runtime`, as in `bench_schema.json`.

    Example:
        >>> host_facts()["device"]["cores"] >= 1
        True
    """
    return {
        "created": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "generator": {"name": "tfcompress", "version": _version("tfcompress")},
        "device": {
            "name": _processor(),
            "soc": None,
            "system": f"{platform.system()} {platform.release()}",
            "sdk": None,
            "machine": platform.machine(),
            "cores": _cores(),
        },
        "runtime": {"name": _RUNTIME, "version": _version(_RUNTIME)},
    }


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # Run from a source folder.


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
