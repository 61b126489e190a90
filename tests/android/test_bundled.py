"""The assets of the Android demo are those of the reference models, signed by the key that is compiled in."""

import pathlib

import numpy as np
import pytest

from tfcompress.android.manifest import DigestError, check_content, read_manifest
from tfcompress.tflite.artifact import Artifact

ROOT = pathlib.Path(__file__).parents[2]
DEMO = ROOT / "android_demo"
MODELS = ROOT / "models" / "mnist"
PASSPHRASE = "tfcompress-demo"


KEY = DEMO / "core/src/main/resources/org/tfcompress/demo/core/public_key.der"
ASSETS = DEMO / "app/src/main/assets/models"


@pytest.fixture(scope="module")
def manifest():
    return read_manifest(ASSETS, KEY)


def test_all_reference_models_are_there_and_one_is_encrypted_as_well(manifest):
    plain = {name for name in manifest.names if manifest.entry(name)["encryption"] is None}
    assert plain == {path.stem for path in MODELS.glob("*.tflite")}
    (sealed,) = set(manifest.names) - plain
    assert manifest.model(sealed, PASSPHRASE) == manifest.model(sealed.removesuffix("_encrypted"))
    for name in plain:
        assert manifest.model(name) == (MODELS / f"{name}.tflite").read_bytes()


def test_golden_answers_are_those_of_the_models(manifest):
    for name in manifest.names:
        artifact = Artifact(manifest.model(name, PASSPHRASE))
        x, y = manifest.golden(name)
        answers = artifact.predict_codes(artifact.inputs[0].dequantize(x))
        golden = manifest.entry(name)["golden"]
        limit = golden.get("max_lsb", golden.get("max_abs"))
        assert np.abs(answers.astype(np.float64) - y).max() <= limit, name


def test_figures_were_measured_on_mnist(manifest):
    for name in manifest.names:
        metrics = manifest.entry(name)["metrics"]
        assert metrics["data"] == "MNIST, test images" and metrics["samples"] == 10_000
        assert metrics["top1"] > 0.98 and metrics["agreement"] > 0.98 and metrics["host"]["p50_us"] > 0


def test_a_thousand_faults_in_every_model_are_refused(manifest):
    rng = np.random.default_rng(1)
    for name in manifest.names:
        entry = manifest.entry(name)
        whole = (ASSETS / entry["file"]).read_bytes()
        check_content(name, whole, entry)
        for _ in range(1000):
            changed = bytearray(whole)
            if rng.random() < 0.5:
                changed[rng.integers(len(whole))] ^= rng.integers(1, 256)
            else:
                del changed[rng.integers(len(whole)) :]
            with pytest.raises(DigestError):
                check_content(name, bytes(changed), entry)


def test_no_private_key_lies_in_the_project():
    for path in DEMO.rglob("*"):
        assert path.suffix not in (".pem", ".p12", ".jks", ".keystore"), path
        if path.is_file() and path.stat().st_size < 100_000:
            assert b"PRIVATE KEY-----" not in path.read_bytes(), path
