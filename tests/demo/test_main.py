"""The main job, run whole on a small set: what it writes is what it claims."""

import json

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.benchmarking.bench_report import BenchReport
from tfcompress.datasets.drawn import draw_digits
from tfcompress.demo.main import FINAL, TEACHER_FILE, VARIANTS, demo
from tfcompress.demo.reference_models import save_models
from tfcompress.evaluate.kernels import kernel_table

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    """2,400 + 400 drawn digits in the form of MNIST's own file."""
    x_train, y_train, x_test, y_test = draw_digits(train=2_400, test=400)
    path = tmp_path_factory.mktemp("data") / "mnist.npz"
    images = [np.rint(x[..., 0] * 255).astype(np.uint8) for x in (x_train, x_test)]
    np.savez(path, x_train=images[0], y_train=y_train, x_test=images[1], y_test=y_test)
    return path


@pytest.fixture(scope="module")
def done(small_set, tmp_path_factory):
    return demo(small_set, tmp_path_factory.mktemp("out"), effort=0.7, verbose=0)


def test_everything_is_written_and_loads(done):
    names = {path.name for path in done.folder.iterdir()}
    expected = {"report.html", "report.txt", "bench.json", "compare.json"}
    assert expected | {"student.keras", "teacher.keras", "student.tfc", "recipe.json"} <= names
    assert tfc.Recipe.load(done.folder / "recipe.json") == done.recipe
    assert len([name for name in names if name.endswith(".tflite")]) == len(done.artifacts) == 7
    for path in done.folder.glob("*.tflite"):
        assert tfc.Artifact.load(path).content in [a.content for a in done.artifacts.values()]
    assert set(BenchReport.load(done.folder / "bench.json")) == set(done.artifacts)
    rows = json.loads((done.folder / "compare.json").read_text())["rows"]
    assert [row["name"] for row in rows] == list(done.artifacts)
    assert not any(".tmp" in name for name in names)


def test_integer_files_are_integer_and_float_ones_are_not(done):
    for name, artifact in done.artifacts.items():
        assert artifact.is_integer == ("int8" in name), name
    assert done.artifact is done.artifacts[FINAL]
    assert list(done.artifacts)[0] == TEACHER_FILE and list(done.artifacts)[-1] == FINAL


def test_the_file_keeps_the_laws_of_its_recipe(done):
    prune, cluster, *_ = done.recipe
    student = keras.models.load_model(done.folder / "student.keras")
    for layer in student.layers:
        if layer.weights:
            kernel = np.asarray(layer.kernel)
            assert np.sum(kernel == 0) == round(prune.sparsity * kernel.size)
            assert np.unique(kernel).size <= cluster.clusters + 1
    rows = kernel_table(done.artifact)
    assert len(rows) == 5
    for row in rows:
        assert row["sparsity"] >= prune.sparsity - 1 / row["weights"]
        assert row["values_per_channel"] <= cluster.clusters + 1


def test_it_learned_something_and_the_file_does_what_was_trained(done):
    rows = done.comparison
    assert rows[TEACHER_FILE]["accuracy"] > 0.9
    assert rows[FINAL]["accuracy"] > 0.8
    assert done.same_class >= 0.99 * len(done.digits.x_test)
    assert done.largest_gap <= 1.01
    assert done.artifact.size <= 12_000
    assert done.artifact.gzip_size < done.artifacts["student int8, post-training"].gzip_size


def test_the_report_says_what_was_measured(done):
    text, page = ((done.folder / f"report.{kind}").read_text() for kind in ("txt", "html"))
    final = done.comparison[FINAL]
    for figure in (f"{final['accuracy']:.2%}", f"{final['bytes']:,} B", f"{done.same_class:,}"):
        assert figure in text and figure in page
    for title in (
        "Accuracy against bytes",
        "Loss",
        "Zeros by kernel",
        "Ranges by layer",
        "Latency",
        "Accuracy by class",
        "Most frequent confusions",
        "Samples that changed",
        "Wrong samples",
        "Fidelity",
        "Parity",
        "Recipe",
        "Where and with what",
    ):
        assert title in text and title in page
    assert page.count("<svg") == 8
    assert str(done.folder) not in text + page
    assert "conv1" in done.plan and done.plan.splitlines()[0] in text
    assert "Distill(teacher=" in text and "Prune(sparsity=0.5)" in page


def test_the_text_names_data_and_result(done):
    text = done.text()
    assert "data: MNIST" in text and "report.html" in text
    assert f"{done.artifact.size:,} B" in text


def test_drawn_digits_are_labelled_everywhere(done):
    from dataclasses import replace

    from tfcompress.demo.report import demo_report

    digits = replace(done.digits, source="drawn", name="drawn digits")
    drawn = replace(done, digits=digits)
    report = demo_report(drawn)
    assert report.subtitle.startswith("Data: drawn digits") and "not MNIST" in report.subtitle
    assert any(getattr(section, "warning", False) for section in report.sections)
    assert "drawn digits" in drawn.text() and "--data" not in report.text().split("How to repeat")[1]


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="effort must be above 0. Received: effort=0"):
        demo(effort=0, out=tmp_path)
    with pytest.raises(FileNotFoundError, match="none.npz"):
        demo(tmp_path / "none.npz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reference_models_come_with_recipe_figures_and_card(done, tmp_path):
    written = save_models(done, VARIANTS, tmp_path / "models")
    assert all(path.exists() for path in written)
    for name, file in VARIANTS.items():
        assert tfc.Artifact.load(tmp_path / "models" / f"{file}.tflite").content == done.artifacts[name].content
    card = (tmp_path / "models" / "README.md").read_text()
    rows = json.loads((tmp_path / "models" / "figures.json").read_text())
    for row in rows:
        assert row["file"] in card and f"{row['bytes']:,}" in card
    assert tfc.Recipe.load(tmp_path / "models" / "recipe.json") == done.recipe
