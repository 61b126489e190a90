"""Exports `.tflite` files to the folder that the Android demo ships with: measures, describes and signs them.

Every figure in the manifest is measured here, on the given data.
"""

import importlib.metadata
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import tfcompress
from tfcompress.android.assets import AppTask, SampleImages, check_request, write_assets
from tfcompress.android.monitor.histograms import CONFIDENCE_EDGES, LATENCY_EDGES_US
from tfcompress.android.monitor.monitor import reference as reference_of
from tfcompress.android.phone_variant import PhoneVariant, check_name, phone_variant, runs_in
from tfcompress.android.secure import new_key
from tfcompress.benchmarking.benchmark import benchmark
from tfcompress.benchmarking.environment import host_facts
from tfcompress.calibration.image_folder import evenly
from tfcompress.datasets.mnist import Digits
from tfcompress.evaluate.kernels import kernel_table
from tfcompress.text.log import tell
from tfcompress.text.table import number, text_table
from tfcompress.tflite.artifact import Artifact
from tfcompress.validation import strict_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SIDE = 28  # pixels of the pictures that the app's drawing pad makes
# Where the demo's project keeps the key that is compiled into it.
KEY_IN_PROJECT = pathlib.PurePosixPath("core/src/main/resources/org/tfcompress/demo/core/public_key.der")
_EACH, _DISPUTED = 2, 4  # samples of each class, and samples on which the variants do not agree
_LICENCES = {
    "MNIST": "CC BY-SA 3.0: Y. LeCun, C. Cortes and C. Burges",
    "Fashion-MNIST": "MIT: Zalando SE",
    "drawn digits": "Apache-2.0: drawn by tfcompress",
}


@dataclass(frozen=True)
class AndroidExport:
    """Result of `export_android`: the paths written and the models with their figures.

    Attributes:
        folder: The assets.
        public_key: File with the public key.
        variants: The models, in order.
        runtime: Version of the app's runtime that the models are compared with; may be empty.
        notes: Notes on the export, one sentence each.
    """

    folder: pathlib.Path
    public_key: pathlib.Path
    variants: tuple[PhoneVariant, ...]
    runtime: str
    notes: tuple[str, ...]

    def text(self) -> str:
        """Returns a table of the models, and the notes."""
        header = ["variant", "bytes", "gzip bytes", "top-1", "agreement", "p50 us, host", "needs"]
        header += [f"runs in {self.runtime}"] if self.runtime else []
        rows = [_row(variant, self.runtime) for variant in self.variants]
        return "\n\n".join([text_table(header, rows), "\n".join(self.notes)])


def export_android(
    models: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    digits: Digits,
    *,
    labels: Sequence[str] | None = None,
    reference: str = "",
    runtime: str = "",
    key: "EllipticCurvePrivateKey | None" = None,
    public_key: str | os.PathLike | None = None,
    encrypt: Sequence[str] = (),
    passphrase: str = "",
    keep_plain: bool = False,
    golden: int = 8,
    limit: int = 10_000,
    latency: bool = True,
    verbose: int = 1,
) -> AndroidExport:
    """Measures models and writes the folder that the Android demo needs to run them, completely or not at all.

    Args:
        models: A folder with `.tflite` files, or their paths. An identifier in the app is the name of a file.
        out: Folder of the assets; replaced as a whole.
        digits: Images (n, 28, 28, 1) to measure on; samples and golden inputs are taken from the test part.
        labels: Names of the classes; None takes "0", "1", ...
        reference: Variant that the others are compared with; empty takes the float32 one.
        runtime: Version of the app's runtime, to tell which variants it cannot run. They are exported as well,
            and the app shows them with the reason.
        key: Private key to sign with; None makes a key pair, signs, and does not keep the private key.
        public_key: File for the public key; None takes its place in the Gradle project around `out`.
        encrypt: Variants to encrypt.
        passphrase: For these.
        keep_plain: Ship them unencrypted as well, the encrypted ones as `..._encrypted`.
        golden: Number of inputs whose outputs are stored for the app's self-test, 1 or more.
        limit: Most images to measure on, taken at even distances.
        latency: Measure the time on this host; without it the manifest has none.
        verbose: 0 for silence, 1 for progress on stderr.

    Returns:
        What was written.

    Raises:
        FileNotFoundError: If a file or folder does not exist.
        ValueError: If there are no models, one does not fit the app (the message names it), or an argument does
            not fit.
        ModuleNotFoundError: If `cryptography` is not installed.

    Example:
        ```python
        from tfcompress.android.export import export_android
        from tfcompress.datasets.mnist import load_mnist

        digits = load_mnist("mnist.npz")
        print(export_android("models/mnist", "assets/models", digits, public_key="public_key.der").text())
        ```
    """
    out = pathlib.Path(out)
    place = pathlib.Path(public_key) if public_key is not None else _place_of_key(out)
    if runtime:
        runs_in(runtime, runtime)  # raises if it is no version
    if golden < 1 or limit < 1:
        raise ValueError(f"export_android: golden and limit must be 1 or more. Received: {golden=}, {limit=}.")
    labels = [str(number) for number in range(10)] if labels is None else list(labels)
    artifacts, recipe = _load(models)
    for name, artifact in artifacts.items():  # checks all of them before anything is measured
        phone_variant(name, artifact, SIDE, len(labels), {})
    reference = _reference(artifacts, reference)
    check_request(out, list(artifacts), reference, encrypt, passphrase)
    signer = new_key() if key is None else key
    measured = _Measured(artifacts, digits, reference, limit, latency, verbose)
    variants = measured.variants(len(labels), recipe)
    task = _task(digits, labels, reference, runtime, artifacts[reference])
    selftest = pixels(digits.x_test[:golden])
    place.parent.mkdir(parents=True, exist_ok=True)
    write_assets(out, variants, task, measured.samples(), selftest, signer, place, encrypt, passphrase, keep_plain)
    return AndroidExport(
        out, place, tuple(variants), runtime, _notes(out, place, variants, runtime, key, encrypt, digits)
    )


