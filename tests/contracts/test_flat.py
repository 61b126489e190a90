"""A flat model computes what the model does, at inference and in training, with the same weights; so do its cuts."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

import tfcompress as tfc
from tfcompress.channels.dependency import groups
from tfcompress.channels.shrink import shrink, zeroed
from tfcompress.graph.flat.flatten import flat

WIDTH, STEPS = 16, 12
KINDS = {}


def kind(function):
    """Registers a function that returns a model."""
    KINDS[function.__name__] = function
    return function


class Own(L.Layer):
    """A layer of sublayers and weights, with a function as its call."""

    def __init__(self, call, weights=None, trains=False, **sublayers):
        super().__init__()
        self.function, self.shapes = call, weights or {}
        for name, layer in sublayers.items():
            setattr(self, name, layer)

    def build(self, shape):
        for name, size in self.shapes.items():
            setattr(self, name, self.add_weight(shape=size, initializer=keras.initializers.RandomNormal(), name=name))
        self.built = True

    def call(self, *x):
        return self.function(self, *x)


def on(*layers, shape=(STEPS, WIDTH), head=3, dtype="float32"):
    """A Functional model of layers one after the other."""
    i = x = keras.Input(shape, dtype=dtype)
    for layer in layers:
        x = layer(x)
    return keras.Model(i, L.Dense(head)(x))


@kind
def own_model_block(own):
    return own.MODELS["block"]()


@kind
def own_model_tokens(own):
    return on(L.Dense(WIDTH), own.Tokens(name="tokens"))


@kind
def own_model_linear(own):
    return own.MODELS["linear"]()


@kind
def own_model_raw(own):
    return own.MODELS["raw"]()


@kind
def own_model_subclassed(own):
    return own.MODELS["subclassed"]()


@kind
def shared_twice(own):
    block = own.Block(name="block")
    return on(block, L.Dense(WIDTH), block)


@kind
def nested_in_a_model(own):
    inner = on(own.Linear(8, name="linear"), shape=(STEPS, WIDTH), head=WIDTH)
    return on(Own(lambda s, x: x + s.inner(x), inner=inner))


@kind
def heads_by_matmul(own):
    def attend(s, x):
        size, (b, t) = WIDTH // 4, (ops.shape(x)[0], x.shape[1])
        q, k, v = (ops.transpose(ops.reshape(p(x), (b, t, 4, size)), (0, 2, 1, 3)) for p in (s.q, s.k, s.v))
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / size**0.5
        scores = scores + (1.0 - ops.tril(ops.ones((t, t)))) * -1e9
        y = ops.matmul(ops.softmax(scores), v)
        return s.out(ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (b, t, WIDTH)))

    return on(Own(attend, **{name: L.Dense(WIDTH) for name in ("q", "k", "v", "out")}))


@kind
def heads_by_einsum_dense(own):
    def attend(s, x):
        scores = ops.einsum("bqhe,bkhe->bhqk", s.q(x), s.k(x))
        mask = np.tril(np.ones((STEPS, STEPS), "bool"))
        return s.out(ops.einsum("bhqk,bkhe->bqhe", ops.softmax(ops.where(mask, scores, -1e9)), s.v(x)))

    into = {name: L.EinsumDense("btd,dhe->bthe", (None, 4, 6), bias_axes="he") for name in "qkv"}
    return on(Own(attend, out=L.EinsumDense("bthe,hed->btd", (None, WIDTH), bias_axes="d"), **into))


@kind
def gated(own):
    return on(Own(lambda s, x: s.c(ops.silu(s.a(x)) * s.b(x)), a=L.Dense(20), b=L.Dense(20), c=L.Dense(WIDTH)))


@kind
def split_gate(own):
    def call(s, x):
        a, b = ops.split(s.wide(x), 2, axis=-1)
        return a * ops.sigmoid(b)

    return on(Own(call, wide=L.Dense(24)))


@kind
def squeeze_excite(own):
    def call(s, x):
        return x * s.b(s.a(ops.mean(x, axis=(1, 2))))[:, None, None, :]

    layers = L.Conv2D(8, 3), Own(call, a=L.Dense(4, "relu"), b=L.Dense(8, "sigmoid")), L.GlobalAveragePooling2D()
    return on(*layers, shape=(9, 9, 3))


@kind
def patches_and_class_token(own):
    def call(s, x):
        b = ops.shape(x)[0]
        y = ops.reshape(s.cut(x), (b, -1, 8))
        return ops.concatenate([ops.broadcast_to(s.token, (b, 1, 8)), y], axis=1) + s.places

    weights = {"token": (1, 1, 8), "places": (1, 10, 8)}
    return on(Own(call, weights, cut=L.Conv2D(8, 3, 3)), L.GlobalAveragePooling1D(), shape=(9, 9, 3))


@kind
def tokens_and_places(own):
    def call(s, x):
        return s.words(x) + s.places(ops.arange(0, ops.shape(x)[-1]))

    layer = Own(call, words=L.Embedding(9, 8), places=L.Embedding(STEPS, 8))
    return on(layer, L.GlobalAveragePooling1D(), shape=(STEPS,), dtype="int32")


@kind
def latents(own):
    def call(s, x):
        y = ops.broadcast_to(s.latent[None], (ops.shape(x)[0], 4, WIDTH))
        return y + s.attend(y, x)

    return on(Own(call, {"latent": (4, WIDTH)}, attend=L.MultiHeadAttention(2, 8)))


@kind
def windows(own):
    def call(s, x):
        y = ops.reshape(ops.roll(s.into(x), 2, axis=1), (-1, 4, 12))
        return ops.roll(ops.reshape(ops.relu(s.mix(y)), (-1, STEPS, 12)), -2, axis=1)

    return on(Own(call, into=L.Dense(12), mix=L.Dense(12)))


@kind
def stacked_and_padded(own):
    def call(s, x):
        y = ops.stack([x, ops.tanh(x)], axis=1)
        return ops.clip(ops.sum(ops.pad(y, [[0, 0], [0, 0], [1, 0], [0, 0]]), axis=1), -2, 2)

    return on(L.Dense(12), Own(call))


@kind
def gelu_by_hand(own):
    return on(L.Dense(12), Own(lambda s, x: 0.5 * x * (1 + ops.erf(x / 1.41421356))))


@kind
def tensorflow_functions(own):
    def call(s, x):
        y = tf.nn.gelu(tf.matmul(x, x, transpose_b=True), approximate=True)
        return tf.transpose(tf.concat([y, tf.expand_dims(tf.reduce_max(x, -1), 1)], axis=1), perm=[0, 2, 1])

    return on(L.Dense(12), Own(call))


@kind
def one_number_per_sample(own):
    def call(s, x):
        mean = ops.mean(x, 1, keepdims=True)
        return s.dense(ops.reshape(x - mean, (-1, 8)))[..., None] * ops.std(x, 1, keepdims=True) + mean

    return on(Own(call, dense=L.Dense(4)), shape=(8, 1))


def samples(model, count=5):
    rng = np.random.default_rng(3)
    spec = model.inputs[0] if hasattr(model, "inputs") else None
    if spec is None:
        return rng.normal(size=(count, STEPS, WIDTH)).astype("float32")
    if spec.dtype == "int32":
        return rng.integers(0, 9, (count, *spec.shape[1:])).astype("int32")
    return rng.normal(size=(count, *spec.shape[1:])).astype("float32")


@pytest.fixture(params=KINDS)
def model(request, own_layers):
    return KINDS[request.param](own_layers)


def values(weights):
    return sorted((tuple(v.shape), float(np.sum(np.asarray(v)))) for v in weights if "float" in v.dtype)


@pytest.mark.sampled(2)
def test_a_flat_model_computes_the_same_with_the_same_weights(model, tmp_path):
    found = flat(model)
    made, x = found.model, samples(model)
    assert not found.whole
    assert np.abs(made(x) - model(x)).max() <= 1e-6
    assert np.abs(made(x[:4]) - model(x[:4])).max() <= 1e-6
    assert values(made.weights) == values(model.weights)
    assert len(made.trainable_weights) == len(model.trainable_weights)
    keras.utils.set_random_seed(7)
    trained = np.asarray(model(x, training=True))
    keras.utils.set_random_seed(7)
    assert np.abs(made(x, training=True) - trained).max() <= 1e-6
    made.save(tmp_path / "flat.keras")
    assert np.abs(keras.models.load_model(tmp_path / "flat.keras")(x) - made(x)).max() <= 1e-6


UNCUT = {"one_number_per_sample", "tensorflow_functions"}  # their channels are outputs, or meet in sums over all


@pytest.mark.sampled(2)
def test_a_cut_flat_model_is_the_one_in_which_nobody_reads_what_is_gone(model, request, tmp_path):
    made, x = flat(model).model, samples(model)
    found = groups(made)
    if request.node.callspec.params["model"] in UNCUT:
        assert not len(found.groups)
        return
    dead = found.groups[:: max(2, len(found.groups) // 3)]
    small, masked = shrink(made, found, dead), zeroed(made, found, dead)
    assert small.count_params() < made.count_params()
    gap = np.abs(small(x) - masked(x)).max()
    assert gap <= 1e-5 * max(1.0, float(np.abs(masked(x)).max()))
    assert np.abs(masked(x) - made(x)).max() > 1e-4  # the channels did count
    small.save(tmp_path / "small.keras")
    assert np.abs(keras.models.load_model(tmp_path / "small.keras")(x) - small(x)).max() <= 1e-6


@pytest.mark.slow
def test_a_changed_model_trains_and_becomes_a_file(model, request):
    x, name = samples(model, 16), request.node.callspec.params["model"]
    small = (tfc.Fold() if name in UNCUT else tfc.PruneChannels(0.3, round_to=1)).apply(model)
    assert name in UNCUT or small.count_params() < model.count_params()
    small.compile("adam", "mse")
    history = small.fit(x, np.zeros_like(small(x)), epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    file = tfc.convert(small, mode="float32")
    assert np.abs(file.predict(x) - small.predict(x, verbose=0)).max() <= 1e-4
