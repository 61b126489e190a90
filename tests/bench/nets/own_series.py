"""Series, sound, tables and graphs through layers of one's own."""

import keras
import numpy as np
from keras import layers as L
from keras import ops as K

from nets.common import net, on_steps, pooled, sequences


class Linear(L.Layer):
    """Dense as the guide writes it: `x @ kernel + bias`."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="random_normal", name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x):
        return x @ self.kernel + self.bias


@net
def own_linear(rng):
    i = keras.Input((12,))
    h = L.ReLU()(Linear(24)(i))
    return keras.Model(i, Linear(3)(h)), rng.normal(size=(32, 12)).astype("float32")


@net
def own_linear_block(rng):
    """Three of them inside one layer."""

    class Block(L.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.a, self.b, self.c = Linear(24), Linear(16), Linear(3)

        def call(self, x):
            return self.c(K.relu(self.b(K.relu(self.a(x)))))

    i = keras.Input((12,))
    return keras.Model(i, Block()(i)), rng.normal(size=(32, 12)).astype("float32")


class TemporalBlock(L.Layer):
    """Two dilated causal convolutions with dropout and a residual."""

    def __init__(self, filters, dilation, **options):
        super().__init__(**options)
        self.convs = [L.Conv1D(filters, 3, padding="causal", dilation_rate=dilation) for _ in range(2)]
        self.norms, self.drop = [L.LayerNormalization() for _ in range(2)], L.SpatialDropout1D(0.1)
        self.match = L.Conv1D(filters, 1)

    def call(self, x):
        h = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = self.drop(K.relu(norm(conv(h))))
        return K.relu(h + self.match(x))


@net
def own_temporal_conv(rng):
    layers = [TemporalBlock(12, 1), TemporalBlock(16, 2), TemporalBlock(16, 4)]
    return on_steps(32, 4, rng, [*layers, L.GlobalAveragePooling1D(), L.Dense(3)])


@net
def own_spectral_fft(rng):
    """Filters in the frequencies of a series: `rfft`, a learned filter, `irfft`."""

    class Spectral(L.Layer):
        def build(self, shape):
            size = (shape[1] // 2 + 1, shape[2])
            self.real = self.add_weight(shape=size, initializer="random_normal", name="real")
            self.imaginary = self.add_weight(shape=size, initializer="random_normal", name="imaginary")

        def call(self, x):
            a, b = K.rfft(K.transpose(x, (0, 2, 1)))
            r, i = K.transpose(self.real), K.transpose(self.imaginary)
            y = K.irfft((a * r - b * i, a * i + b * r), fft_length=x.shape[1])
            return K.transpose(y, (0, 2, 1))

    return on_steps(16, 8, rng, [L.Dense(12), Spectral(), L.LayerNormalization(), L.Dense(4)])


@net
def own_spectral_matrix(rng):
    """The same mixing by the matrix of a cosine transform, a constant of the layer."""

    class Cosines(L.Layer):
        def build(self, shape):
            n = np.arange(shape[1])
            self.matrix = np.cos(np.pi / shape[1] * (n[None] + 0.5) * n[:, None]).astype("float32") / shape[1] ** 0.5

        def call(self, x):
            return K.matmul(K.convert_to_tensor(self.matrix), x)

    return on_steps(16, 8, rng, [L.Dense(12), Cosines(), L.LayerNormalization(), L.Dense(4)])


class CrossAttention(L.Layer):
    """A learned array of latent vectors attends to a long input, then to itself."""

    def __init__(self, count, width, **options):
        super().__init__(**options)
        self.count, self.width = count, width
        self.cross, self.own = L.MultiHeadAttention(1, width), L.MultiHeadAttention(2, width // 2)
        self.norms, self.feed = [L.LayerNormalization() for _ in range(3)], L.Dense(width, activation="gelu")

    def build(self, shape):
        self.latent = self.add_weight(shape=(self.count, self.width), initializer="random_normal", name="latent")

    def call(self, x):
        h = K.repeat(self.latent[None], K.shape(x)[0], axis=0)
        h = h + self.cross(self.norms[0](h), x)
        n = self.norms[1](h)
        h = h + self.own(n, n)
        return h + self.feed(self.norms[2](h))


@net
def own_perceiver(rng):
    return on_steps(48, 6, rng, [L.Dense(16), CrossAttention(6, 16), L.GlobalAveragePooling1D(), L.Dense(4)])


class GraphLayer(L.Layer):
    """Graph convolution with a fixed matrix of neighbours, given to the constructor."""

    def __init__(self, neighbours, units, **options):
        super().__init__(**options)
        self.neighbours, self.units = np.asarray(neighbours, "float32"), units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, x):
        return K.relu(K.matmul(K.convert_to_tensor(self.neighbours), K.matmul(x, self.kernel)) + self.bias)


@net
def own_graph_conv(rng):
    linked = np.eye(10) + np.eye(10, k=1) + np.eye(10, k=-1)
    linked = linked / linked.sum(-1, keepdims=True)
    return on_steps(10, 6, rng, [GraphLayer(linked, 16), GraphLayer(linked, 16), L.Dense(3)])


@net
def own_graph_attention(rng):
    """Attention over neighbours only, the mask from the second input."""

    class Attend(L.Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.project, self.left, self.right = L.Dense(units, use_bias=False), L.Dense(1), L.Dense(1)

        def call(self, x, linked):
            h = self.project(x)
            scores = keras.activations.leaky_relu(self.left(h) + K.transpose(self.right(h), (0, 2, 1)), 0.2)
            return K.matmul(K.softmax(K.where(linked > 0, scores, -1e9), axis=-1), h)

    nodes, linked = keras.Input((10, 6), name="nodes"), keras.Input((10, 10), name="linked")
    h = L.ReLU()(Attend(16)(nodes, linked))
    x = {"nodes": rng.normal(size=(24, 10, 6)).astype("float32")}
    x["linked"] = np.maximum(rng.random((24, 10, 10)) < 0.3, np.eye(10)).astype("float32")
    return keras.Model({"nodes": nodes, "linked": linked}, L.Dense(3)(h)), x


class Block(L.Layer):
    """Pre-norm transformer block with Keras' attention."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.norms, self.attention = [L.LayerNormalization() for _ in range(2)], L.MultiHeadAttention(heads, 8)
        self.feed = keras.Sequential([L.Dense(width * 2, activation="gelu"), L.Dropout(0.1), L.Dense(width)])

    def call(self, x):
        h = self.norms[0](x)
        x = x + self.attention(h, h)
        return x + self.feed(self.norms[1](x))


