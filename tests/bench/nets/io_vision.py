"""Pictures, in the ways of Keras' code examples: ends and blocks as layers of one's own."""

import keras
import numpy as np
from keras import layers as L
from keras import ops as K

from nets.common import conv, net, on_pictures, pictures
from nets.io_layers import (
    DepthBlockDown,
    DepthBlockUp,
    ExternalAttention,
    Mixer,
    PatchEncoder,
    Patches,
    SequencePooling,
    SwinBlock,
    mlp,
)


@net
def io_cct(rng):
    """Compact convolutional transformer: convolutional tokenizer, learned positions, stochastic depth, SeqPool."""
    i = keras.Input((32, 32, 3))
    h = i
    for filters in (8, 16):
        h = L.ZeroPadding2D(1)(L.Conv2D(filters, 3, activation="relu", use_bias=False)(h))
        h = L.MaxPooling2D(3, 2, "same")(h)
    h = PatchEncoder(64, 16)(L.Reshape((-1, 16))(h))
    n = L.LayerNormalization(epsilon=1e-5)(h)
    h = L.Add()([L.MultiHeadAttention(2, 8, dropout=0.1)(n, n), h])
    n = L.LayerNormalization(epsilon=1e-5)(h)
    h = L.Add()([mlp(n, (32, 16), 0.1, K.gelu), h])
    h = SequencePooling()(L.LayerNormalization(epsilon=1e-5)(h))
    return keras.Model(i, L.Dense(5)(h)), pictures(rng)


@net
def io_convmixer(rng):
    """Patches by a strided convolution, then depthwise and pointwise mixing."""
    h = i = keras.Input((32, 32, 3))
    h = L.Rescaling(1.0 / 255)(h)
    h = L.BatchNormalization()(L.Activation("gelu")(L.Conv2D(24, 2, strides=2)(h)))
    for _ in range(2):
        g = L.BatchNormalization()(L.Activation("gelu")(L.DepthwiseConv2D(5, padding="same")(h)))
        h = L.Conv2D(24, 1)(L.Add()([g, h]))
        h = L.BatchNormalization()(L.Activation("gelu")(h))
    return keras.Model(i, L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(h))), pictures(rng) * 255


@net
def io_depth(rng):
    """Monocular depth: a subclassed Model of down and up blocks that are layers with sublayers."""

    class Depth(keras.Model):
        def __init__(self):
            super().__init__()
            self.downs = [DepthBlockDown(f) for f in (8, 12)]
            self.middle = [L.Conv2D(16, 3, padding="same") for _ in range(2)]
            self.ups = [DepthBlockUp(f) for f in (12, 8)]
            self.last = L.Conv2D(1, 1, padding="same", activation="tanh")

        def call(self, x):
            skips = []
            for down in self.downs:
                skip, x = down(x)
                skips.append(skip)
            for layer in self.middle:
                x = keras.activations.leaky_relu(layer(x), 0.2)
            for up, skip in zip(self.ups, reversed(skips), strict=True):
                x = up(x, skip)
            return self.last(x)

    model, x = Depth(), pictures(rng)
    model(x[:1])
    return model, x


@net
def io_eanet(rng):
    """External attention: two small memories that all tokens share."""
    i = keras.Input((32, 32, 3))
    h = PatchEncoder(16, 16)(Patches(8)(i))
    g = ExternalAttention(16, 2)(L.LayerNormalization(epsilon=1e-5)(h))
    h = L.Add()([g, h])
    h = L.Add()([mlp(L.LayerNormalization(epsilon=1e-5)(h), (16, 16), 0.2), h])
    return keras.Model(i, L.Dense(5, activation="softmax")(L.GlobalAveragePooling1D()(h))), pictures(rng)


@net
def io_espcn(rng):
    """Super-resolution: the channels become pixels at the end."""
    i = keras.Input((24, 24, 1))
    h = L.Conv2D(16, 5, padding="same", activation="relu", kernel_initializer="orthogonal")(i)
    h = L.Conv2D(16, 3, padding="same", activation="relu", kernel_initializer="orthogonal")(h)
    h = L.Conv2D(8, 3, padding="same", activation="relu", kernel_initializer="orthogonal")(h)
    h = L.Conv2D(9, 3, padding="same", kernel_initializer="orthogonal")(h)
    h = K.reshape(K.transpose(K.reshape(h, (-1, 24, 24, 3, 3, 1)), (0, 1, 3, 2, 4, 5)), (-1, 72, 72, 1))
    return keras.Model(i, h), pictures(rng, 24, 1)


@net
def io_keypoints_transfer(rng):
    """A backbone of `keras.applications`, left as a nested model, and a head of separable convolutions."""
    backbone = keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, include_top=False, weights=None)
    backbone.trainable = False
    i = keras.Input((64, 64, 3))
    h = backbone(L.Rescaling(2.0, -1.0)(i))
    h = L.SeparableConv2D(24, 2, activation="relu")(L.Dropout(0.3)(h))
    return keras.Model(i, L.SeparableConv2D(12, 1, activation="sigmoid")(h)), pictures(rng, 64)


