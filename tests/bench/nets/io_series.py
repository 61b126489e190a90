"""Text, series, points, graphs and tables, in the ways of Keras' code examples."""

import keras
import numpy as np
from keras import layers as L
from keras import ops as K

from nets.common import net, on_pictures, on_steps, pooled, sequences, tokens
from nets.io_layers import PatchEncoder, Patches, mlp


class FourierBlock(L.Layer):
    """Mixes tokens by the real part of a two-dimensional Fourier transform."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.feed = keras.Sequential([L.Dense(width * 2, activation="relu"), L.Dense(width)])
        self.norm_a, self.norm_b = L.LayerNormalization(), L.LayerNormalization()

    def call(self, x):
        x = self.norm_a(x + K.fft2((x, K.zeros_like(x)))[0])
        return self.norm_b(x + self.feed(x))


class TokenAndPosition(L.Layer):
    """Adds an embedding of positions to that of tokens."""

    def __init__(self, steps, words, width, **options):
        super().__init__(**options)
        self.token, self.position = L.Embedding(words, width), L.Embedding(steps, width)

    def call(self, x):
        return self.token(x) + self.position(K.arange(K.shape(x)[-1]))


class TransformerBlock(L.Layer):
    """Attention and a feed-forward part, each with dropout, residual and a norm after it."""

    def __init__(self, width, heads, inner, rate=0.1, **options):
        super().__init__(**options)
        self.attention = L.MultiHeadAttention(heads, width)
        self.feed = keras.Sequential([L.Dense(inner, activation="relu"), L.Dense(width)])
        self.norm_a, self.norm_b = L.LayerNormalization(epsilon=1e-6), L.LayerNormalization(epsilon=1e-6)
        self.drop_a, self.drop_b = L.Dropout(rate), L.Dropout(rate)

    def call(self, x):
        x = self.norm_a(x + self.drop_a(self.attention(x, x)))
        return self.norm_b(x + self.drop_b(self.feed(x)))


@net
def io_text_transformer(rng):
    i = keras.Input((24,), dtype="int32")
    h = TransformerBlock(16, 2, 32)(TokenAndPosition(24, 60, 16)(i))
    h = L.Dropout(0.1)(L.Dense(20, activation="relu")(L.Dropout(0.1)(L.GlobalAveragePooling1D()(h))))
    return keras.Model(i, L.Dense(2, activation="softmax")(h)), tokens(rng, 24)


@net
def io_fnet(rng):
    i = keras.Input((16,), dtype="int32")
    return keras.Model(i, pooled(FourierBlock(16)(TokenAndPosition(16, 60, 16)(i)))), tokens(rng)


class GraphConvolution(L.Layer):
    """Sends each node's prepared features to its neighbours by a matrix, and combines them."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.prepare = keras.Sequential([L.BatchNormalization(), L.Dense(units, activation="gelu")])
        self.update = keras.Sequential([L.BatchNormalization(), L.Dense(units, activation="gelu")])

    def call(self, inputs):
        nodes, neighbours = inputs
        messages = K.matmul(neighbours, self.prepare(nodes))
        h = self.update(K.concatenate([nodes, messages], axis=-1))
        return h / K.maximum(K.sqrt(K.sum(h * h, axis=-1, keepdims=True)), 1e-6)


@net
def io_gcn_dense(rng):
    """A graph as a dense matrix of normalized neighbours, the second input."""
    nodes, neighbours = keras.Input((12, 8), name="nodes"), keras.Input((12, 12), name="neighbours")
    h = L.Dense(16, activation="relu")(nodes)
    h = L.Add()([GraphConvolution(16)([h, neighbours]), h])
    linked = rng.random((24, 12, 12)) < 0.3
    linked = linked | linked.transpose(0, 2, 1) | np.eye(12, dtype=bool)
    x = {"nodes": rng.normal(size=(24, 12, 8)).astype("float32")}
    x["neighbours"] = (linked / linked.sum(-1, keepdims=True)).astype("float32")
    return keras.Model({"nodes": nodes, "neighbours": neighbours}, L.Dense(4)(h)), x


class SpatialGating(L.Layer):
    """gMLP's block: half of the channels, mixed over the tokens, gate the other half."""

    def __init__(self, count, width, rate=0.1, **options):
        super().__init__(**options)
        self.into = keras.Sequential([L.Dense(width * 2, activation="gelu"), L.Dropout(rate)])
        self.spatial, self.out = L.Dense(count, bias_initializer="ones"), L.Dense(width)
        self.norm_a, self.norm_b = L.LayerNormalization(epsilon=1e-6), L.LayerNormalization(epsilon=1e-6)

    def call(self, x):
        u, v = K.split(self.into(self.norm_a(x)), 2, axis=-1)
        v = K.transpose(self.spatial(K.transpose(self.norm_b(v), (0, 2, 1))), (0, 2, 1))
        return x + self.out(u * v)


@net
def io_gmlp(rng):
    layers = [Patches(8), L.Dense(16), SpatialGating(16, 16), SpatialGating(16, 16)]
    return on_pictures(32, rng, [*layers, L.GlobalAveragePooling1D(), L.Dropout(0.2), L.Dense(5)])


