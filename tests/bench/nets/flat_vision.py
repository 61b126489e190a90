"""Nets of pictures built from Keras layers alone, without layers of their own."""

import keras
import numpy as np
from keras import layers as L
from keras import ops as K

from nets.common import conv, net, pictures


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
