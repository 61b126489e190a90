"""One answer to who feeds whom, whatever the nodes are."""

from types import SimpleNamespace

import keras

from tfcompress.graph.graph import Graph
from tfcompress.graph.trace import trace
from tfcompress.rewrites.editable_graph import Draft
from tfcompress.rewrites.residual_blocks import ReducedGraph


def node(op, inputs, outputs):
    return SimpleNamespace(op=op, inputs=inputs, outputs=outputs)


def test_makers_and_readers():
    first, through, split = node("a", ["x", "x"], ["y"]), node("dropout", ["y"], ["y"]), node("a", ["y"], ["z", "w"])
    graph = Graph([first, through, split], ["x"], ["w"])
    assert graph.maker("y") is first and graph.maker("x") is graph.maker(None) is None
    assert graph.readers("x") == [first] and graph.readers("y") == [through, split] and graph.readers("none") == []
    assert graph.only_reader("x") is first and graph.only_reader("y") is None and graph.only_reader("w") is None
    assert (graph.times("a"), graph.times("dropout"), graph.times("b")) == (2, 1, 0)


def test_an_output_that_is_read_as_well_has_no_only_reader():
    last = node("b", ["y"], ["z"])
    assert Graph([node("a", ["x"], ["y"]), last], ["x"], ["y", "z"]).only_reader("y") is None
    assert Graph([node("a", ["x"], ["y"]), last], ["x"], ["z"]).only_reader("y") is last


def test_ancestors():
    nodes = [node("a", ["x"], ["y"]), node("drop", ["y"], ["y"]), node("b", ["y", "v"], ["z"]), node("c", ["v"], ["w"])]
    graph = Graph(nodes, ["x", "v"], ["z"])
    assert graph.is_before("x", "z") and graph.is_before("y", "z") and not graph.is_before("x", "w")
    assert not graph.is_before("y", "y") and not graph.is_before("z", "y")
    assert graph.needed() == {"x", "v", "y", "z"}
    assert Graph(nodes, ["x", "v"], ["w"]).needed() == {"v", "w"}


def residual():
    inputs = keras.Input((4,), name="x")
    x = keras.layers.Dense(4, name="a")(inputs)
    y = keras.layers.Dense(4, name="b")(keras.layers.Dropout(0.5, name="drop")(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="end")(keras.layers.Add(name="sum")([x, y])))


def test_views_of_one_model_agree():
    model = residual()
    traced, draft, layout = trace(model).graph, Draft(model), ReducedGraph(model, {})
    wanted = {"a": [], "drop": ["a"], "b": ["a"], "sum": ["a", "b"], "end": ["sum"]}
    found = {n.op.name: [m.op.name for t in n.inputs if (m := traced.maker(t))] for n in traced.nodes}
    assert found == wanted
    assert {n.path: [m.path for t in n.inputs if (m := draft.maker(t))] for n in draft.nodes} == wanted
    # there every call makes a tensor of its own
    found = {n.path: [m.path for t in n.inputs if (m := layout.graph.maker(t))] for n in layout.nodes}
    assert found == {**wanted, "b": ["drop"]}


def test_an_edited_model_is_looked_at_anew():
    draft = Draft(residual())
    nodes = {n.path: n for n in draft.nodes}
    draft.pick(nodes["sum"], 0)
    assert draft.maker(nodes["end"].inputs[0]) is nodes["a"] and draft.users(nodes["b"].outputs[0]) == []
