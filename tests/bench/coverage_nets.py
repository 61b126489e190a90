"""The nets of `coverage.py`: small ones of the kinds that people build, random weights and statistics."""

import keras
import numpy as np
from keras import layers as L
from keras import ops as K

NETS = {}


def net(function):
    """Registers a function `(rng) -> (model, calibration inputs)` under its name."""
    NETS[function.__name__] = function
    return function


def pictures(rng, side=32, channels=3, count=24):
    """Smooth pictures of 0..1."""
    coarse = rng.random((count, 8, 8, channels))
    at = np.arange(side) * 8 // side
    return np.clip(coarse[:, at][:, :, at] + rng.normal(0, 0.05, (count, side, side, channels)), 0, 1).astype("float32")


def sequences(rng, steps=24, width=8, count=24):
    """Correlated sequences around 0."""
    return np.cumsum(rng.normal(0, 0.3, (count, steps, width)), axis=1).astype("float32")


def conv(h, filters, size=3, strides=1, act="relu", **options):
    """Convolution, BatchNormalization, activation."""
    h = L.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, **options)(h)
    h = L.BatchNormalization()(h)
    return L.Activation(act)(h) if act else h


@net
def mnist_cnn(rng):
    x = pictures(rng, 28, 1)
    layers = [L.Conv2D(12, 3, activation="relu"), L.MaxPooling2D(), L.Dropout(0.2), L.Flatten(), L.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), *layers]), x


@net
def vgg(rng):
    i = keras.Input((32, 32, 3))
    h = i
    for f in (8, 16, 24):
        h = L.MaxPooling2D()(L.Conv2D(f, 3, padding="same", activation="relu")(h))
    return keras.Model(i, L.Dense(10, activation="softmax")(L.Dense(32, activation="relu")(L.Flatten()(h)))), pictures(
        rng
    )


def _residual(h, f, s, act="relu"):
    g = conv(conv(h, f, 3, s, act), f, 3, 1, None)
    if s > 1 or h.shape[-1] != f:
        h = conv(h, f, 1, s, None)
    return L.Activation(act)(L.Add()([g, h]))


@net
def resnet(rng):
    i = keras.Input((32, 32, 3))
    h = conv(i, 8)
    for f, s in ((8, 1), (16, 2), (24, 2)):
        h = _residual(h, f, s)
    return keras.Model(i, L.Dense(10)(L.GlobalAveragePooling2D()(h))), pictures(rng)


@net
def resnet_v2(rng):
    i = keras.Input((32, 32, 3))
    h = L.Conv2D(8, 3, padding="same")(i)
    for f, s in ((8, 1), (16, 2), (24, 2)):
        p = L.ReLU()(L.BatchNormalization()(h))
        g = L.Conv2D(f, 3, padding="same")(conv(L.Conv2D(f, 1, strides=s)(p), f))
        h = L.Add()([g, L.Conv2D(f, 1, strides=s)(p)])
    h = L.ReLU()(L.BatchNormalization()(h))
    return keras.Model(i, L.Dense(10)(L.GlobalAveragePooling2D()(h))), pictures(rng)


@net
def mobilenet_v1(rng):
    i = keras.Input((32, 32, 3))
    h = conv(i, 8, 3, 2, "relu6")
    for f, s in ((16, 1), (24, 2), (32, 1)):
        h = L.ReLU(6.0)(L.BatchNormalization()(L.DepthwiseConv2D(3, s, "same", use_bias=False)(h)))
        h = conv(h, f, 1, 1, "relu6")
    return keras.Model(i, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(h))), pictures(rng)


def _application(name, side=48, **options):
    def build(rng):
        model = getattr(keras.applications, name)(
            weights=None, input_shape=(side, side, 3), classes=10, classifier_activation=None, **options
        )
        return model, pictures(rng, side) * 255.0

    build.__name__ = name
    return net(build)


_application("MobileNetV2", alpha=0.35)
_application("MobileNetV3Small", alpha=0.75)
_application("EfficientNetB0")


