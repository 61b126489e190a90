"""Comparison of a model with its files: figures against those computed here, data, errors."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.benchmarking.bench_report import BenchReport
from tfcompress.benchmarking.benchmark import benchmark
from tfcompress.evaluate.compare import COLUMNS, compare
from tfcompress.evaluate.energy import energy
from tfcompress.tflite.artifact import Artifact


@pytest.fixture(scope="module")
def targets(small_net, net_images) -> np.ndarray:
    """Classes of the net itself, every fifth one moved on by one: accuracy 51 of 64."""
    y = small_net.predict(net_images, verbose=0).argmax(axis=1)
    y[::5] = (y[::5] + 1) % 3
    return y


@pytest.fixture
def files(net_files) -> dict[str, Artifact]:
    return {"float32": Artifact(net_files[0]), "int8": Artifact(net_files[1])}


QUIET = {"latency": False, "verbose": 0}


def test_rows_hold_what_the_files_do(small_net, files, net_images, targets):
    result = compare(small_net, files, (net_images, targets), **QUIET)
    assert [row["name"] for row in result.rows] == ["original", "float32", "int8"]
    assert all(set(row) == {"name", *COLUMNS} for row in result.rows)
    original = result["original"]
    assert original["accuracy"] == 51 / 64 and original["agreement"] == 1.0
    assert original["gap"] == 0.0 and original["p50_us"] is None and original["estimated_uj"] is None
    reference = small_net.predict(net_images, verbose=0)
    for name, artifact in files.items():
        outputs, row = artifact.predict(net_images), result[name]
        assert row["accuracy"] == np.mean(outputs.argmax(1) == targets)
        assert row["agreement"] == np.mean(outputs.argmax(1) == reference.argmax(1))
        assert row["gap"] == pytest.approx(np.abs(outputs - reference).mean(), rel=1e-5)
        assert (row["bytes"], row["gzip_bytes"]) == (artifact.size, artifact.gzip_size)
        assert row["macs"] == original["macs"] == 9 * 4 * 36 + 36 * 3
        assert row["parameters"] == original["parameters"] == small_net.count_params()
        assert row["estimated_uj"] == energy(artifact).uj > 0
    assert result["float32"]["agreement"] == 1.0 and result["float32"]["gap"] < 1e-6
    assert 0.0 < result["int8"]["gap"] < 0.02


@pytest.mark.slow
def test_an_artifact_can_be_the_original_and_is_timed(files, net_images, targets):
    result = compare(files["float32"], {"int8": files["int8"]}, (net_images, targets), verbose=0)
    assert set(result.bench) == {"original", "int8"}
    for row in result.rows:
        measured = result.bench[row["name"]]
        assert row["p50_us"] == measured["latency"]["p50_us"] > 0
        assert row["cpu_us"] == measured["cpu_us"] > 0
        assert row["peak_bytes"] == measured["memory"]["peak_bytes"] > 0
    assert result["original"]["bytes"] == files["float32"].size
    assert "CPU us" in result.text() and "peak bytes" in result.text()


def test_a_given_report_is_used(small_net, files, net_images):
    report = benchmark({"int8": files["int8"]}, runs=5, min_seconds=0, memory=False, verbose=0)
    result = compare(small_net, files, net_images, latency=report, verbose=0)
    assert result["int8"]["p50_us"] == report["int8"]["latency"]["p50_us"]
    assert result["float32"]["p50_us"] is None and result.bench is report


def test_measured_energy_of_a_report_is_shown_with_its_source(small_net, files, net_images):
    document = benchmark({"int8": files["int8"]}, runs=5, min_seconds=0, memory=False, verbose=0).document
    document["results"][0]["energy"] = {"joules": 0.00025, "source": "rapl", "reason": None}
    result = compare(small_net, files, net_images, latency=BenchReport(document), verbose=0)
    assert result["int8"]["measured_uj"] == pytest.approx(250.0) and result["float32"]["measured_uj"] is None
    assert "measured uJ" in result.text() and "processor packages, idle power included" in result.text()
    document["results"][0]["energy"] = {"joules": None, "source": None, "reason": "no counters"}
    result = compare(small_net, files, net_images, latency=BenchReport(document), verbose=0)
    assert "measured uJ" not in result.text() and "not available here: no counters" in result.text()


def test_f1_stands_beside_accuracy_also_for_a_single_sigmoid():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, activation="sigmoid")])
    artifact = Artifact(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    y = (np.arange(60) % 3 == 0).astype(np.int64)
    result = compare(model, {"file": artifact}, (x, y), **QUIET)
    said = model.predict(x, verbose=0)[:, 0] > 0.5
    hits, misses, others = np.sum(said & (y == 1)), np.sum(said != (y == 1)), np.sum(~said & (y == 0))
    expected = np.mean([2 * hits / (2 * hits + misses), 2 * others / (2 * others + misses)])
    assert 0 < said.sum() < 60
    for row in result.rows:
        assert row["macro_f1"] == pytest.approx(expected) and row["accuracy"] == np.mean(said == y)
    assert "| model | accuracy | macro F1 |" in result.markdown()


def test_tables_show_what_there_is(small_net, files, net_images, targets):
    result = compare(small_net, files, (net_images, targets), **QUIET)
    verdict, table = result.text().split("\n\n")[:2]
    lines = table.split("\n")
    assert verdict == result.verdict() and len(verdict.splitlines()) == len(files)
    assert lines[0].split()[:3] == ["model", "accuracy", "macro"]
    assert "0.7969" in lines[2] and f"{files['int8'].size:,}" in lines[4]
    assert "p50" not in lines[0] and "error" not in lines[0]
    assert "Bytes of the original" in result.text() and str(result) == result.text()
    assert result.markdown().split("\n\n")[1].startswith("| model | accuracy | macro F1 | agreement |")
    document = json.loads(result.json())
    assert document["schema"] == "tfcompress.compare/1" and document["rows"] == result.rows
    without_y = compare(small_net, files, net_images, **QUIET)
    assert without_y["int8"]["accuracy"] is None and "accuracy" not in without_y.text()
    assert without_y["int8"]["agreement"] == result["int8"]["agreement"]


def test_every_form_of_data_gives_the_same_rows(small_net, files, net_images, targets):
    expected = compare(small_net, files, (net_images, targets), **QUIET).rows
    forms = [
        (net_images, keras.utils.to_categorical(targets, 3)),
        (net_images, targets[:, None]),
        ({"image": net_images}, targets),
        ([net_images], targets),
        tf.data.Dataset.from_tensor_slices((net_images, targets)).batch(10),
        tf.data.Dataset.from_tensor_slices((net_images, targets, targets * 0.0)).batch(64),
    ]
    for data in forms:
        assert compare(small_net, files, data, **QUIET).rows == expected


def test_regression_has_errors_instead_of_classes():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    artifact = Artifact(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    x = np.random.default_rng(0).random((30, 4), np.float32)
    y = model.predict(x, verbose=0) + 0.25
    row = compare(model, {"file": artifact}, (x, y), **QUIET)["file"]
    assert row["error"] == pytest.approx(0.25, abs=1e-5)
    assert row["accuracy"] is None and row["agreement"] is None and row["gap"] < 1e-5


def test_several_inputs_and_outputs(to_file):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    heads = {name: keras.layers.Dense(2, name=name)(joined) for name in ("left", "right")}
    model = keras.Model([a, b], heads)
    artifact = to_file(model)
    assert {spec.name for spec in artifact.inputs} == {"a", "b"}
    rng = np.random.default_rng(0)
    x = [rng.random((20, 3), np.float32), rng.random((20, 2), np.float32)]
    with pytest.raises(ValueError, match="left.*right.*output="):
        compare(model, {"file": artifact}, x, **QUIET)
    for output in ("left", "right"):
        row = compare(model, {"file": artifact}, x, output=output, **QUIET)["file"]
        assert row["agreement"] == 1.0 and row["gap"] < 1e-6


def test_what_can_not_be_counted_is_noted_and_the_rest_stands(to_file):
    model = keras.Sequential([keras.Input((5, 4)), keras.layers.LSTM(3), keras.layers.Dense(2)])
    loop = to_file(model)
    x = np.random.default_rng(0).random((6, 5, 4), np.float32)
    result = compare(model, {"loop": loop}, x, **QUIET)
    assert result["original"]["macs"] == 5 * 4 * (4 * 3 + 3 * 3) + 6
    assert result["loop"]["macs"] == result["original"]["macs"] and result["loop"]["agreement"] == 1.0
    assert result["loop"]["estimated_uj"] is None
    assert any(note.startswith("loop: energy: can't count") and "WHILE" in note for note in result.notes)


def test_faults_are_named(small_net, files, net_images, targets):
    with pytest.raises(ValueError, match="'original' is taken"):
        compare(small_net, {"original": files["int8"]}, net_images, **QUIET)
    with pytest.raises(ValueError, match=r"y must have shape \(64,\)"):
        compare(small_net, files, (net_images, targets[:10]), **QUIET)
    with pytest.raises(ValueError, match="3 parts"):
        compare(small_net, files, (net_images, targets, targets), **QUIET)
    with pytest.raises(ValueError, match="list of 2 arrays"):
        compare(small_net, files, [net_images, net_images], **QUIET)
    with pytest.raises(ValueError, match="empty"):
        compare(small_net, files, tf.data.Dataset.from_tensor_slices(net_images[:0]).batch(2), **QUIET)
    with pytest.raises(TypeError, match="int"):
        compare(small_net, {"x": 3}, net_images, **QUIET)
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(5)])
    artifact = Artifact(tf.lite.TFLiteConverter.from_keras_model(other).convert())
    with pytest.raises(ValueError, match="not the same task"):
        compare(small_net, {"other": artifact}, net_images, **QUIET)