@net
def io_metric_learning(rng):
    """Unit embeddings by `ops.normalize`."""
    i = keras.Input((32, 32, 3))
    h = i
    for f in (8, 12, 16):
        h = L.Conv2D(f, 3, 2, activation="relu")(h)
    h = L.Dense(8, activation=None)(L.GlobalAveragePooling2D()(h))
    return keras.Model(i, K.normalize(h, axis=-1)), pictures(rng)


@net
def io_mlp_mixer(rng):
    """Blocks as layers, with Sequential models inside, over patches."""
    i = keras.Input((32, 32, 3))
    h = L.Dense(16)(Patches(8)(i))
    for _ in range(2):
        h = Mixer(16, 16, 0.2)(h)
    return keras.Model(i, L.Dense(5)(L.Dropout(0.2)(L.GlobalAveragePooling1D()(h)))), pictures(rng)


def _inverted(h, width, out, strides=1):
    g = L.Activation("silu")(L.BatchNormalization()(L.Conv2D(width, 1, use_bias=False)(h)))
    if strides == 2:
        g = L.ZeroPadding2D(((0, 1), (0, 1)))(g)
    g = L.DepthwiseConv2D(3, strides, "same" if strides == 1 else "valid", use_bias=False)(g)
    g = L.BatchNormalization()(L.Conv2D(out, 1, use_bias=False)(L.Activation("silu")(L.BatchNormalization()(g))))
    return L.Add()([g, h]) if strides == 1 and h.shape[-1] == out else g


@net
def io_mobilevit(rng):
    """Inverted residuals, and a transformer over unfolded patches of a feature map."""
    i = keras.Input((32, 32, 3))
    h = _inverted(L.Conv2D(8, 3, 2, "same", activation="silu")(i), 16, 12, 2)
    local = L.Conv2D(16, 1, activation="silu")(L.Conv2D(16, 3, padding="same", activation="silu")(h))
    g = L.Reshape((4, 16, 16))(local)
    n = L.LayerNormalization(epsilon=1e-6)(g)
    g = L.Add()([L.MultiHeadAttention(2, 8, dropout=0.1)(n, n), g])
    n = L.LayerNormalization(epsilon=1e-6)(g)
    g = L.Add()([mlp(n, (32, 16), 0.1, "silu"), g])
    g = L.Conv2D(12, 1, activation="silu")(L.Reshape((8, 8, 16))(g))
    h = L.Conv2D(16, 3, padding="same", activation="silu")(L.Concatenate()([h, g]))
    return keras.Model(i, L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(h))), pictures(rng)


@net
def io_nerf_mlp(rng):
    """Rays by a small network with one skip, on encoded places; color and density in one tensor."""
    i = keras.Input((32, 27))
    h = i
    for k in range(4):
        h = L.Dense(24, activation="relu")(h)
        if k == 2:
            h = L.Concatenate()([h, i])
    place = rng.uniform(-1, 1, (24, 32, 3))
    parts = [place] + [f(2.0**k * place) for k in range(4) for f in (np.sin, np.cos)]
    return keras.Model(i, L.Dense(4)(h)), np.concatenate(parts, -1).astype("float32")


@net
def io_ocr_crnn(rng):
    """Columns of a picture as steps of two bidirectional LSTMs with dropout; the head of CTC."""
    i = keras.Input((40, 16, 1), name="image")
    h = i
    for f in (8, 12):
        h = L.MaxPooling2D(2)(L.Conv2D(f, 3, padding="same", activation="relu", kernel_initializer="he_normal")(h))
    h = L.Dropout(0.2)(L.Dense(16, activation="relu")(L.Reshape((10, 48))(h)))
    for units in (12, 8):
        h = L.Bidirectional(L.LSTM(units, return_sequences=True, dropout=0.25))(h)
    coarse = rng.random((24, 10, 4, 1)).repeat(4, 1).repeat(4, 2)
    return keras.Model(i, L.Dense(7, activation="softmax")(h)), coarse.astype("float32")


@net
def io_oxford_unet(rng):
    """Xception-like U-Net with residuals on the way down and up."""
    i = keras.Input((32, 32, 3))
    h = before = conv(i, 8, 3, 2)
    for f in (12, 16):
        for _ in range(2):
            h = L.BatchNormalization()(L.SeparableConv2D(f, 3, padding="same")(L.Activation("relu")(h)))
        h = L.MaxPooling2D(3, 2, "same")(h)
        h = before = L.Add()([h, L.Conv2D(f, 1, strides=2, padding="same")(before)])
    for f in (16, 12, 8):
        for _ in range(2):
            h = L.BatchNormalization()(L.Conv2DTranspose(f, 3, padding="same")(L.Activation("relu")(h)))
        g = L.Conv2D(f, 1, padding="same")(L.UpSampling2D(2)(before))
        h = before = L.Add()([L.UpSampling2D(2)(h), g])
    return keras.Model(i, L.Conv2D(3, 3, padding="same", activation="softmax")(h)), pictures(rng)


