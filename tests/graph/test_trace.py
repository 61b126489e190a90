"""Traces are kept while a model does not change, and a conversion needs few of them."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.graph import trace as tracing
from tfcompress.graph.trace import fresh_traces, kept_traces, trace

L = keras.layers


class Gate(L.Layer):
    """A layer with code of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.wide = L.Dense(4)

    def build(self, shape):
        self.wide.build(shape)

    def call(self, x):
        return x * keras.ops.sigmoid(self.wide(x))


def net():
    return keras.Sequential([keras.Input((4,)), Gate(), L.Dense(2)])


@pytest.fixture
def count(monkeypatch):
    """The models that were traced, in order."""
    seen, plain = [], tracing._trace

    def counted(model, *args):
        seen.append(model)
        return plain(model, *args)

    monkeypatch.setattr(tracing, "_trace", counted)
    return seen


def test_traces_are_kept_in_a_block_only(count):
    a, b = net(), net()
    with kept_traces():
        assert trace(a, opens=True) is trace(a, opens=True) and trace(b, opens=True) is not trace(a, opens=True)
        assert trace(a) is not trace(a, opens=True)  # operations of Gate are found in one of them only
        with kept_traces():
            assert trace(a) is trace(a)
        with fresh_traces():
            assert trace(a) is not trace(a)
        assert len(count) == 5
    trace(a)
    assert len(count) == 6


def test_plain_models_are_traced_once(count):
    model = keras.Sequential([keras.Input((4,)), L.Dense(2)])
    with kept_traces():
        assert trace(model) is trace(model, opens=True)
    assert len(count) == 1


def test_the_trace_of_training_is_always_new(count):
    model = net()
    with kept_traces():
        trace(model, opens=True, training=True)
        trace(model, opens=True, training=True)
    assert len(count) == 2


def test_a_conversion_needs_two_traces(count):
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    artifact = tfc.convert(net(), calibration=x)
    assert artifact.is_integer and len(count) <= 2
