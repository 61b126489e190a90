"""Chapters show what the comparison and the file hold, for the model they were asked about."""

import keras
import numpy as np
import pytest

from tfcompress.conversion.convert import convert
from tfcompress.evaluate.compare import compare
from tfcompress.report import standard_sections
from tfcompress.report.report import Report
from tfcompress.report.sections import Figure, Table
from tfcompress.report.standard_sections import (
    Contents,
    Curves,
    PredictedImages,
    add_comparison,
    add_file,
    add_samples,
    add_standard_sections,
)
from tfcompress.tflite.artifact import Artifact


@pytest.fixture(scope="module")
def made():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(3, 3, activation="relu", name="conv"),
        layers.Flatten(name="flatten"),
        layers.Dense(3, name="head"),
    ]
    model = keras.Sequential(stack)
    x = np.random.default_rng(0).random((40, 8, 8, 1), "float32")
    y = np.asarray(model(x)).argmax(-1)
    y[:4] = (y[:4] + 1) % 3  # four answers that count as wrong
    return model, convert(model, calibration=x), x, y


def section(report, title):
    return next(part for part in report.sections if part.title == title)


def test_a_comparison_becomes_table_and_picture(made):
    model, artifact, x, y = made
    compared = compare(model, {"int8": artifact}, (x, y), latency=False, verbose=0)
    report = Report("T")
    add_comparison(report, compared, highlight="int8")
    table = section(report, "Models")
    assert isinstance(table, Table) and table.highlight == 1
    assert "latency" not in " ".join(table.header) and "p50" not in " ".join(table.header)
    row = dict(zip(table.header, table.cells[1], strict=True))
    assert row["bytes"] == f"{artifact.size:,}"
    assert row["accuracy"] == f"{compared['int8']['accuracy']:.4f}"
    picture = section(report, "Accuracy against bytes")
    assert f"{artifact.size:,} B" in picture.picture.description
    with pytest.raises(ValueError, match="highlight must be one of"):
        add_comparison(report, compared, highlight="int9")


def test_without_labels_there_is_no_accuracy_to_draw(made):
    model, artifact, x, _ = made
    compared = compare(model, {"int8": artifact}, x, latency=False, verbose=0)
    report = Report("T")
    add_comparison(report, compared)
    assert [part.title for part in report.sections] == ["Models"]


def test_a_file_shows_its_kernels_and_ranges(made):
    report = Report("T")
    add_file(report, made[1])
    zeros, spans = section(report, "Zeros by kernel"), section(report, "Ranges by layer")
    assert "conv" in zeros.picture.description and "head" in zeros.picture.description
    assert "conv 0 to" in spans.picture.description
    table = section(report, "Kernels in the file")
    assert [row[0] for row in table.cells] == ["conv", "head"]


def test_a_float_file_has_no_ranges_to_show(made):
    report = Report("T")
    add_file(report, convert(made[0], mode="float32"))
    assert [part.title for part in report.sections] == ["Zeros by kernel", "Kernels in the file"]


def test_samples_show_the_first_ones_and_the_first_mistakes(made):
    model, artifact, x, y = made
    report = Report("T")
    predicted = y.copy()
    predicted[20] = (y[20] + 1) % 3
    add_samples(report, x, predicted, y, classes=["left", "mid", "right"], count=5)
    (figure,) = report.sections
    assert isinstance(figure, Figure) and figure.wide
    assert "6 samples with predictions, 1 of them wrong" in figure.picture.description
    assert "1 of 40 answers are wrong" in figure.note


def test_kernels_of_one_layer_get_numbers():
    layers = keras.layers
    stack = [keras.Input((8, 8, 3)), layers.SeparableConv2D(4, 3, name="separable")]
    model = keras.Sequential([*stack, layers.Flatten(), layers.Dense(2, name="head")])
    report = Report("T")
    add_file(report, convert(model, mode="float32"))
    assert "separable #2" in section(report, "Zeros by kernel").picture.description


def titles(contents):
    report = Report("T")
    add_standard_sections(report, contents)
    return [part.title for part in report.sections]


def test_what_is_missing_has_no_section():
    assert titles(Contents()) == []


def test_sections_stand_in_reading_order(made):
    model, artifact, x, y = made
    compared = compare(model, {"int8": artifact}, (x, y), latency=False, verbose=0)
    contents = Contents(
        command="tfcompress demo",
        seconds={"training": 1.0},
        plan="conv",
        recipe="Prune(0.5)",
        samples=PredictedImages(x, y, y),
        artifact=artifact,
        curves=[Curves("Loss", {"loss": [2.0, 1.0]})],
        measured_elsewhere=[lambda report: report.add_text("On a phone", "fast")],
        comparison=compared,
        highlight="int8",
        warnings=["Drawn digits."],
        facts={"File": "9,000 B"},
    )
    whole = titles(contents)
    wanted = ["", "", "", "Models", "Accuracy against bytes", "On a phone", "Loss", "Fidelity", "Zeros by kernel"]
    wanted += ["Ranges by layer", "Kernels in the file", "Samples", "Recipe"]
    wanted += ["What was done to each weight and activation", "Where the time went", "How to repeat"]
    assert whole == wanted


def test_every_report_of_a_file_says_how_the_shape_was_changed(made):
    rows = [
        {"technique": "PruneChannels", "layer": "conv", "what": "channels cut", "before": 4, "after": 3},
        {"technique": "PruneChannels", "layer": "head", "reason": "it makes the output"},
    ]
    artifact = Artifact(made[1].content, {**made[1].metadata, "surgery": rows})
    report = Report("T")
    add_standard_sections(report, Contents(artifact=artifact))
    table = section(report, "Changes of the network's shape")
    assert [row[:3] for row in table.cells] == [
        ("prune channels", "conv", "channels cut"),
        ("prune channels", "head", "left: it makes the output"),
    ]
    assert "surgery" not in report.text().lower() and "PruneChannels" not in report.text()
    found = titles(Contents(artifact=artifact))
    assert found[:2] == ["What is left of each layer", "Changes of the network's shape"]
    assert "Changes of the network's shape" not in titles(Contents(artifact=made[1]))


def test_a_section_is_one_function(monkeypatch):
    def memory(report, contents):
        report.add_text("Memory", "12 kB")

    monkeypatch.setattr(standard_sections, "SECTIONS", [*standard_sections.SECTIONS, memory])
    assert titles(Contents()) == ["Memory"]
