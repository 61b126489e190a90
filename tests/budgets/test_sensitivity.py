"""Laws: nothing left out costs nothing; each measure is what NumPy makes of the outputs."""

import keras
import numpy as np
import pytest

from tfcompress.budgets.sensitivity import Sensitivity
from tfcompress.calibration.evidence import evidence
from tfcompress.rewrites.residual_blocks import droppable, remove_operations

L = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def made(graph_models, activation=None, outputs=1):
    x = inputs = keras.Input((6,))
    x = L.Add(name="s")([x, L.Dense(6, "relu", name="d")(x)])
    ends = [L.Dense(3, activation, name=f"head{k}")(x) for k in range(outputs)]
    return graph_models.shaken(keras.Model(inputs, ends if outputs > 1 else ends[0]))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 6)).astype("float32"), rng.integers(0, 3, 50)


def both(model, data):
    """What the model gives, what it gives without its block, and the block."""
    block = next(d for d in droppable(model)[0] if d.path == "s")
    a, b = model(data[0]), remove_operations(model, block.picks)(data[0])
    return [[np.array(y, "float64") for y in keras.tree.flatten(ys)] for ys in (a, b)], block.picks


def softmax(y):
    e = np.exp(y - y.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("measure", ["loss", "accuracy", "output"])
def test_nothing_left_out_costs_nothing(measure, graph_models, data):
    model = made(graph_models)
    measured = Sensitivity(model, evidence(model, *data, loss=LOSS), measure)
    assert measured({}) == 0


def test_loss(graph_models, data):
    model = made(graph_models)
    ((a,), (b,)), picks = both(model, data)
    measured = Sensitivity(model, evidence(model, *data, loss=LOSS))
    assert measured.measure == "loss"
    rise = np.mean(np.log(softmax(a)[range(50), data[1]] / softmax(b)[range(50), data[1]]))
    assert measured(picks) == pytest.approx(rise, rel=1e-4)
    assert measured.text(0.25) == "loss +0.25"


@pytest.mark.parametrize("one_hot", [False, True])
def test_accuracy(graph_models, data, one_hot):
    model, (x, y) = made(graph_models), data
    ((a,), (b,)), picks = both(model, data)
    measured = Sensitivity(model, evidence(model, x, np.eye(3)[y] if one_hot else y), "accuracy")
    assert measured(picks) == pytest.approx(np.mean(a.argmax(1) == y) - np.mean(b.argmax(1) == y))
    assert measured.text(0.25) == "accuracy -0.25"


def test_output_without_labels(graph_models, data):
    model = made(graph_models, outputs=2)
    (before, after), picks = both(model, data)
    measured = Sensitivity(model, evidence(model, data[0]))
    expected = np.mean([((a - b) ** 2).sum() / (a**2).sum() for a, b in zip(before, after, strict=True)])
    assert measured.measure == "output" and measured(picks) == pytest.approx(expected, rel=1e-4)


def test_softmax_outputs_by_divergence(graph_models, data):
    model = made(graph_models, "softmax")
    ((a,), (b,)), picks = both(model, data)
    assert Sensitivity(model, evidence(model, data[0]))(picks) == pytest.approx(
        (a * np.log(a / b)).sum(axis=1).mean(), rel=1e-4
    )


def test_what_cannot_be_measured_is_refused(graph_models, data):
    one, two = made(graph_models), made(graph_models, outputs=2)
    x, y = data
    for model, given, measure, message in [
        (one, {}, None, "Give representative samples"),
        (one, {"data": x}, "accuracy", "needs labels"),
        (one, {"data": x, "labels": y}, "loss", "no loss"),
        (two, {"data": x, "labels": y}, "accuracy", "one output; this one has 2"),
        (one, {"data": x, "labels": np.ones((50, 6))}, "accuracy", r"Received: labels of shape \(50, 6\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            Sensitivity(model, evidence(model, **given), measure)
    flat = keras.Sequential([keras.Input((6,)), L.Dense(1)])
    with pytest.raises(ValueError, match="two classes or more"):
        Sensitivity(flat, evidence(flat, x, y), "accuracy")
