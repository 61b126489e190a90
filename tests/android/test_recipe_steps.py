"""Steps hold what was done, with the settings that are plain; titles say it in two languages."""

import json
import pathlib

import pytest

from tfcompress.android.recipe_steps import steps_of, title_of
from tfcompress.tflite.artifact import Artifact

MODELS = pathlib.Path(__file__).parents[2] / "models" / "mnist"


def load(name):
    return Artifact.load(MODELS / f"{name}.tflite")


def test_a_recipe_that_metadata_only_name_is_taken_from_its_file():
    stored = json.loads((MODELS / "recipe.json").read_text())
    steps = steps_of(load("int8_compressed"), stored)
    assert [step["op"] for step in steps] == ["prune", "cluster", "quantize", "distill", "convert"]
    assert steps[0]["sparsity"] == 0.5 and steps[1]["clusters"] == 32 and steps[3]["temperature"] == 3.0
    assert steps[-1] == {"op": "convert", "mode": "int8", "calibration_samples": 256}
    plain = (str, int, float)
    assert all(isinstance(value, plain) for step in steps for value in step.values())


@pytest.mark.parametrize("stored", [None, [], [{"class_name": "Prune", "config": {"sparsity": 0.9}}]])
def test_a_recipe_of_another_model_is_not_taken(stored):
    steps = steps_of(load("int8_compressed"), stored)
    assert [step["op"] for step in steps] == ["prune", "cluster", "quantize", "distill", "convert"]
    assert steps[0] == {"op": "prune"}


def test_a_file_of_unknown_origin_has_a_title_too():
    steps = steps_of(Artifact(load("int8_ptq").content))
    assert steps == [{"op": "convert", "mode": "unknown"}]
    assert title_of(steps) == {"en": "unknown", "zh": "unknown"}


@pytest.mark.parametrize(
    "name, en, zh",
    [
        ("float32", "float32", "float32"),
        ("float16", "float16 weights", "float16 权重"),
        ("dynamic", "dynamic range", "动态范围量化"),
        ("int8_ptq", "int8: after training", "int8：训练后量化"),
        ("int8_qat", "int8: quantized in training", "int8：量化感知训练"),
    ],
)
def test_titles_of_the_reference_models(name, en, zh):
    steps = steps_of(load(name))
    assert title_of(steps) == {"en": en, "zh": zh}
    assert title_of(steps, encrypted=True) == {"en": f"{en} (encrypted)", "zh": f"{zh}（已加密）"}


def test_title_of_everything():
    steps = [{"op": "prune", "sparsity": 0.5}, {"op": "cluster", "clusters": 32}, {"op": "quantize"}]
    steps += [{"op": "distill"}, {"op": "mine"}, {"op": "convert", "mode": "int8"}]
    assert title_of(steps)["en"] == "int8: pruned 50%, clustered 32, quantized in training, distilled, mine"
    assert title_of(steps)["zh"] == "int8：剪枝 50%、聚类 32、量化感知训练、蒸馏、mine"
