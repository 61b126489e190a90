"""Models whose channels can be cut, one for each way channels travel; with random BatchNorm statistics."""

import keras
import numpy as np

L = keras.layers


def shaken(model, seed=0):
    """The model with every weight drawn at random, so that no equality holds by chance."""
    rng = np.random.default_rng(seed)
    for v in model.variables:
        if v.dtype != "float32":
            continue
        low, high = (0.5, 1.5) if "variance" in v.path or "gamma" in v.path else (-0.5, 0.5)
        v.assign(rng.uniform(low, high, v.shape))
    return model


def _conv(x, n, k=3, **kwargs):
    return L.ReLU()(L.BatchNormalization()(L.Conv2D(n, k, padding="same", **kwargs)(x)))


def chain():
    x = inputs = keras.Input((8, 8, 3))
    x = _conv(_conv(x, 6), 8)
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def flattened():
    x = inputs = keras.Input((8, 8, 3))
    x = L.MaxPooling2D()(_conv(x, 6))
    x = L.Dense(10, activation="relu")(L.Flatten()(x))
    return keras.Model(inputs, L.Dense(4)(L.BatchNormalization()(x)))


def residual():
    x = inputs = keras.Input((8, 8, 3))
    x = _conv(x, 8)
    y = L.Conv2D(8, 3, padding="same")(_conv(x, 6))
    x = L.ReLU()(L.Add()([x, L.BatchNormalization()(y)]))
    y = _conv(x, 8)
    x = x + y
    return keras.Model(inputs, L.Dense(4)(L.GlobalMaxPooling2D()(x)))


def concatenated():
    x = inputs = keras.Input((8, 8, 3))
    a, b = _conv(x, 4), _conv(x, 6)
    x = L.Concatenate()([a, b, inputs])
    x = keras.ops.concatenate([_conv(x, 4), x], axis=-1)
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(L.AveragePooling2D(2)(x))))


def depthwise():
    x = inputs = keras.Input((8, 8, 3))
    x = _conv(x, 6)
    x = L.BatchNormalization()(L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x))
    x = L.DepthwiseConv2D(3, strides=2)(L.ReLU(6.0)(x))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(_conv(x, 6, 1))))


def squeeze_excite():
    x = inputs = keras.Input((8, 8, 3))
    x = _conv(x, 8)
    s = L.Reshape((1, 1, 8))(L.GlobalAveragePooling2D()(x))
    s = L.Conv2D(8, 1, activation="sigmoid")(L.Conv2D(4, 1, activation="silu")(s))
    x = L.Multiply()([x, s])
    t = keras.ops.mean(x, axis=[1, 2], keepdims=True)
    x = x * keras.ops.sigmoid(L.Conv2D(8, 1)(t))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def spatial_gate():
    x = inputs = keras.Input((8, 8, 3))
    x = _conv(x, 8)
    x = x * L.Conv2D(1, 1, activation="sigmoid")(x)
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(_conv(x, 4))))


def shared():
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    first, second, norm = L.Conv2D(6, 3), L.Conv2D(6, 3), L.BatchNormalization()
    ends = [L.GlobalAveragePooling2D()(second(norm(first(x)))) for x in (a, b)]
    return keras.Model([a, b], [L.Dense(4)(L.Concatenate()(ends)), L.Dense(2)(ends[0])])


def nested():
    body = keras.Sequential([keras.Input((8, 8, 4)), L.Conv2D(6, 3, name="c"), L.ReLU(), L.Conv2D(4, 1, name="e")])
    x = inputs = keras.Input((8, 8, 3))
    x = body(L.Conv2D(4, 1, name="c")(x))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def one_dimensional():
    x = inputs = keras.Input((16, 3))
    x = L.LeakyReLU()(L.BatchNormalization()(L.Conv1D(6, 3)(x)))
    x = L.SeparableConv1D(8, 3, depth_multiplier=2)(L.MaxPooling1D()(x))
    x = L.Conv1DTranspose(6, 3, strides=2)(x)
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(L.Conv1D(4, 1)(x))))


