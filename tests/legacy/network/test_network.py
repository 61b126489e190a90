"""Graphs: shared layers by call, names with slashes, what no graph can hold."""

import keras
import pytest

from tfcompress.legacy.network.network import network
from tfcompress.legacy.port import port
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.values import PortOptions

tf_keras = pytest.importorskip("tf_keras")
L = tf_keras.layers
pytestmark = pytest.mark.legacy


def functional(outputs, *inputs):
    return tf_keras.Model(list(inputs), outputs)


def test_calls_of_a_shared_layer_are_told_apart(difference):
    x, y = tf_keras.Input((4,)), tf_keras.Input((4,))
    dense = L.Dense(4)
    z = tf_keras.Input((4,))
    inner = tf_keras.Model(z, L.Dense(3, activation="tanh")(z))
    once = dense(x)
    outputs = [L.Subtract()([once, dense(y)]), dense(once), inner(x), inner(once)]  # two calls for outputs alone
    model = functional(outputs, x, y)
    found = port(model)
    assert difference(model, found) <= 1e-6
    assert len(found.weights) == 4


def test_a_call_that_is_never_used_does_not_count(difference):
    x = tf_keras.Input((4,))
    dense = L.Dense(4)
    dense(x)
    model = functional([dense(L.ReLU()(x))], x)
    assert difference(model, port(model)) <= 1e-6


def test_names_stay_unique_without_their_slashes(difference):
    x = tf_keras.Input((4,), name="in/put")
    y = L.Dense(4, name="a/b")(L.Dense(4, name="a_b")(x))
    model = functional([y], x)
    found = port(model)
    assert {layer.name for layer in found.layers} == {"in_put", "a_b", "a_b_1"}
    assert difference(model, found) <= 1e-6


def test_a_model_goes_its_own_way_round_names_of_keras(difference):
    x = tf_keras.Input((4,))
    y = L.Dense(4, name="add")(x) + L.Dense(4, name="relu")(x)
    model = functional([y], x)
    keras.ops.add(keras.Input((1,)), 1.0)  # Keras would call the node `add` or `add_1`
    assert difference(model, port(model)) <= 1e-6


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: L.LocallyConnected1D(2, 2, name="some"), r"'some' \(LocallyConnected1D\).*Put a Conv layer"),
        (lambda: type("Mine", (L.Layer,), {})(name="some"), r"'some' \(Mine\).*custom_objects={'Mine': ...}"),
    ],
)
def test_layers_without_a_port_are_named_wherever_they_are(layer, text):
    inner = tf_keras.Sequential([tf_keras.Input((4, 2)), layer()])
    x = tf_keras.Input((4, 2))
    with pytest.raises(NotPorted, match=text):
        port(functional([L.Flatten()(inner(x))], x))


def test_own_layers_are_taken_if_they_are_of_keras_3():
    old = type("Mine", (L.Layer,), {})
    new = type("Mine", (keras.layers.Layer,), {"call": lambda self, x: x})
    model = tf_keras.Sequential([tf_keras.Input((4,)), old(name="some"), L.Dense(2)])
    assert isinstance(port(model, custom_objects={"Mine": new}).layers[0], new)
    with pytest.raises(NotPorted, match="'some'.*no layer of Keras 3.*Write the class for Keras 3"):
        port(model, custom_objects={"Mine": old})


def test_inputs_that_no_integer_file_takes_are_refused():
    for kind, text in (({"sparse": True}, "no sparse tensors"), ({"dtype": "string"}, "strings")):
        config = {"name": "x", "batch_input_shape": [None, 4], **kind}
        entry = {"class_name": "InputLayer", "name": "x", "config": config, "inbound_nodes": []}
        graph = {"layers": [entry], "input_layers": [["x", 0, 0]], "output_layers": [["x", 0, 0]]}
        with pytest.raises(NotPorted, match=rf"'x' \(InputLayer\).*{text}"):
            network({"class_name": "Functional", "config": graph}, PortOptions())


def test_a_tensor_that_no_layer_makes_is_refused():
    model = tf_keras.Sequential([tf_keras.Input((4,), name="x"), L.Dense(2, name="dense")])
    config = tf_keras.Model(model.inputs, model.outputs).get_config()
    config["layers"][1]["inbound_nodes"] = [[["dense", 0, 0, {}]]]
    with pytest.raises(NotPorted, match=r"'dense' \(Dense\).*no layer of the model makes"):
        network({"class_name": "Functional", "config": config}, PortOptions())


def test_layers_that_do_not_fit_are_named():
    layers = [L.Dense(2, name="dense"), L.Reshape((2, 1), name="shape")]
    config = tf_keras.Sequential([tf_keras.Input((4,)), *layers]).get_config()
    config["layers"][2]["config"]["target_shape"] = (3,)
    with pytest.raises(NotPorted, match=r"'shape' \(Reshape\)"):
        network({"class_name": "Sequential", "config": config}, PortOptions())
