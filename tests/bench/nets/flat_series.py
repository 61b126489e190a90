"""Nets of sequences, text, points and tables built from Keras layers alone."""

import keras
from keras import layers as L

from nets.common import conv, net, sequences


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