def three_dimensional():
    x = inputs = keras.Input((6, 6, 6, 2))
    x = L.BatchNormalization()(L.Conv3D(6, 3, activation="elu")(x))
    x = L.Conv3DTranspose(4, 2)(L.Conv3D(4, 1)(x))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling3D()(x)))


def transposed():
    x = inputs = keras.Input((6, 6, 3))
    x = L.PReLU()(L.Conv2DTranspose(6, 3, strides=2)(x))
    x = L.PReLU(shared_axes=[1, 2])(L.SeparableConv2D(8, 3, depth_multiplier=2)(L.UpSampling2D()(x)))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def grouped():
    x = inputs = keras.Input((8, 8, 4))
    x = L.BatchNormalization()(L.Conv2D(8, 3, groups=4)(_conv(x, 8)))
    x = L.Conv2D(12, 1, groups=2)(L.ReLU()(x))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def recurrent():
    x = inputs = keras.Input((5, 6))
    x = L.TimeDistributed(L.Dense(6, activation="relu"))(x)
    x = L.LSTM(8, return_sequences=True)(x)
    x = L.Bidirectional(L.GRU(6, return_sequences=True))(x)
    x = L.GRU(6, reset_after=False, return_sequences=True)(x)
    x = L.SimpleRNN(8)(x)
    return keras.Model(inputs, L.Dense(4)(x))


def attention():
    x = inputs = keras.Input((5, 8))
    x = L.Dense(8, activation="relu")(x)
    x = x + L.MultiHeadAttention(4, 3)(x, x)
    y = L.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d")(x)
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling1D()(y)))


def transformer():
    x = inputs = keras.Input((5,), dtype="int32")
    x = L.Embedding(11, 8)(x)
    x = L.LayerNormalization()(x + L.MultiHeadAttention(4, 2)(x, x, use_causal_mask=True))
    x = L.LayerNormalization()(x + L.Dense(8)(L.Dense(16, activation="gelu")(x)))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling1D()(x)))


def embedding():
    x = inputs = keras.Input((5,), dtype="int32")
    x = L.SpatialDropout1D(0.3)(L.Embedding(11, 8)(x))
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(L.Dense(6, activation="tanh")(x))))


def moved():
    x = inputs = keras.Input((4, 4, 3))
    x = L.Permute((3, 1, 2))(_conv(x, 6))
    x = keras.ops.transpose(x, (0, 2, 3, 1))
    x = L.RepeatVector(2)(L.Flatten()(x[:, 1:]))
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(x)))


ALL = {
    f.__name__: f
    for f in (
        chain, flattened, residual, concatenated, depthwise, squeeze_excite, spatial_gate, shared, nested,
        one_dimensional, three_dimensional, transposed, grouped, recurrent, attention, transformer, embedding, moved,
    )
}  # fmt: skip


def batch(model, n=3, seed=1):
    """Inputs for a model, in the order of its call."""
    rng = np.random.default_rng(seed)
    made = []
    for x in keras.tree.flatten(model.inputs):
        shape = (n, *x.shape[1:])
        made.append(rng.integers(0, 11, shape) if "int" in x.dtype else rng.normal(size=shape).astype("float32"))
    return made if len(made) > 1 else made[0]


def some(channels, share=0.5, seed=0):
    """A share of the groups of every operation that makes channels, drawn at random."""
    rng, dead = np.random.default_rng(seed), set()
    for made in channels.made_by().values():
        own = [int(x) for x in np.unique(made[made != 0]) if int(x) not in dead]
        free = len(own) - 1  # one stays in any case
        dead.update(rng.permutation(own)[: min(free, int(share * len(own)))].tolist())
    return np.array(sorted(dead), int)


def gap(a, b):
    """Largest difference of outputs, relative to the largest value."""
    pairs = zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True)
    return max(float(np.abs(np.subtract(p, q)).max() / np.abs(q).max()) for p, q in pairs)
