"""The export measures what it writes, keeps every model, and refuses what the app can't run before it measures."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from tfcompress.android.export import KEY_IN_PROJECT, export_android, pixels
from tfcompress.android.manifest import read_manifest
from tfcompress.android.monitor.confidence import confidences
from tfcompress.android.monitor.histograms import CONFIDENCE_EDGES, counts
from tfcompress.datasets.drawn import draw_digits
from tfcompress.datasets.mnist import Digits
from tfcompress.tflite.artifact import Artifact

MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"
NAMES = ["float32", "float16", "dynamic", "int8_ptq", "int8_qat", "int8_compressed"]


@pytest.fixture(scope="module")
def digits():
    return Digits(*draw_digits(train=80, test=60), source="drawn", name="drawn digits")


@pytest.fixture
def export(digits, tmp_path):
    def export(models=MODELS, out=tmp_path / "out", **options):
        options = {"public_key": tmp_path / "key.der", "latency": False, "verbose": 0, "golden": 2, **options}
        return export_android(models, out, digits, **options)

    return export


def test_figures_are_those_of_the_files(export, digits, tmp_path):
    written = export(runtime="2.16.1")
    manifest = read_manifest(written.folder, tmp_path / "key.der")
    assert list(manifest.names) == NAMES  # the order of figures.json
    answers = {}
    for name in NAMES:
        entry, artifact = manifest.entry(name), Artifact.load(MODELS / f"{name}.tflite")
        assert manifest.model(name) == artifact.content
        answers[name] = artifact.predict(digits.x_test).argmax(-1)
        metrics = entry["metrics"]
        assert metrics["top1"] == np.mean(answers[name] == digits.y_test) and metrics["samples"] == 60
        assert metrics["agreement"] == np.mean(answers[name] == answers["float32"])
        assert metrics["compressed_bytes"] == artifact.gzip_size and "drawn" in metrics["data"]
        assert metrics["host"] is None
        histogram = entry["reference_histogram"]
        outputs = artifact.predict(digits.x_train)
        assert histogram["classes"] == np.bincount(outputs.argmax(-1), minlength=10).tolist()
        assert histogram["confidence"] == counts(confidences(outputs, "logits"), CONFIDENCE_EDGES)
    assert manifest.entry("int8_compressed")["metrics"]["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert [step["op"] for step in manifest.entry("int8_compressed")["recipe"]][:2] == ["prune", "cluster"]


def test_a_file_too_new_for_the_runtime_is_exported_and_named(export):
    written = export(runtime="2.16.1")
    manifest = json.loads((written.folder / "manifest.json").read_text())
    needs = {model["id"]: model["min_runtime"] for model in manifest["models"]}
    assert needs["dynamic"] == "2.17.0" and needs["int8_ptq"] == "1.14.0" and manifest["runtime"] == "2.16.1"
    text = written.text()
    assert "Not for runtime 2.16.1, shown there with the reason and not run: dynamic." in text
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("dynamic")] == ["no"]
    assert "Not for runtime" not in export(runtime="2.17.0").text()


def test_samples_are_the_first_of_each_class_and_the_disputed(export, digits, tmp_path):
    manifest = read_manifest(export().folder, tmp_path / "key.der")
    index = json.loads(manifest.file("samples/index.json"))
    rows, kinds = index["indices"], index["kinds"]
    first = [row for row, kind in zip(rows, kinds, strict=True) if kind == "first"]
    assert [int(digits.y_test[row]) for row in first] == [label for label in range(10) for _ in range(2)]
    assert index["labels"] == digits.y_test[rows].tolist() and len(set(rows)) == len(rows)
    stored = np.frombuffer(manifest.file(index["file"]), np.uint8).reshape(-1, 28, 28)
    assert np.array_equal(stored, pixels(digits.x_test[rows]))
    answers = [Artifact.load(MODELS / f"{name}.tflite").predict(digits.x_test).argmax(-1) for name in NAMES]
    for row, kind in zip(rows, kinds, strict=True):
        if kind == "disputed":
            assert len({int(answer[row]) for answer in answers}) > 1
    assert kinds.count("disputed") <= 4 and "drawn" in index["source"]


@pytest.mark.slow
def test_time_is_measured_on_this_host(export, tmp_path):
    models = [MODELS / "float32.tflite", MODELS / "int8_qat.tflite"]
    manifest = read_manifest(export(models, latency=True).folder, tmp_path / "key.der")
    for name in manifest.names:
        host = manifest.entry(name)["metrics"]["host"]
        assert 0 < host["p50_us"] <= host["p90_us"] and host["threads"] == 1
        assert host["runtime"].startswith("ai-edge-litert ")


def test_encrypted_models(export, tmp_path):
    word = {"encrypt": ["int8_qat"], "passphrase": "open sesame"}
    manifest = read_manifest(export(**word).folder, tmp_path / "key.der")
    assert list(manifest.names) == NAMES and manifest.entry("int8_qat")["encryption"] is not None
    content = (MODELS / "int8_qat.tflite").read_bytes()
    assert manifest.model("int8_qat", "open sesame") == content
    manifest = read_manifest(export(**word, keep_plain=True).folder, tmp_path / "key.der")
    assert manifest.model("int8_qat") == content == manifest.model("int8_qat_encrypted", "open sesame")
    assert manifest.entry("int8_qat_encrypted")["title"]["zh"] == "int8：量化感知训练（已加密）"


def test_the_key_goes_where_the_project_has_it(export, tmp_path):
    (tmp_path / "settings.gradle.kts").touch()
    (tmp_path / "core").mkdir()
    out = tmp_path / "app" / "assets" / "models"
    written = export([MODELS / "float32.tflite"], out, public_key=None)
    assert written.public_key == tmp_path / KEY_IN_PROJECT
    read_manifest(out, written.public_key)


def test_without_a_project_the_key_needs_a_place(export, tmp_path):
    with pytest.raises(ValueError, match="public_key: .*must be compiled into the app"):
        export(public_key=None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"reference": "none"}, "reference: must be one of"),
        ({"runtime": "new"}, "looks like 2.16.1"),
        ({"golden": 0}, "golden and limit must be 1 or more"),
        ({"limit": 0}, "golden and limit must be 1 or more"),
        ({"encrypt": ["none"], "passphrase": "x"}, "no variant 'none'"),
        ({"encrypt": ["int8_qat"]}, "passphrase: is needed"),
        ({"labels": ["zero", "one"]}, "float32: the output 'logits' must have shape"),
        ({"models": []}, "holds no .tflite file"),
    ],
)
def test_bad_arguments_write_nothing(export, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export(**options)
    assert list(tmp_path.iterdir()) == []


def test_bad_folders(export, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        export(tmp_path / "none")
    (tmp_path / "models").mkdir()
    with pytest.raises(ValueError, match="holds no .tflite file"):
        export(tmp_path / "models")
    (tmp_path / "models" / "a.tflite").write_bytes(b"no model at all")
    with pytest.raises(ValueError, match="a.tflite"):
        export(tmp_path / "models")
    shutil.copy(MODELS / "int8_ptq.tflite", tmp_path / "models" / "a.tflite")
    with pytest.raises(ValueError, match="no file says that it is float32"):
        export(tmp_path / "models")
    assert export(tmp_path / "models", reference="a").variants[0].metrics["agreement"] == 1.0
    (tmp_path / "models" / "My-Model.tflite").write_bytes((MODELS / "int8_ptq.tflite").read_bytes())
    with pytest.raises(ValueError, match="'My-Model'.*Rename its file, for instance to 'my_model'.tflite"):
        export(tmp_path / "models", reference="a")


def test_progress_goes_to_stderr_and_silence_is_silence(export, capsys):
    export([MODELS / "float32.tflite"])
    assert capsys.readouterr() == ("", "")
    export([MODELS / "float32.tflite"], verbose=1)
    said = capsys.readouterr()
    assert said.out == "" and "measuring float32 on 60 images" in said.err
