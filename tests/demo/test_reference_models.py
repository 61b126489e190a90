"""The artifacts kept in `models/` are what their figures say."""

import json
import pathlib

import pytest

import tfcompress as tfc

MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
LIMITS = {"lenet5": (10_000, 0.0080), "lenet300": (25_000, 0.0160), "free": (7_000, 0.0080)}


@pytest.mark.parametrize("name", LIMITS)
def test_small_nets_are_as_small_and_as_good_as_told(name, mnist):
    size, error = LIMITS[name]
    artifact = tfc.Artifact.load(MODELS / name / f"{name}.tflite")
    told = json.loads((MODELS / name / "figures.json").read_text(encoding="utf-8"))
    assert artifact.is_integer and artifact.size == told["bytes"] <= size
    wrong = float((artifact.predict(mnist.x_test).argmax(-1) != mnist.y_test).mean())
    # other processors may round a half another way
    assert abs(wrong - told["error_test"]) <= 0.0002 and wrong <= error


@pytest.mark.parametrize("name", LIMITS)
def test_recipes_of_small_nets_are_read(name):
    recipe = tfc.Recipe.load(MODELS / name / "recipe.json")
    assert {"Quantize", "Distill"} <= {technique.name for technique in recipe}