@net
def squeeze_excite_silu(rng):
    i = keras.Input((24, 24, 3))
    h = conv(i, 16, 3, 2, "silu")
    for _ in range(2):
        g = conv(h, 32, 1, 1, "silu")
        g = L.Activation("silu")(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same", use_bias=False)(g)))
        s = L.GlobalAveragePooling2D(keepdims=True)(g)
        s = L.Conv2D(32, 1, activation="sigmoid")(L.Conv2D(8, 1, activation="silu")(s))
        h = L.Add()([h, conv(L.Multiply()([g, s]), 16, 1, 1, None)])
    return keras.Model(i, L.Dense(10)(L.GlobalAveragePooling2D()(h))), pictures(rng, 24)


@net
def densenet(rng):
    i = keras.Input((32, 32, 3))
    h = L.Conv2D(8, 3, padding="same")(i)
    for _ in range(2):
        for _ in range(2):
            g = L.Conv2D(8, 3, padding="same")(L.ReLU()(L.BatchNormalization()(h)))
            h = L.Concatenate()([h, g])
        h = L.AveragePooling2D(2)(L.Conv2D(12, 1)(L.ReLU()(L.BatchNormalization()(h))))
    return keras.Model(i, L.Dense(10)(L.GlobalAveragePooling2D()(h))), pictures(rng)


@net
def inception(rng):
    i = keras.Input((32, 32, 3))
    h = conv(i, 8, 3, 2)
    for _ in range(2):
        p = L.AveragePooling2D(3, 1, "same")(h)
        h = L.Concatenate()([conv(h, 8, 1), conv(conv(h, 6, 1), 8), conv(p, 8, 1)])
    return keras.Model(i, L.Dense(10)(L.GlobalMaxPooling2D()(h))), pictures(rng)


@net
def xception(rng):
    i = keras.Input((32, 32, 3))
    h = conv(i, 8, 3, 2)
    for f in (16, 24):
        g = L.BatchNormalization()(L.SeparableConv2D(f, 3, padding="same", use_bias=False)(L.ReLU()(h)))
        h = L.Add()([L.MaxPooling2D(3, 2, "same")(g), conv(h, f, 1, 2, None)])
    return keras.Model(i, L.Dense(10, activation="softmax")(L.GlobalAveragePooling2D()(h))), pictures(rng)


@net
def convmixer(rng):
    i = keras.Input((32, 32, 3))
    h = L.BatchNormalization()(L.Activation("gelu")(L.Conv2D(16, 4, strides=4)(i)))
    for _ in range(2):
        g = L.BatchNormalization()(L.Activation("gelu")(L.DepthwiseConv2D(5, padding="same")(h)))
        h = L.BatchNormalization()(L.Activation("gelu")(L.Conv2D(16, 1)(L.Add()([g, h]))))
    return keras.Model(i, L.Dense(10)(L.GlobalAveragePooling2D()(h))), pictures(rng)


@net
def unet(rng):
    i = keras.Input((32, 32, 3))
    a = conv(i, 8)
    b = conv(L.MaxPooling2D()(a), 16)
    c = conv(L.MaxPooling2D()(b), 24)
    h = conv(L.Concatenate()([L.UpSampling2D()(c), b]), 16)
    h = conv(L.Concatenate()([L.Conv2DTranspose(8, 3, 2, "same")(h), a]), 8)
    return keras.Model(i, L.Conv2D(3, 1, activation="softmax")(h)), pictures(rng)


@net
def deeplab(rng):
    i = keras.Input((32, 32, 3))
    h = conv(conv(i, 12, 3, 2), 16, 3, 2)
    low = conv(i, 6, 3, 2)
    pooled = conv(L.GlobalAveragePooling2D(keepdims=True)(h), 12, 1)
    parts = [conv(h, 12, 1), *(conv(h, 12, 3, dilation_rate=r) for r in (2, 4))]
    parts.append(L.UpSampling2D(8, interpolation="bilinear")(pooled))
    h = conv(L.Concatenate()(parts), 16, 1)
    h = L.Concatenate()([L.UpSampling2D(2, interpolation="bilinear")(h), low])
    h = L.UpSampling2D(2, interpolation="bilinear")(L.Conv2D(5, 1)(conv(h, 16)))
    return keras.Model(i, h), pictures(rng)


@net
def super_resolution(rng):
    i = keras.Input((24, 24, 1))
    h = L.Conv2D(16, 5, padding="same", activation="tanh")(i)
    h = L.Conv2D(4, 3, padding="same")(L.Conv2D(16, 3, padding="same", activation="tanh")(h))
    h = K.reshape(K.transpose(K.reshape(h, (-1, 24, 24, 2, 2)), (0, 1, 3, 2, 4)), (-1, 48, 48, 1))
    return keras.Model(i, h), pictures(rng, 24, 1)


@net
def low_light(rng):
    i = keras.Input((24, 24, 3))
    a = L.Conv2D(8, 3, padding="same", activation="relu")(i)
    b = L.Conv2D(8, 3, padding="same", activation="relu")(a)
    r = L.Conv2D(6, 3, padding="same", activation="tanh")(L.Concatenate()([a, b]))
    h = i
    for k in (0, 3):
        c = r[..., k : k + 3]
        h = h + c * (K.square(h) - h)
    return keras.Model(i, h), pictures(rng, 24)


@net
def autoencoder(rng):
    i = keras.Input((28, 28, 1))
    h = L.Conv2D(8, 3, 2, "same", activation="relu")(i)
    h = L.Conv2D(12, 3, 2, "same", activation="relu")(h)
    h = L.Conv2DTranspose(8, 3, 2, "same", activation="relu")(h)
    h = L.Conv2DTranspose(8, 3, 2, "same", activation="relu")(h)
    return keras.Model(i, L.Conv2D(1, 3, padding="same", activation="sigmoid")(h)), pictures(rng, 28, 1)


@net
def decoder(rng):
    i = keras.Input((8,))
    h = L.Reshape((7, 7, 8))(L.Dense(392, activation="relu")(i))
    h = L.Conv2DTranspose(16, 3, 2, "same", activation="relu")(h)
    h = L.Conv2DTranspose(8, 3, 2, "same", activation="relu")(h)
    return keras.Model(i, L.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(h)), rng.normal(
        size=(24, 8)
    ).astype("float32")


@net
def detector(rng):
    i = keras.Input((32, 32, 3))
    h = conv(conv(i, 12, 3, 2), 16, 3, 2)
    boxes = L.Reshape((-1, 4), name="boxes")(L.Conv2D(8, 3, padding="same")(h))
    scores = L.Reshape((-1, 5))(L.Conv2D(10, 3, padding="same")(h))
    return keras.Model(i, [boxes, L.Activation("sigmoid", name="scores")(scores)]), pictures(rng)


@net
def keypoints(rng):
    i = keras.Input((32, 32, 3))
    h = L.SeparableConv2D(12, 5, 2, activation="relu")(conv(i, 8, 3, 2))
    return keras.Model(i, L.SeparableConv2D(6, 3, 1, activation="sigmoid")(h)), pictures(rng)


@net
def keyword_spotting(rng):
    i = keras.Input((49, 10, 1))
    h = conv(i, 16, (10, 4), 2)
    for _ in range(2):
        h = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(h)))
        h = conv(h, 16, 1)
    h = L.Flatten()(L.AveragePooling2D((25, 5))(L.Dropout(0.4)(h)))
    x = sequences(rng, 49, 10)[..., None]
    return keras.Model(i, L.Dense(12, activation="softmax")(h)), x


