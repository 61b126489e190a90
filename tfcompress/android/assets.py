"""Writes the folder of models that an app ships with: models, golden tensors, samples, manifest, signature.

Everything is written to a new folder, which replaces the old one at the end, so that a reader sees the one or
the other, and any failure leaves the old one.
"""

import hashlib
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from tfcompress.android.manifest import MANIFEST, SCHEMA, SIGNATURE, associated_data, check_document
from tfcompress.android.phone_variant import PhoneVariant, check_name
from tfcompress.android.recipe_steps import title_of
from tfcompress.android.secure import SIGNATURE_ALGORITHM, encrypt, new_key, public_der, sign
from tfcompress.system.folder_swap import replace_folder
from tfcompress.tflite.tensor_spec import TensorSpec
from tfcompress.validation import strict_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SAMPLES_SCHEMA = "tfcompress.samples/1"
# Another processor may round the last bit differently.
_MAX_LSB, _MAX_ABS = 1, 1e-4


@dataclass(frozen=True)
class SampleImages:
    """Sample pictures that the app offers for classification.

    Attributes:
        pixels: uint8 (n, side, side), 0 is the background.
        labels: Class of each.
        indices: Row of each in the data they are from.
        kinds: Why each was chosen: "first" (of its class) or "disputed" (the models disagree).
        source: Name of the data.
        licence: Licence and authors of the data.
    """

    pixels: np.ndarray
    labels: Sequence[int] | np.ndarray
    indices: Sequence[int] | np.ndarray
    kinds: Sequence[str]
    source: str
    licence: str


@dataclass(frozen=True)
class AppTask:
    """The task of the models: classes, input images, and how pixels become input values.

    Attributes:
        dataset: Name of the data.
        labels: Name of each class.
        side: Height and width of the images, in pixels.
        monitor: Edges of the histograms that the app counts: `confidence_edges`, `latency_edges_us`.
        reference: Identifier of the variant that the others are compared with.
        runtime: Version of the app's runtime as far as known, for information; may be empty.
        generator: Versions of the packages that made the models.
        scale: Factor on a pixel.
        offset: Added after it.
    """

    dataset: str
    labels: Sequence[str]
    side: int
    monitor: dict[str, Sequence[float]]
    reference: str
    runtime: str
    generator: dict[str, str]
    scale: float = 1 / 255
    offset: float = 0.0

    def values(self, pixels: np.ndarray) -> np.ndarray:
        """Converts pixels to input values: `pixel * scale + offset` in float64, rounded to float32 once.

        Args:
            pixels: uint8 (n, side, side).

        Returns:
            float32 (n, side, side, 1).
        """
        return (pixels.astype(np.float64) * self.scale + self.offset).astype(np.float32)[..., None]


def write_assets(
    folder: str | os.PathLike,
    variants: Sequence[PhoneVariant],
    task: AppTask,
    samples: SampleImages,
    golden: np.ndarray,
    key: "EllipticCurvePrivateKey | None" = None,
    public_key: str | os.PathLike | None = None,
    encrypted: Sequence[str] = (),
    passphrase: str = "",
    keep_plain: bool = False,
) -> bytes:
    """Writes the folder of models, and the public key if a file for it is given.

    Args:
        folder: Made, or replaced if it holds a manifest or nothing.
        variants: The models.
        task: Their task.
        samples: Pictures for the app.
        golden: uint8 (n, side, side): pictures whose outputs are stored for the app's self-test.
        key: Private key to sign with; None makes a key pair for this folder alone and does not keep the private key.
        public_key: File for the public key in DER, written together with the folder.
        encrypted: Identifiers of the variants to encrypt.
        passphrase: For these.
        keep_plain: Ship these variants unencrypted as well; the encrypted one is called `..._encrypted` then.

    Returns:
        The public key in DER.

    Raises:
        ValueError: If there are no variants or two of one name, `encrypted` or `task.reference` name none of them,
            the passphrase is missing, or the folder holds something else.
        ModuleNotFoundError: If `cryptography` is not installed.
    """
    folder = pathlib.Path(folder)
    check_request(folder, [variant.name for variant in variants], task.reference, encrypted, passphrase)
    key = new_key() if key is None else key
    public = public_der(key)
    contents = _Contents()
    models = []
    for variant in variants:
        golden_entry = _golden(contents, variant, task.values(golden))
        plain = variant.name not in encrypted
        if plain or keep_plain:
            models.append(_model(contents, variant, variant.name, golden_entry))
        if not plain:
            name = f"{variant.name}_encrypted" if keep_plain else variant.name
            models.append(_model(contents, variant, name, golden_entry, passphrase))
    _add_samples(contents, samples, task)
    document = _document(task, models, contents.listed, hashlib.sha256(public).hexdigest())
    manifest = strict_json.write(document)
    check_document(manifest)
    contents.files |= {MANIFEST: manifest, SIGNATURE: sign(manifest, key)}
    _replace(folder, contents.files, {} if public_key is None else {public_key: public})
    return public


