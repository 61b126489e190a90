"""Checks that the values of a manifest are possible: counts, scales, algorithms, edges, sizes.

The app uses them without further checks, so impossible values are refused where the manifest is made and read.
"""

import math
import re
from typing import Any

import numpy as np

from tfcompress.android.secure import ACCEPTED_ITERATIONS, CIPHER, DERIVATION, SIGNATURE_ALGORITHM
from tfcompress.file_formats import INT8

# Pixels of a side: the app scales what is drawn or taken by a camera to it.
LARGEST_SIDE = 4096
_HEX = re.compile(r"[0-9a-f]{64}")
_ITEMS: dict[str, np.dtype] = {"int8": np.dtype(np.int8), "float32": np.dtype(np.float32)}


def check_values(document: dict[str, Any]) -> None:
    """Raises if a value of a manifest is impossible; its form was checked before.

    Args:
        document: The manifest.

    Raises:
        ValueError: In that case; the place of the value is named.
    """
    _equal("sig_alg", document["sig_alg"], SIGNATURE_ALGORITHM)
    if not _HEX.fullmatch(document["key_sha256"]):
        raise ValueError(f"key_sha256: must be 64 hexadecimal digits. Received: {document['key_sha256']!r:.80}")
    labels = document["task"]["labels"]
    if not labels or len(set(labels)) < len(labels) or not all(labels):
        raise ValueError("task.labels: must be one or more texts, each once")
    for side in ("width", "height"):
        _between(f"input.{side}", document["input"][side], 1, LARGEST_SIDE)
    _equal("input.channels", document["input"]["channels"], 1)
    _scale("input.normalization.scale", document["input"]["normalization"]["scale"])
    for name, edges in document["monitor"].items():
        if isinstance(edges, list):
            _ascending(f"monitor.{name}", edges)
    if not document["models"]:
        raise ValueError("models: there is none")
    for model in document["models"]:
        _check_model(model, document)


def _check_model(model: dict[str, Any], document: dict[str, Any]) -> None:
    name = model["id"]
    _between(f"{name}.bytes", model["bytes"], 1)
    for spec in (*model["inputs"], *model["outputs"]):
        if spec["quant"] is not None:
            _scale(f"{name}: scale of {spec['name']!r:.60}", spec["quant"]["scale"])
            _between(
                f"{name}: zero point of {spec['name']!r:.60}", spec["quant"]["zero_point"], *INT8.activations.limits
            )
    for op, version in model["op_versions"].items():
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ValueError(f"{name}.op_versions: {op!r:.60} must be 1 or more. Received: {version!r:.60}")
    _check_golden(name, model, document["files"])
    _check_histogram(name, model["reference_histogram"], document)
    if model["encryption"] is not None:
        _check_encryption(name, model["encryption"])


def _check_golden(name: str, model: dict[str, Any], files: dict[str, Any]) -> None:
    golden = model["golden"]
    _between(f"{name}.golden.count", golden["count"], 1)
    for path, spec in ((golden["input"], model["inputs"][0]), (golden["output"], model["outputs"][0])):
        wanted = golden["count"] * math.prod(spec["shape"][1:]) * _ITEMS[spec["dtype"]].itemsize
        if files[path]["bytes"] != wanted:
            raise ValueError(f"files: {path!r} must have {wanted:,} bytes. Received: {files[path]['bytes']:,}")
    for key in ("max_lsb", "max_abs"):
        value = golden.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise ValueError(f"{name}.golden.{key}: must be 0 or more. Received: {value!r:.60}")


def _check_histogram(name: str, found: dict[str, Any] | None, document: dict[str, Any]) -> None:
    if found is None:
        return
    bins = {"classes": len(document["task"]["labels"]), "confidence": len(document["monitor"]["confidence_edges"]) - 1}
    for key, count in bins.items():
        where = f"{name}.reference_histogram.{key}"
        if len(found[key]) != count or min(found[key], default=0) < 0 or sum(found[key]) != found["samples"]:
            raise ValueError(
                f"{where}: must be {count} counts that sum to {found['samples']}. Received: {found[key]!r:.80}"
            )


def _check_encryption(name: str, header: dict[str, Any]) -> None:
    _equal(f"{name}.encryption.alg", header["alg"], CIPHER)
    _equal(f"{name}.encryption.kdf.alg", header["kdf"]["alg"], DERIVATION)
    _between(
        f"{name}.encryption.kdf.iterations",
        header["kdf"]["iterations"],
        ACCEPTED_ITERATIONS[0],
        ACCEPTED_ITERATIONS[-1],
    )
    _between(f"{name}.encryption.plain_bytes", header["plain_bytes"], 1)
    if not _HEX.fullmatch(header["plain_sha256"]):
        raise ValueError(f"{name}.encryption.plain_sha256: must be 64 hexadecimal digits")


def _equal(where: str, value: Any, wanted: Any) -> None:
    if value != wanted:
        raise ValueError(f"{where}: must be {wanted!r}. Received: {value!r:.80}")


def _between(where: str, value: int, least: int, most: int | None = None) -> None:
    if value < least or most is not None and value > most:
        limits = f"{least:,} or more" if most is None else f"from {least:,} to {most:,}"
        raise ValueError(f"{where}: must be {limits}. Received: {value:,}")


def _scale(where: str, value: float) -> None:
    # a phone reads it as float32
    if not np.finfo(np.float32).tiny <= value <= np.finfo(np.float32).max:
        raise ValueError(f"{where}: must be a scale above 0 that float32 holds. Received: {value!r:.60}")


def _ascending(where: str, edges: list[float]) -> None:
    if len(edges) < 2 or any(a >= b for a, b in zip(edges, edges[1:], strict=False)):
        raise ValueError(f"{where}: must be two or more ascending numbers. Received: {edges!r:.80}")
