"""Layers that people write after Keras' code examples; each has what its author would give it, and no more."""

import keras
import numpy as np
from keras import layers as L
from keras import ops as K


def mlp(h, widths, rate, act="gelu"):
    """Dense layers, each with dropout."""
    for width in widths:
        h = L.Dropout(rate)(L.Dense(width, activation=act)(h))
    return h


class Patches(L.Layer):
    """Cuts pictures into patches."""

    def __init__(self, size, **options):
        super().__init__(**options)
        self.size = size

    def call(self, images):
        patches = K.image.extract_patches(images, self.size)
        _, rows, columns, width = patches.shape
        return K.reshape(patches, (K.shape(images)[0], rows * columns, width))

    def get_config(self):
        return {**super().get_config(), "size": self.size}


class PatchEncoder(L.Layer):
    """Projects patches and adds an embedding of their places."""

    def __init__(self, count, width, **options):
        super().__init__(**options)
        self.count, self.width = count, width
        self.projection, self.position = L.Dense(width), L.Embedding(count, width)

    def call(self, patches):
        places = K.expand_dims(K.arange(self.count), 0)
        return self.projection(patches) + self.position(places)

    def get_config(self):
        return {**super().get_config(), "count": self.count, "width": self.width}


class SequencePooling(L.Layer):
    """Pools a sequence by weights that it computes."""

    def __init__(self, **options):
        super().__init__(**options)
        self.attention = L.Dense(1)

    def call(self, x):
        weights = K.transpose(K.softmax(self.attention(x), axis=1), (0, 2, 1))
        return K.squeeze(K.matmul(weights, x), -2)


class ExternalAttention(L.Layer):
    """Attention to two memories that are kernels, with its double normalization."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.width, self.heads = width, heads
        self.into, self.out = L.Dense(width * 2), L.Dense(width)
        self.keys, self.values = L.Dense(8), L.Dense(width * 2 // heads)

    def call(self, x):
        steps, each = x.shape[1], self.width * 2 // self.heads
        h = K.transpose(K.reshape(self.into(x), (-1, steps, self.heads, each)), (0, 2, 1, 3))
        a = K.softmax(self.keys(h), axis=2)
        a = a / (1e-9 + K.sum(a, axis=-1, keepdims=True))
        h = K.reshape(K.transpose(self.values(a), (0, 2, 1, 3)), (-1, steps, self.width * 2))
        return self.out(h)


class Mixer(L.Layer):
    """Mixes tokens, then channels, by two Sequential models."""

    def __init__(self, count, width, rate, **options):
        super().__init__(**options)
        self.tokens = keras.Sequential([L.Dense(count, activation="gelu"), L.Dense(count), L.Dropout(rate)])
        self.channels = keras.Sequential([L.Dense(width, activation="gelu"), L.Dense(width), L.Dropout(rate)])
        self.norm = L.LayerNormalization(epsilon=1e-6)

    def call(self, x):
        h = K.transpose(self.norm(x), (0, 2, 1))
        x = x + K.transpose(self.tokens(h), (0, 2, 1))
        return x + self.channels(self.norm(x))


class DepthBlockDown(L.Layer):
    """Two convolutions with a residual, and its pooled value."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.first, self.second = (L.Conv2D(filters, 3, padding="same") for _ in range(2))
        self.relu_a, self.relu_b = L.LeakyReLU(0.2), L.LeakyReLU(0.2)
        self.norm_a, self.norm_b = L.BatchNormalization(), L.BatchNormalization()
        self.pool = L.MaxPooling2D(2)

    def call(self, x):
        d = self.first(x)
        h = self.relu_a(self.norm_a(d))
        h = self.relu_b(self.norm_b(self.second(h))) + d
        return h, self.pool(h)


