"""Layers with kernels: files that compute the simulation and keep every zero, or an error."""

import itertools

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import spec_of, weight
from tfcompress.tflite.weight_tensors import kernel_tensors

pytestmark = pytest.mark.sampled(5)


@pytest.mark.sampled(10)
def test_file(kernel_case, convert_as_the_table_says):
    model = kernel_case.model(between=True)
    zeroed = [_with_zeros(v) for v in _kernels(model)]
    artifact = convert_as_the_table_says(kernel_case, model)
    if artifact is None:
        return
    stored = [tensor for _, tensor in kernel_tensors(artifact.model)]
    for w in zeroed:
        assert any(_keeps_zeros(w, k) for k in stored), f"no kernel of the file holds {w.shape}"


def _kernels(model):
    return [weight(op, path) for _, op in leaves(model) for path in spec_of(op).kernels]


def _with_zeros(variable):
    """Sets a random 60 % of a kernel to zero."""
    rng = np.random.default_rng(5)
    w = np.array(variable)
    w[rng.random(w.shape) < 0.6] = 0.0
    variable.assign(w)
    return w


def _keeps_zeros(w, tensor):
    """Whether a kernel of the file is this one, in some order of axes, zero where it is zero."""
    codes = tensor.data - tensor.zero_point.reshape(-1)[0].astype("int32")
    if w.size != codes.size:
        return False
    orders = itertools.permutations(range(w.ndim))
    return any(np.all(codes[(w.transpose(o) == 0).reshape(codes.shape)] == 0) for o in orders)


@pytest.mark.slow
def test_one_scale_for_each_kernel_where_it_is_asked_for():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = inputs = keras.Input((10, 10, 2))
    x = layers.Conv2D(6, 3, activation="relu", name="plain")(x)
    x = layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(x)
    x = layers.Conv2D(5, 3, name="folded")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(inputs, layers.Dense(4, name="head")(layers.Flatten()(x)))
    data = np.random.default_rng(0).normal(size=(64, 10, 10, 2)).astype("float32")
    wanted, sizes = model.predict(data, verbose=0), {}
    for scales in ("channel", "tensor"):
        artifact = tfc.convert(model, calibration=data, scales=scales)
        found = {tensor.name: np.size(tensor.scale) for _, tensor in kernel_tensors(artifact.model)}
        counts = {name: found[f"{name}/kernel"] for name in ("plain", "depthwise", "folded", "head")}
        one = scales == "tensor"
        assert counts == {"plain": 1 if one else 6, "depthwise": 1 if one else 6, "folded": 5, "head": 1 if one else 4}
        assert all(found["largest_gap"] <= 1.001 for found in artifact.metadata["parity"])
        assert np.sqrt(np.mean((artifact.predict(data) - wanted) ** 2)) < 0.05 * wanted.std()
        sizes[scales] = artifact.size
    assert sizes["tensor"] < sizes["channel"]


def test_shared_values_stay_as_many_codes_with_one_scale():
    """With one scale, a clustered kernel has as many codes as it has values."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,), name="x"), keras.layers.Dense(48), keras.layers.Dense(3)])
    kernel = model.layers[0].kernel
    values = np.linspace(-0.3, 0.3, 16).astype("float32")
    kernel.assign(np.random.default_rng(0).choice(values, kernel.shape) * (np.arange(48) % 2 + 1) / 2)
    x = np.random.default_rng(1).normal(size=(64, 64)).astype("float32")
    by = {s: tfc.convert(model, calibration=x, scales=s) for s in ("channel", "tensor")}
    codes = {s: max(len(np.unique(k)) for k in a.kernels().values() if k.size == 64 * 48) for s, a in by.items()}
    assert codes["tensor"] <= 32 and codes["tensor"] == len(np.unique(kernel.numpy()))
