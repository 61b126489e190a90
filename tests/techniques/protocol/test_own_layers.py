"""Changes of the graph reach into layers of one's own; what stays whole is said."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfcompress as tfc


class Softened(L.Layer):
    """A layer with weights whose call draws random numbers, so that it stays whole."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(16)

    def call(self, x):
        return self.dense(x) * (1.0 + 1e-3 * keras.random.normal((1,), seed=1))


def gap(a, b, x):
    return float(np.abs(a.predict(x, verbose=0) - b.predict(x, verbose=0)).max())


def test_heads_and_widths_of_a_transformer_block_are_cut(own_layers):
    model = own_layers.MODELS["block"]()
    small = tfc.PruneChannels(0.5, round_to=1, scope="layer").apply(model)
    assert small.get_layer("block_wide").units == 16
    assert small.get_layer("block_attend").num_heads == 1
    assert small.count_params() < 0.7 * model.count_params()


def test_a_budget_is_kept_inside_of_layers(own_layers):
    from tfcompress.evaluate.macs_model import model_macs

    def macs(model):
        return sum(row["macs"] for row in model_macs(model))

    model = own_layers.MODELS["block"]()
    whole = macs(tfc.PruneChannels(0.0).apply(model))
    assert macs(tfc.PruneChannels(macs=0.6, round_to=1).apply(model)) <= 0.6 * whole


def test_both_branches_of_a_block_are_dropped(own_layers):
    model = own_layers.stack(own_layers.Block(name="first"), own_layers.Block(name="second"), L.Dense(3))
    x = own_layers.samples()
    small = tfc.DropLayers(names=["second_add", "second_add_1"]).apply(model)
    wanted = keras.Model(model.input, model.layers[-1](model.get_layer("first").output))
    assert gap(small, wanted, x) <= 1e-6
    assert {layer.name.split("_")[0] for layer in small.layers[1:-1]} == {"first"}
    assert len(tfc.DropLayers(2, what="blocks").apply(model, x).weights) < len(model.weights)


def test_a_table_of_places_is_no_residual_branch(own_layers):
    class Placed(L.Layer):
        def build(self, shape):
            self.places = self.add_weight(shape=shape[1:], initializer="uniform", name="places")

        def call(self, x):
            return x + self.places

    model = own_layers.stack(Placed(name="placed"), L.Dense(3))
    with pytest.raises(ValueError, match="'placed_add' can't be removed: .* Removable: nothing"):
        tfc.DropLayers(names=["placed_add"]).apply(model)


@pytest.mark.parametrize("technique", [tfc.Fold(), tfc.Equalize()])
def test_what_is_exact_is_exact_inside_of_layers(own_layers, own_model, technique):
    x = own_layers.samples()
    if "noted" in [layer.name for layer in own_model.layers]:
        with pytest.warns(UserWarning, match="noted stays whole, since it .* variable"):
            made = technique.apply(own_model)
    else:
        made = technique.apply(own_model)
    assert gap(made, own_model, x) <= 1e-5


@pytest.mark.parametrize("technique", [tfc.LowRank(energy=0.7), tfc.MergeChannels(0.3)])
def test_ranks_and_alike_channels_inside_of_layers_are_reduced(own_layers, technique):
    model, x = own_layers.MODELS["block"](), own_layers.samples()
    small = technique.apply(model, x)
    assert small.count_params() < model.count_params()
    assert gap(small, model, x) < float(np.abs(model.predict(x, verbose=0)).max())


def test_alike_heads_are_not_taken_for_alike_channels(own_layers):
    def attend(s, x):
        b, t = ops.shape(x)[0], x.shape[1]
        q, k, v = (ops.transpose(ops.reshape(p(x), (b, t, 4, 4)), (0, 2, 1, 3)) for p in s.parts[:3])
        y = ops.matmul(ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))), v)
        return s.parts[3](ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (b, t, 16)))

    class Attend(L.Layer):
        def __init__(self):
            super().__init__(name="own")
            self.parts = [L.Dense(16) for _ in range(4)]

    Attend.call = attend
    model, x = own_layers.stack(Attend(), L.Dense(3)), own_layers.samples()
    made = tfc.MergeChannels(threshold=0.9).apply(model)
    assert gap(made, model, x) <= 1e-6 and made.count_params() == model.count_params()


def test_a_layer_that_stays_whole_is_said_with_the_reason(own_layers):
    model = own_layers.stack(Softened(name="soft"), L.Dense(8, "relu"), L.Dense(3))
    with pytest.warns(UserWarning, match="PruneChannels: .* soft stays whole, since it draws random numbers"):
        small = tfc.PruneChannels(0.5, round_to=1).apply(model)
    assert small.get_layer("soft").dense.units == 16 and small.layers[-2].units == 4


def test_a_budget_that_can_not_be_kept_names_what_keeps_the_channels(own_layers):
    model = own_layers.stack(Softened(name="soft"))
    with (
        pytest.warns(UserWarning, match="soft stays whole"),
        pytest.raises(ValueError, match="macs=0.5 can't be reached, since no channels can be cut"),
    ):
        tfc.PruneChannels(macs=0.5).apply(model)


@pytest.mark.slow
@pytest.mark.parametrize("amount", [{"amount": 0.4}, {"schedule": tfc.schedules.Polynomial(0, 0.4)}])
def test_a_session_changes_and_trains_what_is_inside(own_layers, amount):
    model, x = own_layers.MODELS["block"](), own_layers.samples(64)
    session = tfc.compress(model, [tfc.PruneChannels(round_to=1, **amount), tfc.Quantize("int8")], data=x, verbose=0)
    session.model.compile("adam", "mse")
    session.model.fit(x, model.predict(x, verbose=0), epochs=2, batch_size=32, verbose=0, callbacks=session.callbacks)
    small = session.finish()
    assert small.count_params() < model.count_params()
    file = session.convert(calibration=x, diagnose=False)
    assert file.is_integer
    assert np.abs(file.predict(x) - small.predict(x, verbose=0)).mean() < 0.1


def test_a_gradual_technique_that_can_cut_nothing_says_so_and_goes_on(own_layers):
    model, x = own_layers.stack(own_layers.Linear(3, name="linear")), own_layers.samples()
    session = tfc.compress(model, [tfc.PruneChannels(schedule=tfc.schedules.Polynomial(0, 0.4))], verbose=0)
    assert "no channels can be cut. linear: is an output of the model" in session.plan.remarks[0]
    session.model.compile("adam", "mse")
    session.model.fit(x, x[..., :3], epochs=1, verbose=0, callbacks=session.callbacks)
    assert session.finish().count_params() == model.count_params()


def test_the_plan_of_a_session_names_what_stays_whole(own_layers):
    model = own_layers.stack(Softened(name="soft"), L.Dense(8, "relu"), L.Dense(3))
    with pytest.warns(UserWarning, match="soft stays whole"):
        session = tfc.compress(model, [tfc.PruneChannels(0.5, round_to=1)], verbose=0)
    row = next(row for row in session.plan.rows if row.layer == "soft")
    assert not row.is_treated and "draws random numbers" in row.action


def test_a_session_wraps_what_is_inside(own_layers):
    session = tfc.compress(own_layers.MODELS["block"](), [tfc.Prune(0.5)], verbose=0)
    kernel = np.asarray(session.finish().get_layer("block_wide").kernel)
    assert (kernel == 0).sum() == kernel.size / 2
