"""Reads the log of its own use that an app exports: schema `tfcompress.monitor/1`, counts by day and no inputs."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress.benchmarking.bench_schema import validate
from tfcompress.validation import strict_json

SCHEMA_NAME = "tfcompress.monitor/1"
_COUNT = {"type": "integer", "minimum": 0}
_COUNTS = {"type": "array", "minItems": 1, "items": _COUNT}
_EDGES = {"type": "array", "minItems": 2, "items": {"type": "number"}}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_NAMED: dict[str, Any] = {
    "type": "object",
    "required": ["name", "version"],
    "properties": {"name": {"type": "string", "minLength": 1}, "version": {"type": "string"}},
}
SCHEMA: dict[str, Any] = {
    "$id": SCHEMA_NAME,
    "type": "object",
    "required": ["schema", "created", "generator", "device", "runtime", "confidence_edges", "latency_edges_us", "days"],
    "properties": {
        "schema": {"const": SCHEMA_NAME},
        "created": {
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?Z$",
        },
        "generator": {
            **_NAMED,
            "properties": {**_NAMED["properties"], "manifest_sha256": {"anyOf": [{"type": "null"}, _DIGEST]}},
        },
        "device": {
            "type": "object",
            "required": ["name", "system"],
            "properties": {"name": {"type": "string"}, "system": {"type": "string"}},
        },
        "runtime": _NAMED,
        "confidence_edges": _EDGES,
        "latency_edges_us": _EDGES,
        "days": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["day", "variants"],
                "properties": {
                    "day": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                    "variants": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["name", "sha256", "count", "classes", "confidence", "latency_us"],
                            "properties": {
                                "name": {"type": "string", "minLength": 1},
                                "sha256": _DIGEST,
                                "count": _COUNT,
                                "classes": _COUNTS,
                                "confidence": _COUNTS,
                                "latency_us": _COUNTS,
                                "failures": _COUNT,
                            },
                        },
                    },
                },
            },
        },
    },
}


@dataclass(frozen=True)
class Usage:
    """Counts of one variant over all days of a log.

    Attributes:
        name: Its identifier.
        sha256: Digest of its file.
        count: Number of answers.
        failures: Number of runs without an answer.
        classes: Answers by class.
        confidence: Answers by confidence, in the log's bins.
        latency_us: Answers by latency, in the log's bins and one open bin.
    """

    name: str
    sha256: str
    count: int
    failures: int
    classes: tuple[int, ...]
    confidence: tuple[int, ...]
    latency_us: tuple[int, ...]


class MonitorLog:
    """A log of an app's use of its models.

    Args:
        document: The parsed JSON.

    Raises:
        ValueError: If it breaks the schema, bins and edges do not belong together, a histogram does not sum to its
            count, or days are not in order.

    Example:
        >>> MonitorLog({"schema": "tfcompress.bench/1"})
        Traceback (most recent call last):
        ...
        ValueError: monitoring log: schema must be 'tfcompress.monitor/1'. Received: 'tfcompress.bench/1'.
    """

    def __init__(self, document: dict[str, Any]):
        named = document.get("schema") if isinstance(document, dict) else None
        if named != SCHEMA_NAME:
            raise ValueError(f"monitoring log: schema must be {SCHEMA_NAME!r}. Received: {named!r}.")
        try:
            validate(document, SCHEMA)
        except ValueError as error:  # it says "report"
            raise ValueError(f"monitoring log: {error}") from error
        _check_edges(document)
        _check_days(document)
        self.document = document

    @classmethod
    def load(cls, path: str | os.PathLike) -> "MonitorLog":
        """Reads a log from a file.

        Args:
            path: A JSON file that the app exported.

        Returns:
            The log.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no such log; the message names the file.
        """
        try:
            return cls(strict_json.parse(Path(path).read_bytes()))
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from error

    @property
    def days(self) -> tuple[str, ...]:
        """The days, in order."""
        return tuple(day["day"] for day in self.document["days"])

    @property
    def confidence_edges(self) -> tuple[float, ...]:
        """Edges of the confidence's bins."""
        return tuple(self.document["confidence_edges"])

    def usage(self) -> tuple[Usage, ...]:
        """Returns the sums over all days by variant, in the order of their first day.

        A variant whose file changed between two days counts as two.
        """
        entries: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for day in self.document["days"]:
            for variant in day["variants"]:
                entries.setdefault((variant["name"], variant["sha256"]), []).append(variant)
        return tuple(_sum(name, digest, found) for (name, digest), found in entries.items())


def _sum(name: str, digest: str, found: list[dict[str, Any]]) -> Usage:
    sums = {
        key: tuple(int(value) for value in np.sum([entry[key] for entry in found], axis=0))
        for key in ("classes", "confidence", "latency_us")
    }
    failures = sum(int(entry.get("failures", 0)) for entry in found)
    return Usage(name, digest, sum(int(entry["count"]) for entry in found), failures, **sums)


def _check_edges(document: dict[str, Any]) -> None:
    for key in ("confidence_edges", "latency_edges_us"):
        edges = document[key]
        if any(low >= high for low, high in zip(edges, edges[1:], strict=False)):
            raise ValueError(f"monitoring log: {key} must ascend. Received: {edges}.")


def _check_days(document: dict[str, Any]) -> None:
    days = [day["day"] for day in document["days"]]
    if days != sorted(set(days)):
        raise ValueError(f"monitoring log: days must ascend, each once. Received: {days}.")
    bins = {"confidence": len(document["confidence_edges"]) - 1, "latency_us": len(document["latency_edges_us"])}
    classes = {len(variant["classes"]) for day in document["days"] for variant in day["variants"]}
    if len(classes) > 1:
        raise ValueError(f"monitoring log: all variants must have the same classes. Received: {sorted(classes)}.")
    for day in document["days"]:
        names = Counter(variant["name"] for variant in day["variants"])
        for variant in day["variants"]:
            where = f"monitoring log: {day['day']}, {variant['name']}"
            if names[variant["name"]] > 1:
                raise ValueError(f"{where}: the variant is there twice.")
            for key, number in bins.items():
                if len(variant[key]) != number:
                    raise ValueError(f"{where}: {key} must have {number} bins. Received: {len(variant[key])}.")
            for key in ("classes", *bins):
                if sum(variant[key]) != variant["count"]:
                    raise ValueError(
                        f"{where}: {key} must sum to the count, {variant['count']}. Received: {sum(variant[key])}."
                    )
