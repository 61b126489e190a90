"""PruneChannels: budgets are kept, what is cut is what counts least, gradual cutting equals masking."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.budgets.channel_choice import Family, by_latency, by_rank
from tfcompress.budgets.model_cost import Costs
from tfcompress.calibration.evidence import evidence
from tfcompress.channels import criteria
from tfcompress.channels.criteria import ChannelCriterion, Scene, scores
from tfcompress.channels.dependency import groups
from tfcompress.channels.shrink import shrink
from tfcompress.evaluate.macs import macs
from tfcompress.fake_quant.transforms.channel_mask import ChannelMask
from tfcompress.techniques.protocol.graph_technique import Change, Left
from tfcompress.techniques.prune_channels import PruneChannels

pytestmark = pytest.mark.sampled(5)

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture
def model(graph_models):
    x = inputs = keras.Input((8, 8, 3))
    x = L.ReLU()(L.BatchNormalization(name="na")(L.Conv2D(16, 3, padding="same", name="a")(x)))
    x = L.ReLU()(x + L.Conv2D(16, 3, padding="same", name="b")(x))
    x = L.Conv2D(24, 3, name="c", activation="relu")(x)
    made = keras.Model(inputs, L.Dense(4, name="d")(L.Flatten()(x)))
    made.compile(loss=LOSS)
    return graph_models.shaken(made)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.random((96, 8, 8, 3)).astype("float32"), rng.integers(0, 4, 96)


def widths(model):
    return {name: model.get_layer(name).filters for name in "abc"}


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("name", ["macs", "parameters"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_budgets_are_kept_and_nearly_used(model, scope, name, share):
    small = PruneChannels(**{name: share}, scope=scope, round_to=1).apply(model)
    count = {"macs": macs, "parameters": keras.Model.count_params}[name]
    assert 0.85 * share * count(model) < count(small) <= share * count(model)


@pytest.mark.parametrize("name", ["macs", "parameters"])
def test_the_price_of_a_group_is_what_a_model_without_it_lacks(model, name):
    """Of groups of a residual block too, which several layers make and the same layers read."""
    channels = groups(model)
    costs = Costs(model, channels)
    count = {"macs": macs, "parameters": keras.Model.count_params}[name]
    for group in channels.groups[::7]:
        lacks = count(model) - count(shrink(model, channels, np.array([group])))
        assert costs.each(name)[group] == pytest.approx(lacks)


def test_of_groups_that_are_worth_as_much_the_dearer_go_first():
    cheap, dear = (
        Family((n,), np.arange(f, f + 4), np.array([1.0, 2, 3, 4]), 1) for n, f in (("cheap", 0), ("dear", 4))
    )
    assert [n for _, n in by_rank([cheap, dear], 3)] == [2, 1]
    assert [n for _, n in by_rank([cheap, dear], 3, np.repeat([1.0, 4.0], 4))] == [0, 3]
    assert [n for _, n in by_rank([cheap, dear], 4, np.repeat([1.0, 4.0], 4))] == [1, 3]  # one stays


def _as_much(scene):
    yield scene.channels.groups, np.ones(len(scene.channels.groups))


def test_a_budget_of_macs_takes_what_buys_most_of_them(monkeypatch):
    """Filters that the loss needs as much: those on many pixels cost sixteen times as much, and go first."""
    monkeypatch.setitem(criteria._table, "as much", ChannelCriterion(_as_much, absolute=True))
    x = inputs = keras.Input((16, 16, 16))
    x = L.Conv2D(16, 3, padding="same", name="many")(x)
    x = L.Conv2D(16, 3, strides=4, padding="same", name="few")(x)
    model = keras.Model(inputs, L.Dense(4)(L.Flatten()(x)))
    for name in ("many", "few"):
        model.get_layer(name).kernel.assign(np.random.default_rng(0).normal(size=(3, 3, 16, 16)))
    small = PruneChannels(macs=0.6, criterion="as much", round_to=1).apply(model)
    assert small.get_layer("few").filters == 16
    assert small.get_layer("many").filters == 9


def test_a_budget_may_be_a_number(model):
    assert macs(PruneChannels(macs=200_000, round_to=4).apply(model)) <= 200_000


@pytest.mark.parametrize("steps", [1, 3])
def test_amount_is_the_share_of_channels_that_go(model, steps):
    small = PruneChannels(0.5, round_to=1, steps=steps, scope="layer").apply(model)
    assert widths(small) == {"a": 8, "b": 8, "c": 12}
    small = PruneChannels(0.5, round_to=1, steps=steps).apply(model)
    assert widths(small)["a"] + widths(small)["c"] == 20


def test_widths_are_multiples_and_never_zero(model):
    for amount in (0.5, 0.99):
        small = PruneChannels(amount, round_to=8).apply(model)
        assert all(n % 8 == 0 and n >= 8 for n in widths(small).values())


@pytest.mark.parametrize(
    ("amount", "round_to", "reason"),
    [(0.2, 8, "all of its 16 channels stay: fewer than a block of round_to=8"), (0.5, 16, "round_to=1 would cut here")],
)
def test_what_cuts_nothing_says_why(model, amount, round_to, reason):
    technique = PruneChannels(amount, round_to=round_to, where="[ab]", scope="layer")
    with pytest.warns(UserWarning, match="PruneChannels cut nothing") as told:
        small = technique.apply(model)
    assert widths(small) == widths(model)
    assert reason in str(told[0].message)
    with pytest.warns(UserWarning, match="cut nothing"):
        assert reason in str(tfc.compress(model, [technique, tfc.Prune(0.5)], verbose=0).plan)


def test_a_schedule_that_can_hide_nothing_is_told_in_the_plan(model):
    session = tfc.compress(model, [PruneChannels(schedule=tfc.schedules.linear(0.0, 0.5), round_to=16)], verbose=0)
    assert "Note: PruneChannels: a, b: all of its 16 channels stay, since every layer keeps" in str(session.plan)


def test_overrides_and_where_leave_layers_alone(model):
    small = PruneChannels(0.5, round_to=4, scope="layer", overrides={"c": None, "a": 0.25}).apply(model)
    assert widths(small) == {"a": 12, "b": 12, "c": 24}
    assert widths(PruneChannels(0.5, round_to=4, where="c").apply(model)) == {"a": 16, "b": 16, "c": 12}
    assert widths(PruneChannels(0.5, round_to=4, overrides={"c": None}).apply(model))["c"] == 24


def cut(model, criterion, data=None, **options):
    """Which channels of `c` a criterion lets go, by making them the only ones that may."""
    x, y = data if data is not None else (None, None)
    found = groups(model)
    rng = np.random.default_rng(0)
    worth = scores(criterion, Scene(model, found, x, y, LOSS, rng, **options))
    made = found.made_by()["c"]
    return np.array([worth[int(g)] for g in made])


@pytest.mark.parametrize("criterion", ["l1", "l2", "fpgm", "taylor", "gradient", "activation", "deviation"])
def test_criteria_rank_by_what_they_say(model, data, criterion):
    kernel, bias = model.get_layer("c").get_weights()
    kernel[..., 5], bias[5] = 0.0, 0.0  # makes nothing
    if criterion == "fpgm":  # and here: lies in the middle of the others
        kernel[..., 5] = np.median(kernel, axis=-1)
    model.get_layer("c").set_weights([kernel, bias])
    if criterion == "gradient":  # a consumer that changes nothing in the loss: all classes alike
        dense = model.get_layer("d")
        w, b = dense.get_weights()
        w.reshape(36, 24, 4)[:, 5] = 0.0
        dense.set_weights([w, b])
    assert cut(model, criterion, data).argmin() == 5


def test_bn_scale_ranks_by_gamma(model):
    gamma = model.get_layer("na").gamma
    gamma.assign(np.arange(16, 0, -1))
    small = PruneChannels(0.25, criterion="bn_scale", round_to=1, scope="layer", overrides={"c": None}).apply(model)
    np.testing.assert_array_equal(small.get_layer("na").gamma, np.arange(16, 4, -1))


def test_random_is_drawn_by_the_seed(model):
    kernels = [
        PruneChannels(0.5, criterion="random", round_to=1).apply(model, seed=seed).get_layer("c").get_weights()[0]
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(kernels[0], kernels[1])
    assert kernels[0].shape != kernels[2].shape or not np.array_equal(kernels[0], kernels[2])


def test_your_own_criterion(model):
    @tfc.channel_criterion("first goes")
    def first_goes(scene):
        for made in scene.channels.made_by().values():
            yield made, np.arange(len(made)) + 1.0

    small = PruneChannels(0.5, criterion="first goes", round_to=1, where="c").apply(model)
    np.testing.assert_array_equal(small.get_layer("c").get_weights()[1], model.get_layer("c").get_weights()[1][12:])


def test_every_kind_of_model_is_cut(cuttable, graph_models):
    small = PruneChannels(0.5, round_to=1, scope="layer").apply(cuttable)
    assert small.count_params() < cuttable.count_params()
    assert np.isfinite(keras.ops.convert_to_numpy(keras.tree.flatten(small(graph_models.batch(small)))[0])).all()


def test_rows_name_what_was_cut_and_what_was_kept(model):
    rows = PruneChannels(0.5, round_to=4).operate(model, evidence(model)).rows
    by = {row.layer: row for row in rows}
    assert isinstance(by["a"], Change) and by["a"].before == 16
    assert by["d"] == Left("d", "is an output of the model")


def test_latency_buys_time_not_macs():
    """Two layers: `slow` holds the time, `big` the MACs; a budget of time cuts the first, one of MACs the second."""
    slow, big = (
        Family((name,), np.arange(first, first + 16), np.ones(16), 4) for name, first in (("slow", 1), ("big", 17))
    )

    def microseconds(sets):
        return [100.0 - 4.0 * (gone <= 16).sum() - 0.5 * (gone > 16).sum() for gone in sets]

    chosen, before, after = by_latency([slow, big], microseconds, lambda whole: 0.7 * whole)
    assert {f.layers: n for f, n in chosen} == {("slow",): 8, ("big",): 0}
    assert (before, after) == (100.0, 68.0)

    with pytest.raises(ValueError, match=r"can't fall to 10.0 us.*100.0 us before, 46.0 us at best"):
        by_latency([slow, big], microseconds, lambda whole: 0.1 * whole)


def test_latency_that_was_guessed_too_well_is_measured_again():
    one, two = (Family((n,), np.arange(f, f + 16), np.ones(16), 4) for n, f in (("one", 1), ("two", 17)))

    def together_less(sets):  # what both save is less than the sum
        return [100.0 - max(3.0 * (gone <= 16).sum(), 2.5 * (gone > 16).sum()) for gone in sets]

    _, _, after = by_latency([one, two], together_less, lambda whole: 65.0)
    assert after <= 65.0


def test_latency_is_a_ratio_on_a_machine_that_became_slower():
    """Another process that starts after the first measurement makes everything slower; the cut is as good as before."""
    slow, big = (Family((n,), np.arange(f, f + 16), np.ones(16), 4) for n, f in (("slow", 1), ("big", 17)))
    calls = []

    def microseconds(sets):
        calls.append(len(sets))
        return [(1.0 if len(calls) == 1 else 3.0) * (100.0 - 4.0 * (gone <= 16).sum()) for gone in sets]

    chosen, before, after = by_latency([slow, big], microseconds, lambda whole: 0.7 * whole)
    assert {f.layers: n for f, n in chosen} == {("slow",): 8, ("big",): 0}
    assert (before, after) == (100.0, pytest.approx(68.0))


def test_latency_that_falls_in_stairs_is_reached():
    """Kernels work on blocks of channels: just short of the goal, a cut that is a little deeper may change nothing."""
    families = [Family((n,), np.arange(f, f + 16), np.arange(1.0, 17.0), 1) for n, f in (("one", 1), ("two", 17))]
    _, _, after = by_latency(families, lambda sets: [100.0 - 10.0 * (len(gone) // 8) for gone in sets], lambda _: 79.9)
    assert after == 70.0


@pytest.mark.slow
def test_latency_is_measured_on_the_interpreter(data):
    # large enough that half of the channels need a third of the time, whatever kernels the machine has
    x = inputs = keras.Input((32, 32, 3))
    for _ in range(2):
        x = L.Conv2D(96, 3, activation="relu")(x)
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))
    done = PruneChannels(latency=0.8, round_to=16).operate(model, evidence(model))
    (row,) = [row for row in done.rows if row.layer == "(model)"]
    assert row.after <= 0.8 * row.before
    assert done.model.count_params() < model.count_params()


@pytest.mark.slow
def test_lowest_latency_is_not_fewest_macs():
    """Pooling on many pixels holds the time and no MACs, 1x1 layers on few pixels the MACs and the smallest filters."""
    x = inputs = keras.Input((64, 64, 1))
    x = L.Conv2D(32, 1, activation="relu", name="early")(x)
    for _ in range(3):
        x = L.AveragePooling2D(3, strides=1, padding="same")(x)
    x = L.AveragePooling2D(16)(x)
    for name in ("late0", "late1"):
        x = L.Conv2D(1024, 1, activation="relu", name=name)(x)
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))
    rng = np.random.default_rng(0)
    for name in ("late0", "late1"):
        kernel = model.get_layer(name).kernel
        kernel.assign(kernel.numpy() * rng.uniform(0.0, 1.0, kernel.shape[-1]))
    fewest = PruneChannels(macs=0.5).apply(model)
    fastest = PruneChannels(latency=0.7).apply(model, rng.random((10, 64, 64, 1), "float32"))
    assert fewest.get_layer("early").filters > fastest.get_layer("early").filters
    assert macs(fewest) < macs(fastest)


@pytest.mark.slow
def test_cutting_goes_together_with_everything(model, data, tmp_path):
    x, y = data
    recipe = [PruneChannels(0.5, criterion="taylor", round_to=4), tfc.Prune(0.5), tfc.Cluster(8), tfc.Quantize("int8")]
    session = tfc.compress(model, recipe, x, labels=y, verbose=0)
    session.model.compile("adam", LOSS)
    session.model.fit(x, y, epochs=2, verbose=0, callbacks=session.callbacks)
    artifact = session.convert(tmp_path / "m.tflite")
    assert artifact.is_integer
    gap = np.abs(session.predict(x) - artifact.predict(x)).max() / artifact.outputs[0].scale
    assert gap < 1.01
    done = {row["layer"]: row for row in artifact.metadata["surgery"]}
    assert done["b"]["before"] == 16 and done["b"]["after"] == session.finish().get_layer("b").filters < 16
    assert done["d"]["reason"] == "is an output of the model"
    assert "PruneChannels: channels cut 16 ->" in session.plan.text()


def test_a_saved_session_is_not_cut_again(model, data, tmp_path):
    x, y = data
    recipe = [PruneChannels(0.5, round_to=4), tfc.Prune(0.5)]
    session = tfc.compress(model, recipe, x, verbose=0)
    session.model.compile("adam", LOSS)
    session.model.fit(x, y, epochs=1, verbose=0, callbacks=session.callbacks)
    session.model.save(tmp_path / "s.keras")
    again = tfc.compress(tfc.load_model(tmp_path / "s.keras"), recipe, x, verbose=0)
    assert widths(again.finish()) == widths(session.finish())
    other = tfc.compress(session.finish(), PruneChannels(0.5, round_to=4), verbose=0)
    assert widths(other.finish())["c"] < widths(session.finish())["c"]


@pytest.mark.parametrize("scheme", [None, "int8"])
def test_gradual_cutting_equals_its_mask(model, data, scheme, tmp_path):
    x, y = data
    ramp = tfc.schedules.polynomial(0.0, 0.5, stop=0.6)
    recipe = [PruneChannels(schedule=ramp, round_to=4), *([tfc.Quantize(scheme)] if scheme else [])]
    session = tfc.compress(model, recipe, x, verbose=0)
    session.model.compile(keras.optimizers.Adam(1e-3), LOSS)
    session.model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=session.callbacks)
    masks = [t.read for _, _, t in session.callback.state.find(ChannelMask)]
    assert min(float(keras.ops.mean(mask)) for mask in masks) < 0.8
    masked = session.predict(x)
    small = session.finish()
    assert sum(widths(small).values()) <= 36 and small.count_params() < 0.7 * model.count_params()
    if scheme is None:
        np.testing.assert_allclose(small.predict(x, verbose=0), masked, atol=1e-4 * np.abs(masked).max())
    artifact = session.convert(tmp_path / "m.tflite", calibration=None if scheme else x)
    limit = artifact.outputs[0].scale * (1.01 if scheme else 4)
    assert np.abs(artifact.predict(x) - masked).max() <= limit


def test_gradual_cutting_goes_on_from_a_checkpoint(model, data, tmp_path):
    x, y = data
    recipe = [PruneChannels(schedule=tfc.schedules.polynomial(0.0, 0.5, stop=0.9), round_to=4)]
    session = tfc.compress(model, recipe, verbose=0)
    session.model.compile("adam", LOSS)
    session.model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=session.callbacks)
    session.model.save(tmp_path / "s.keras")
    again = tfc.compress(tfc.load_model(tmp_path / "s.keras"), recipe, verbose=0)
    assert widths(again.finish()) == widths(session.finish())


def test_recipes_go_to_json_and_back():
    ramp = tfc.schedules.polynomial(0.0, 0.5)
    recipe = tfc.Recipe([PruneChannels(macs=0.5, criterion="fpgm"), PruneChannels(schedule=ramp, where="c")])
    assert list(tfc.Recipe.from_json(recipe.to_json())) == list(recipe)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "give one of amount"),
        ({"amount": 0.5, "macs": 0.5}, "give one of amount.*'macs': 0.5"),
        ({"amount": 50}, "amount must be in .*Did you mean 0.5"),
        ({"amount": "half"}, "amount must be in"),
        ({"macs": 0}, "macs must be above 0"),
        ({"latency": -1.0}, "latency must be above 0"),
        ({"amount": 0.5, "criterion": "l3"}, "criterion must be one of .*'l1'"),
        ({"amount": 0.5, "scope": "model"}, "scope must be 'global' or 'layer'"),
        ({"amount": 0.5, "round_to": 0}, "round_to must be a whole number"),
        ({"amount": 0.5, "steps": 1.5}, "steps must be a whole number"),
        ({"schedule": 0.5, "criterion": "taylor"}, "scored by their weights alone"),
        ({"schedule": 1.5}, "must stay in"),
        ({"amount": 0.5, "overrides": {"a": 0.3}}, "override can only be None"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PruneChannels(**options)


def test_what_can_not_be_done_is_told(model, data):
    with pytest.raises(ValueError, match="macs can't fall to 1.5; with all removable channels removed, .* are left"):
        PruneChannels(macs=1.5).apply(model)
    with pytest.raises(ValueError, match="criterion 'taylor' looks at data"):
        PruneChannels(0.5, criterion="taylor").apply(model)
    with pytest.raises(ValueError, match="looks at the loss. Give labels=y"):
        PruneChannels(0.5, criterion="taylor").apply(model, data[0])
    with pytest.raises(ValueError, match="gives no scores for channels of c"):
        PruneChannels(0.5, criterion="bn_scale").apply(model)
    with pytest.raises(ValueError, match="96 samples and labels 3"):
        PruneChannels(0.5).apply(model, data[0], labels=data[1][:3])
    with pytest.raises(ValueError, match="no layer's channels may be cut"):
        PruneChannels(0.5, where="d").apply(model)
    callback = tfc.Compression([PruneChannels(0.5)], verbose=0)
    with pytest.raises(ValueError, match="Use session = tfc.compress"):
        callback.set_model(model)


def test_rank_never_takes_the_last_ones():
    few = Family(("few",), np.arange(1, 3), np.array([0.0, 0.1]), 1)
    many = Family(("many",), np.arange(3, 13), np.ones(10), 1)
    assert [n for _, n in by_rank([few, many], 12)] == [1, 9]