def _task(digits: Digits, labels: list[str], reference: str, runtime: str, artifact: Artifact) -> AppTask:
    """Returns the task of the models, with the bins of the app's monitoring."""
    return AppTask(
        dataset=digits.name,
        labels=labels,
        side=SIDE,
        monitor={"confidence_edges": CONFIDENCE_EDGES, "latency_edges_us": LATENCY_EDGES_US},
        reference=reference,
        runtime=runtime,
        generator=_generator(artifact),
    )


def pixels(x: np.ndarray) -> np.ndarray:
    """Converts images in 0..1 to bytes.

    Args:
        x: float32 (n, height, width, 1).

    Returns:
        uint8 (n, height, width).
    """
    return np.rint(x[..., 0] * 255).astype(np.uint8)


class _Measured:
    """Measures the models on the images: figures of the manifest, and samples on which they disagree."""

    def __init__(
        self, artifacts: dict[str, Artifact], digits: Digits, reference: str, limit: int, latency: bool, verbose: int
    ):
        self.artifacts, self.digits, self.reference = artifacts, digits, reference
        self.rows = evenly(len(digits.x_test), limit)
        self.train = digits.x_train[evenly(len(digits.x_train), limit)]
        self.y = digits.y_test[self.rows]
        self.answers: dict[str, np.ndarray] = {}
        for name, artifact in artifacts.items():
            tell(f"measuring {name} on {len(self.rows):,} images", verbose)
            outputs: Any = artifact.predict(digits.x_test[self.rows])
            self.answers[name] = outputs.argmax(axis=-1)
        first = digits.x_test[:1]
        tell("timing", verbose and latency)
        self.bench = benchmark(artifacts, data=first, memory=False, verbose=0) if latency else None
        self.verbose = verbose

    def variants(self, classes: int, recipe: list[dict[str, Any]] | None) -> list[PhoneVariant]:
        """Returns the models with their figures."""
        found = []
        for name, artifact in self.artifacts.items():
            tell(f"counting the answers of {name} on training images", self.verbose)
            bare = phone_variant(name, artifact, SIDE, classes, {})
            data = f"{self.digits.label}, training images"
            counted = reference_of(artifact, self.train, bare.semantic, CONFIDENCE_EDGES, data)
            histogram = {
                "data": data,
                "samples": len(self.train),
                "classes": list(counted.classes),
                "confidence": list(counted.confidence),
            }
            found.append(phone_variant(name, artifact, SIDE, classes, self._metrics(name), recipe, histogram))
        return found

    def samples(self) -> SampleImages:
        """Returns the first images of each class, and the first ones on which the models disagree."""
        digits = self.digits
        rows = [row for label in np.unique(digits.y_test) for row in np.flatnonzero(digits.y_test == label)[:_EACH]]
        kinds = ["first"] * len(rows)
        answers = np.stack(list(self.answers.values()))
        for row in self.rows[(answers != answers[0]).any(axis=0)]:
            if row not in rows and kinds.count("disputed") < _DISPUTED:
                rows.append(row)
                kinds.append("disputed")
        licence = _LICENCES.get(digits.name, "see the data set")
        source = f"{digits.label}, test images"
        return SampleImages(pixels(digits.x_test[rows]), digits.y_test[rows], rows, kinds, source, licence)

    def _metrics(self, name: str) -> dict[str, Any]:
        artifact, answers = self.artifacts[name], self.answers[name]
        kernels = kernel_table(artifact)
        weights = sum(row["weights"] for row in kernels)
        return {
            "data": f"{self.digits.label}, test images",
            "samples": len(self.rows),
            "top1": float(np.mean(answers == self.y)),
            "agreement": float(np.mean(answers == self.answers[self.reference])),
            "compressed_bytes": artifact.gzip_size,
            "sparsity": sum(row["weights"] * row["sparsity"] for row in kernels) / weights if weights else None,
            "host": self._host(name),
        }

    def _host(self, name: str) -> dict[str, Any] | None:
        if self.bench is None:
            return None
        device, runtime = (self.bench.document[key] for key in ("device", "runtime"))
        result = self.bench[name]
        times = {key: round(result["latency"][key], 3) for key in ("p50_us", "p90_us")}
        said = f"{runtime['name']} {runtime['version']}"
        return {"device": device["name"], "runtime": said, "threads": result["threads"], **times}