@net
def io_siamese_triplet(rng):
    """Three pictures through one embedding; the two distances are what a layer of one's own returns."""

    class Distances(L.Layer):
        def call(self, anchor, positive, negative):
            near = K.sum(K.square(anchor - positive), -1, keepdims=True)
            return near, K.sum(K.square(anchor - negative), -1, keepdims=True)

    h = i = keras.Input((32, 32, 3))
    for f in (8, 16):
        h = conv(h, f, 3, 2)
    h = L.BatchNormalization()(L.Dense(24, activation="relu")(L.Flatten()(h)))
    embed = keras.Model(i, L.Dense(8)(h), name="embedding")
    inputs = [keras.Input((32, 32, 3), name=n) for n in ("anchor", "positive", "negative")]
    near, far = Distances()(*[embed(k) for k in inputs])
    return keras.Model(inputs, [near, far]), [pictures(rng) for _ in range(3)]


@net
def io_swin(rng):
    """Windows of patches, rolled in the second block, with a table of relative positions, and patch merging."""
    return on_pictures(32, rng, [
        Patches(4), PatchEncoder(64, 16), SwinBlock(16, 8, 2, 4, 0), SwinBlock(16, 8, 2, 4, 2),
        L.GlobalAveragePooling1D(), L.Dense(5),
    ])  # fmt: skip


class Sampling(L.Layer):
    """Draws from the latent distribution: mean + deviation * noise."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        mean, log_variance = inputs
        noise = keras.random.normal(K.shape(mean), seed=self.seed_generator)
        return mean + K.exp(0.5 * log_variance) * noise * 1e-3


@net
def io_vae_encoder(rng):
    """Mean, log variance and a drawn latent vector; the noise is small, so that files can be compared."""
    i = keras.Input((28, 28, 1))
    h = L.Conv2D(8, 3, 2, "same", activation="relu")(i)
    h = L.Dense(16, activation="relu")(L.Flatten()(L.Conv2D(12, 3, 2, "same", activation="relu")(h)))
    mean, variance = L.Dense(4, name="mean")(h), L.Dense(4, name="log_variance")(h)
    return keras.Model(i, [mean, variance, Sampling(name="drawn")([mean, variance])]), pictures(rng, 28, 1)


@net
def io_vae_decoder(rng):
    h = i = keras.Input((4,))
    h = L.Reshape((7, 7, 12))(L.Dense(7 * 7 * 12, activation="relu")(h))
    for f in (12, 8):
        h = L.Conv2DTranspose(f, 3, strides=2, padding="same", activation="relu")(h)
    y = L.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(h)
    return keras.Model(i, y), rng.normal(size=(24, 4)).astype("float32")


@net
def io_vit(rng):
    """Patches by `ops.image.extract_patches`, embedded positions, and blocks of Keras' attention."""
    i = keras.Input((32, 32, 3))
    h = PatchEncoder(16, 16)(Patches(8)(i))
    for _ in range(2):
        n = L.LayerNormalization(epsilon=1e-6)(h)
        h = L.Add()([L.MultiHeadAttention(2, 16, dropout=0.1)(n, n), h])
        h = L.Add()([mlp(L.LayerNormalization(epsilon=1e-6)(h), (32, 16), 0.1, "gelu"), h])
    h = L.Dropout(0.5)(L.Flatten()(L.LayerNormalization(epsilon=1e-6)(h)))
    return keras.Model(i, L.Dense(5)(mlp(h, (32, 16), 0.5, "gelu"))), pictures(rng)


@net
def io_zero_dce(rng):
    """Curves of light: eight rounds of x + r * (x ** 2 - x) inside a subclassed model."""

    class ZeroDCE(keras.Model):
        def __init__(self, curves, **options):
            super().__init__(**options)
            self.curves = curves

        def call(self, x):
            r = self.curves(x)
            for part in K.split(r, 8, axis=-1):
                x = x + part * (K.square(x) - x)
            return x

    i = keras.Input((24, 24, 3))
    a = L.Conv2D(8, 3, padding="same", activation="relu")(i)
    b = L.Conv2D(8, 3, padding="same", activation="relu")(a)
    c = L.Conv2D(8, 3, padding="same", activation="relu")(L.Concatenate()([a, b]))
    curves = keras.Model(i, L.Conv2D(24, 3, padding="same", activation="tanh")(L.Concatenate()([a, c])))
    model, x = ZeroDCE(curves), pictures(rng, 24)
    model(x[:1])
    return model, x
