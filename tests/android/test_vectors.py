"""The vectors that the Kotlin tests read hold what this package computes now, and name every case once."""

import base64
import hashlib
import json
import pathlib

import numpy as np
import pytest

from tfcompress.android import secure
from tfcompress.android.centring import centre
from tfcompress.android.monitor.confidence import softmax, top_k
from tfcompress.android.monitor.histograms import counts
from tfcompress.benchmarking.timing import percentile, statistics
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.tensor_spec import TensorSpec
from tfcompress.validation import strict_json

FOLDER = pathlib.Path(__file__).with_name("vectors")
MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"


def read(name):
    return strict_json.parse((FOLDER / f"{name}.json").read_bytes())


def cases(name):
    found = read(name)["cases"]
    assert len(found) >= 3
    return found


@pytest.mark.parametrize("name", ["quantize", "softmax", "percentiles", "centring"])
def test_names_are_unique(name):
    names = [case["name"] for case in cases(name)]
    assert len(set(names)) == len(names)


def test_quantize():
    for case in cases("quantize"):
        spec = TensorSpec("x", (1,), "int8", scale=case["scale"], zero_point=case["zero_point"])
        values = np.array(case["values"], np.float32)
        assert values.tolist() == case["values"]  # float32 values, none rounded by writing
        codes = spec.quantize(values)
        assert codes.tolist() == case["codes"]
        assert spec.dequantize(codes).tolist() == case["dequantized"]
        assert {-128, -1, 0, 127} <= set(case["codes"])


def test_normalization():
    found = read("normalization")
    values = np.array(found["float32_bits"], np.int32).view(np.float32)
    # how images are scaled for training
    assert np.array_equal(values, np.divide(np.arange(256, dtype=np.uint8), 255, dtype=np.float32))
    spec = TensorSpec("x", (1,), "int8", **found["quant"])
    assert spec.quantize(values).tolist() == found["codes"] == list(range(-128, 128))


def test_softmax():
    tolerance = read("softmax")["tolerance"]
    for case in cases("softmax"):
        assert np.abs(softmax(np.array(case["logits"])) - case["probabilities"]).max() <= tolerance


def test_top_k():
    for case in cases("topk"):
        assert top_k(np.array(case["scores"]), case["k"]) == case["indices"]


def test_percentiles():
    for case in cases("percentiles"):
        for percent, value in case["percentiles"].items():
            assert percentile(case["values"], int(percent)) == value
        for key, value in statistics(case["values"]).items():
            assert value == pytest.approx(case["statistics"][key], rel=1e-12)


def test_centring():
    for case in cases("centring"):
        flat = np.frombuffer(base64.b64decode(case["pixels"]), np.uint8)
        digit = centre(flat.reshape(case["height"], case["width"]))
        assert digit.tobytes() == base64.b64decode(case["expected"]), case["name"]


def test_histogram():
    found = read("histogram")
    assert counts(found["confidence"]["values"], found["confidence_edges"]) == found["confidence"]["counts"]
    late = found["latency_us"]
    assert counts(late["values"], found["latency_edges_us"], open_end=True) == late["counts"]


def test_security():
    found = read("security")
    secure.verify(**{
        name: base64.b64decode(found["signature"][key])
        for name, key in (("content", "message"), ("signature", "signature"), ("public_key", "public_key"))
    })  # fmt: skip
    for case in found["encryption"]:
        plain, salt = (base64.b64decode(case[key]) for key in ("plain", "salt"))
        key = secure.derive_key(case["passphrase"], salt, case["iterations"])
        assert key == base64.b64decode(case["key"])
        header = {
            "alg": secure.CIPHER,
            "nonce": case["nonce"],
            "aad": case["aad"],
            "plain_bytes": len(plain),
            "plain_sha256": hashlib.sha256(plain).hexdigest(),
            "kdf": {"alg": secure.DERIVATION, "salt": case["salt"], "iterations": case["iterations"]},
        }
        assert secure.decrypt(base64.b64decode(case["cipher"]), header, case["passphrase"]) == plain


def test_no_private_key_is_here():
    for path in FOLDER.rglob("*"):
        assert path.is_dir() or b"PRIVATE KEY" not in path.read_bytes()


def test_parity_is_of_the_reference_models():
    facts = read("parity/parity")
    pixels = (FOLDER / "parity" / "pixels.bin").read_bytes()
    assert hashlib.sha256(pixels).hexdigest() == facts["pixels_sha256"]
    images = np.frombuffer(pixels, np.uint8).reshape(facts["count"], 28, 28, 1)
    assert facts["count"] >= 200 and len({image.tobytes() for image in images}) >= 200
    x = np.divide(images, 255, dtype=np.float32)
    assert set(facts["outputs"]) == {path.stem for path in MODELS.glob("*.tflite")}
    for name, output in facts["outputs"].items():
        artifact = Artifact.load(MODELS / f"{name}.tflite")
        stored = (FOLDER / "parity" / output["file"]).read_bytes()
        assert output["model_sha256"] == artifact.sha256, "models/mnist changed: run make_vectors.py --data again"
        assert output["sha256"] == hashlib.sha256(stored).hexdigest()
        expected = np.frombuffer(stored, np.dtype(output["dtype"]).newbyteorder("<")).reshape(facts["count"], 10)
        answers = artifact.predict_codes(x)
        if output["dtype"] == "int8":
            assert np.array_equal(answers, expected)
        else:
            assert np.abs(answers - expected).max() <= 1e-4  # another processor adds in another order


def test_json_files_are_all_there():
    names = {path.stem for path in FOLDER.glob("*.json")}
    wanted = {"quantize", "normalization", "softmax", "topk", "percentiles", "centring", "versions", "histogram"}
    assert names == wanted | {"strict_json", "security"}
    assert all(json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json"))
