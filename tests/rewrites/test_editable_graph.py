"""Draft: many changes in a row, one new model; who feeds whom follows what is taken out."""

import keras
import numpy as np
import pytest

from tfcompress.graph.activation_probe import iterate_outputs, show_activations
from tfcompress.graph.graph import Graph
from tfcompress.rewrites import editable_graph
from tfcompress.rewrites.editable_graph import Draft

L = keras.layers


@pytest.fixture
def model():
    x = inputs = keras.Input((4,))
    x = L.Dense(5, name="a", activation="relu")(x)
    y = L.Dropout(0.5, name="drop")(x)
    z = L.Dense(5, name="b")(y)
    return keras.Model(inputs, [L.Add(name="sum")([y, z]), z], name="net")


def by_name(draft):
    return {node.path: node for node in draft.nodes}


def test_makers_users_and_outputs(model):
    draft = Draft(model)
    nodes = by_name(draft)
    a, b, total = nodes["a"], nodes["b"], nodes["sum"]
    assert draft.maker(a.outputs[0]) is a and draft.maker(draft.inputs[0]) is None
    assert nodes["drop"].inputs == nodes["drop"].outputs == a.outputs  # hands its input through
    assert draft.users(b.outputs[0]) == [total] and draft.is_output(b.outputs[0])
    assert draft.only_user(b.outputs[0]) is None and draft.only_user(draft.inputs[0]) is a
    assert draft.shapes[b.outputs[0]][-1] == 5
    assert {k: v.shape for k, v in a.weights.items()} == {"kernel": (4, 5), "bias": (5,)}


def test_what_is_taken_out_leads_to_what_it_read(model):
    draft = Draft(model)
    nodes = by_name(draft)
    draft.remove(nodes["drop"])
    draft.pick(nodes["sum"], 0)
    built = draft.built()
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(built(x)[0], model.get_layer("a")(x), rtol=1e-6)
    np.testing.assert_allclose(built(x)[1], model(x)[1], rtol=1e-6)
    assert [layer.name for layer in built.layers[1:]] == ["a", "b"]


def test_who_reads_whom_is_found_once_until_the_draft_changes(model, monkeypatch):
    made = []
    monkeypatch.setattr(editable_graph, "Graph", lambda *args: made.append(args) or Graph(*args))
    draft = Draft(model)
    nodes = by_name(draft)
    a, drop, b, total = (nodes[name] for name in ("a", "drop", "b", "sum"))
    for tensor in draft.shapes:
        draft.maker(tensor), draft.users(tensor), draft.is_output(tensor)
    assert len(made) == 1
    draft.connect(b, [draft.inputs[0]])
    assert draft.users(draft.inputs[0]) == [a, b]
    assert b not in draft.users(a.outputs[0])
    draft.remove(drop)
    assert draft.users(a.outputs[0]) == [total]
    draft.pick(total, 1)
    assert draft.users(b.outputs[0]) == [] and draft.outputs == [b.outputs[0]] * 2
    assert len(made) == 4


def test_weights_and_arguments_go_into_the_new_model_alone(model):
    draft = Draft(model)
    node = by_name(draft)["b"]
    node.configure(use_bias=False, activation="tanh")
    node.weights.pop("bias")
    node.change(kernel=np.eye(5))
    built = draft.built()
    layer = built.get_layer("b")
    assert layer.bias is None and layer.activation is keras.activations.tanh
    assert model.get_layer("b").use_bias and built.name == "net"
    x = np.ones((1, 4), "float32")
    np.testing.assert_allclose(built(x)[1], np.tanh(model.get_layer("a")(x)), rtol=1e-6)


def test_a_shared_layer_has_a_node_for_each_call():
    shared, x = L.Dense(4, name="shared"), keras.Input((4,))
    nodes = Draft(keras.Model(x, shared(shared(x)))).nodes
    assert len(nodes) == 2 and not any(node.is_single for node in nodes)


def test_watching_shows_and_replaces(model):
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    seen = []
    show_activations(
        model, [model.get_layer("a")], [x], lambda op, given, made: seen.append((op.name, given, made)), batch=2
    )
    assert [given.shape for _, given, _ in seen] == [(2, 4), (2, 4), (1, 4)]
    np.testing.assert_allclose(np.concatenate([m for _, _, m in seen]), model.get_layer("a")(x), rtol=1e-6)
    ends = []
    show_activations(
        model,
        [model.get_layer("a"), model.get_layer("b")],
        [x],
        lambda op, given, made: made * 0 if op.name == "a" else ends.append(given),
    )
    assert not ends[0].any()
    (one, two), *_ = iterate_outputs(model, [x])
    np.testing.assert_allclose(one, model(x)[0], rtol=1e-6)
    assert len(list(iterate_outputs(model, [x], batch=2))) == 3 and two.shape == (5, 5)