class GatedLinearUnit(L.Layer):
    """A linear map times a sigmoid of another."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.linear, self.gate = L.Dense(units), L.Dense(units, activation="sigmoid")

    def call(self, x):
        return self.linear(x) * self.gate(x)


class GatedResidual(L.Layer):
    """Gated residual network: ELU, dropout, a gated unit, and a norm over the sum."""

    def __init__(self, units, rate=0.1, **options):
        super().__init__(**options)
        self.units = units
        self.elu, self.dense, self.drop = L.Dense(units, activation="elu"), L.Dense(units), L.Dropout(rate)
        self.gate, self.norm, self.project = GatedLinearUnit(units), L.LayerNormalization(), L.Dense(units)

    def call(self, x):
        h = self.gate(self.drop(self.dense(self.elu(x))))
        if x.shape[-1] != self.units:
            x = self.project(x)
        return self.norm(x + h)


class VariableSelection(L.Layer):
    """Weights features, each through a gated residual network of its own."""

    def __init__(self, count, units, **options):
        super().__init__(**options)
        self.each, self.all = [GatedResidual(units) for _ in range(count)], GatedResidual(units)
        self.weigh = L.Dense(count, activation="softmax")

    def call(self, inputs):
        weights = K.expand_dims(self.weigh(self.all(K.concatenate(inputs, axis=-1))), -1)
        h = K.stack([grn(x) for grn, x in zip(self.each, inputs, strict=True)], axis=1)
        return K.squeeze(K.matmul(K.transpose(weights, (0, 2, 1)), h), axis=1)


@net
def io_grn_tabular(rng):
    """Numbers and categories through variable selection."""
    number, kind = keras.Input((3,), name="numbers"), keras.Input((2,), dtype="int32", name="kinds")
    parts = [L.Dense(8)(number[:, k : k + 1]) for k in range(3)]
    parts += [L.Embedding(10, 8)(kind[:, k]) for k in range(2)]
    h = VariableSelection(5, 8)(parts)
    x = {"numbers": rng.normal(size=(32, 3)).astype("float32"), "kinds": rng.integers(0, 10, (32, 2)).astype("int32")}
    return keras.Model({"numbers": number, "kinds": kind}, L.Dense(1, activation="sigmoid")(h)), x


class Orthogonal(keras.regularizers.Regularizer):
    """Penalty on matrices that are not orthogonal."""

    def __init__(self, width, rate=0.001):
        self.width, self.rate = width, rate

    def __call__(self, x):
        x = K.reshape(x, (-1, self.width, self.width))
        return K.sum(self.rate * K.square(K.matmul(x, K.transpose(x, (0, 2, 1))) - K.eye(self.width)))

    def get_config(self):
        return {"width": self.width, "rate": self.rate}


def _turned(h, width):
    """Applies a matrix to each point, that a small network reads off all points."""
    g = h
    for f in (8, 16):
        g = L.Activation("relu")(L.BatchNormalization(momentum=0.0)(L.Conv1D(f, 1)(g)))
    g = L.Dense(12, activation="relu")(L.GlobalMaxPooling1D()(g))
    start = keras.initializers.Constant(np.eye(width).flatten())
    g = L.Dense(width * width, kernel_initializer="zeros", bias_initializer=start,
                activity_regularizer=Orthogonal(width))(g)  # fmt: skip
    return L.Dot(axes=(2, 1))([h, L.Reshape((width, width))(g)])


@net
def io_pointnet(rng):
    h = i = keras.Input((48, 3))
    h = _turned(h, 3)
    for f in (8, 16):
        h = L.Activation("relu")(L.BatchNormalization(momentum=0.0)(L.Conv1D(f, 1)(h)))
    h = L.Dropout(0.3)(L.Dense(16, activation="relu")(L.GlobalMaxPooling1D()(h)))
    return keras.Model(i, L.Dense(6, activation="softmax")(h)), rng.normal(size=(24, 48, 3)).astype("float32")


@net
def io_speaker_resnet1d(rng):
    h = i = keras.Input((64, 1))
    for filters, count in ((8, 2), (16, 3)):
        s = L.Conv1D(filters, 1, padding="same")(h)
        for _ in range(count - 1):
            h = L.Activation("relu")(L.Conv1D(filters, 3, padding="same")(h))
        h = L.Activation("relu")(L.Add()([L.Conv1D(filters, 3, padding="same")(h), s]))
        h = L.MaxPool1D(pool_size=2, strides=2)(h)
    h = L.Dense(16, activation="relu")(L.Flatten()(L.AveragePooling1D(pool_size=3, strides=3)(h)))
    return keras.Model(i, L.Dense(5, activation="softmax")(h)), sequences(rng, 64, 1)


@net
def io_timeseries_transformer(rng):
    """One channel, with convolutions of width 1 as the feed-forward part."""
    i = keras.Input((32, 1))
    r = L.Dropout(0.2)(L.MultiHeadAttention(2, 8, dropout=0.2)(i, i))
    r = L.LayerNormalization(epsilon=1e-6)(r) + i
    h = L.Dropout(0.2)(L.Conv1D(4, 1, activation="relu")(r))
    h = L.Conv1D(1, 1)(h) + r
    h = L.GlobalAveragePooling1D(data_format="channels_last")(L.Conv1D(8, 1)(h))
    return keras.Model(i, L.Dense(2, activation="softmax")(mlp(h, (16,), 0.2, "relu"))), sequences(rng, 32, 1)


@net
def io_wavenet(rng):
    """Dilated causal convolutions with gates, in the raw operators of Keras tensors."""
    h = i = keras.Input((64, 4))
    h, skips = L.Conv1D(12, 1)(h), []
    for k in range(4):
        g = K.tanh(L.Conv1D(12, 2, padding="causal", dilation_rate=2**k)(h))
        g = L.Conv1D(12, 1)(g * K.sigmoid(L.Conv1D(12, 2, padding="causal", dilation_rate=2**k)(h)))
        h = h + g
        skips.append(g)
    h = K.relu(L.Conv1D(8, 1)(K.relu(sum(skips[1:], skips[0]))))
    return keras.Model(i, K.softmax(L.Conv1D(6, 1)(h))), sequences(rng, 64, 4)


@net
def io_wide_deep(rng):
    """Wide one-hot crosses beside deep embeddings, categories as indices."""
    number, kind = keras.Input((5,), name="numbers"), keras.Input((3,), dtype="int32", name="kinds")
    wide = [L.CategoryEncoding(8, output_mode="one_hot")(kind[:, k : k + 1]) for k in range(3)]
    wide = L.BatchNormalization()(L.Concatenate()([*wide, number]))
    h = L.Concatenate()([*(L.Embedding(8, 3)(kind[:, k]) for k in range(3)), number])
    for units in (16, 12):
        h = L.Dropout(0.1)(L.ReLU()(L.BatchNormalization()(L.Dense(units)(h))))
    y = L.Dense(3, activation="softmax")(L.Concatenate()([wide, h]))
    x = {"numbers": rng.normal(size=(32, 5)).astype("float32"), "kinds": rng.integers(0, 8, (32, 3)).astype("int32")}
    return keras.Model({"numbers": number, "kinds": kind}, y), x


@net
def io_vit_small_data(rng):
    """Shifted patches in one layer, and attention whose temperature is learned and that does not look at itself."""

    class LocalAttention(L.MultiHeadAttention):
        def build(self, query_shape, value_shape, key_shape=None):
            super().build(query_shape, value_shape, key_shape)
            self.temperature = self.add_weight(shape=(), initializer=keras.initializers.Constant(2.8))

        def _compute_attention(self, query, key, value, attention_mask=None, training=None, scores_too=False):
            query = K.multiply(query, 1.0 / self.temperature)
            scores = K.einsum(self._dot_product_equation, key, query)
            scores = self._masked_softmax(scores, attention_mask)
            return K.einsum(self._combine_equation, self._dropout_layer(scores, training=training), value), scores

    i = keras.Input((32, 32, 3))
    h = PatchEncoder(16, 16)(L.LayerNormalization(epsilon=1e-6)(Patches(8)(i)))
    n = L.LayerNormalization(epsilon=1e-6)(h)
    apart = 1 - np.eye(16, dtype="int8")
    h = L.Add()([LocalAttention(2, 8)(n, n, attention_mask=K.convert_to_tensor(apart[None])), h])
    h = L.Add()([mlp(L.LayerNormalization(epsilon=1e-6)(h), (32, 16), 0.1), h])
    return keras.Model(i, pooled(h)), on_pictures(32, rng, [])[1]


@net
def io_bidirectional_text(rng):
    i = keras.Input((20,), dtype="int32")
    h = L.Bidirectional(L.LSTM(8, return_sequences=True))(L.Embedding(60, 12)(i))
    return keras.Model(i, L.Dense(1)(L.Bidirectional(L.LSTM(8))(h))), tokens(rng, 20)


@net
def io_conv_lstm(rng):
    """Next frame of a video."""
    i = keras.Input((4, 12, 12, 1))
    h = L.BatchNormalization()(L.ConvLSTM2D(6, 3, padding="same", return_sequences=True, activation="relu")(i))
    y = L.Conv3D(1, 3, activation="sigmoid", padding="same")(h)
    return keras.Model(i, y), rng.random((12, 4, 12, 12, 1)).astype("float32")


@net
def io_anomaly_autoencoder(rng):
    """A series rebuilt by strided and transposed convolutions."""
    return on_steps(32, 2, rng, [
        L.Conv1D(12, 7, padding="same", strides=2, activation="relu"), L.Dropout(0.2),
        L.Conv1D(8, 7, padding="same", strides=2, activation="relu"),
        L.Conv1DTranspose(8, 7, padding="same", strides=2, activation="relu"), L.Dropout(0.2),
        L.Conv1DTranspose(12, 7, padding="same", strides=2, activation="relu"),
        L.Conv1DTranspose(2, 7, padding="same"),
    ])  # fmt: skip
