"""Laws: channels that are equal, or equal but for a factor, merge without any change of the output, and only those."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.calibration.evidence import evidence
from tfcompress.channels.dependency import groups
from tfcompress.demo.networks import lenet300
from tfcompress.graph.clone import copied
from tfcompress.layer_table.lookup import spec_of, weight
from tfcompress.similarity.by_weights import collect_features
from tfcompress.similarity.candidates import alike
from tfcompress.similarity.linear_forms import value_of
from tfcompress.techniques.merge_channels import MergeChannels
from tfcompress.techniques.protocol.graph_technique import Change, Left

pytestmark = pytest.mark.sampled(8)

L = keras.layers


def operated(technique, model, data=None):
    return technique.operate(copied(model)[0], evidence(model, data))


def twin(model):
    """Writes the last channel of every set over by the first; returns how wide layers are without it."""
    channels = groups(model)
    sets = alike(channels, collect_features(model, channels))
    for use in channels.uses.values():
        for path, vectors in use.weights.items():
            letters = spec_of(use.op).axes[path].rjust(len(vectors), "j")
            value = value_of(use.op, path)
            for axis, (letter, vector) in enumerate(zip(letters, vectors, strict=True)):
                for s in sets if vector is not None and letter not in "ire" else ():
                    at, to = (np.flatnonzero(channels.roots[vector] == g) for g in s.groups[[0, -1]])
                    np.moveaxis(value, axis, 0)[to] = np.moveaxis(value, axis, 0)[at]
            weight(use.op, path).assign(value)
    gone = [s.groups[-1] for s in sets]
    return {path: int((~np.isin(made, gone)).sum()) for path, made in channels.made_by().items()}


def widths(model):
    return {path: len(made) for path, made in groups(model).made_by().items()}


def test_twins_merge_and_nothing_else(cuttable, graph_models):
    expected = twin(cuttable)
    flat = copied(cuttable)[0]
    before = [np.array(w) for w in flat.weights]
    done = MergeChannels(threshold=1.0).operate(flat, evidence(cuttable))
    x = graph_models.batch(cuttable)
    assert graph_models.gap(done.model(x), cuttable(x)) <= 1e-5
    assert list(widths(done.model).values()) == list(expected.values())
    assert all(r.before - r.after == 1 and "merged" in r.what for r in done.rows if isinstance(r, Change))
    assert all(np.array_equal(a, np.array(w)) for a, w in zip(before, flat.weights, strict=True))


@pytest.mark.parametrize("name", ["residual", "recurrent", "transformer"])
def test_nothing_alike_changes_nothing(name, graph_models):
    model = graph_models.shaken(graph_models.ALL[name]())
    done = operated(MergeChannels(threshold=0.99999), model)
    assert done.model.count_params() == model.count_params()
    assert all(isinstance(r, Left) for r in done.rows) and any("similar enough" in r.reason for r in done.rows)


@pytest.mark.parametrize("name", ["concatenated", "recurrent", "grouped"])
def test_one_is_always_left(name, graph_models):
    model = graph_models.shaken(graph_models.ALL[name]())
    done = operated(MergeChannels(0.999), model)
    assert {r.after for r in done.rows if isinstance(r, Change)} == {1}
    assert np.isfinite(done.model(graph_models.batch(model))).all()


def proportional():
    """The second channel is 6 times the first behind its normalization, and 3 times behind the depthwise kernel."""
    x = inputs = keras.Input((8, 8, 2))
    x = L.ReLU()(L.BatchNormalization(name="n", epsilon=0.0)(L.Conv2D(4, 3, name="a")(x)))
    x = L.DepthwiseConv2D(3, padding="same", name="w", activation="leaky_relu")(x)
    x = L.MaxPooling2D()(L.ZeroPadding2D()(x))
    y = L.Conv2D(3, 1, name="b", activation="tanh")(x)
    model = keras.Model(inputs, [L.Dense(4, name="c")(L.Flatten()(x)), L.Dense(2, name="d")(L.Flatten()(y))])
    rng = np.random.default_rng(0)
    for v in model.variables:
        v.assign(rng.uniform(0.5, 1.5, v.shape) if "variance" in v.path else rng.normal(size=v.shape))
    kernel, bias = model.get_layer("a").get_weights()
    kernel[..., 1], bias[1] = 3 * kernel[..., 0], 3 * bias[0]
    model.get_layer("a").set_weights([kernel, bias])
    gamma, beta, mean, variance = model.get_layer("n").get_weights()
    gamma[1], beta[1], mean[1], variance[1] = 2 * gamma[0], 6 * beta[0], 3 * mean[0], variance[0]
    model.get_layer("n").set_weights([gamma, beta, mean, variance])
    kernel, bias = model.get_layer("w").get_weights()
    kernel[:, :, 1], bias[1] = 0.5 * kernel[:, :, 0], 3 * bias[0]
    model.get_layer("w").set_weights([kernel, bias])
    return model


def test_multiples_merge_without_any_change(graph_models):
    model = proportional()
    done = operated(MergeChannels(threshold=1.0), model)
    x = graph_models.batch(model)
    assert done.model.get_layer("a").filters == 3
    assert graph_models.gap(done.model(x), model(x)) <= 1e-5
    (row,) = [r for r in done.rows if isinstance(r, Change)]
    assert row == Change("a", "merged 1 into 0", 4, 3) or row == Change("a", "merged 0 into 1", 4, 3)


@pytest.mark.parametrize("activation", ["sigmoid", "relu6", "gelu"])
def test_multiples_do_not_merge_where_size_counts(activation, graph_models):
    model = keras.Sequential([keras.Input((5,)), L.Dense(3, name="a"), L.Activation(activation, name="s"), L.Dense(2)])
    graph_models.shaken(model)
    kernel, bias = model.layers[0].get_weights()
    kernel[:, 1], bias[1] = 2 * kernel[:, 0], 2 * bias[0]
    model.layers[0].set_weights([kernel, bias])
    done = operated(MergeChannels(threshold=0.95), model)
    assert done.model.layers[1].units == 3
    assert [r.reason for r in done.rows if r.layer == "a"] == [
        "no two of 3 channels are similar enough, at most 0.8; magnitudes count because of s"
    ]


@pytest.mark.parametrize("name", ["chain", "flattened", "residual", "one_dimensional", "attention", "squeeze_excite"])
def test_twins_merge_by_their_activity(name, graph_models):
    model = graph_models.shaken(graph_models.ALL[name]())
    expected = twin(model)
    x = graph_models.batch(model, n=64)
    done = operated(MergeChannels(threshold=0.9999999, similarity="activation"), model, x)
    left = {r.layer for r in done.rows if isinstance(r, Left)}
    assert graph_models.gap(done.model(x), model(x)) <= 1e-4
    for (path, now), (_, wanted) in zip(widths(done.model).items(), expected.items(), strict=True):
        assert now <= wanted or path in left, path


def affine(use_bias):
    """The second channel is twice the first and 3, always."""
    layers = [L.Conv1D(3, 3, name="a"), L.Conv1D(4, 3, name="b", use_bias=use_bias), L.Flatten(), L.Dense(2)]
    model = keras.Sequential([keras.Input((9, 2)), *layers])
    kernel, bias = model.layers[0].get_weights()
    kernel[..., 1], bias[1] = 2 * kernel[..., 0], 2 * bias[0] + 3
    model.layers[0].set_weights([kernel, bias])
    return model


@pytest.mark.parametrize("use_bias", [True, False])
def test_a_constant_goes_into_the_bias(use_bias, graph_models):
    model = affine(use_bias)
    x = graph_models.batch(model, n=64)
    technique = MergeChannels(threshold=0.99999, similarity="activation", where="a")
    small = technique.apply(model, x)
    assert small.get_layer("a").filters == 2 and small.get_layer("b").use_bias
    assert graph_models.gap(small(x), model(x)) <= 1e-4
    assert MergeChannels(threshold=0.99999, where="a").apply(model).get_layer("a").filters == 3


def test_with_data_less_is_lost(graph_models):
    model = graph_models.shaken(graph_models.ALL["flattened"]())
    x = graph_models.batch(model, n=128)
    lost = {}
    for similarity in ("cosine", "activation"):
        small = MergeChannels(0.3, similarity=similarity).apply(model, x)
        assert widths(small) == {"conv2d": 4, "dense": 7, "dense_1": 4} or list(widths(small).values()) == [4, 7, 4]
        lost[similarity] = float(np.mean((np.array(small(x)) - np.array(model(x))) ** 2))
    assert lost["activation"] < lost["cosine"]


def test_global_scope_shares_the_amount_out(graph_models):
    model = graph_models.shaken(graph_models.ALL["flattened"]())
    before = list(widths(model).values())
    after = list(widths(MergeChannels(0.5, scope="global").apply(model)).values())
    assert sum(before[:2]) - sum(after[:2]) == round(0.5 * sum(before[:2])) and min(after) >= 1


def test_same_every_time_and_after_saving(tmp_path, graph_models):
    model = graph_models.shaken(graph_models.ALL["residual"]())
    technique = MergeChannels(0.4)
    a, b = technique.apply(model), technique.apply(model)
    for v, w in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(v, w)
    a.save(tmp_path / "small.keras")
    x = graph_models.batch(model)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "small.keras")(x), a(x))


def test_where_and_overrides(graph_models):
    layers = [L.Dense(10, "relu", name="a"), L.Dense(10, "relu", name="b"), L.Dense(2)]
    model = graph_models.shaken(keras.Sequential([keras.Input((5,)), *layers]))
    units = lambda m: [m.get_layer(n).units for n in "ab"]  # noqa: E731
    assert units(MergeChannels(0.3).apply(model)) == [7, 7]
    assert units(MergeChannels(0.3, overrides={"a": 0.5}).apply(model)) == [5, 7]
    assert units(MergeChannels(0.3, overrides={"a": None}).apply(model)) == [10, 7]
    done = operated(MergeChannels(0.3, where="a"), model)
    assert units(done.model) == [7, 10]
    assert Left("b", "left out by `where` or `overrides`") in done.rows


def test_states_inside_are_left_where_data_does_not_show_them(graph_models):
    model = graph_models.shaken(graph_models.ALL["recurrent"]())
    done = operated(MergeChannels(0.4, similarity="activation"), model, graph_models.batch(model, n=16))
    reasons = {r.layer: r.reason for r in done.rows if isinstance(r, Left)}
    lstm = next(path for path in reasons if path.startswith("lstm"))
    assert "reads them inside itself" in reasons[lstm]


def test_recipe_and_session(graph_models):
    recipe = tfc.Recipe([MergeChannels(0.25, similarity="activation", overrides={"head": None}), tfc.Prune(0.5)])
    assert tfc.Recipe.from_json(recipe.to_json()) == recipe
    layers = [L.Dense(8, "relu", name="a"), L.Dense(2, name="head")]
    model = graph_models.shaken(keras.Sequential([keras.Input((5,)), *layers]))
    x = graph_models.batch(model, n=64)
    session = tfc.compress(model, recipe, x, verbose=0)
    session.model.compile("adam", "mse")
    session.model.fit(x, x[:, :2], epochs=1, verbose=0, callbacks=session.callbacks)
    assert session.finish().get_layer("a").units == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give either amount or threshold"),
        ({"amount": 0.5, "threshold": 0.9}, "give either amount or threshold"),
        ({"amount": 30}, r"amount must be in \[0, 1\).*Did you mean 0.3"),
        ({"amount": True}, r"amount must be in \[0, 1\)"),
        ({"threshold": 0.0}, r"threshold must be in \(0, 1\]"),
        ({"threshold": "x"}, r"threshold must be in \(0, 1\].*'x'"),
        ({"amount": float("nan")}, r"amount must be in \[0, 1\)"),
        ({"amount": 0.5, "similarity": "angle"}, "similarity must be one of"),
        ({"amount": 0.5, "scope": "model"}, "scope must be one of"),
        ({"threshold": 0.5, "scope": "global"}, "scope='global'"),
        ({"amount": 0.5, "scope": "global", "overrides": {"a": 0.2}}, "override can only be None"),
        ({"amount": 0.5, "overrides": {"a": 2}}, r"amount must be in \[0, 1\)"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MergeChannels(**arguments)


def test_missing_data_and_misspelt_names_are_refused(net):
    with pytest.raises(ValueError, match="similarity='activation' needs data"):
        MergeChannels(0.5, similarity="activation").apply(net())
    with pytest.raises(ValueError, match="haed"):
        MergeChannels(0.5, overrides={"haed": None}).apply(net())


@pytest.mark.data
def test_merging_by_data_loses_less_than_cutting(mnist):
    """On a quickly trained net, 30 % of the channels merged or cut."""
    model = lenet300()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(mnist.x_train[:8000], mnist.y_train[:8000], batch_size=128, verbose=0)
    cut = tfc.PruneChannels(0.3, scope="layer", round_to=1).apply(model)
    small = MergeChannels(0.3, similarity="activation").apply(model, mnist.x_train[:500])
    x, y = mnist.x_test[:2000], mnist.y_test[:2000]
    right = [np.mean(np.argmax(m.predict(x, batch_size=500, verbose=0), axis=1) == y) for m in (cut, small)]
    assert cut.count_params() == small.count_params()
    assert right[1] > right[0] + 0.01
