"""Random numbers at inference: drawn anew by a float file, once by an integer one."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

pytestmark = pytest.mark.sampled(3)

L, ops = keras.layers, keras.ops


class Sampling(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, t):
        return t[0] + ops.exp(0.5 * t[1]) * keras.random.normal(ops.shape(t[0]), seed=self.seed)


class Noise(L.Layer):
    def __init__(self, draw, **kwargs):
        super().__init__(**kwargs)
        self.draw = draw

    def call(self, x):
        return x + self.draw(x)


def vae():
    i = keras.Input((20,))
    h = L.Dense(16, activation="relu")(i)
    return keras.Model(i, L.Dense(20)(Sampling(name="sampling")([L.Dense(4)(h), L.Dense(4)(h)])))


def noisy(draw):
    i = keras.Input((6,))
    return keras.Model(i, Noise(draw, name="noise")(i))


@pytest.fixture
def x():
    return np.random.default_rng(0).uniform(size=(64, 20)).astype("float32")


def test_a_float_file_draws_anew(x):
    artifact = tfc.convert(vae(), "float32")
    assert np.abs(artifact.predict(x) - artifact.predict(x)).max() > 0.1


@pytest.mark.slow
def test_an_integer_file_holds_one_draw_and_says_so(x):
    with pytest.warns(UserWarning, match=r"'sampling' draws random numbers \(normal\).*allow_float"):
        artifact = tfc.convert(vae(), calibration=x)
    assert artifact.is_integer
    assert np.array_equal(artifact.predict(x), artifact.predict(x))
    assert artifact.metadata["parity"][0]["largest_gap"] < 3  # the simulation draws the same


def test_an_integer_file_draws_in_float_where_that_is_allowed(x):
    artifact = tfc.convert(vae(), calibration=x, allow_float=["RANDOM_STANDARD_NORMAL"])
    assert [op.name for op in artifact.float_ops()] == ["RANDOM_STANDARD_NORMAL"]
    assert np.abs(artifact.predict(x) - artifact.predict(x)).max() > 0.1


@pytest.mark.parametrize(
    ("draw", "mean", "deviation"),
    [
        (lambda x: keras.random.normal(ops.shape(x), 2.0, 0.5), 2.0, 0.5),
        (lambda x: keras.random.uniform(ops.shape(x), -1.0, 3.0), 1.0, 4 / 12**0.5),
        (lambda x: ops.cast(keras.random.randint(ops.shape(x), 0, 5), "float32"), 2.0, 2**0.5),
        (lambda x: keras.random.dropout(ops.ones_like(x), 0.25), 1.0, (1 / 3) ** 0.5),
        (lambda x: ops.cast(keras.random.categorical(ops.zeros((1, 5)), 6), "float32"), 2.0, 2**0.5),
    ],
)
def test_a_float_file_has_the_distribution_of_the_model(draw, mean, deviation):
    got = tfc.convert(noisy(draw), "float32").predict(np.zeros((2000, 6), "float32"))
    assert abs(got.mean() - mean) < 0.05 and abs(got.std() - deviation) < 0.05


def test_what_litert_can_not_draw_is_drawn_once(x):
    with pytest.warns(UserWarning, match=r"'noise' draws random numbers \(gamma\)"):
        artifact = tfc.convert(noisy(lambda x: keras.random.gamma(ops.shape(x), 2.0)), "float32")
    assert np.array_equal(artifact.predict(x[:, :6]), artifact.predict(x[:, :6]))


def test_the_plan_says_who_draws(x):
    model = vae()
    model.compile("adam", "mse")
    compression = tfc.Compression(tfc.Quantize("int8"), verbose=0)
    compression.set_model(model)
    assert "sampling" in [row.layer for row in compression.plan.rows if "draws random numbers" in row.action]


@pytest.mark.slow
@pytest.mark.parametrize("layer", [L.LSTM, L.GRU, L.SimpleRNN])
@pytest.mark.parametrize("mode", ["float32", "int8"])
def test_recurrent_dropout_draws_nothing_at_inference(layer, mode):
    x = np.random.default_rng(0).random((32, 5, 4), "float32")
    i = keras.Input((5, 4))
    model = keras.Model(i, L.Dense(3)(layer(6, dropout=0.3, recurrent_dropout=0.2)(i)))
    wanted = model.predict(x, verbose=0)
    got = tfc.convert(model, mode, calibration=x).predict(x)
    assert np.sqrt(np.mean((got - wanted) ** 2)) <= (1e-5 if mode == "float32" else 0.1) * wanted.std()
    assert model.layers[1].dropout == 0.3
