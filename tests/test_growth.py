"""Growth from user code, through public names only: what is written here a user can write, and the checks pass."""

import ast
import pathlib
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc

L = keras.layers


# a weight technique: ternary weights (Li et al., "Ternary Weight Networks", 2016)


@keras.saving.register_keras_serializable("test_growth")
class TernaryWeight(tfc.Transform):
    """Every weight of a channel is -a, 0 or a; the smallest are 0, and a is the mean of the others."""

    rank = 25

    def __init__(self, channel_axes=(), axes="", **kwargs):
        super().__init__(axes, **kwargs)
        self.channel_axes = tuple(channel_axes)

    def call(self, w):
        return self.straight_through(self._ternary, w)

    def _ternary(self, w):
        within = [axis for axis in range(len(w.shape)) if axis not in self.channel_axes]
        size = tf.abs(w)
        on = tf.cast(size > 0.7 * tf.reduce_mean(size, within, keepdims=True), w.dtype)
        count = tf.maximum(tf.reduce_sum(on, within, keepdims=True), 1.0)
        return tf.reduce_sum(size * on, within, keepdims=True) / count * tf.sign(w) * on

    def get_config(self):
        return {**super().get_config(), "channel_axes": self.channel_axes}


@keras.saving.register_keras_serializable("test_growth")
@dataclass(frozen=True)
class Ternarize(tfc.Technique):
    """Weights of every kernel become ternary."""

    order = 15

    def transforms(self, target, setting, seed):
        return [TernaryWeight(target.channel_axes, target.axes)]

    def action(self, target, setting):
        return "Ternarize: three values per channel"


# a criterion that looks at gradients


@pytest.fixture
def fisher():
    """Name of a criterion that is registered while the tests run, not when they are collected."""

    @tfc.criterion("fisher", gradient=lambda weight, gradient: tf.square(gradient))
    def score(evidence):
        """Mean (dL/dw)^2 times w^2 (the diagonal of the empirical Fisher information)."""
        return evidence.noted * np.square(evidence.weight)

    return "fisher"


# a criterion of channels, a schedule, a layer type


@tfc.channel_criterion("largest weight")
def largest(scene):
    for groups, values in scene.producers():
        yield groups, np.abs(values).max(axis=1)


@keras.saving.register_keras_serializable("test_growth")
def in_the_second_half(progress):
    return 0.0 if progress < 0.5 else 0.5


@keras.saving.register_keras_serializable("test_growth")
class Project(L.Layer):
    """A matrix, and a factor per output."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], self.units), name="matrix")
        self.factor = self.add_weight(shape=(self.units,), name="factor", initializer="ones")

    def call(self, x):
        return (x @ self.matrix) * self.factor

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.slow
def test_a_ternary_technique():
    tfc.testing.check_transform(TernaryWeight((3,), "xyio"))
    tfc.testing.check_technique(Ternarize())


def test_a_ternary_training_is_told_nothing_false():
    """A technique off the fixed point by 3e-8 once made the callback say that weights were restored."""
    keras.utils.set_random_seed(0)
    body = [L.Conv2D(8, 3, use_bias=False), L.BatchNormalization(), L.ReLU(), L.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 2)), *body, L.Dense(32, activation="relu"), L.Dense(4)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    x = np.random.default_rng(0).random((128, 8, 8, 2)).astype("float32")
    y = (x.mean((1, 2, 3)) * 1e3).astype(int) % 4
    compression = tfc.Compression([Ternarize(), tfc.Quantize("int8")], verbose=0)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    assert compression.notes == []
    for kernel in (w.numpy() for w in model.weights if w.name == "kernel"):
        for channel in kernel.reshape(-1, kernel.shape[-1]).T:
            sizes = np.abs(channel[channel != 0])
            assert np.ptp(sizes) <= 1e-6 * sizes.max() and (channel == 0).any()
    off = max(np.abs(np.asarray(c.value(lasting=True)) - c.variable.numpy()).max() for c in compression.state.chains())
    assert off < 1e-6
    artifact = compression.convert(calibration=x[:32])
    assert artifact.is_integer and artifact.metadata["parity"][0]["agreement"] == 1.0


def test_it_goes_with_others_and_still_tells_of_weights_that_came_back():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), L.Dense(16, activation="relu"), L.Dense(2)])
    model.compile("sgd", "mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    compression = tfc.Compression([Ternarize(), tfc.Prune(0.6), tfc.Quantize("int8")], verbose=0)
    model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=[compression])
    assert compression.notes == []
    model.layers[0].kernel.assign(np.random.default_rng(1).normal(size=(6, 16)))
    compression.finish()
    assert any("restored from an earlier epoch, or assigned" in note for note in compression.notes)


@pytest.mark.slow
def test_a_criterion_with_gradients(fisher):
    tfc.testing.check_criterion(fisher)
    tfc.testing.check_technique(tfc.Prune(0.5, criterion=fisher))


def test_a_channel_criterion():
    tfc.testing.check_criterion("largest weight")


@pytest.mark.slow
def test_a_schedule():
    tfc.testing.check_technique(tfc.Prune(in_the_second_half))


def test_a_layer_type():
    tfc.describe(Project, flow="mix", width="units", matrix="io", factor="o")
    tfc.testing.check_layer(Project(12), (8,))


def test_only_public_names_were_used():
    """Growth from user code needs no module of the package by name, and no private attribute of one."""
    tree = ast.parse(pathlib.Path(__file__).read_text(encoding="utf-8"))
    used = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    used |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in used if name.startswith("tfcompress")} == {"tfcompress"}
    names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "tfc"}
    assert names <= {"__all__", *tfc.__all__}
