"""Steps hold what was done, with the settings that are plain; titles say it in two languages."""

import json
import pathlib
import re

import pytest

from tfcompress.android import recipe_steps
from tfcompress.android.recipe_steps import LANGUAGES, steps_of, texts, title_of
from tfcompress.file_formats import FORMATS
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


def test_every_text_has_both_languages_and_the_same_gaps():
    for key, by_language in texts().items():
        assert set(by_language) == set(LANGUAGES), key
        assert all(by_language.values()), key
        gaps = {tuple(sorted(re.findall(r"{\w+}", text))) for text in by_language.values()}
        assert len(gaps) == 1, key
    assert {f"mode.{mode}" for mode in FORMATS} <= set(texts())


def test_gaps_are_filled_in_both_languages():
    steps = [{"op": "prune", "sparsity": 0.5}, {"op": "cluster", "clusters": 4}, {"op": "convert", "mode": "float32"}]
    assert title_of(steps) == {"en": "float32: pruned 50%, clustered 4", "zh": "float32：剪枝 50%、聚类 4"}


def test_texts_in_other_languages_are_data():
    """No code of the package holds Chinese, but for an example of a text in UTF-8."""
    package = pathlib.Path(recipe_steps.__file__).parents[1]
    found = [f.name for f in package.rglob("*.py") if re.search("[\u3000-\u9fff\uff00-\uffef]", f.read_text("utf-8"))]
    assert found == ["strict_json.py"]