@net
def wavenet(rng):
    i = keras.Input((64, 4))
    h, skips = L.Conv1D(8, 1)(i), []
    for d in (1, 2, 4):
        g = L.Multiply()(
            [
                L.Conv1D(8, 2, padding="causal", dilation_rate=d, activation="tanh")(h),
                L.Conv1D(8, 2, padding="causal", dilation_rate=d, activation="sigmoid")(h),
            ]
        )
        g = L.Conv1D(8, 1)(g)
        skips.append(g)
        h = L.Add()([h, g])
    h = L.Conv1D(5, 1)(L.ReLU()(L.Add()(skips)))
    return keras.Model(i, L.Softmax()(h)), sequences(rng, 64, 4)


@net
def speaker_resnet(rng):
    i = keras.Input((64, 2))
    h = i
    for f in (8, 16):
        s = L.Conv1D(f, 1, padding="same")(h)
        for _ in range(2):
            h = L.Conv1D(f, 3, padding="same", activation="relu")(h)
        h = L.MaxPooling1D()(L.Activation("relu")(L.Add()([L.Conv1D(f, 3, padding="same")(h), s])))
    h = L.Dense(16, activation="relu")(L.Flatten()(L.AveragePooling1D(3, 3)(h)))
    return keras.Model(i, L.Dense(5, activation="softmax")(h)), sequences(rng, 64, 2)


@net
def pointnet(rng):
    i = keras.Input((48, 3))
    h = i
    for f in (16, 24):
        h = L.Activation("relu")(L.BatchNormalization()(L.Conv1D(f, 1)(h)))
    h = L.Dense(16, activation="relu")(L.GlobalMaxPooling1D()(h))
    return keras.Model(i, L.Dense(6, activation="softmax")(h)), rng.normal(size=(24, 48, 3)).astype("float32")


