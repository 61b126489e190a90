"""The shrunk model equals the original whose weights that read the removed channels are zero."""

import keras
import numpy as np
import pytest

from tfcompress.channels.dependency import groups
from tfcompress.channels.shrink import shrink, zeroed
from tfcompress.layer_table.activations import elementwise
from tfcompress.layer_table.lookup import describe, remove_rows, spec_of

L = keras.layers


@pytest.mark.sampled(3)
def test_shrunk_equals_zeroed(cuttable, graph_models):
    model, batch, gap = cuttable, graph_models.batch, graph_models.gap
    found = groups(model)
    dead, x = graph_models.some(found), batch(model)
    assert len(dead)
    before = [np.array(w) for w in model.weights]
    small, masked = shrink(model, found, dead), zeroed(model, found, dead)
    assert small.count_params() < 0.75 * model.count_params()
    assert gap(small(x), masked(x)) <= 1e-5
    assert gap(model(x), masked(x)) > 1e-3  # the channels did count
    assert all(np.array_equal(a, np.array(w)) for a, w in zip(before, model.weights, strict=True))


@pytest.mark.parametrize("name", ["residual", "recurrent", "attention", "grouped"])
def test_shrinking_goes_on_from_what_was_shrunk_and_saved(name, tmp_path, graph_models):
    model = graph_models.shaken(graph_models.ALL[name]())
    found = groups(model)
    small = shrink(model, found, graph_models.some(found, 0.3))
    small.save(tmp_path / "small.keras")
    again = keras.models.load_model(tmp_path / "small.keras")
    found = groups(again)
    dead, x = graph_models.some(found, 0.3), graph_models.batch(again)
    assert graph_models.gap(shrink(again, found, dead)(x), zeroed(small, groups(small), dead)(x)) <= 1e-5


def test_nothing_dead_changes_nothing(graph_models):
    model = graph_models.shaken(graph_models.ALL["residual"]())
    x = graph_models.batch(model)
    np.testing.assert_array_equal(shrink(model, groups(model), np.array([], int))(x), model(x))


def test_residual_channels_go_together():
    x = inputs = keras.Input((8, 8, 3))
    a, b = L.Conv2D(6, 3, name="a")(x), L.Conv2D(6, 3, name="b")(x)
    made = groups(keras.Model(inputs, L.Dense(2)(L.Flatten()(L.Add()([a, b]))))).made_by()
    assert np.array_equal(made["a"], made["b"]) and len(set(made["a"].tolist())) == 6


def test_what_is_kept_is_named():
    x = inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(3, 3, padding="same", name="meets_input")(x) + x
    y = L.Conv2D(4, 3, name="softmax", activation="softmax")(x)
    y = L.Conv2D(4, 3, name="yours", activation=lambda v: v - keras.ops.mean(v))(y)
    y = L.Conv2D(4, 1, name="halved")(y)[..., :2]
    y = L.Lambda(lambda v: v[..., ::-1], name="code")(L.Conv2D(4, 1, name="before_code")(y))
    y = L.Conv2D(4, 1, name="times_array")(y) * np.arange(4, dtype="float32")
    y = L.Softmax(name="over_channels")(L.Conv2D(4, 1, name="before_softmax")(y))
    kept = groups(keras.Model(inputs, L.Dense(2, name="end")(L.Flatten()(y)))).kept()
    assert kept["meets_input"][1] == "joins channels that are kept"
    assert kept["softmax"][1] == "a value depends on all channels"
    assert "tfc.elementwise" in kept["yours"][1]
    assert kept["halved"][1] == "takes some of the channels by number"
    assert kept["before_code"] == ("code", "Lambda is not in the table of layers (tfc.describe adds it)")
    assert kept["times_array"][1] == "meets a constant of a fixed size"
    assert kept["before_softmax"] == ("over_channels", "a value depends on all channels")
    assert kept["end"] == ("end", "is an output of the model")


