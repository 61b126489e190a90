"""Pictures through layers and models of one's own: attention over channels, blocks as layers, subclassed models."""

import keras
from keras import layers as L
from keras import ops as K

from nets.common import net, on_pictures, pictures, pooled


class SqueezeExcite(L.Layer):
    """Scales channels by a small network over their means."""

    def __init__(self, ratio=4, **options):
        super().__init__(**options)
        self.ratio = ratio

    def build(self, shape):
        width = shape[-1]
        self.reduce = L.Dense(width // self.ratio, activation="relu")
        self.expand = L.Dense(width, activation="sigmoid")
        self.reduce.build((shape[0], width))
        self.expand.build((shape[0], width // self.ratio))

    def call(self, x):
        s = self.expand(self.reduce(K.mean(x, axis=(1, 2))))
        return x * s[:, None, None, :]


@net
def own_squeeze_excite(rng):
    h = [L.Conv2D(16, 3, 2, "same", activation="relu"), SqueezeExcite(), L.Conv2D(24, 3, 2, "same"), SqueezeExcite(8)]
    return on_pictures(32, rng, [*h, L.GlobalAveragePooling2D(), L.Dense(5)])


class CBAM(L.Layer):
    """Attention over channels by mean and maximum, then over places."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.shared = keras.Sequential([L.Dense(width // 4, activation="relu"), L.Dense(width)])
        self.place = L.Conv2D(1, 7, padding="same", activation="sigmoid", use_bias=False)

    def call(self, x):
        both = self.shared(K.mean(x, (1, 2))) + self.shared(K.max(x, (1, 2)))
        x = x * K.sigmoid(both)[:, None, None]
        maps = K.concatenate([K.mean(x, -1, keepdims=True), K.max(x, -1, keepdims=True)], -1)
        return x * self.place(maps)


@net
def own_cbam(rng):
    h = [L.Conv2D(16, 3, 2, "same", activation="relu"), CBAM(16), L.Conv2D(16, 3, 2, "same", activation="relu")]
    return on_pictures(32, rng, [*h, L.GlobalAveragePooling2D(), L.Dense(5)])


class DropPath(L.Layer):
    """Drops the whole branch of a sample during training."""

    def __init__(self, rate, **options):
        super().__init__(**options)
        self.rate, self.seed_generator = rate, keras.random.SeedGenerator(7)

    def call(self, x, training=None):
        if not training or not self.rate:
            return x
        shape = (K.shape(x)[0],) + (1,) * (len(x.shape) - 1)
        kept = K.floor(keras.random.uniform(shape, seed=self.seed_generator) + 1 - self.rate)
        return x / (1 - self.rate) * kept


class LayerScale(L.Layer):
    """Multiplies channels by learned numbers."""

    def __init__(self, start=0.1, **options):
        super().__init__(**options)
        self.start = start

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(self.start))

    def call(self, x):
        return x * self.gamma


class ConvNeXtBlock(L.Layer):
    """Depthwise convolution, norm, wide dense with GELU, layer scale and drop path, one layer."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.depthwise, self.norm = L.DepthwiseConv2D(7, padding="same"), L.LayerNormalization(epsilon=1e-6)
        self.wide, self.narrow = L.Dense(width * 4, activation="gelu"), L.Dense(width)
        self.scale, self.drop = LayerScale(), DropPath(0.1)

    def call(self, x, training=None):
        h = self.narrow(self.wide(self.norm(self.depthwise(x))))
        return x + self.drop(self.scale(h), training=training)


@net
def own_convnext(rng):
    stem = [L.Conv2D(16, 4, 4), L.LayerNormalization(epsilon=1e-6)]
    return on_pictures(32, rng, [*stem, ConvNeXtBlock(16), ConvNeXtBlock(16), L.GlobalAveragePooling2D(), L.Dense(5)])


@net
def own_drop_path_layer_scale(rng):
    """The same two as layers of a functional model, around attention."""
    i = keras.Input((32, 32, 3))
    h = L.Reshape((64, 16))(L.Conv2D(16, 4, 4)(i))
    n = L.LayerNormalization()(h)
    h = L.Add()([h, DropPath(0.2)(LayerScale()(L.MultiHeadAttention(2, 8)(n, n)))])
    g = L.Dense(16)(L.Dense(32, activation="gelu")(L.LayerNormalization()(h)))
    return keras.Model(i, pooled(L.Add()([h, DropPath(0.2)(LayerScale()(g))]))), pictures(rng)


class Residual(L.Layer):
    """Two convolutions with their norms and a projected shortcut."""

    def __init__(self, filters, strides=1, **options):
        super().__init__(**options)
        self.filters, self.strides = filters, strides
        self.first = L.Conv2D(filters, 3, strides, "same", use_bias=False)
        self.second = L.Conv2D(filters, 3, 1, "same", use_bias=False)
        self.norms = [L.BatchNormalization() for _ in range(3)]
        self.shortcut = L.Conv2D(filters, 1, strides, use_bias=False) if strides > 1 else None

    def call(self, x, training=None):
        h = K.relu(self.norms[0](self.first(x), training=training))
        h = self.norms[1](self.second(h), training=training)
        if self.shortcut is not None:
            x = self.norms[2](self.shortcut(x), training=training)
        return K.relu(h + x)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}


@net
def own_residual(rng):
    blocks = [L.Conv2D(12, 3, padding="same", activation="relu"), Residual(12), Residual(16, 2), Residual(24, 2)]
    return on_pictures(32, rng, [*blocks, L.GlobalAveragePooling2D(), L.Dense(5)])


@net
def own_subclassed_cnn(rng):
    """A subclassed Model: layers in its constructor, order in its `call`."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.convs = [L.Conv2D(f, 3, 2, "same", activation="relu") for f in (8, 16)]
            self.norm, self.drop = L.BatchNormalization(), L.Dropout(0.2)
            self.hidden, self.out = L.Dense(16, activation="relu"), L.Dense(5, activation="softmax")

        def call(self, x, training=None):
            for layer in self.convs:
                x = layer(x)
            x = K.reshape(self.norm(x, training=training), (-1, 8 * 8 * 16))
            return self.out(self.drop(self.hidden(x), training=training))

    model, x = Net(), pictures(rng)
    model(x[:1])
    return model, x


@net
def own_subclassed_residual(rng):
    """A subclassed Model of blocks that are layers with sublayers."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.stem = L.Conv2D(12, 3, padding="same", activation="relu")
            self.blocks = [Residual(12), Residual(16, 2)]
            self.head = keras.Sequential([L.GlobalAveragePooling2D(), L.Dense(5)])

        def call(self, x, training=None):
            x = self.stem(x)
            for block in self.blocks:
                x = block(x, training=training)
            return self.head(x)

    model, x = Net(), pictures(rng)
    model(x[:1])
    return model, x


class Separable(L.Layer):
    """Depthwise and pointwise convolution with norms and a chosen activation."""

    def __init__(self, filters, strides=1, act="relu6", **options):
        super().__init__(**options)
        self.depth = L.DepthwiseConv2D(3, strides, "same", use_bias=False)
        self.point = L.Conv2D(filters, 1, use_bias=False)
        self.norm_a, self.norm_b = L.BatchNormalization(), L.BatchNormalization()
        self.act = L.Activation(act)

    def call(self, x):
        return self.act(self.norm_b(self.point(self.act(self.norm_a(self.depth(x))))))


@net
def own_separable(rng):
    blocks = [L.Conv2D(8, 3, 2, "same"), Separable(16), Separable(24, 2, "hard_swish"), Separable(24, 1, "silu")]
    return on_pictures(32, rng, [*blocks, L.GlobalAveragePooling2D(), L.Dense(5)])


class PatchTokens(L.Layer):
    """Patches with a class token in front and learned positions, all weights of this layer."""

    def __init__(self, width, size, **options):
        super().__init__(**options)
        self.width, self.project = width, L.Conv2D(width, size, size)

    def build(self, shape):
        self.project.build(shape)
        count = (shape[1] // self.project.strides[0]) ** 2
        self.token = self.add_weight(shape=(1, 1, self.width), initializer="random_normal", name="token")
        self.places = self.add_weight(shape=(1, count + 1, self.width), initializer="random_normal", name="places")

    def call(self, x):
        h = K.reshape(self.project(x), (-1, self.places.shape[1] - 1, self.width))
        return K.concatenate([K.tile(self.token, (K.shape(x)[0], 1, 1)), h], axis=1) + self.places


class PreNormBlock(L.Layer):
    """Attention and feed-forward part, each after its norm."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.norm_a, self.norm_b = L.LayerNormalization(epsilon=1e-6), L.LayerNormalization(epsilon=1e-6)
        self.attention = L.MultiHeadAttention(heads, width // heads)
        self.wide, self.narrow = L.Dense(width * 2, activation="gelu"), L.Dense(width)

    def call(self, x):
        h = self.norm_a(x)
        x = x + self.attention(h, h)
        return x + self.narrow(self.wide(self.norm_b(x)))


@net
def own_vit_class_token(rng):
    class First(L.Layer):
        def call(self, x):
            return x[:, 0]

    return on_pictures(32, rng, [PatchTokens(16, 8), PreNormBlock(16, 2), PreNormBlock(16, 2), First(), L.Dense(5)])


class Capsules(L.Layer):
    """Squashed capsules, agreed on by two rounds of routing."""

    def __init__(self, count, size, **options):
        super().__init__(**options)
        self.count, self.size = count, size

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[1], self.count, shape[2], self.size), initializer="glorot_uniform")

    def call(self, x):
        votes = K.einsum("bij,icjk->bcik", x, self.kernel)
        agreed = K.zeros_like(votes[..., 0])
        for _ in range(2):
            weights = K.softmax(agreed, axis=1)
            capsules = squash(K.sum(weights[..., None] * votes, axis=2))
            agreed = agreed + K.sum(votes * capsules[:, :, None], axis=-1)
        return capsules


def squash(x):
    """Shortens vectors to a length below 1."""
    length = K.sum(K.square(x), axis=-1, keepdims=True)
    return length / (1 + length) / K.sqrt(length + 1e-7) * x


@net
def own_capsules(rng):
    class Lengths(L.Layer):
        def call(self, x):
            return K.sqrt(K.sum(K.square(x), -1) + 1e-7)

    h = [L.Conv2D(8, 5, 4, activation="relu"), L.Reshape((49, 8)), Capsules(4, 6), Lengths()]
    return on_pictures(32, rng, h)


@net
def own_subclassed_autoencoder(rng):
    """Encoder and decoder as Sequential models inside a subclassed one."""

    class Autoencoder(keras.Model):
        def __init__(self):
            super().__init__()
            down = [L.Conv2D(f, 3, 2, "same", activation="relu") for f in (8, 12)]
            self.encoder = keras.Sequential([*down, L.Flatten(), L.Dense(8)])
            up = [L.Conv2DTranspose(f, 3, 2, "same", activation="relu") for f in (12, 8)]
            last = L.Conv2D(1, 3, padding="same", activation="sigmoid")
            self.decoder = keras.Sequential([L.Dense(7 * 7 * 8, activation="relu"), L.Reshape((7, 7, 8)), *up, last])

        def call(self, x):
            return self.decoder(self.encoder(x))

    model, x = Autoencoder(), pictures(rng, 28, 1)
    model(x[:1])
    return model, x


@net
def own_raw_tensorflow(rng):
    """A layer written in `tf.nn` and `tf.*`, that no symbolic call can follow."""
    import tensorflow as tf

    class Raw(L.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(3, 3, shape[-1], 12), name="kernel")
            self.bias = self.add_weight(shape=(12,), initializer="zeros", name="bias")

        def call(self, x):
            h = tf.nn.conv2d(x, tf.convert_to_tensor(self.kernel), 2, "SAME")
            return tf.nn.relu(tf.nn.bias_add(h, tf.convert_to_tensor(self.bias)))

        def compute_output_shape(self, shape):
            return (shape[0], (shape[1] + 1) // 2, (shape[2] + 1) // 2, 12)

    h = [L.Conv2D(8, 3, padding="same", activation="relu"), Raw(), L.Conv2D(12, 3, activation="relu")]
    return on_pictures(32, rng, [*h, L.GlobalAveragePooling2D(), L.Dense(5)])


@net
def own_ghost_shuffle(rng):
    """Channels split, convolved by half, joined and shuffled."""

    class Shuffle(L.Layer):
        def __init__(self, width, **options):
            super().__init__(**options)
            self.width, self.conv, self.norm = width, L.Conv2D(width // 2, 3, padding="same"), L.BatchNormalization()

        def call(self, x):
            a, b = K.split(x, 2, axis=-1)
            h = K.concatenate([a, K.relu(self.norm(self.conv(b)))], axis=-1)
            h = K.reshape(h, (-1, h.shape[1], h.shape[2], 2, self.width // 2))
            return K.reshape(K.swapaxes(h, 3, 4), (-1, h.shape[1], h.shape[2], self.width))

    layers = [L.Conv2D(16, 3, 2, "same", activation="relu"), Shuffle(16), Shuffle(16), L.GlobalAveragePooling2D()]
    return on_pictures(32, rng, [*layers, L.Dense(5)])