@net
def own_audio_transformer(rng):
    """Sound as frames of a mel spectrogram: a stem of Conv1D, then blocks."""
    stem = [L.Conv1D(16, 3, 1, "same", activation="gelu"), L.Conv1D(16, 3, 2, "same", activation="gelu")]
    return on_steps(48, 12, rng, [*stem, Block(16, 2), L.GlobalAveragePooling1D(), L.Dense(6)])


@net
def own_conformer(rng):
    """Half feed-forward steps around attention and a gated depthwise convolution."""

    class Conformer(L.Layer):
        def __init__(self, width, **options):
            super().__init__(**options)
            self.norms = [L.LayerNormalization() for _ in range(4)]
            self.feeds = [keras.Sequential([L.Dense(width * 2, activation="silu"), L.Dense(width)]) for _ in range(2)]
            self.attention = L.MultiHeadAttention(2, width // 2)
            self.gated, self.depth = L.Conv1D(width * 2, 1), L.DepthwiseConv1D(5, padding="same")
            self.batch, self.point = L.BatchNormalization(), L.Conv1D(width, 1)

        def call(self, x):
            x = x + 0.5 * self.feeds[0](self.norms[0](x))
            h = self.norms[1](x)
            x = x + self.attention(h, h)
            a, b = K.split(self.gated(self.norms[2](x)), 2, axis=-1)
            x = x + self.point(K.silu(self.batch(self.depth(a * K.sigmoid(b)))))
            return self.norms[3](x + 0.5 * self.feeds[1](x))

    return on_steps(32, 8, rng, [L.Dense(16), Conformer(16), L.Dense(6)])


@net
def own_tabular_transformer(rng):
    """A token for each feature: numbers by a table of weights, categories by embeddings, and a class token."""

    class Features(L.Layer):
        def __init__(self, width, **options):
            super().__init__(**options)
            self.width, self.kind = width, L.Embedding(30, width)

        def build(self, shape):
            self.scale = self.add_weight(shape=(4, self.width), initializer="random_normal", name="scale")
            self.shift = self.add_weight(shape=(4, self.width), initializer="random_normal", name="shift")
            self.first = self.add_weight(shape=(1, 1, self.width), initializer="random_normal", name="first")

        def call(self, inputs):
            numbers = K.expand_dims(inputs["numbers"], -1) * self.scale + self.shift
            kinds = self.kind(inputs["kinds"] + K.convert_to_tensor(np.array([0, 10, 20], "int32")))
            first = K.broadcast_to(self.first, (K.shape(numbers)[0], 1, self.width))
            return K.concatenate([first, numbers, kinds], axis=1)

    inputs = {"numbers": keras.Input((4,), name="numbers"), "kinds": keras.Input((3,), dtype="int32", name="kinds")}
    h = Block(16, 2)(Features(16)(inputs))
    x = {"numbers": rng.normal(size=(32, 4)).astype("float32"), "kinds": rng.integers(0, 10, (32, 3)).astype("int32")}
    return keras.Model(inputs, L.Dense(2)(h[:, 0])), x


@net
def own_series_decomposition(rng):
    """Trend by a moving mean with padded ends, both parts by linear maps over time."""

    class Decompose(L.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.mean = L.AveragePooling1D(5, 1)
            self.trend, self.season = L.Dense(8), L.Dense(8)

        def call(self, x):
            ends = K.concatenate([x[:, :1], x[:, :1], x, x[:, -1:], x[:, -1:]], axis=1)
            trend = self.mean(ends)
            both = (self.trend(K.transpose(trend, (0, 2, 1))), self.season(K.transpose(x - trend, (0, 2, 1))))
            return K.transpose(both[0] + both[1], (0, 2, 1))

    return on_steps(32, 3, rng, [Decompose()])


@net
def own_patched_series(rng):
    """Each window scaled by its mean and deviation, cut in patches, transformed and scaled back."""

    class Reversible(keras.Model):
        def __init__(self):
            super().__init__()
            self.embed, self.block, self.head = L.Dense(16), Block(16, 2), L.Dense(4)

        def call(self, x):
            mean, spread = K.mean(x, 1, keepdims=True), K.std(x, 1, keepdims=True) + 1e-3
            h = self.embed(K.reshape((x - mean) / spread, (-1, 8, 4)))
            h = self.head(K.reshape(self.block(h), (-1, 128)))
            return h[..., None] * spread + mean

    model, x = Reversible(), sequences(rng, 32, 1)
    model(x[:1])
    return model, x


@net
def own_mixture_of_experts(rng):
    """Four small networks, weighed by a gate."""

    class Experts(L.Layer):
        def build(self, shape):
            self.gate = L.Dense(4, activation="softmax")
            self.gate.build(shape)
            self.into = self.add_weight(shape=(4, shape[-1], 16), initializer="glorot_uniform", name="into")
            self.out = self.add_weight(shape=(4, 16, 8), initializer="glorot_uniform", name="out")

        def call(self, x):
            h = keras.activations.gelu(K.einsum("btd,edf->betf", x, self.into))
            h = K.einsum("betf,efo->beto", h, self.out)
            return K.einsum("bte,beto->bto", self.gate(x), h)

    return on_steps(16, 8, rng, [Experts(), L.Dense(4)])


@net
def own_state_space(rng):
    """A linear recurrence as a long convolution: cumulative sums with a decay that is learned."""

    class Decay(L.Layer):
        def build(self, shape):
            self.rate = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="rate")

        def call(self, x):
            weights = K.sigmoid(self.rate)
            places = K.arange(x.shape[1], dtype="float32")
            apart = K.maximum(places[:, None] - places[None], 0.0)[..., None]
            powers = K.exp(apart * K.log(weights)) * K.tril(K.ones((x.shape[1],) * 2))[..., None]
            return K.einsum("tsd,bsd->btd", powers, x)

    h = [L.Dense(12), Decay(), L.LayerNormalization(), L.Dense(12, activation="silu")]
    return on_steps(16, 6, rng, [*h, L.Dense(4)])


@net
def own_multi_task(rng):
    """A shared trunk of blocks and two heads, one a class, one a value for each step."""
    i = keras.Input((24, 6))
    h = Block(16, 2)(L.Dense(16)(i))
    return keras.Model(i, {"kind": pooled(h, 3), "value": L.Dense(1)(h)}), sequences(rng, 24, 6)
