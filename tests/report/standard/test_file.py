"""A file shows its kernels, ranges, parity and recipe."""

import keras

from tfcompress.conversion.convert import convert
from tfcompress.report.report import Report
from tfcompress.report.standard.file import add_file, add_parity, add_recipe
from tfcompress.tflite.artifact import Artifact


def section(report, title):
    return next(part for part in report.sections if part.title == title)


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


def test_kernels_of_one_layer_get_numbers():
    layers = keras.layers
    stack = [keras.Input((8, 8, 3)), layers.SeparableConv2D(4, 3, name="separable")]
    model = keras.Sequential([*stack, layers.Flatten(), layers.Dense(2, name="head")])
    report = Report("T")
    add_file(report, convert(model, mode="float32"))
    assert "separable #2" in section(report, "Zeros by kernel").picture.description


def test_parity_is_what_the_conversion_measured(made):
    artifact = made[1]
    report = Report("T")
    add_parity(report, artifact)
    table = section(report, "Parity")
    for row, measured in zip(table.cells, artifact.metadata["parity"], strict=True):
        assert row[0] == ("XNNPACK" if measured["xnnpack"] else "plain")
        assert row[1:] == (
            f"{measured['samples']:,}",
            f"{measured['agreement']:.4f}",
            f"{measured['equal']:.4f}",
            f"{measured['largest_gap']:.2f} steps",
        )
    foreign = Report("T")
    add_parity(foreign, Artifact(artifact.content, {"parity": [{"samples": "many"}]}))
    assert foreign.sections == ()


def test_the_recipe_names_what_was_set_and_no_paths(made):
    recipe = [
        {"class_name": "Prune", "config": {"sparsity": {"class_name": "linear", "config": {"end": 0.5}}, "seed": 0}},
        {
            "class_name": "Distill",
            "config": {"teacher": "/home/someone/teacher.keras", "temperature": 3.0, "loss": None},
        },
        "Own technique",
    ]
    report = Report("T")
    add_recipe(report, Artifact(made[1].content, {"recipe": recipe, "mode": "int8", "calibration_samples": 40}))
    assert report.sections[0].paragraphs[0].splitlines() == [
        "Prune(sparsity=linear(end=0.5), seed=0)",
        "Distill(teacher='teacher.keras', temperature=3.0)",
        "Own technique",
        "convert: int8, 40 calibration samples",
    ]
    without = Report("T")
    add_recipe(without, Artifact(made[1].content, {}))
    assert without.sections == ()