@net
def metric_learning(rng):
    i = keras.Input((24, 24, 3))
    h = L.Conv2D(12, 3, 2, activation="relu")(L.Conv2D(8, 3, 2, activation="relu")(i))
    h = L.UnitNormalization()(L.Dense(8)(L.GlobalAveragePooling2D()(h)))
    return keras.Model(i, h), pictures(rng, 24)


@net
def siamese(rng):
    a, b = keras.Input((24, 24, 1), name="left"), keras.Input((24, 24, 1), name="right")
    shared = keras.Sequential(
        [keras.Input((24, 24, 1)), L.Conv2D(8, 3, 2, activation="tanh"), L.AveragePooling2D(2), L.Flatten(), L.Dense(8)]
    )
    d = L.Subtract()([shared(a), shared(b)])
    y = L.Dense(1, activation="sigmoid")(L.BatchNormalization()(L.Multiply()([d, d])))
    return keras.Model([a, b], y), [pictures(rng, 24, 1), pictures(rng, 24, 1)]


@net
def wide_and_deep(rng):
    number, kind = keras.Input((6,), name="numbers"), keras.Input((3,), dtype="int32", name="kinds")
    deep = L.Concatenate()([number, L.Flatten()(L.Embedding(20, 4)(kind))])
    h = L.Dense(16, activation="relu")(L.BatchNormalization()(L.Dense(16)(deep)))
    y = L.Dense(1, activation="sigmoid")(L.Concatenate()([h, L.Dense(8)(number)]))
    x = {"numbers": rng.normal(size=(32, 6)).astype("float32"), "kinds": rng.integers(0, 20, (32, 3)).astype("int32")}
    return keras.Model({"numbers": number, "kinds": kind}, y), x


@net
def tabular(rng):
    x = (rng.normal(size=(64, 10)) * 3 + 1).astype("float32")
    norm = L.Normalization()
    norm.adapt(x)
    layers = [norm, L.Dense(32, activation="relu"), L.Dropout(0.3), L.Dense(16, activation="relu"), L.Dense(3)]
    return keras.Sequential([keras.Input((10,)), *layers]), x


@net
def text_cnn(rng):
    i = keras.Input((30,), dtype="int32")
    h = L.Embedding(60, 12)(i)
    h = L.Conv1D(16, 5, padding="valid", activation="relu")(h)
    h = L.GlobalMaxPooling1D()(h)
    return keras.Model(i, L.Dense(1, activation="sigmoid")(h)), rng.integers(0, 60, (32, 30)).astype("int32")


@net
def text_mean_masked(rng):
    i = keras.Input((12,), dtype="int32")
    h = L.GlobalAveragePooling1D()(L.Embedding(50, 8, mask_zero=True)(i))
    x = rng.integers(1, 50, (32, 12)).astype("int32")
    x[:, 8:] = 0
    return keras.Model(i, L.Dense(3)(h)), x


@net
def lstm(rng):
    layers = [L.LSTM(12), L.Dense(4, activation="softmax")]
    return keras.Sequential([keras.Input((10, 6)), *layers]), sequences(rng, 10, 6)


@net
def gru_dropout(rng):
    return keras.Sequential([keras.Input((8, 6)), L.GRU(10, dropout=0.2), L.Dense(2)]), sequences(rng, 8, 6)


@net
def bidirectional(rng):
    layers = [L.Bidirectional(L.LSTM(6)), L.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((8, 6)), *layers]), sequences(rng, 8, 6)


@net
def encoder_block(rng):
    i = keras.Input((16, 16))
    h = L.LayerNormalization()(L.Add()([i, L.MultiHeadAttention(2, 8)(i, i)]))
    g = L.Dense(16)(L.Dense(32, activation="gelu")(h))
    h = L.LayerNormalization()(L.Add()([h, g]))
    return keras.Model(i, L.Dense(4)(L.GlobalAveragePooling1D()(h))), sequences(rng, 16, 16)


@net
def causal_decoder(rng):
    i = keras.Input((16, 16))
    h = L.Add()([i, L.MultiHeadAttention(2, 8)(i, i, use_causal_mask=True)])
    h = L.Dense(16, activation="relu")(L.LayerNormalization()(h))
    return keras.Model(i, L.Dense(6)(h)), sequences(rng, 16, 16)


