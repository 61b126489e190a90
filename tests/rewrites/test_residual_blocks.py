"""Law: without a residual branch a model equals itself with zeros in the branch's place, and nothing of it is left."""

import keras
import numpy as np
import pytest

from tfcompress.rewrites.residual_blocks import BLOCK, LAYER, droppable, outputs_without, remove_operations

L = keras.layers


def blocks():
    """Three blocks: a sum layer, `+` with the shortcut on the right, and a block within a block."""
    x = inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", name="stem")(x)
    y = L.BatchNormalization(name="n1")(L.Conv2D(4, 3, padding="same", activation="relu", name="c1")(x))
    x = L.ReLU(name="r1")(L.Add(name="s1")([x, y]))
    y = L.Conv2D(6, 1, name="c2")(x)
    x = L.Conv2D(4, 1, name="e2")(y) + x
    y = L.Conv2D(5, 1, name="c3")(x)
    y = L.Add(name="s3")([y, L.Conv2D(5, 3, padding="same", name="d3")(L.Conv2D(7, 1, name="f3")(y))])
    x = L.Add(name="s4")([x, L.Conv2D(4, 1, name="e3")(y)])
    return keras.Model(inputs, L.Dense(3, name="head")(L.GlobalAveragePooling2D()(x)))


def ends(model):
    """The layers whose zeros make each branch zero."""
    return {"s1": "n1", "add": "e2", "s3": "d3", "s4": "e3"}


def named(found):
    return {d.path.split("_")[0] if d.path.startswith("add") else d.path: d for d in found}


@pytest.fixture
def model(graph_models):
    return graph_models.shaken(blocks())


def test_blocks_are_found_with_all_that_goes(model):
    found = named(d for d in droppable(model)[0] if d.kind == BLOCK)
    inside = {name: set(d.inside) - {d.path} for name, d in found.items()}
    assert inside == {"s1": {"c1", "n1"}, "add": {"c2", "e2"}, "s3": {"f3", "d3"}, "s4": {"c3", "f3", "d3", "s3", "e3"}}


@pytest.mark.parametrize("name", ["s1", "add", "s3", "s4"])
def test_dropped_equals_a_branch_of_zeros(name, model, graph_models):
    x = graph_models.batch(model)
    block = named(droppable(model)[0])[name]
    before = [np.array(w) for w in model.weights]
    small = remove_operations(model, block.picks)
    gone = sum(model.get_layer(n).count_params() for n in block.inside if n != block.path)
    assert small.count_params() == model.count_params() - gone
    assert not set(block.inside) & {layer.name for layer in small.layers}
    np.testing.assert_array_equal(outputs_without(model, block.picks, [x])[0], small(x))
    assert all(np.array_equal(a, np.array(w)) for a, w in zip(before, model.weights, strict=True))
    assert graph_models.gap(small(x), model(x)) > 1e-3
    layer = model.get_layer(ends(model)[name])
    layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    np.testing.assert_allclose(small(x), model(x), rtol=1e-5, atol=1e-6)


def test_blocks_go_one_after_the_other(model, graph_models):
    x, picks = graph_models.batch(model), {}
    for name in ("s3", "s1", "s4", "add"):
        picks |= named(droppable(model, picks)[0])[name].picks
    small = remove_operations(model, picks)
    names = [layer.name for layer in small.layers]
    assert not [d for d in droppable(small)[0] if d.kind == BLOCK]
    assert len(names) == 5 and {"stem", "r1", "head"} <= set(names)
    np.testing.assert_array_equal(outputs_without(model, picks, [x])[0], small(x))


def test_an_outer_block_takes_the_inner_one_with_it(model):
    outer = named(droppable(model)[0])["s4"]
    left = named(droppable(model, outer.picks)[0])
    assert "s3" not in left and "s1" in left


