"""Outputs and ranges are the same whether a model runs operation by operation or as one graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.conversion import writing
from tfcompress.export.post_training import quantized_state
from tfcompress.export.simulate import float_outputs, observe, simulate
from tfcompress.graph.keras_private import input_triples

L = keras.layers
FEW, MANY = 12, 1  # samples at a time: one batch runs at once, twelve are worth a trace


def conv_net():
    layers = [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.GlobalAveragePooling2D(), L.Dense(3)]
    return keras.Sequential([keras.Input((8, 8, 2)), *layers, L.Softmax()])


def masked_net():
    """Logits that a huge constant hides in part, and large values that are no constants in front of a softmax."""
    i = keras.Input((6,))
    logits = 2000.0 * L.Dense(6)(i) + np.array([0, 0, 0, 0, 0, -1e9], "float32")
    return keras.Model(i, keras.ops.softmax(logits))


def attention_net():
    i = keras.Input((5, 8))
    return keras.Model(i, L.LayerNormalization()(i + L.MultiHeadAttention(2, 4)(i, i, use_causal_mask=True)))


@pytest.fixture(params=[conv_net, masked_net, attention_net])
def net(request):
    keras.utils.set_random_seed(0)
    model = request.param()
    return model, np.random.default_rng(0).normal(size=(12, *model.input_shape[1:])).astype("float32")


@pytest.mark.parametrize("batch", [FEW, MANY])
def test_float_outputs_are_those_of_keras(net, batch):
    model, x = net
    np.testing.assert_allclose(float_outputs(model, x, batch), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def test_ranges_and_simulation_do_not_depend_on_the_way(net):
    model, x = net
    ((name, _, _),) = input_triples(model)
    states = [quantized_state(model, lambda op: False) for _ in range(2)]
    for state, batch in zip(states, (FEW, MANY), strict=True):
        observe(model, state, [{name: row[None]} for row in x], batch)
    for one, other in zip(*(s.ranges for s in states), strict=True):
        np.testing.assert_allclose(one.limits(), other.limits(), rtol=1e-4, atol=1e-5)
    made = [simulate(model, states[0], x, batch) for batch in (FEW, MANY)]
    np.testing.assert_allclose(made[0], made[1], atol=2 / 256)  # a sum in another order may fall on the next code
    assert np.mean(made[0] == made[1]) > 0.95


def test_ranges_are_those_that_numpy_finds():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, use_bias=False)])
    model.layers[0].kernel.assign(np.eye(4, 3) * 127.0)  # on its grid
    x = np.random.default_rng(0).normal(size=(12, 4)).astype("float32")
    state = quantized_state(model, lambda op: False)
    observe(model, state, [{input_triples(model)[0][0]: row[None]} for row in x])
    wanted = [x, x[:, :3] * 127.0]
    found = [[float(r.low), float(r.high)] for r in state.ranges]
    np.testing.assert_allclose(sorted(found), sorted([w.min(), w.max()] for w in wanted), rtol=1e-5)


class Loop(L.Layer):
    """Counts in which form its call is run."""

    def call(self, x):
        self.eager = getattr(self, "eager", 0) + tf.executing_eagerly()
        return 2.0 * x


def test_large_activations_are_run_as_a_graph():
    """Keras holds the outputs of all layers of a model that runs at once."""
    large, small = (keras.Sequential([keras.Input((n, n, 1)), Loop(), L.GlobalMaxPooling2D()]) for n in (2100, 8))
    for model, count in ((large, 0), (small, 1)):
        x = np.ones((32, *model.input_shape[1:]), "float32")
        assert (float_outputs(model, x) == 2.0).all()
        assert model.layers[0].eager == count


def test_the_second_run_of_the_converter_takes_the_same_trace(monkeypatch):
    made, plain = [], writing.export_model
    monkeypatch.setattr(writing, "export_model", lambda *args: made.append(args) or plain(*args))
    inputs = [keras.Input((4,)) for _ in range(3)]
    model = keras.Model(inputs, L.Dense(2)(L.Add()([L.Dense(4)(i) for i in inputs])))
    x = [np.random.default_rng(k).normal(size=(20, 4)).astype("float32") for k in range(3)]
    artifact = tfc.convert(model, calibration=x, diagnose=False)
    assert any("ranges from TensorFlow's calibrator" in note for note in artifact.metadata["notes"])
    assert artifact.is_integer and artifact.fidelity.error < 0.05
    assert len(made) == 1
