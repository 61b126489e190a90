"""The plan: every weight is treated or has a reason, and the model is not changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.techniques.base import Technique
from tfcompress.training.plan import make_plan

L = keras.layers


def net():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((6, 6, 1), name="image")
    x = L.Conv2D(4, 3, use_bias=False, name="conv")(x)
    x = L.ReLU(name="relu")(L.BatchNormalization(name="norm")(x))
    x = L.Flatten(name="flat")(x)
    x = L.Dense(5, activation="tanh", name="hidden")(x)
    return keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x), name="net")


ALL = [tfc.Quantize(), tfc.Cluster(4), tfc.Prune(0.5)]


def test_every_kernel_has_a_row_that_says_what_is_done():
    model = net()
    before, config = model.get_weights(), model.get_config()
    plan = make_plan(model, ALL)
    rows = {(r.layer, r.weight): r for r in plan.rows}
    for layer in ("conv", "hidden", "head"):
        row = rows[layer, "kernel"]
        assert row.is_treated
        for part in ("Cluster 4 values per kernel", "Prune sparsity 0.5", "Quantize 8 bits"):
            assert part in row.action
    assert "one scale per channel" in rows["conv", "kernel"].action  # a normalization folds into it
    assert "one scale per tensor" in rows["head", "kernel"].action  # shared values stay shared
    assert "folded into the kernel beside" in rows["norm", ""].action
    assert "fixed range" in rows["head", ""].action
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.get_config() == config and len(model.weights) == len(before)


def test_transforms_stand_in_the_order_of_their_ranks_whatever_the_recipes():
    for recipe in (ALL, ALL[::-1], [ALL[1], ALL[2], ALL[0]]):
        for chain in make_plan(net(), recipe).state.chains():
            assert [type(t).__name__ for t in chain.transforms] == [
                "Centroids", "Mask", "QuantizeWeight",
            ]  # fmt: skip


def test_the_text_is_a_table_with_reasons():
    model = net()
    model.get_layer("conv").trainable = False
    named = tfc.Prune(0.5, overrides={"hidden": None}, where=["Dense", "conv"])
    text = str(make_plan(model, [named]))
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert "what is done, or why not" in lines["layer"]
    assert "- Prune: override None" in lines["hidden"]
    assert "Prune sparsity 0.5" in lines["head"]
    # named by `where`, so treated although it does not train
    assert "Prune sparsity 0.5" in lines["conv"]
    text = str(make_plan(model, [tfc.Prune(0.5)]))
    assert "- Prune: trainable=False (name the layer in `where` to include it)" in text
    assert "left out by `where`" in str(make_plan(model, [tfc.Prune(0.5, where="head")]))


def test_a_frozen_layer_is_quantized_for_the_file_needs_it():
    model = net()
    model.get_layer("conv").trainable = False
    rows = {(r.layer, r.weight): r.action for r in make_plan(model, ALL).rows}
    assert rows["conv", "kernel"] == "Quantize 8 bits, one scale per channel"


def test_unknown_layer_types_are_named():
    class Scale(L.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=(shape[-1], 4), name="factor")

        def call(self, x):
            return keras.ops.matmul(x, keras.ops.tanh(self.factor))

    model = keras.Sequential([keras.Input((6,)), Scale(name="own"), L.Dense(3, name="head")])
    plan = make_plan(model, [tfc.Prune(0.5)])
    (row,) = [r for r in plan.rows if r.layer == "own"]
    assert not row.is_treated and "unknown layer type Scale" in row.action
    with pytest.raises(ValueError, match="Nothing in this model would be compressed"):
        make_plan(keras.Sequential([keras.Input((6,)), Scale(name="own")]), [tfc.Prune(0.5)])


def test_nothing_to_do_is_an_error_with_the_way_out():
    model = net()
    model.trainable = False
    with pytest.raises(ValueError, match="(?s)Nothing in this model.*trainable=False.*loosen `where`"):
        make_plan(model, [tfc.Prune(0.5)])


def test_an_empty_recipe_does_nothing():
    plan = make_plan(net(), [])
    assert plan.rows == [] and plan.state.chains() == []


def test_techniques_that_change_shapes_are_refused_with_the_way_out():
    class Narrow(Technique):
        shape_changing = True

    with pytest.raises(ValueError, match="Narrow changes the shape.*tfc.compress"):
        make_plan(net(), [Narrow()])


@pytest.mark.parametrize("kind", [tfc.Prune, tfc.Cluster, tfc.Quantize])
@pytest.mark.parametrize("option", ["where", "skip", "overrides"])
def test_misspelt_names_are_refused(kind, option):
    value = {
        "where": {"where": "haed"},
        "skip": {"where": tfc.Where(skip="haed")},
        "overrides": {"overrides": {"haed": None}},
    }[option]
    first = {tfc.Prune: 0.5, tfc.Cluster: 4, tfc.Quantize: "int8"}[kind]
    with pytest.raises(ValueError, match=rf"{kind.__name__}: .*\['haed'\].*conv, norm.*head"):
        make_plan(net(), [kind(first, **value)])


class Own(keras.Model):
    def __init__(self, function=keras.ops.relu):
        super().__init__()
        self.a, self.b, self.function = L.Dense(5, name="a"), L.Dense(3, name="b"), function

    def call(self, x):
        return self.b(self.function(self.a(x)) + 1.0)


def test_subclassed_models_are_followed():
    model = Own()
    model(np.zeros((1, 4), "float32"))
    plan = make_plan(model, [tfc.Quantize("int8")])
    assert len(plan.state.chains()) == 2
    assert [r.title for r in plan.state.ranges] == ["input 0", "b", "relu", "add"]


def test_subclassed_models_of_unknown_code_are_quantized_by_weight_only():
    model = Own(lambda x: tf.raw_ops.Relu(features=x))
    model(np.zeros((1, 4), "float32"))
    assert len(make_plan(model, [tfc.Quantize("weights"), tfc.Prune(0.5)]).state.chains()) == 2
    with pytest.raises(ValueError, match="can't be followed.*tfc.Quantize\\('weights'\\)"):
        make_plan(model, [tfc.Quantize("int8")])
