"""Small models of tf_keras with random statistics, and how far a port is from its original."""

import json

import h5py
import keras
import numpy as np
import pytest

tf_keras = pytest.importorskip("tf_keras", reason="tf_keras comes with tensorflow-model-optimization")
L = tf_keras.layers


def residual():
    x = tf_keras.Input((8, 8, 4), name="image")
    y = L.Conv2D(4, 3, padding="same", use_bias=False)(x)
    y = L.BatchNormalization(axis=[-1])(y)
    y = L.ReLU(6.0)(y)
    y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(y)
    y = L.BatchNormalization(scale=False)(y)
    y = L.LeakyReLU(alpha=0.2)(y)
    y = L.SeparableConv2D(4, 3, padding="same", name="block/separable")(y)
    y = L.PReLU(shared_axes=[1, 2])(y)
    y = L.add([x, y])
    y = L.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1)(y)
    y = L.UpSampling2D(2, interpolation="bilinear")(y)
    y = L.Concatenate()([y, y])
    y = L.Conv2D(4, 3, dilation_rate=2, groups=2, activation="hard_sigmoid")(y)
    y = L.Dropout(0.3)(y)
    head = L.Dense(3, activation=L.LeakyReLU(alpha=0.1))(L.Flatten()(L.MaxPooling2D(4)(y)))
    return tf_keras.Model(x, [L.GlobalAveragePooling2D(keepdims=True)(y), head])


def recurrent():
    x = tf_keras.Input((6,), name="words")
    e = L.Embedding(11, 4, mask_zero=True, input_length=6)(x)
    a = L.LSTM(3, return_sequences=True, recurrent_activation="hard_sigmoid")(e)
    both = L.Bidirectional(L.LSTM(2, return_state=True))(a)
    outputs = [
        L.GRU(3, reset_after=False)(a),
        L.Bidirectional(L.GRU(2), backward_layer=L.GRU(2, go_backwards=True), merge_mode="sum")(a),
        L.RNN([L.LSTMCell(2), L.GRUCell(3)])(a),
        L.LSTM(2)(a, initial_state=both[1:3]),  # beside a mask
        L.Bidirectional(L.LSTM(2))(a, initial_state=both[1:]),
        L.Flatten()(L.TimeDistributed(L.Dense(2))(a)),
        L.LSTM(2)(L.concatenate([a, a])),  # a mask that is computed
        both[0],
    ]
    return tf_keras.Model(x, L.concatenate(outputs, name="all"))


def nested():
    base = tf_keras.Sequential(
        [L.Conv2D(3, 3, input_shape=(6, 6, 2)), L.BatchNormalization(), L.Activation("relu")], name="base"
    )
    z = tf_keras.Input((6, 6, 2))
    inner = tf_keras.Model(z, L.BatchNormalization()(base(z)), name="in_ner")
    dense = L.Dense(3, name="shared")
    x, y = tf_keras.Input((6, 6, 2), name="x"), tf_keras.Input((6, 6, 2), name="y")
    a, b, c = inner(x), inner(y, training=False), base(x)
    outputs = {"one": dense(L.Flatten()(a)), "two": dense(L.Flatten()(b)), "three": L.Subtract()([a, c])}
    return tf_keras.Model([x, y], outputs)


def nested_frozen():
    model = nested()
    model.get_layer("in_ner").trainable = False
    return model


def nested_partly_frozen():
    model = nested()
    model.get_layer("base").layers[0].trainable = False
    return model


def attention():
    x = tf_keras.Input((5, 6), name="x")
    mean = L.Normalization(axis=-1)
    mean.adapt(np.random.default_rng(0).normal(3, 2, (50, 5, 6)).astype("float32"))
    y = L.LayerNormalization()(L.Rescaling(0.5, offset=-1.0)(mean(x)))
    y = L.MultiHeadAttention(2, 3)(y, value=y)
    y = L.AdditiveAttention()([y, L.Attention(use_scale=True)([y, y])])
    y = L.Softmax(axis=1)(L.ThresholdedReLU(0.1)(L.ELU(0.5)(y)))
    y = L.Cropping1D(1)(L.Reshape((3, 10))(L.Permute((2, 1))(y)))
    y = L.Conv1D(4, 3, padding="causal", kernel_regularizer="l2")(L.SpatialDropout1D(0.2)(y))
    y = L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")(y)
    return tf_keras.Model(x, L.Activation("swish")(y))


