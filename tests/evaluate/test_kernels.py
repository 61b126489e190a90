"""What is told of a file is what its bytes hold: zeros, distinct codes, ranges."""

import keras
import numpy as np
import pytest

from tfcompress.conversion.convert import convert
from tfcompress.evaluate.kernels import kernel_table, range_table


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, name="head"),
        ]
    )
    kernel = model.get_layer("conv").kernel
    values = np.array(kernel)
    values[:, :, :, :2] = 0  # 18 of 36
    kernel.assign(values)
    return model


@pytest.fixture(scope="module")
def net_images():
    return np.random.default_rng(0).random((64, 8, 8, 1), "float32")


@pytest.fixture(scope="module")
def artifact(model, net_images):
    return convert(model, calibration=net_images)


def test_kernels_are_named_by_layer_and_counted(model, artifact):
    rows = {row["layer"]: row for row in kernel_table(artifact)}
    assert list(rows) == ["conv", "depthwise", "head"]
    for name, row in rows.items():
        assert row["weights"] == np.size(model.get_layer(name).weights[0])
        assert row["dtype"] == "int8" and row["bytes"] == row["weights"]
    assert 0.5 <= rows["conv"]["sparsity"] < 0.6
    assert rows["conv"]["values_per_channel"] <= 9 and rows["depthwise"]["values_per_channel"] <= 9
    assert rows["conv"]["scales"] in (1, 4)


def test_a_float_file_has_kernels_without_scales_and_no_ranges(model, artifact):
    float_file = convert(model, mode="float32")
    rows = {row["layer"]: row for row in kernel_table(float_file)}
    assert rows["conv"]["sparsity"] == 0.5 and rows["conv"]["scales"] == 0
    assert rows["conv"]["dtype"] == "float32"
    assert range_table(float_file) == []


def test_ranges_hold_what_the_model_computes(model, artifact, net_images):
    rows = {row["name"]: row for row in range_table(artifact)}
    assert set(rows) == {"image", "conv", "depthwise", "head"}  # flatten passes a scale on
    inner = keras.Model(model.inputs[0], [layer.output for layer in model.layers])
    for layer, outputs in zip(model.layers, inner(net_images), strict=True):
        if layer.name in rows:
            row, outputs = rows[layer.name], np.asarray(outputs)
            assert row["low"] - row["scale"] <= outputs.min()
            assert outputs.max() <= row["high"] + row["scale"]
            assert row["high"] - row["low"] == pytest.approx(255 * row["scale"])
            assert row["low"] <= 0 <= row["high"]
    assert rows["conv"]["low"] == 0  # behind a ReLU


def test_a_shared_kernel_counts_once(net_images):
    layers = keras.layers
    a, b = keras.Input((8, 8, 1), name="a"), keras.Input((8, 8, 1), name="b")
    conv = layers.Conv2D(2, 3, name="shared")
    merged = layers.Concatenate(name="join")([conv(a), conv(b)])
    model = keras.Model([a, b], layers.Dense(2, name="head")(layers.Flatten(name="f")(merged)))
    artifact = convert(model, mode="float32")
    assert sorted(row["weights"] for row in kernel_table(artifact)) == [18, 288]
