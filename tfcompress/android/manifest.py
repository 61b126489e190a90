"""Reads the signed manifest of an app's models, and its files: checks signature and digests, and decrypts.

A manifest is used only after its signature was verified, a file only after its digest. Format:
`tfcompress.android/1`, strict JSON beside a detached signature; unknown keys are ignored.
"""

import hashlib
import os
import pathlib
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress.android.manifest_values import check_values
from tfcompress.android.phone_variant import check_name
from tfcompress.android.secure import IntegrityError, decrypt, verify
from tfcompress.validation import strict_json

SCHEMA = "tfcompress.android/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_HEX = re.compile(r"[0-9a-f]{64}")
_NUMBER = (int, float)
_QUANT = {"scale": float, "zero_point": int}
_TENSOR = {"name": str, "dtype": str, "shape": [int], "quant": (_QUANT, None)}
_HEADER = {
    "alg": str,
    "nonce": str,
    "aad": str,
    "plain_sha256": str,
    "plain_bytes": int,
    "kdf": {"alg": str, "salt": str, "iterations": int},
}
_HISTOGRAM = {"data": str, "samples": int, "classes": [int], "confidence": [int]}
_MODEL = {
    "id": str,
    "title": {"en": str, "zh": str},
    "file": str,
    "bytes": int,
    "sha256": str,
    "mode": str,
    "recipe": [dict],
    "inputs": [_TENSOR],
    "outputs": [{**_TENSOR, "semantic": str}],
    "min_runtime": (str, None),
    "op_versions": dict,
    "encryption": (_HEADER, None),
    "metrics": dict,
    "golden": {"input": str, "output": str, "count": int},
    "reference_histogram": (_HISTOGRAM, None),
}
_DOCUMENT = {
    "schema": str,
    "sig_alg": str,
    "key_sha256": str,
    "task": {"kind": str, "dataset": str, "labels": [str]},
    "input": {"width": int, "height": int, "channels": int, "normalization": {"scale": _NUMBER, "offset": _NUMBER}},
    "monitor": {"confidence_edges": [_NUMBER], "latency_edges_us": [_NUMBER]},
    "reference": str,
    "models": [_MODEL],
    "files": dict,
    "samples": str,
}
_FILE = {"bytes": int, "sha256": str}


class ManifestError(IntegrityError):
    """Raised for a manifest with a valid signature that is not of this format."""


class DigestError(IntegrityError):
    """Raised for a file that is not the one in the manifest: another size or SHA-256, or it is missing."""