@net
def mixer(rng):
    i = keras.Input((16, 12))
    h = L.LayerNormalization()(i)
    g = L.Permute((2, 1))(h)
    g = L.Permute((2, 1))(L.Dense(16)(L.Dense(24, activation="gelu")(g)))
    h = L.Add()([i, g])
    h = L.Add()([h, L.Dense(12)(L.Dense(24, activation="gelu")(L.LayerNormalization()(h)))])
    return keras.Model(i, L.Dense(5)(L.GlobalAveragePooling1D()(h))), sequences(rng, 16, 12)


@net
def segmentation_argmax(rng):
    i = keras.Input((24, 24, 3))
    return keras.Model(i, K.argmax(L.Conv2D(5, 1)(conv(i, 8)), axis=-1)), pictures(rng, 24)


@net
def uint8_pictures(rng):
    i = keras.Input((24, 24, 3), dtype="uint8")
    h = L.Conv2D(8, 3, 2, activation="relu")(L.Rescaling(1 / 255.0)(i))
    return keras.Model(i, L.Dense(4)(L.GlobalAveragePooling2D()(h))), (pictures(rng, 24) * 255).astype("uint8")


@net
def video_conv3d(rng):
    i = keras.Input((8, 16, 16, 1))
    h = L.MaxPooling3D()(L.Conv3D(6, 3, activation="relu")(i))
    x = pictures(rng, 16, 8, 12).transpose(0, 3, 1, 2)[..., None]
    return keras.Model(i, L.Dense(3)(L.GlobalAveragePooling3D()(h))), np.ascontiguousarray(x)


def _hub(name, build, side=32):
    """A convolutional backbone of KerasHub, where it is installed."""

    def make(rng):
        import keras_hub.models as hub

        return build(hub), pictures(rng, side)

    make.__name__ = name
    net(make)


_hub(
    "hub_resnet",
    lambda hub: hub.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block", image_shape=(32, 32, 3),
    ),
)  # fmt: skip
_hub(
    "hub_vgg",
    lambda hub: hub.VGGBackbone(
        stackwise_num_repeats=[1, 1], stackwise_num_filters=[8, 16], image_shape=(32, 32, 3)
    ),
)  # fmt: skip
_hub(
    "hub_densenet",
    lambda hub: hub.DenseNetBackbone(stackwise_num_repeats=[2, 2], growth_rate=8, image_shape=(32, 32, 3)),
)
_hub(
    "hub_cspnet",
    lambda hub: hub.CSPNetBackbone(
        stem_filters=8, stem_kernel_size=3, stem_strides=2, stackwise_depth=[1, 1], stackwise_strides=[1, 2],
        stackwise_num_filters=[16, 24], block_type="edge_block", stage_type="dark", image_shape=(32, 32, 3),
    ),
)  # fmt: skip
# composite layers: no raw error of TensorFlow may come from them either


@net
def composite_class_token(rng):
    class Embed(L.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.proj = L.Conv2D(8, 4, strides=4)

        def build(self, shape):
            self.token = self.add_weight(shape=(1, 1, 8), name="token", initializer="random_normal")
            self.proj.build(shape)

        def call(self, x):
            p = self.proj(x)
            p = K.reshape(p, (-1, p.shape[1] * p.shape[2], p.shape[3]))
            token = K.broadcast_to(self.token, (K.shape(p)[0], 1, 8))
            return K.concatenate([token, p], axis=1)

        def compute_output_shape(self, shape):
            return (shape[0], (shape[1] // 4) * (shape[2] // 4) + 1, 8)

    i = keras.Input((16, 16, 3))
    return keras.Model(i, L.Dense(3)(L.GlobalAveragePooling1D()(Embed()(i)))), pictures(rng, 16)


@net
def composite_block(rng):
    class Block(L.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.norm, self.dense = L.LayerNormalization(), L.Dense(12)

        def call(self, x):
            return self.norm(x + self.dense(x))

    i = keras.Input((10, 12))
    return keras.Model(i, L.Dense(3)(Block()(i))), sequences(rng, 10, 12)


@net
def composite_fft(rng):
    class Spectrum(L.Layer):
        def call(self, x):
            return K.fft((x, K.zeros_like(x)))[0]

    i = keras.Input((10, 12))
    return keras.Model(i, L.Dense(3)(Spectrum()(i))), sequences(rng, 10, 12)