def raw_calls():
    import tensorflow as tf

    x, y = tf_keras.Input((4,), name="x"), tf_keras.Input((4,), name="y")
    z = (x + y * 2.0)[:, :2]
    z = 2.0 - tf.nn.relu(tf.concat([z, z], axis=1))
    z = tf.nn.relu6(tf.reshape(z, (-1, 2, 2)) + 3.0) * (1 / 6) * np.array([1.0, 2.0], "float32")
    z = tf.squeeze(tf.reduce_mean(z, axis=1, keepdims=True), 1)
    z = -tf.nn.softmax(z) / tf.sqrt(tf.abs(x[:, 0:1]) + 1.0)
    z = tf.stack(tf.split(z, 2, axis=-1), axis=1)
    z = tf.pad(tf.transpose(tf.clip_by_value(z, -1.0, 1.0), [0, 2, 1]), [[0, 0], [1, 1], [0, 0]])
    z = tf.nn.leaky_relu(tf.expand_dims(tf.math.l2_normalize(z, axis=-1)[:, :, 0] ** 2.0, -1))
    return tf_keras.Model([x, y], L.Dense(2)(L.Flatten()(tf.maximum(z @ tf.transpose(z, [0, 2, 1]), 0.1))))


def volume():
    x = tf_keras.Input((3, 8, 8, 2), name="film")
    y = L.TimeDistributed(L.MaxPooling2D())(L.ConvLSTM2D(2, 3, return_sequences=True)(x))
    return tf_keras.Model(x, L.Conv3D(2, 2)(y))


def sequential():
    inner = tf_keras.Sequential([L.Dense(3), L.BatchNormalization()], name="inner")
    return tf_keras.Sequential([L.TimeDistributed(inner, input_shape=(5, 4)), L.Bidirectional(L.GRU(2)), L.Dense(2)])


def built_late():
    model = tf_keras.Sequential([L.Dense(3), L.BatchNormalization(), L.Dense(2)])
    model.build((None, 4))
    return model


def any_size():
    x = tf_keras.Input((None, None, 3), name="image")
    return tf_keras.Model(x, L.GlobalAveragePooling2D()(L.Conv2D(3, 3)(x)))


def by_name():
    b, a = tf_keras.Input((3,), name="b"), tf_keras.Input((4,), name="a")
    return tf_keras.Model({"b": b, "a": a}, L.Dense(2)(L.Concatenate()([a, b])))


MODELS = {
    make.__name__: make
    for make in (
        residual, recurrent, nested, nested_frozen, nested_partly_frozen, attention, raw_calls, volume, sequential,
        built_late, any_size, by_name,
    )
}  # fmt: skip


def randomize(model):
    """Random statistics, factors and biases: with those of an untrained model an error could go unseen."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        name = weight.name
        if name.split("/")[-1] in ("mean:0", "variance:0"):
            continue  # what Normalization was adapted to
        if "variance" in name or "gamma" in name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif any(part in name for part in ("moving_mean", "beta", "bias", "alpha")):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


@pytest.fixture
def old():
    """Makes a model of tf_keras by its name, with random statistics."""

    def make(name):
        tf_keras.utils.set_random_seed(0)
        return randomize(MODELS[name]() if name in MODELS else _application(name))

    return make


@pytest.fixture
def randomized():
    """Gives a model random statistics, factors and biases, and returns it."""
    return randomize


def _application(name):
    size = {"InceptionV3": 75}.get(name, 32)
    return getattr(tf_keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=5)


@pytest.fixture
def difference():
    """Largest difference of a port's outputs on random input, as a fraction of the largest output."""

    def of(model, port):
        rng = np.random.default_rng(1)
        words = any(isinstance(layer, L.Embedding) for layer in model.layers)
        shapes = [(2, *(32 if n is None else n for n in x.shape[1:])) for x in model.inputs]
        x = [rng.integers(0, 5, s).astype("float32") if words else rng.normal(size=s).astype("float32") for s in shapes]
        if isinstance(model.input, dict):
            x = dict(zip(sorted(model.input), x, strict=True))
        elif len(x) == 1:
            x = x[0]
        expected = keras.tree.flatten(model(x, training=False))
        found = keras.tree.flatten(port(x, training=False))
        largest = [
            np.abs(np.asarray(f) - np.asarray(e)).max() / np.abs(np.asarray(e)).max()
            for f, e in zip(found, expected, strict=True)
        ]
        return max(largest)

    return of


@pytest.fixture
def edited():
    """Changes the configuration in an `.h5` file: `edited(path, change, key)`."""

    def edit(path, change, key="model_config"):
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs[key])
            config = change(config) or config
            file.attrs[key] = json.dumps(config)

    return edit