def check_request(
    folder: str | os.PathLike,
    names: Sequence[str],
    reference: str,
    encrypted: Sequence[str] = (),
    passphrase: str = "",
) -> None:
    """Checks the arguments of `write_assets` before anything is measured.

    Args:
        folder: Where to write.
        names: Identifiers of the variants.
        reference: One of them.
        encrypted: Those to encrypt.
        passphrase: For these.

    Raises:
        ValueError: As `write_assets`.
    """
    folder = pathlib.Path(folder)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"variants: give at least one, and each name once. Received: {list(names)}.")
    for argument, wanted in (("encrypt", encrypted), ("reference", (reference,))):
        if unknown := [name for name in wanted if name not in names]:
            raise ValueError(f"{argument}: there is no variant {unknown[0]!r}. There are: {list(names)}.")
    for name in encrypted:
        check_name(f"{name}_encrypted")
    if encrypted and not passphrase:
        raise ValueError(f"passphrase: is needed to encrypt {', '.join(encrypted)}.")
    if passphrase and not encrypted:
        raise ValueError("passphrase: nothing is to be encrypted. Name the variants as well.")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise ValueError(
            f"{folder} holds files and no {MANIFEST}: it is not replaced, as these may be someone's. Give another "
            "folder or empty this one."
        )


class _Contents:
    """Files of the folder by path, and the entries of those that are no models for the manifest."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.listed: dict[str, dict[str, Any]] = {}

    def add(self, path: str, content: bytes) -> str:
        self.files[path] = content
        self.listed[path] = _facts(content)
        return path


def _facts(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _golden(contents: _Contents, variant: PhoneVariant, values: np.ndarray) -> dict[str, Any]:
    codes = variant.input.quantize(values)
    wanted = codes.astype(codes.dtype.newbyteorder("<")).tobytes()
    # variants with the same input type share a file; another quantization has another one
    number, path = 1, f"golden/in_{variant.input.dtype}.bin"
    while contents.files.get(path, wanted) != wanted:
        number += 1
        path = f"golden/in_{variant.input.dtype}_{number}.bin"
    answers: Any = variant.artifact.predict_codes(values)
    output = answers.astype(answers.dtype.newbyteorder("<")).tobytes()
    tolerance = {"max_lsb": _MAX_LSB} if variant.output.is_quantized else {"max_abs": _MAX_ABS}
    return {
        "input": contents.add(path, wanted),
        "output": contents.add(f"golden/{variant.name}.bin", output),
        "count": len(values),
        **tolerance,
    }


def _model(contents: _Contents, variant: PhoneVariant, name: str, golden: dict, passphrase: str = "") -> dict[str, Any]:
    artifact = variant.artifact
    content, header, path = artifact.content, None, f"{name}.tflite"
    if passphrase:
        content, header = encrypt(content, passphrase, associated_data(name))
        path += ".enc"
    contents.files[path] = content
    return {
        "id": name,
        "title": title_of(variant.steps, encrypted=header is not None),
        "file": path,
        **_facts(content),
        "mode": variant.steps[-1]["mode"],
        "recipe": list(variant.steps),
        "inputs": [_tensor(variant.input)],
        "outputs": [{**_tensor(variant.output), "semantic": variant.semantic}],
        "min_runtime": artifact.min_runtime or None,
        "op_versions": artifact.op_versions,
        "encryption": header,
        "metrics": variant.metrics,
        "golden": golden,
        "reference_histogram": variant.reference_histogram,
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    quant = {"scale": spec.scale, "zero_point": spec.zero_point} if spec.is_quantized else None
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape), "quant": quant}


def _add_samples(contents: _Contents, samples: SampleImages, task: AppTask) -> None:
    count = len(samples.pixels)
    index = {
        "schema": SAMPLES_SCHEMA,
        "source": samples.source,
        "licence": samples.licence,
        "width": task.side,
        "height": task.side,
        "file": contents.add("samples/images.bin", samples.pixels.astype(np.uint8).tobytes()),
        "count": count,
        "labels": [int(label) for label in samples.labels],
        "indices": [int(row) for row in samples.indices],
        "kinds": list(samples.kinds),
    }
    contents.add("samples/index.json", strict_json.write(index))


def _document(task: AppTask, models: list[dict], files: dict[str, dict], key_sha256: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "created": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "generator": task.generator,
        "sig_alg": SIGNATURE_ALGORITHM,
        "key_sha256": key_sha256,
        "runtime": task.runtime or None,
        "task": {"kind": "image-classification", "dataset": task.dataset, "labels": list(task.labels)},
        "input": {
            "width": task.side,
            "height": task.side,
            "channels": 1,
            "layout": "NHWC",
            "ink": "bright-on-dark",
            "normalization": {"scale": task.scale, "offset": task.offset},
            "centering": "mnist-20x20-center-of-mass",
        },
        "monitor": {name: list(edges) for name, edges in task.monitor.items()},
        "reference": task.reference,
        "models": models,
        "files": files,
        "samples": "samples/index.json",
    }


def _replace(folder: pathlib.Path, files: dict[str, bytes], beside: dict[str | os.PathLike, bytes]) -> None:
    """Replaces the folder at once; where the system can't exchange folders, manifest and signature come last."""
    replace_folder(folder, files, beside, last=(MANIFEST, SIGNATURE))