def test_what_others_read_stays(graph_models):
    shared = L.Dense(6, name="shared")
    x = inputs = keras.Input((6,))
    x = L.Add(name="s")([x, L.Dense(6, name="own")(shared(x))])
    model = graph_models.shaken(keras.Model(inputs, [L.Dense(2, name="a")(x), L.Dense(2, name="b")(shared(x))]))
    (block,) = [d for d in droppable(model)[0] if d.kind == BLOCK]
    assert set(block.inside) == {"s", "own"}
    small, given = remove_operations(model, block.picks), graph_models.batch(model)
    assert small.get_layer("shared").count_params() == 42
    model.get_layer("own").set_weights([np.zeros((6, 6)), np.zeros(6)])
    for a, b in zip(small(given), model(given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_an_input_that_only_a_block_reads_keeps_it():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    branch = L.Dense(4)(L.Concatenate()([a, b]))
    model = keras.Model([a, b], L.Dense(2)(L.Add(name="s")([a, branch])))
    found, reasons = droppable(model)
    assert not [d for d in found if d.path == "s"]
    assert reasons["s"] == "an input of the model would not be read any more"


def test_layers_are_found_with_normalization_and_activation(graph_models):
    layers = [
        L.Conv2D(3, 3, padding="same", name="a"), L.BatchNormalization(name="n"), L.ReLU(name="r"),
        L.Conv2D(3, 3, padding="same", strides=2, name="b"), L.DepthwiseConv2D(3, padding="same", name="c"),
        L.Flatten(), L.Dense(12, name="d"), L.Activation("tanh", name="t"), L.Dense(12, name="e"),
    ]  # fmt: skip
    model = graph_models.shaken(keras.Sequential([keras.Input((4, 4, 3)), *layers]))
    found, reasons = droppable(model)
    assert {d.path: d.inside for d in found} == {"a": ("a", "n", "r"), "c": ("c",), "d": ("d", "t")}
    assert {d.kind for d in found} == {LAYER}
    assert reasons == {"b": "it makes (2, 2, 3) of (4, 4, 3)", "e": "it makes an output of the model"}
    x, picks = graph_models.batch(model), found[0].picks | found[2].picks
    small = remove_operations(model, picks)
    assert [layer.name for layer in small.layers[1:]] == ["b", "c", "flatten", "e"] or len(small.layers) == 5
    np.testing.assert_array_equal(outputs_without(model, picks, [x])[0], small(x))


def test_what_cannot_be_left_out_is_named():
    a = keras.Input((8, 8, 4), name="x")
    twice = L.Conv2D(4, 1, name="twice")
    y = twice(twice(a))
    y = L.Add(name="projected")([L.Conv2D(4, 1, name="p")(y), L.Conv2D(4, 1, name="q")(y)])
    gate = L.GlobalAveragePooling2D(keepdims=True)(y)
    y = L.Add(name="broadcast")([y, gate])
    y = L.Add(name="whole")([y, L.Conv2D(4, 1, name="branch")(y)])
    reasons = droppable(keras.Model(a, L.Add(name="end")([y, L.ReLU()(y)])))[1]
    assert reasons["twice"] == "it is called more than once"
    assert "the shortcut has layers of its own" in reasons["projected"]
    assert reasons["broadcast"] == "its operands differ in shape"
    assert reasons["branch"] == "it is the whole branch of a block"
    assert reasons["end"] == "it makes an output of the model"
    open_size = keras.Input((None, None, 4))
    model = keras.Model(open_size, L.GlobalAveragePooling2D()(L.Conv2D(4, 3, name="c")(open_size)))
    assert droppable(model)[1] == {"c": "the size of what it makes is open"}


def test_nested_models_are_opened(graph_models):
    x = inside = keras.Input((6,))
    body = keras.Model(inside, L.Add(name="s")([x, L.Dense(6, "relu", name="d")(x)]), name="body")
    inputs = keras.Input((6,))
    model = graph_models.shaken(keras.Model(inputs, L.Dense(2, name="head")(body(inputs))))
    (block,) = [d for d in droppable(model)[0] if d.kind == BLOCK]
    assert block.path == "body/s" and block.inside == ("body/d", "body/s")
    small, x = remove_operations(model, block.picks), graph_models.batch(model)
    np.testing.assert_allclose(small(x), model.get_layer("head")(x), rtol=1e-6)


def test_batches_make_no_difference(model, graph_models, monkeypatch):
    x = graph_models.batch(model, n=5)
    whole = outputs_without(model, {}, [x])
    np.testing.assert_allclose(whole[0], model(x), rtol=1e-5, atol=1e-6)
    monkeypatch.setattr("tfcompress.rewrites.residual_blocks.BATCH", 2)
    np.testing.assert_allclose(outputs_without(model, {}, [x])[0], whole[0], rtol=1e-5, atol=1e-6)


def test_subclassed_models_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="subclassed"):
        droppable(Own())