@dataclass(frozen=True)
class Manifest:
    """A manifest whose signature was verified.

    Attributes:
        folder: Where its files lie.
        document: Its contents.
        sha256: Digest of `manifest.json`.
    """

    folder: pathlib.Path
    document: dict[str, Any]
    sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        """Identifiers of the models, in order."""
        return tuple(model["id"] for model in self.document["models"])

    def entry(self, name: str) -> dict[str, Any]:
        """Returns the entry of a model in the manifest.

        Args:
            name: Its identifier.

        Returns:
            The entry.

        Raises:
            KeyError: If there is no such model.
        """
        for model in self.document["models"]:
            if model["id"] == name:
                return model
        raise KeyError(f"no model {name!r} in the manifest; there are {list(self.names)}")

    def model(self, name: str, passphrase: str = "") -> bytes:
        """Reads the bytes of a model for the runtime: checks the digest, decrypts, checks the digest again.

        Args:
            name: Its identifier.
            passphrase: For an encrypted model.

        Returns:
            The plain `.tflite` file.

        Raises:
            KeyError: If there is no such model.
            DigestError: If the file is missing or is not the one that was signed.
            DecryptionError: If the passphrase is wrong.
            ValueError: If it is encrypted and no passphrase is given.
        """
        entry = self.entry(name)
        content = _read(self.folder, entry["file"], entry)
        if entry["encryption"] is None:
            return content
        if not passphrase:
            raise ValueError(f"{name} is encrypted: give its passphrase.")
        return decrypt(content, entry["encryption"], passphrase)

    def file(self, path: str) -> bytes:
        """Reads a file that is no model, such as `golden/in_int8.bin`, and checks its digest.

        Args:
            path: As the manifest names it.

        Returns:
            The contents.

        Raises:
            KeyError: If the manifest has no such file.
            DigestError: If it is missing or is not the one that was signed.
        """
        return _read(self.folder, path, self.document["files"][path])

    def golden(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns golden inputs and outputs of a model, in the file's own types.

        Args:
            name: Its identifier.

        Returns:
            Inputs (n, height, width, 1) and outputs (n, classes): codes of an integer model.
        """
        entry = self.entry(name)
        golden = entry["golden"]
        pairs = ((golden["input"], entry["inputs"][0]), (golden["output"], entry["outputs"][0]))
        arrays = []
        for path, spec in pairs:
            flat = np.frombuffer(self.file(path), np.dtype(spec["dtype"]).newbyteorder("<"))
            arrays.append(flat.reshape(golden["count"], *spec["shape"][1:]))
        return arrays[0], arrays[1]


def read_manifest(folder: str | os.PathLike, public_key: bytes | str | os.PathLike) -> Manifest:
    """Verifies the signature of a folder's manifest and reads it.

    Args:
        folder: With `manifest.json` and `manifest.sig`.
        public_key: SubjectPublicKeyInfo in DER, or the path of a file with it.

    Returns:
        The manifest; models and files are checked when they are read.

    Raises:
        SignatureError: If the signature is not that of the manifest and the key.
        ManifestError: If the signed file is no manifest of this format.
        FileNotFoundError: If a file is missing.
        ModuleNotFoundError: If `cryptography` is not installed.

    Example:
        ```python
        from tfcompress.android.manifest import read_manifest

        manifest = read_manifest("assets/models", "public_key.der")
        manifest.model("int8_ptq")[4:8]  # b"TFL3"
        ```
    """
    folder = pathlib.Path(folder)
    key = public_key if isinstance(public_key, bytes) else pathlib.Path(public_key).read_bytes()
    content, signature = (folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_bytes()
    verify(content, signature, key)
    document = check_document(content)
    if document["key_sha256"] != hashlib.sha256(key).hexdigest():
        raise ManifestError(
            f"manifest.json: key_sha256 names another key ({document['key_sha256']}) than the one it is signed with."
        )
    return Manifest(folder, document, hashlib.sha256(content).hexdigest())


def check_document(content: bytes) -> dict[str, Any]:
    """Reads a manifest's JSON and checks its form, without its signature.

    Args:
        content: Bytes of `manifest.json`.

    Returns:
        The document.

    Raises:
        ManifestError: If it is no strict JSON, has another schema, misses a key or has one of another type, names
            a model twice, has a path that leads out of its folder, an impossible value (a scale, count or
            algorithm), or contradicts itself.
    """
    try:
        document = strict_json.parse(content)
        _check_form(document, {"schema": str}, "manifest")
        if document["schema"] != SCHEMA:
            raise ValueError(f"schema: must be {SCHEMA!r}. Received: {document['schema']!r}")
        _check_form(document, _DOCUMENT, "manifest")
        _check_names(document)
        for path, facts in document["files"].items():
            _check_form(facts, _FILE, f"files[{path!r}]")
            _check_file(path, facts)
        for model in document["models"]:
            _check_model(model, document)
        check_values(document)
    except ValueError as error:
        raise ManifestError(f"manifest.json: {error}") from error
    return document


def _check_form(value: Any, form: Any, where: str) -> None:
    """Checks a value by a form: a type or several, a dictionary of forms, [form of each item], (form, None)."""
    if isinstance(form, tuple) and form[-1] is None:
        if value is not None:
            _check_form(value, form[0], where)
    elif isinstance(form, dict):
        _check_form(value, dict, where)
        for key, inner in form.items():
            if key not in value:
                raise ValueError(f"{where}: the key {key!r} is missing")
            _check_form(value[key], inner, f"{where}.{key}")
    elif isinstance(form, list):
        _check_form(value, list, where)
        for place, item in enumerate(value):
            _check_form(item, form[0], f"{where}[{place}]")
    elif not isinstance(value, form) or isinstance(value, bool):
        raise ValueError(f"{where}: is of another type. Received: {value!r:.80}")


def _check_names(document: dict[str, Any]) -> None:
    names = [model["id"] for model in document["models"]]
    for name in names:
        check_name(name)
        if names.count(name) > 1:
            raise ValueError(f"models: {name!r} is there twice")
    if document["reference"] not in names:
        raise ValueError(f"reference: {document['reference']!r} is none of the models {names}")
    for path in (
        document["samples"],
        *(model["golden"][key] for model in document["models"] for key in ("input", "output")),
    ):
        if path not in document["files"]:
            raise ValueError(f"files: {path!r} is named and not listed")


def _check_model(model: dict[str, Any], document: dict[str, Any]) -> None:
    name = model["id"]
    _check_file(model["file"], model)
    header = model["encryption"]
    if header is not None and header["aad"] != associated_data(name):
        raise ValueError(f"{name}: encryption.aad must be {associated_data(name)!r}. Received: {header['aad']!r}")
    for spec in (*model["inputs"], *model["outputs"]):
        if spec["dtype"] not in ("int8", "float32") or (spec["dtype"] == "int8") != (spec["quant"] is not None):
            raise ValueError(f"{name}: a tensor must be int8 with a scale, or float32. Received: {spec}")
    shapes = [spec["shape"] for spec in (*model["inputs"], *model["outputs"])]
    if shapes != [
        [1, document["input"]["height"], document["input"]["width"], 1],
        [1, len(document["task"]["labels"])],
    ]:
        raise ValueError(f"{name}: shapes do not fit the input and the labels. Received: {shapes}")


def _check_file(path: str, facts: dict[str, Any]) -> None:
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path!r} is no path below the manifest's folder")
    if facts["bytes"] < 0 or not _HEX.fullmatch(facts["sha256"]):
        raise ValueError(f"{path}: bytes or sha256 is none")


def associated_data(name: str) -> str:
    """Returns the text that is authenticated with a model's ciphertext: its identifier, so none can be exchanged."""
    return f"tfcompress:1:{name}"


def check_content(path: str, content: bytes, facts: dict[str, Any]) -> None:
    """Raises if a file is not the one in the manifest.

    Args:
        path: Its name, for the message.
        content: Its bytes.
        facts: `bytes` and `sha256` of the one that was signed.

    Raises:
        DigestError: If size or digest differ.

    Example:
        >>> check_content("a.bin", b"ab", {"bytes": 3, "sha256": "0" * 64})
        Traceback (most recent call last):
        ...
        tfcompress.android.manifest.DigestError: a.bin: is not the file that was signed; its size or SHA-256 differs.
    """
    if len(content) != facts["bytes"] or hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise DigestError(f"{path}: is not the file that was signed; its size or SHA-256 differs.")


def _read(folder: pathlib.Path, path: str, facts: dict[str, Any]) -> bytes:
    try:
        content = (folder / path).read_bytes()
    except OSError as error:
        raise DigestError(f"{path}: cannot be read: {error.strerror}.") from error
    check_content(path, content, facts)
    return content
