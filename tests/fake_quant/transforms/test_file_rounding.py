"""Operations of one tensor whose results have different ranges: the converter would merge them and leave them float."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfcompress as tfc
from tfcompress.fake_quant.transforms.file_rounding import kept_apart, round_in_file

MAKERS = {
    "elu": lambda: layers.Activation("elu"),
    "gelu": lambda: layers.Activation("gelu"),
    "mish": lambda: layers.Activation("mish"),
    "LayerNormalization": lambda: layers.LayerNormalization(),
    "RMSNormalization": lambda: layers.RMSNormalization(),
}
CASES = [
    pytest.param(name, behind, marks=() if name == "gelu" else pytest.mark.slow)
    for name in MAKERS
    for behind in (False, True)
]


def net(make, is_behind_input: bool):
    """A layer that is called on two tensors, the second ten times the first, and one of its kind on the first."""
    inputs = keras.Input((6, 8))
    x = inputs if is_behind_input else layers.Dense(8)(inputs)
    wide = layers.Dense(8)(layers.Rescaling(10.0)(inputs))
    shared, other = make(), make()
    found = [shared(x), shared(wide), other(x)]
    return keras.Model(inputs, [layers.Dense(4, name=f"out_{k}")(y) for k, y in enumerate(found)])


@pytest.mark.parametrize("name, is_behind_input", CASES)
def test_equal_operations_with_two_ranges_are_integer(name, is_behind_input):
    model = net(MAKERS[name], is_behind_input)
    x = np.random.default_rng(0).normal(size=(32, 6, 8)).astype("float32")
    artifact = tfc.convert(model, calibration=x, diagnose=False)
    assert artifact.is_integer
    got, wanted = artifact.predict(x), model.predict(x, verbose=0)
    for k, y in enumerate(wanted):
        assert np.sqrt(np.mean((got[f"out_{k}"] - y) ** 2)) < 0.12 * y.std()


def rounded(x, bounds):
    return [round_in_file(tf.abs(x), 0.0, high) for high in bounds]


@pytest.mark.parametrize("bounds, nodes", [((1.0, 1.0), 3), ((1.0, 2.0), 4), ((1.0, 2.0, 3.0, 2.0), 8)])
def test_nodes_are_added_for_other_bounds_only(bounds, nodes):
    @tf.function
    def traced(x):
        with kept_apart():
            return rounded(round_in_file(x, -1.0, 1.0), bounds)

    graph = traced.get_concrete_function(tf.TensorSpec((4,))).graph
    assert sum(op.type == "FakeQuantWithMinMaxArgs" for op in graph.get_operations()) == nodes
    x = np.linspace(-1, 1, 4, dtype="float32")
    for made, high in zip(traced(x), bounds, strict=True):
        np.testing.assert_allclose(made, np.abs(x), atol=high / 255)


def test_operations_of_different_attributes_stay():
    @tf.function
    def traced(x):
        with kept_apart():
            x = round_in_file(x, -1.0, 1.0)
            return [round_in_file(tf.nn.leaky_relu(x, alpha), -alpha, 1.0) for alpha in (0.1, 0.2)]

    graph = traced.get_concrete_function(tf.TensorSpec((4,))).graph
    assert sum(op.type == "FakeQuantWithMinMaxArgs" for op in graph.get_operations()) == 3


def test_equal_chains_of_operations_are_kept_apart():
    @tf.function
    def traced(x):
        with kept_apart():
            x = round_in_file(x, -1.0, 1.0)
            return [round_in_file(tf.reshape(tf.exp(x * 2.0) + 1.0, (2, 2)), 0.0, high) for high in (9.0, 20.0)]

    graph = traced.get_concrete_function(tf.TensorSpec((4,))).graph
    sums = [op for op in graph.get_operations() if op.type == "AddV2"]
    read = {op.inputs[0].op.inputs[0].op.inputs[0].op.name for op in sums}
    assert len(read) == 2


RESHAPED = {
    "Conv1D": lambda: layers.Conv1D(4, 3),
    "Conv1D with relu": lambda: layers.Conv1D(4, 3, activation="relu"),
    "Reshape": lambda: keras.Sequential([layers.Flatten(), layers.Dense(16), layers.Reshape((4, 4))]),
}
TWICE = {"product": lambda h: h * h, "square": keras.ops.square, "sum": lambda h: h + h}


@pytest.mark.parametrize("is_flat", [False, True])
@pytest.mark.parametrize("way", TWICE)
@pytest.mark.parametrize("maker", [m if m == "Conv1D" else pytest.param(m, marks=pytest.mark.slow) for m in RESHAPED])
def test_a_reshaped_tensor_may_be_read_twice_by_one_operation(maker, way, is_flat):
    """The converter moves reshapes behind such an operation, whose result had no range then: it refused the model."""
    inputs = keras.Input((12, 3))
    y = TWICE[way](RESHAPED[maker]()(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(y)) if is_flat else y)
    x = np.random.default_rng(0).normal(size=(64, 12, 3)).astype("float32")
    artifact = tfc.convert(model, calibration=x, diagnose=False)
    assert artifact.is_integer
    wanted = model.predict(x, verbose=0)
    assert np.sqrt(np.mean((artifact.predict(x) - wanted) ** 2)) < 0.05 * wanted.std()
