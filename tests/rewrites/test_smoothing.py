"""Smoothing: the float model stays, ranges behind normalizations follow the formula of SmoothQuant."""

import keras
import numpy as np
import pytest

from tfcompress.graph.clone import copied
from tfcompress.graph.flat.flatten import flat
from tfcompress.rewrites.equalization import equalized

L = keras.layers
NORMS = {
    "LayerNormalization": lambda: L.LayerNormalization(name="norm"),
    "LayerNormalization without beta": lambda: L.LayerNormalization(center=False, name="norm"),
    "LayerNormalization of all": lambda: L.LayerNormalization(axis=[1, 2], name="norm"),
    "RMSNormalization": lambda: L.RMSNormalization(name="norm"),
    "GroupNormalization": lambda: L.GroupNormalization(2, name="norm"),
    "BatchNormalization": lambda: L.BatchNormalization(name="norm"),
}
READERS = {
    "Dense": (lambda: L.Dense(5, name="reader"), (6, 8)),
    "EinsumDense": (lambda: L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d", name="reader"), (6, 8)),
    "heads": (lambda: L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", name="reader"), (6, 8)),
    "heads in front": (lambda: L.EinsumDense("abc,dce->adbe", (2, None, 3), name="reader"), (6, 8)),
    "Conv1D": (lambda: L.Conv1D(5, 3, padding="causal", name="reader"), (6, 8)),
    "Conv2D": (lambda: L.Conv2D(5, 3, padding="same", activation="tanh", name="reader"), (6, 6, 8)),
    "groups": (lambda: L.Conv2D(6, 3, padding="same", groups=2, name="reader"), (6, 6, 8)),
    "transposed": (lambda: L.Conv2DTranspose(5, 3, strides=2, name="reader"), (6, 6, 8)),
    "depthwise": (lambda: L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="reader"), (6, 6, 8)),
    "separable": (lambda: L.SeparableConv2D(5, 3, padding="same", name="reader"), (6, 6, 8)),
    "LSTM": (lambda: L.LSTM(3, name="reader"), (6, 8)),
    "GRU": (lambda: L.GRU(3, return_sequences=True, name="reader"), (6, 8)),
    "Bidirectional": (lambda: L.Bidirectional(L.SimpleRNN(3), name="reader"), (6, 8)),
    "TimeDistributed": (lambda: L.TimeDistributed(L.Dense(3), name="reader"), (6, 8)),
}


def attention(kind=L.MultiHeadAttention, *sizes, **options):
    layer = kind(*(sizes or (2, 4)), name="reader", **options)
    return lambda x: layer(x, x)


def shaken(model, seed=0, size=30.0):
    """The model with random gammas and betas, two channels of which are outliers."""
    rng = np.random.default_rng(seed)
    for v in model.variables:
        if v.name in ("gamma", "scale", "moving_variance"):
            value = rng.uniform(0.5, 1.5, v.shape)
            value[..., [1, 6]] *= size if "var" not in v.name else 1
            v.assign(value)
        elif v.name in ("beta", "bias", "moving_mean"):
            v.assign(rng.normal(0, 0.3, v.shape))
    return model


def samples(model, count=32):
    return [
        np.random.default_rng(k).normal(size=(count, *i.shape[1:])).astype("float32")
        for k, i in enumerate(model.inputs)
    ]


def smoothed(model, alpha=0.5, may=lambda op: True):
    """The smoothed model, after its outputs were compared, and the rows about normalizations by layer."""
    x = samples(model)
    made, rows = equalized(copied(model)[0], may, alpha=alpha, x=x)
    before, after = (keras.tree.flatten(m(x if len(x) > 1 else x[0], training=False)) for m in (model, made))
    for a, b in zip(before, after, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.abs(a).max() > 1e-3 and np.abs(a - b).max() <= 1e-5 * np.abs(a).max()
    return made, {row.layer: row for row in rows if row.is_left or row.what.startswith("smoothed")}


def output_of(model, name, x):
    return np.asarray(keras.Model(model.inputs[0], model.get_layer(name).output)(x, training=False))


def readers_of(row):
    return set(row.what.removeprefix("smoothed with ").split(";")[0].split(", "))


def ratio(y):
    ranges = np.abs(y.reshape(-1, y.shape[-1])).max(axis=0)
    return ranges.max() / ranges.min()


@pytest.mark.needs_keras("layers.RMSNormalization", rows=["RMSNormalization"])
@pytest.mark.parametrize("norm", NORMS)
def test_the_model_stays_and_outliers_shrink_behind_each_normalization(norm):
    model = shaken(keras.Sequential([keras.Input((6, 8)), NORMS[norm](), L.Dense(5, name="reader")]))
    made, rows = smoothed(model)
    (x,) = samples(model)
    before, after = (ratio(output_of(m, "norm", x)) for m in (model, made))
    assert before > 20 and after < before / 3
    assert rows["norm"].before == pytest.approx(before, abs=0.01) and rows["norm"].after == pytest.approx(
        after, abs=0.01
    )


@pytest.mark.parametrize(("reader", "shape"), READERS.values(), ids=READERS)
def test_the_model_stays_with_each_layer_that_reads_by_kernels(reader, shape):
    model = shaken(keras.Sequential([keras.Input(shape), L.LayerNormalization(name="norm"), reader()]))
    made, rows = smoothed(model)
    assert rows["norm"].what.startswith("smoothed with reader")
    (x,) = samples(model)
    assert ratio(output_of(made, "norm", x)) < 0.5 * ratio(output_of(model, "norm", x))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_the_factors_follow_the_formula(alpha):
    model = shaken(
        keras.Sequential([keras.Input((6, 8)), L.LayerNormalization(name="norm"), L.Dense(5, name="reader")])
    )
    (x,) = samples(model)
    largest = np.abs(output_of(model, "norm", x)).max(axis=(0, 1))
    kernel, gamma = np.array(model.get_layer("reader").kernel), np.array(model.get_layer("norm").gamma)
    s = largest**alpha / np.abs(kernel).max(axis=1) ** (1 - alpha)
    made, _ = smoothed(model, alpha)
    np.testing.assert_allclose(made.get_layer("reader").kernel, kernel * s[:, None], rtol=1e-5)
    np.testing.assert_allclose(made.get_layer("norm").gamma, gamma / s, rtol=1e-5)


@pytest.mark.parametrize(
    "reader",
    [
        lambda: attention(),
        lambda: attention(use_bias=False, dropout=0.2),
        lambda: attention(value_dim=3, output_shape=5),
        lambda: attention(L.GroupQueryAttention, 4, 4, 2),
    ],
)
def test_query_key_and_value_of_attention_take_the_factors(reader):
    i = keras.Input((6, 8))
    model = shaken(keras.Model(i, reader()(L.LayerNormalization(name="norm")(i))))
    made, rows = smoothed(model)
    assert rows["norm"].after < rows["norm"].before / 3
    for old, new in zip(model.get_layer("reader").weights, made.get_layer("reader").weights, strict=True):
        # only what reads the normalization changes
        reads = any(name in new.path for name in ("query", "key", "value")) and "kernel" in new.path
        assert np.allclose(old, new) != reads, new.path


def test_a_frozen_part_of_attention_stays_frozen():
    i = keras.Input((6, 8))
    model = shaken(keras.Model(i, attention()(L.LayerNormalization(name="norm")(i))))
    model.get_layer("reader").key_dense.trainable = False
    made, _ = smoothed(model)
    assert [v.path.split("/")[-2] for v in made.get_layer("reader").non_trainable_weights] == ["key", "key"]
    assert len(made.get_layer("reader").trainable_weights) == 6


def test_a_transformer_block_is_smoothed_in_front_of_attention_and_mlp():
    x = i = keras.Input((6, 8))
    y = attention()(L.LayerNormalization(name="first")(x))
    x = L.Add(name="sum")([x, y])
    y = L.Dense(12, activation="gelu", name="up")(L.LayerNormalization(name="second")(x))
    model = shaken(keras.Model(i, L.Add(name="out")([x, L.Dense(8, name="down")(y)])))
    _, rows = smoothed(model)
    assert rows["first"].what.startswith("smoothed with reader") and rows["second"].what.startswith("smoothed with up")


@pytest.mark.needs_keras("layers.RMSNormalization")
def test_two_readers_share_the_factors_of_both_kernels():
    i = keras.Input((6, 8))
    x = L.RMSNormalization(name="norm")(i)
    y = L.Dense(4, name="a")(x)
    model = shaken(keras.Model(i, [y, L.Conv1D(3, 3, padding="same", name="b")(L.Dropout(0.2)(x))]))
    (given,) = samples(model)
    largest = np.abs(output_of(model, "norm", given)).max(axis=(0, 1))
    kernels = [np.array(model.get_layer(name).kernel) for name in "ab"]
    weights = np.maximum(np.abs(kernels[0]).max(axis=1), np.abs(kernels[1]).max(axis=(0, 2)))
    made, rows = smoothed(model)
    s = np.sqrt(largest / weights)
    np.testing.assert_allclose(made.get_layer("b").kernel, kernels[1] * s[None, :, None], rtol=1e-5)
    assert readers_of(rows["norm"]) == {"a", "b"}


def test_flatten_and_relu_lie_between():
    layers = [L.BatchNormalization(name="norm"), L.ReLU(), L.MaxPooling2D(2), L.Flatten(), L.Dense(3, name="reader")]
    model = shaken(keras.Sequential([keras.Input((4, 4, 8)), *layers]))
    made, rows = smoothed(model)
    (x,) = samples(model)
    largest = np.maximum(output_of(model, "norm", x), 0).max(axis=(0, 1, 2))  # what the reader gets
    kernel = np.abs(np.array(model.get_layer("reader").kernel)).reshape(4, 8, 3).max(axis=(0, 2))
    gammas = [np.array(m.get_layer("norm").gamma) for m in (model, made)]
    np.testing.assert_allclose(gammas[0] / gammas[1], np.sqrt(largest / kernel), rtol=1e-5)


def test_a_foldable_batch_normalization_is_folded_instead():
    layers = [L.Dense(8, name="before"), L.BatchNormalization(name="norm"), L.Activation("tanh"), L.Dense(3)]
    made, rows = smoothed(shaken(keras.Sequential([keras.Input((8,)), *layers])))
    assert "norm" not in rows and "norm" not in [layer.name for layer in made.layers]


def cross_attention(x):
    return L.MultiHeadAttention(2, 4, name="cross")(x, L.Dense(4)(x))


@pytest.mark.needs_keras("3.14", rows=["gated reads it"])
@pytest.mark.parametrize(
    ("between", "why"),
    [
        (lambda x: L.Activation("gelu", name="bent")(x), "bent reads it"),
        (lambda x: L.Add(name="sum")([L.Dense(8)(x), x]), "sum reads it"),
        (cross_attention, "cross reads other values beside it"),
        (lambda x: [L.Dense(3)(x), x], "the model returns it"),
        (lambda x: L.MultiHeadAttention(2, 4, use_gate=True, name="gated")(x, x), "gated reads it"),
    ],
)
def test_a_normalization_that_others_read_stays_and_is_named(between, why):
    i = keras.Input((6, 8))
    model = shaken(keras.Model(i, between(L.LayerNormalization(name="norm")(i))))
    made, rows = smoothed(model)
    assert rows["norm"].is_left and why in rows["norm"].what
    np.testing.assert_array_equal(made.get_layer("norm").gamma, model.get_layer("norm").gamma)


@pytest.mark.parametrize(
    ("norm", "why"),
    [
        (lambda: L.LayerNormalization(scale=False, name="norm"), "it has no gamma"),
        (lambda: L.BatchNormalization(scale=False, name="norm"), "it has no gamma"),
        (lambda: L.LayerNormalization(axis=1, name="norm"), "its gamma does not scale the last axis"),
    ],
)
def test_a_normalization_without_factors_stays_and_is_named(norm, why):
    _, rows = smoothed(shaken(keras.Sequential([keras.Input((8, 8)), norm(), L.Dense(3)])))
    assert rows["norm"].is_left and why in rows["norm"].what


def test_a_shared_normalization_and_layers_left_out_stay():
    i, norm = keras.Input((6, 8)), L.LayerNormalization(name="norm")
    _, rows = smoothed(shaken(keras.Model(i, L.Dense(3)(norm(L.Dense(8)(norm(i)))))))
    assert "called more than once" in rows["norm"].what
    model = shaken(
        keras.Sequential([keras.Input((6, 8)), L.LayerNormalization(name="norm"), L.Dense(5, name="reader")])
    )
    assert "norm" not in smoothed(model, may=lambda op: op.name != "norm")[1]
    assert "reader behind it is left out" in smoothed(model, may=lambda op: op.name != "reader")[1]["norm"].what


@pytest.mark.needs_keras("layers.RMSNormalization")
def test_channels_of_zeros_keep_their_factors():
    model = shaken(keras.Sequential([keras.Input((6, 8)), L.RMSNormalization(name="norm"), L.Dense(5, name="reader")]))
    scale, kernel = np.array(model.get_layer("norm").scale), np.array(model.get_layer("reader").kernel)
    scale[2], kernel[4] = 0, 0
    model.get_layer("norm").scale.assign(scale)
    model.get_layer("reader").kernel.assign(kernel)
    made, _ = smoothed(model)
    after = np.array(made.get_layer("norm").scale)
    assert after[2] == 0 and after[4] == scale[4] and np.isfinite(after).all()


class Own(L.Layer):
    """A root mean square normalization in single operations, as open models have it.

    Factors are weights, or these and 1; there may be a shift as well.
    """

    def __init__(self, shifts=False, one=0, **kwargs):
        super().__init__(**kwargs)
        self.shifts, self.one = shifts, one

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")
        self.shift = self.add_weight(shape=(shape[-1],), name="beta") if self.shifts else None

    def call(self, x):
        y = x * keras.ops.rsqrt(keras.ops.mean(keras.ops.square(x), axis=-1, keepdims=True) + 1e-6)
        y = y * (self.one + keras.ops.cast(self.scale, x.dtype) if self.one else self.scale)
        return y + self.shift if self.shifts else y


@pytest.mark.parametrize("how", [{}, {"shifts": True}, {"one": 1.0}, {"shifts": True, "one": 1.0}])
def test_a_normalization_written_in_single_operations(how):
    i = keras.Input((6, 8))
    x = Own(name="own", **how)(i)
    model = flat(shaken(keras.Model(i, L.Dense(3, name="a")(x) + L.Dense(3, name="b")(x)))).model
    _, rows = smoothed(model)
    (row,) = [row for row in rows.values() if not row.is_left]
    assert readers_of(row) == {"a", "b"} and row.after < row.before / 3


def test_a_product_with_a_weight_that_others_read_stays():
    class Gated(Own):
        def call(self, x):
            return keras.ops.matmul(x * self.scale, self.kernel) + keras.ops.sum(self.scale)

        def build(self, shape):
            super().build(shape)
            self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

    i = keras.Input((6, 8))
    _, rows = smoothed(flat(shaken(keras.Model(i, Gated(name="own")(i)))).model)
    assert all(row.is_left for row in rows.values())
