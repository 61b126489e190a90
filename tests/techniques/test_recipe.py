"""Recipe: every technique with every schedule goes to JSON and back; no recipe, an error."""

import json
import subprocess
import sys

import keras
import pytest

import tfcompress as tfc

S = tfc.schedules
SCHEDULES = [
    S.constant(0.5),
    S.linear(0.0, 0.5, begin=0.1, stop=0.9),
    S.linear(0.0, 0.5, begin=10, stop=90, unit="steps"),
    S.polynomial(0.2, 0.8, power=2.0),
    S.cosine(0.0, 0.5),
    S.exponential(0.0, 0.75, rate=1.4),
    S.steps({0.2: 0.3, 0.5: 0.6}, start=0.1),
    S.steps({100: 0.3}, unit="steps"),
    S.Gated(S.linear(0.0, 0.5, 0, 100, unit="steps"), begin=0, end=80, frequency=10),
]
TECHNIQUES = [
    *(tfc.Prune(plan) for plan in SCHEDULES),
    tfc.Prune(0.8),
    tfc.Prune(0.8, criterion="taylor", scope="global", l1=1e-4, rewind=0.1, seed=3),
    tfc.Prune(threshold=0.05, overrides={"head": 0.1, "conv.*": None}),
    tfc.Prune(pattern="2:4", where="Dense"),
    tfc.Prune(0.5, pattern="4x4", overrides={keras.layers.Dense: S.cosine(0.0, 0.3), "a": 0.2}),
    tfc.Prune(0.5, where=tfc.Where(["a", "b.*"], skip=keras.layers.Dense, min_size=100)),
    tfc.Cluster(),
    tfc.Cluster(8, start="density", per_channel=True, keep_zeros=False, begin=0.5, seed=7),
    tfc.Cluster(8, overrides={"head": 32, keras.layers.Conv2D: None}),
    tfc.Quantize(),
    tfc.Quantize("weights", per_channel=False),
    tfc.Quantize("w4a8", ranges="learned", where=["a", keras.layers.Dense]),
    tfc.Quantize(tfc.QuantSpec(weight_bits=6, ranges="percentile", percentile=99.0)),
    tfc.Quantize(overrides={"a": "w4a8", "b": tfc.QuantSpec(4), "c": None, "d": tfc.Quantize("w2a8")}),
]


@pytest.mark.parametrize("technique", TECHNIQUES, ids=repr)
def test_each_technique_goes_to_json_and_back(technique):
    recipe = tfc.Recipe(technique)
    text = recipe.to_json()
    again = tfc.Recipe.from_json(text)
    assert again == recipe and [type(t) for t in again] == [type(technique)]
    assert again.to_json() == text
    json.loads(text)


@pytest.mark.legacy
@pytest.mark.filterwarnings("ignore")
def test_a_schedule_of_tfmot_is_written_as_ours():
    tfmot = pytest.importorskip("tensorflow_model_optimization").sparsity.keras
    recipe = tfc.Recipe(
        tfc.Prune(tfmot.PolynomialDecay(0.0, 0.8, 0, 100), overrides={"a": tfmot.ConstantSparsity(0.5, 5)})
    )
    text = recipe.to_json()
    assert "tensorflow_model_optimization" not in text
    assert tfc.Recipe.from_json(text) == recipe


def test_files(tmp_path):
    recipe = tfc.Recipe([tfc.Prune(0.8), tfc.Cluster(16), tfc.Quantize("int8")])
    path = tmp_path / "recipe.json"
    recipe.save(path)
    assert tfc.Recipe.load(path) == recipe == tfc.Recipe.load(str(path))
    assert [p.name for p in tmp_path.iterdir()] == ["recipe.json"]
    with pytest.raises(FileNotFoundError):
        tfc.Recipe.load(tmp_path / "no.json")


@pytest.mark.slow
def test_a_fresh_process_reads_a_recipe(tmp_path):
    path = tmp_path / "recipe.json"
    tfc.Recipe([tfc.Prune(S.cosine(0.0, 0.5)), tfc.Cluster(8), tfc.Quantize("w4a8")]).save(path)
    code = f"import tfcompress as tfc; print([t.name for t in tfc.Recipe.load({str(path)!r})])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "['Prune', 'Cluster', 'Quantize']", run.stderr


def test_what_json_cannot_hold_is_said(tmp_path):
    code = tfc.Recipe(tfc.Prune(0.5, where=lambda layer: True))
    with pytest.raises(ValueError, match="condition.*code"):
        code.to_json()
    (tmp_path / "recipe.json").write_text("before")
    with pytest.raises(ValueError, match="condition.*code"):
        code.save(tmp_path / "recipe.json")
    assert (tmp_path / "recipe.json").read_text() == "before"


def test_a_schedule_in_code_is_said():
    class Foreign:
        def __call__(self, step):
            return True, 0.5

        def get_config(self):
            return {}

    with pytest.raises((TypeError, ValueError), match="Foreign|Called"):
        tfc.Recipe(tfc.Prune(Foreign())).to_json()


PRUNE = json.loads(tfc.Recipe(tfc.Prune(0.5)).to_json())[0]


@pytest.mark.parametrize(
    "text, message",
    [
        ("not json", "not JSON"),
        ("", "not JSON"),
        ("{}", "JSON list of techniques. Received: dict"),
        ('"Prune"', "JSON list of techniques. Received: str"),
        ("[3]", "Entry 0 of the recipe is no technique"),
        ('[{"class_name": "Prune"}]', "Entry 0 .*registered_name=None.*Known are"),
        (json.dumps([PRUNE, {"registered_name": "Dense"}]), "Entry 1 .*registered_name='Dense'"),
        (json.dumps([PRUNE | {"registered_name": "tfcompress>Where"}]), "Known are .*Prune"),
        (
            json.dumps([PRUNE | {"config": {"sparsity": 0.5, "sparsty": 1}}]),
            r"Prune has no fields \['sparsty'\]. It has .*sparsity",
        ),
        (json.dumps([PRUNE | {"config": PRUNE["config"] | {"sparsity": 80}}]), "Did you mean 0.8"),
        (json.dumps([PRUNE, PRUNE]), "each technique once"),
    ],
)
def test_what_is_no_recipe_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        tfc.Recipe.from_json(text)


@pytest.mark.parametrize("given", ["abc", [0.8], None, [tfc.Prune(0.5), "int8"], [tfc.Prune]])
def test_a_recipe_holds_techniques_only(given):
    with pytest.raises(TypeError, match="A recipe holds techniques such as"):
        tfc.Recipe(given)


def test_one_technique_is_a_recipe_of_one():
    assert tfc.Recipe(tfc.Prune(0.5)) == [tfc.Prune(0.5)] == tfc.Recipe([tfc.Prune(0.5)])
    with pytest.raises(ValueError, match="each technique once; only .* shape may come again. Received: 2 x Prune"):
        tfc.Recipe([tfc.Prune(0.5), tfc.Prune(0.6, where="a")])