def test_other_layouts_and_states_are_kept():
    x = inputs = keras.Input((4, 8, 8))
    x = L.Permute((3, 2, 1))(L.Permute((3, 2, 1))(x))
    x = L.ReLU(name="relu")(L.Permute((3, 1, 2))(L.Conv2D(4, 3, name="c")(x)))
    assert groups(keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))).kept()["c"][0] == "relu"
    steps = keras.Input((5, 3))
    out, state = L.GRU(4, return_sequences=True, return_state=True, name="a")(steps)
    again = L.GRU(4, name="b")(out, initial_state=state)
    kept = groups(keras.Model(steps, L.Dense(2)(again))).kept()
    assert kept["b"] == kept["a"] == ("b", "takes or returns states of a fixed size")


def test_norm_over_another_axis_is_kept():
    x = inputs = keras.Input((8, 3))
    x = L.BatchNormalization(axis=1, name="norm")(L.Conv1D(4, 1, name="c")(x))
    assert groups(keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))).kept()["c"][0] == "norm"


class Scale(L.Layer):
    """A user's layer with a weight that no row describes."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), name="factor")

    def call(self, x):
        return x * self.factor


def test_described_layers_are_cut_and_others_kept(graph_models):
    def model():
        x = inputs = keras.Input((6,))
        return keras.Model(inputs, L.Dense(2)(Scale(name="s")(L.Dense(4, name="d")(x))))

    assert groups(model()).kept()["d"][0] == "s"
    describe(Scale, flow="pass")
    try:
        assert groups(model()).kept()["d"] == ("s", "has weights that its row in the layer table does not describe")
        describe(Scale, flow="pass", factor="c")
        made = graph_models.shaken(model())
        found, x = groups(made), graph_models.batch(made)
        assert "d" not in found.kept()
        dead = graph_models.some(found)
        assert graph_models.gap(shrink(made, found, dead)(x), zeroed(made, found, dead)(x)) <= 1e-5
    finally:
        remove_rows(Scale)


def test_trainable_and_names_stay(graph_models):
    model = graph_models.ALL["chain"]()
    model.layers[1].trainable = False
    found = groups(model)
    small = shrink(model, found, graph_models.some(found))
    assert [layer.name for layer in small.layers] == [layer.name for layer in model.layers]
    assert [layer.trainable for layer in small.layers] == [layer.trainable for layer in model.layers]


def test_a_layer_must_keep_a_channel(graph_models):
    model = graph_models.ALL["chain"]()
    found = groups(model)
    with pytest.raises(ValueError, match="'conv2d.*' would keep none of its 6 channels"):
        shrink(model, found, found.groups)


def test_numbers_that_are_no_groups_are_refused(graph_models):
    model = graph_models.ALL["chain"]()
    with pytest.raises(ValueError, match=r"\[0, 999\] are not removable groups"):
        shrink(model, groups(model), np.array([0, 999]))


def test_subclassed_models_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="subclassed"):
        groups(Own())


def test_functions_of_yours_that_take_each_value_for_itself():
    @elementwise
    def cubed(x):
        return x * x * x

    x = inputs = keras.Input((4,))
    kept = groups(keras.Model(inputs, L.Dense(2, name="end")(L.Dense(4, activation=cubed, name="d")(x)))).kept()
    assert list(kept) == ["end"]
    with pytest.raises(TypeError, match="function must be a function. Received: function='relu'"):
        elementwise("relu")


def test_models_with_functions_of_yours_are_copied(graph_models):
    x = inputs = keras.Input((4,))
    x = L.Dense(4, activation=lambda v: v * v, name="d")(x)
    model = graph_models.shaken(keras.Model(inputs, L.Dense(2)(L.Dense(4)(x))))
    found, x = groups(model), graph_models.batch(model)
    dead = graph_models.some(found)
    assert graph_models.gap(shrink(model, found, dead)(x), zeroed(model, found, dead)(x)) <= 1e-5


@pytest.mark.parametrize(
    "equation, bias, shape", [("abce,ed->acbd", None, (5, 3, 6)), ("abce,ed->abcd", "b", (3, 5, 6))]
)
def test_an_einsum_that_moves_axes_is_left_alone(equation, bias, shape):
    x = inputs = keras.Input((3, 5, 4))
    model = keras.Model(inputs, L.EinsumDense(equation, shape, bias_axes=bias, name="e")(L.Dense(4)(x)))
    assert spec_of(model.get_layer("e")).flow == "still"
    assert len(groups(model).groups) == 0
