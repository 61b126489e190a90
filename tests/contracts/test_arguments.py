"""Any value for any field: a valid object that goes to JSON and back, or one error that names the field."""

import dataclasses
import json

import keras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfcompress as tfc
from tfcompress.schedules.tfmot import Gated
from tfcompress.validation.restoring import restored

BOUNDED = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
S = tfc.schedules
RAMP = {"start": 0.0, "end": 0.5}
# what each class needs besides the field that is tried
BASES = {
    tfc.Prune: ({"sparsity": 0.5}, {"threshold": 0.1}, {"pattern": "2:4"}),
    tfc.Cluster: ({},),
    tfc.Quantize: ({},),
    tfc.Distill: ({"teacher": "t.keras"}, {"teacher": ["a", "b"]}),
    tfc.PruneChannels: ({"amount": 0.5}, {"macs": 0.5}, {"schedule": 0.5}, {"amount": 0.5, "scope": "layer"}),
    tfc.MergeChannels: ({"amount": 0.5}, {"threshold": 0.9}),
    tfc.LowRank: ({"rank": 2}, {"energy": 0.5}, {"macs": 0.5, "scope": "model"}, {"rank": 2, "method": "tucker"}),
    tfc.DropLayers: ({"amount": 1}, {"names": ["a"]}, {"budget": 0.1}),
    tfc.Fold: ({},),
    tfc.Equalize: ({},),
    tfc.QuantSpec: ({},),
    tfc.Where: ({},),
    S.constant: ({"level": 0.5},),
    S.linear: (RAMP, {**RAMP, "stop": 100, "unit": "steps"}),
    S.polynomial: (RAMP,),
    S.cosine: (RAMP,),
    S.exponential: (RAMP,),
    S.steps: ({"values": {0.5: 0.5}},),
    Gated: ({"inner": S.constant(0.5)},),
}
TECHNIQUES = [kind for kind in BASES if issubclass(kind, tfc.Fold.__mro__[2])]
WORDS = st.sampled_from(
    ["", "int8", "weights", "w4a8", "auto", "layer", "global", "model", "moving", "magnitude", "l1", "2:4", "4x4",
     "channel", "svd", "tucker", "softmax", "fraction", "steps", "head", ".*", "(", "[[", "\0", "both", "loss"]
)  # fmt: skip
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
PLAIN |= st.integers(0, 300) | st.floats(0, 1) | st.integers(-(10**400), 10**400)
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | WORDS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
CASES = [pytest.param(kind, base, id=f"{kind.__name__}-{'-'.join(base)}") for kind in BASES for base in BASES[kind]]


def fields(kind):
    return [field.name for field in dataclasses.fields(kind) if field.init]


@pytest.mark.parametrize(("kind", "base"), CASES)
@BOUNDED
@given(data=st.data())
def test_any_value_makes_a_valid_object_or_one_error_that_names_it(kind, base, data):
    name = data.draw(st.sampled_from(fields(kind)))
    value = data.draw(JSON)
    try:
        made = kind(**{**base, name: value})
    except (TypeError, ValueError) as error:
        assert name in str(error) and len(str(error)) < 1000
        assert kind.__name__ in str(error) or "pattern" in str(error)
        return
    text = json.dumps(keras.saving.serialize_keras_object(made), allow_nan=False)
    assert restored(json.loads(text)) == made
    if kind in TECHNIQUES:
        assert tfc.Recipe.from_json(tfc.Recipe([made]).to_json()) == [made]


@BOUNDED
@given(data=st.data())
def test_any_recipe_is_valid_or_one_error_that_names_what_is_wrong(data):
    kind = data.draw(st.sampled_from(TECHNIQUES))
    base = data.draw(st.sampled_from(BASES[kind]))
    recipe = json.loads(tfc.Recipe([kind(**base)]).to_json())
    name = data.draw(st.sampled_from(fields(kind)))
    part = data.draw(st.sampled_from(["value", "gone", "strange", "wrapped"]))
    value, config = data.draw(JSON), recipe[0]["config"]
    if part == "gone":
        config.pop(name, None)
    elif part == "strange":
        config["strange"] = value
    elif part == "wrapped":
        config[name] = {"class_name": "Where", "registered_name": "tfcompress>Where", "config": value}
    else:
        config[name] = value
    try:
        found = tfc.Recipe.from_json(json.dumps(recipe))
    except (TypeError, ValueError) as error:
        named = (name, "strange", "config", "JSON", *base)
        assert any(each in str(error) for each in named) and len(str(error)) < 2000
        return
    assert tfc.Recipe.from_json(found.to_json()) == found


@BOUNDED
@given(st.one_of(JSON.map(json.dumps), st.text(), st.binary(max_size=50), st.just("[" * 100_000)))
def test_any_text_is_a_recipe_or_a_value_error(text):
    try:
        assert tfc.Recipe.from_json(text) == []
    except ValueError as error:
        assert "recipe" in str(error)


@pytest.mark.parametrize("key", ["registered_name", "config", "sparsity"])
def test_a_recipe_with_a_key_twice_is_refused(key):
    text = tfc.Recipe([tfc.Prune(0.5)]).to_json()
    assert tfc.Recipe.from_json(text)
    with pytest.raises(ValueError, match=f"{key}.* stands twice"):
        tfc.Recipe.from_json(text.replace(f'"{key}":', f'"{key}": null, "{key}":', 1))


@pytest.mark.parametrize(
    "value",
    [
        {"module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": None},
        {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}, "registered_name": None},
        {"module": "x", "class_name": "y", "config": {}, "registered_name": "tfcompress>SavedModelSignature"},
        {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}},
    ],
)
def test_a_recipe_makes_nothing_but_what_recipes_hold(value):
    recipe = json.loads(tfc.Recipe([tfc.Prune(0.5)]).to_json())
    recipe[0]["config"]["where"] = value
    with pytest.raises(ValueError, match="registered dataclass"):
        tfc.Recipe.from_json(json.dumps(recipe))


@pytest.fixture(scope="module")
def bench(bench_module):
    """The bench script."""
    return bench_module("bad_arguments")


@pytest.mark.parametrize("table", ["constructors", "functions"])
def test_no_nonsense_is_accepted_and_no_raw_error_comes_out(bench, table):
    tried = list(bench.run(getattr(bench, table)()))
    wrong = [(*row[:2], type(row[2]).__name__, row[3]) for row in tried if row[3] != "refused"]
    assert not wrong and len(tried) > 3000


def test_sense_is_accepted(bench):
    made = [call(**fits) for call, fits, _ in bench.constructors().values() if fits]
    assert len(made) > 15 and all(thing is not None for thing in made)