class DepthBlockUp(L.Layer):
    """Enlarges, joins the skip, and convolves twice."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.up, self.join = L.UpSampling2D(2), L.Concatenate()
        self.first, self.second = (L.Conv2D(filters, 3, padding="same") for _ in range(2))
        self.norm_a, self.norm_b = L.BatchNormalization(), L.BatchNormalization()

    def call(self, x, skip):
        h = self.join([self.up(x), skip])
        h = keras.activations.leaky_relu(self.norm_a(self.first(h)), 0.2)
        return keras.activations.leaky_relu(self.norm_b(self.second(h)), 0.2)


def windows(x, size):
    """Cuts (batch, side, side, width) into windows."""
    _, high, wide, width = x.shape
    x = K.reshape(x, (-1, high // size, size, wide // size, size, width))
    return K.reshape(K.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, size * size, width))


def joined(x, size, side, width):
    """Undoes `windows`."""
    x = K.reshape(x, (-1, side // size, side // size, size, size, width))
    return K.reshape(K.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side, side, width))


class WindowAttention(L.Layer):
    """Attention in windows, with a table of relative positions that an index of the layer's own reads."""

    def __init__(self, width, size, heads, **options):
        super().__init__(**options)
        self.width, self.size, self.heads = width, size, heads
        self.qkv, self.projection = L.Dense(width * 3), L.Dense(width)

    def build(self, shape):
        count = (2 * self.size - 1) ** 2
        self.table = self.add_weight(shape=(count, self.heads), initializer="random_normal", name="table")
        at = np.stack(np.meshgrid(np.arange(self.size), np.arange(self.size), indexing="ij")).reshape(2, -1)
        apart = (at[:, :, None] - at[:, None]).transpose(1, 2, 0) + self.size - 1
        self.index = (apart[..., 0] * (2 * self.size - 1) + apart[..., 1]).reshape(-1).astype("int32")
        self.qkv.build(shape)
        self.projection.build((*shape[:-1], self.width))

    def call(self, x, blocked=None):
        _, count, width = x.shape
        each = width // self.heads
        h = K.transpose(K.reshape(self.qkv(x), (-1, count, 3, self.heads, each)), (2, 0, 3, 1, 4))
        q, k, v = h[0] * each**-0.5, h[1], h[2]
        logits = K.matmul(q, K.transpose(k, (0, 1, 3, 2)))
        bias = K.reshape(K.take(self.table, self.index, axis=0), (count, count, self.heads))
        logits = logits + K.expand_dims(K.transpose(bias, (2, 0, 1)), 0)
        if blocked is not None:
            places = blocked.shape[0]
            logits = K.reshape(logits, (-1, places, self.heads, count, count)) + blocked[None, :, None]
            logits = K.reshape(logits, (-1, self.heads, count, count))
        h = K.transpose(K.matmul(K.softmax(logits, -1), v), (0, 2, 1, 3))
        return self.projection(K.reshape(h, (-1, count, width)))


class SwinBlock(L.Layer):
    """Window attention, rolled by a shift with the mask that belongs to it, and a feed-forward part."""

    def __init__(self, width, side, heads, size, shift, **options):
        super().__init__(**options)
        self.width, self.side, self.size, self.shift = width, side, size, shift
        self.norm_a, self.norm_b = L.LayerNormalization(epsilon=1e-5), L.LayerNormalization(epsilon=1e-5)
        self.attention = WindowAttention(width, size, heads)
        self.feed = keras.Sequential([L.Dense(width * 2, activation="gelu"), L.Dropout(0.1), L.Dense(width)])
        self.blocked = self._masked() if shift else None

    def _masked(self):
        region = np.zeros((self.side, self.side))
        cuts = (slice(0, -self.size), slice(-self.size, -self.shift), slice(-self.shift, None))
        for number, (a, b) in enumerate((a, b) for a in cuts for b in cuts):
            region[a, b] = number
        n = self.side // self.size
        region = region.reshape(n, self.size, n, self.size).transpose(0, 2, 1, 3).reshape(n * n, -1)
        return np.where(region[:, None] != region[:, :, None], -100.0, 0.0).astype("float32")

    def call(self, x):
        h = K.reshape(self.norm_a(x), (-1, self.side, self.side, self.width))
        if self.shift:
            h = K.roll(h, (-self.shift, -self.shift), (1, 2))
        h = joined(self.attention(windows(h, self.size), self.blocked), self.size, self.side, self.width)
        if self.shift:
            h = K.roll(h, (self.shift, self.shift), (1, 2))
        x = x + K.reshape(h, (-1, self.side * self.side, self.width))
        return x + self.feed(self.norm_b(x))
