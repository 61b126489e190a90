"""Laws: the block that matters least goes first; what goes and what stays is named with what was measured."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.calibration.evidence import evidence
from tfcompress.graph.clone import copied
from tfcompress.techniques.drop_layers import DropLayers
from tfcompress.techniques.protocol.graph_technique import Change, Left

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SIZES = {"s0": 0.5, "s1": 0.01, "s2": 1.0, "s3": 0.1}


@pytest.fixture
def model(graph_models):
    """Four blocks, whose branches differ in size by `SIZES`."""
    x = inputs = keras.Input((6,))
    for name in SIZES:
        y = L.Dense(6, "relu", name=f"{name}_a")(x)
        x = L.Add(name=name)([x, L.Dense(6, name=f"{name}_b")(y)])
    made = keras.Model(inputs, L.Dense(3, name="head")(x))
    graph_models.shaken(made)
    for name, size in SIZES.items():
        layer = made.get_layer(f"{name}_b")
        layer.set_weights([size * w for w in layer.get_weights()])
    made.compile(loss=LOSS)
    return made


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(64, 6)).astype("float32"), rng.integers(0, 3, 64)


def sums(model):
    return [layer.name for layer in model.layers if layer.name in SIZES]


def operated(technique, model, data=None, labels=None):
    return technique.operate(copied(model)[0], evidence(model, data, labels))


def test_the_least_goes_first(model, data):
    kept = [sums(DropLayers(n, what="blocks").apply(model, data[0])) for n in (1, 2, 3)]
    assert kept[0] == ["s0", "s2", "s3"] and kept[1] == ["s0", "s2"] and kept[2] == ["s2"]


def test_dropped_equals_branches_of_zeros(model, data, graph_models):
    small = DropLayers(2, what="blocks").apply(model, data[0])
    assert small.count_params() == model.count_params() - 4 * 42
    for name in ("s1_b", "s3_b"):
        model.get_layer(name).set_weights([np.zeros((6, 6)), np.zeros(6)])
    assert graph_models.gap(small(data[0]), model(data[0])) <= 1e-5


def test_rows_say_what_was_measured(model, data):
    done = operated(DropLayers(0.5, what="blocks"), model, data[0])
    changes = [r for r in done.rows if isinstance(r, Change)]
    assert [r.layer for r in changes] == ["s1", "s3"]
    assert changes[0].what.startswith("dropped the block with s1_a, s1_b; output changes by ")
    assert (changes[0].before, changes[0].after) == (84, 0)
    left = {r.layer: r.reason for r in done.rows if isinstance(r, Left)}
    assert left["s0"].startswith("kept: output changes by ") and left["head"] == "it makes an output of the model"
    assert "dropped the block" in done.text()


@pytest.mark.parametrize("measure", ["loss", "accuracy", "output"])
def test_a_budget_is_kept_and_used(model, data, measure):
    def cost(small):
        x, y = data
        before, after = np.array(model(x)), np.array(small(x))
        if measure == "output":
            return ((before - after) ** 2).mean() / (before**2).mean()
        if measure == "loss":
            return float(LOSS(y, after) - LOSS(y, before))
        return np.mean(before.argmax(1) == y) - np.mean(after.argmax(1) == y)

    for budget in (0.0, 0.05, 10.0):
        small = DropLayers(budget=budget, measure=measure, what="blocks").apply(model, *data)
        assert cost(small) <= budget + 1e-6
    assert sums(small) == []


def test_labels_make_loss_the_measure(model, data):
    done = operated(DropLayers(1), model, *data)
    assert "; loss " in next(r.what for r in done.rows if isinstance(r, Change))


def test_names_need_no_data(model):
    small = DropLayers(names=("s2", "s0")).apply(model)
    assert sums(small) == ["s1", "s3"]
    assert DropLayers(names="s0_a", what="layers").apply(model).count_params() == model.count_params() - 42
    with pytest.raises(ValueError, match="'head' can't be removed: it makes .* Removable: s0_a"):
        DropLayers(names="head").apply(model)
    with pytest.raises(ValueError, match="'s9' can't be removed: no removable sum or layer"):
        DropLayers(names="s9").apply(model)


def test_where_and_overrides(model, data):
    done = operated(DropLayers(1, what="blocks", overrides={"s1_a": None}), model, data[0])
    assert sums(done.model) == ["s0", "s1", "s2"]
    assert Left("s1", "left out by `where` or `overrides`") in done.rows
    assert sums(DropLayers(1, what="blocks", where="s2.*").apply(model, data[0])) == ["s0", "s1", "s3"]


def test_several_inputs_and_outputs(graph_models):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x = L.Add(name="s")([a, L.Dense(4, name="d")(a)])
    x = L.Concatenate()([x, b])
    model = graph_models.shaken(keras.Model({"a": a, "b": b}, {"p": L.Dense(2)(x), "q": L.Dense(3)(x)}))
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(16, 4)).astype("float32") for name in "ab"}
    small = DropLayers(1, what="blocks").apply(model, x)
    assert set(small(x)) == {"p", "q"} and small.count_params() == model.count_params() - 20


def test_nothing_to_drop_leaves_the_model(graph_models):
    model = graph_models.shaken(graph_models.ALL["chain"]())
    done = operated(DropLayers(budget=1.0), model, graph_models.batch(model, n=16))
    assert done.model.count_params() == model.count_params()
    assert done.rows and all(isinstance(r, Left) for r in done.rows)


def test_the_same_every_time_and_told_when_asked(model, data, capsys):
    technique = DropLayers(3)
    a, b = technique.apply(model, *data), technique.apply(model, *data)
    assert [layer.name for layer in a.layers] == [layer.name for layer in b.layers] and capsys.readouterr().err == ""
    technique.operate(copied(model)[0], evidence(model, *data, verbose=1))
    assert "without s0 loss" in capsys.readouterr().err


def test_recipe_and_session(model, data):
    for technique in (
        DropLayers(1, what="blocks"),
        DropLayers(budget=0.5, measure="accuracy"),
        DropLayers(names=["s1"]),
    ):
        recipe = tfc.Recipe([technique, tfc.Prune(0.5)])
        assert tfc.Recipe.from_json(recipe.to_json()) == recipe
    session = tfc.compress(model, recipe, verbose=0)
    session.model.compile("adam", LOSS)
    session.model.fit(*data, epochs=1, verbose=0, callbacks=session.callbacks)
    assert sums(session.finish()) == ["s0", "s2", "s3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one of amount, budget, names"),
        ({"amount": 1, "budget": 0.1}, "give one of amount, budget, names"),
        ({"amount": 0}, "amount must be a count from 1 on"),
        ({"amount": 1.5}, "amount must be a count from 1 on"),
        ({"amount": True}, "amount must be a count from 1 on"),
        ({"amount": "x"}, "amount must be a count from 1 on"),
        ({"budget": -1.0}, "budget must be >= 0"),
        ({"names": []}, "names must be names"),
        ({"names": [3]}, "names must be names"),
        ({"names": "s", "measure": "loss"}, "nothing is measured"),
        ({"amount": 1, "measure": "f1"}, "measure must be one of"),
        ({"amount": 1, "what": "heads"}, "what must be one of"),
        ({"amount": 1, "overrides": {"a": 2}}, "override must be None"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DropLayers(**arguments)


def test_bad_input_is_refused(model, data):
    with pytest.raises(ValueError, match="Give representative samples"):
        DropLayers(1).apply(model)
    with pytest.raises(ValueError, match="amount=9, but only 4 can be removed: s0, s1, s2, s3"):
        DropLayers(9, what="blocks").apply(model, data[0])
    with pytest.raises(ValueError, match="haed"):
        DropLayers(1, where="haed").apply(model, data[0])