def _load(models: str | os.PathLike | Sequence[str | os.PathLike]) -> tuple[dict[str, Artifact], list | None]:
    """Reads files by identifier, in the order of `figures.json` if there is one, and the recipe of their folder."""
    folder = pathlib.Path(models) if isinstance(models, str | os.PathLike) else None
    if folder is not None and not folder.is_dir():
        if not folder.exists():
            raise FileNotFoundError(f"{folder}: there is no such folder of models.")
        models, folder = [folder], None
    given = [models] if isinstance(models, str | os.PathLike) else models
    paths = sorted(folder.glob("*.tflite")) if folder else [pathlib.Path(path) for path in given]
    if not paths:
        raise ValueError(f"{folder or 'models'}: holds no .tflite file.")
    if folder and (folder / "figures.json").exists():
        listed = _files_of(folder / "figures.json")
        paths.sort(key=lambda path: listed.index(path.name) if path.name in listed else len(listed))
    artifacts: dict[str, Artifact] = {}
    for path in paths:
        check_name(path.stem)
        if path.stem in artifacts:
            raise ValueError(f"models: two files are called {path.stem}.")
        artifacts[path.stem] = Artifact.load(path)
    recipe = folder / "recipe.json" if folder else None
    return artifacts, _read_json(recipe) if recipe and recipe.exists() else None


def _read_json(path: pathlib.Path) -> list:
    try:
        found = strict_json.parse_recipe(path.read_text(encoding="utf-8"))
        if not isinstance(found, list):
            raise ValueError(f"it must hold a list. Received: {type(found).__name__}.")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found


def _files_of(path: pathlib.Path) -> list[str]:
    rows = _read_json(path)
    if not all(isinstance(row, dict) and isinstance(row.get("file"), str) for row in rows):
        raise ValueError(f"{path}: each row must name a file.")
    return [row["file"] for row in rows]


def _reference(artifacts: dict[str, Artifact], wanted: str) -> str:
    if wanted:
        if wanted not in artifacts:
            raise ValueError(f"reference: must be one of {list(artifacts)}. Received: {wanted!r}.")
        return wanted
    for name, artifact in artifacts.items():
        if artifact.metadata.get("mode") == "float32":
            return name
    raise ValueError(f"reference: no file says that it is float32. Name one of {list(artifacts)}.")


def _place_of_key(out: pathlib.Path) -> pathlib.Path:
    """Returns the path of the public key in the Gradle project around the assets."""
    for place in (out.resolve(), *out.resolve().parents):
        if (place / "settings.gradle.kts").exists() and (place / KEY_IN_PROJECT.parts[0]).is_dir():
            return place / KEY_IN_PROJECT
    raise ValueError(
        f"public_key: {out} lies in no Gradle project with a module {KEY_IN_PROJECT.parts[0]}. Say where the public "
        "key is to be written; it must be compiled into the app and not lie among the assets."
    )


def _generator(artifact: Artifact) -> dict[str, str]:
    versions = artifact.metadata.get("versions") or {"ai-edge-litert": importlib.metadata.version("ai-edge-litert")}
    return {"tfcompress": tfcompress.__version__, **{str(name): str(value) for name, value in versions.items()}}


def _notes(out, place, variants, runtime, key, encrypt, digits) -> tuple[str, ...]:
    notes = [f"Measured on {digits.label}; times on {host_facts()['device']['name']}, which are not those of a phone."]
    late = [v.name for v in variants if runtime and not runs_in(v.artifact.min_runtime, runtime)]
    if late:
        notes.append(f"Not for runtime {runtime}, shown there with the reason and not run: {', '.join(late)}.")
    if encrypt:
        notes.append(f"Encrypted: {', '.join(encrypt)}.")
    pair = "a new key pair, whose private key was not kept" if key is None else "the given key"
    notes.append(f"Signed with {pair}; public key: {place}.")
    notes.append(f"Wrote {out}.")
    return tuple(notes)


def _row(variant: PhoneVariant, runtime: str) -> list[str]:
    metrics, artifact = variant.metrics, variant.artifact
    host = metrics["host"]["p50_us"] if metrics["host"] else None
    cells = [variant.name, number(artifact.size), number(artifact.gzip_size)]
    cells += [f"{metrics['top1']:.2%}", f"{metrics['agreement']:.2%}", number(host)]
    cells.append(artifact.min_runtime or "unknown")
    if runtime:
        cells.append("yes" if runs_in(artifact.min_runtime, runtime) else "no")
    return cells
