"""Variables read by whoever reads them: a file computes what the model computes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc

L, ops = keras.layers, keras.ops


class Tied(L.Layer):
    def __init__(self, of, **kwargs):
        super().__init__(**kwargs)
        self.of = of

    def call(self, z):
        return ops.matmul(z, ops.transpose(self.of.kernel))


class Token(L.Layer):
    """A weight of a layer that has sublayers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = L.Dense(4)

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 4), initializer="random_normal", name="token")
        self.inner.build(shape)
        self.built = True

    def call(self, x):
        return self.inner(x) * 2.0 + self.token

    def compute_output_shape(self, shape):
        return (shape[0], 4)


class Own(keras.Model):
    """A weight of the model itself, and one of TensorFlow's own."""

    def __init__(self):
        super().__init__()
        self.d = L.Dense(4)
        self.w = self.add_weight(shape=(4,), initializer="random_normal", name="w")
        self.raw = tf.Variable(np.full((4,), 0.1, "float32"))

    def call(self, x):
        return self.d(x) * self.w + self.raw


def tied():
    x = keras.Input((20,))
    d = L.Dense(80, activation="relu", name="enc")
    return keras.Model(x, Tied(d, name="dec")(d(x)))


def by_lambda():
    x = keras.Input((20,))
    d = L.Dense(80, activation="relu", name="enc")
    return keras.Model(x, L.Lambda(lambda z: ops.matmul(z, ops.transpose(d.kernel)), name="dec")(d(x)))


def token():
    x = keras.Input((20,))
    return keras.Model(x, L.Dense(3)(Token()(x)))


def own():
    model = Own()
    model(np.zeros((1, 20), "float32"))
    return model


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(64, 20)).astype("float32")


@pytest.mark.parametrize("make", [tied, by_lambda, token, own])
@pytest.mark.parametrize(("mode", "error"), [("float32", 1e-6), ("dynamic", 0.02), ("int8", 0.03)])
def test_a_file_has_the_weights_of_whoever_owns_them(make, mode, error, x):
    model = make()
    wanted = model.predict(x, verbose=0)
    got = tfc.convert(model, mode, calibration=x).predict(x)
    assert np.sqrt(np.mean((got - wanted) ** 2)) <= error * wanted.std()


@pytest.mark.parametrize("recipe", [tfc.Cluster(8), tfc.Quantize("int8")])
def test_a_tied_kernel_is_the_compressed_one_everywhere(recipe, x):
    model = by_lambda()
    model.compile("adam", "mse")
    compression = tfc.Compression(recipe, verbose=0)
    model.fit(x, x, epochs=1, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    assert artifact.is_integer
    wanted = compression.predict(x)
    assert np.sqrt(np.mean((artifact.predict(x) - wanted) ** 2)) <= 0.03 * wanted.std()


def test_a_copy_of_tied_weights_is_refused_by_name():
    for act in (lambda m: tfc.PruneChannels(0.5).apply(m), lambda m: tfc.compress(m, tfc.Prune(0.5))):
        with pytest.raises(ValueError, match="'dec' reads a weight of layer 'enc'"):
            act(by_lambda())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("mode", "error"), [("float32", 2e-2), ("int8", 4e-2)])
def test_layers_of_half_floats_become_float32(dtype, mode, error, x):
    i = keras.Input((20,))
    model = keras.Model(i, L.Dense(4, dtype=dtype)(L.Dense(8, activation="relu", dtype=dtype)(i)))
    wanted = np.float32(model.predict(x, verbose=0))
    got = tfc.convert(model, mode, calibration=x).predict(x)
    assert np.sqrt(np.mean((got - wanted) ** 2)) <= error * wanted.std()
    assert {v.dtype for v in model.variables} == {dtype if dtype != "mixed_float16" else "float32"}
