"""MACs: hand-counted layers, and the law that a model and its float file have the same."""

import keras
import pytest
import tensorflow as tf
from keras import layers as L

from tfcompress.demo import networks
from tfcompress.evaluate.macs import macs, macs_table
from tfcompress.tflite.artifact import Artifact

pytestmark = pytest.mark.sampled(3)


def _single(layer: keras.Layer, *shape: int) -> keras.Model:
    return keras.Sequential([keras.Input(shape), layer])


# Counted by hand: kernel size times positions.
COUNTED = [
    (lambda: L.Dense(5), (7,), 7 * 5),
    (lambda: L.Dense(5), (3, 7), 3 * 7 * 5),
    (lambda: L.Conv1D(4, 3), (10, 2), 3 * 2 * 4 * 8),
    (lambda: L.Conv2D(4, (3, 2), strides=2, padding="same"), (9, 8, 3), 3 * 2 * 3 * 4 * 5 * 4),
    (lambda: L.Conv2D(4, 3, groups=2), (6, 6, 4), 3 * 3 * 2 * 4 * 4 * 4),
    (lambda: L.Conv3D(2, 2), (4, 4, 4, 3), 8 * 3 * 2 * 27),
    (lambda: L.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 3), 9 * 3 * 2 * 16),
    (lambda: L.SeparableConv2D(5, 3), (6, 6, 4), (9 * 4 + 4 * 5) * 16),
    (lambda: L.Conv2DTranspose(4, 3, strides=2, padding="same"), (5, 5, 2), 9 * 2 * 4 * 25),
    (lambda: L.EinsumDense("abc,cde->abde", (None, 2, 6)), (3, 4), 4 * 2 * 6 * 3),
    (lambda: L.EinsumDense("...x,xy->...y", 5), (2, 3, 4), 4 * 5 * 6),
    (lambda: L.EinsumDense("abc,bcd->abd", (3, 5)), (3, 4), 3 * 4 * 5),
    (lambda: L.TimeDistributed(L.Conv2D(2, 3)), (3, 5, 5, 1), 9 * 2 * 9 * 3),
]


@pytest.mark.slow
@pytest.mark.sampled(5)
@pytest.mark.parametrize(("make", "shape", "expected"), COUNTED)
def test_model_and_file_have_the_counted_macs(make, shape, expected, to_file):
    model = _single(make(), *shape)
    assert macs(model) == expected
    assert macs(to_file(model)) == expected


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: L.SimpleRNN(3), 5 * (4 * 3 + 3 * 3)),
        (lambda: L.LSTM(3), 5 * 4 * (4 * 3 + 3 * 3)),
        (lambda: L.GRU(3, return_sequences=True), 5 * 3 * (4 * 3 + 3 * 3)),
        (lambda: L.Bidirectional(L.LSTM(3)), 2 * 5 * 4 * (4 * 3 + 3 * 3)),
    ],
)
def test_recurrent_layers_meet_their_kernels_once_per_step(make, expected):
    assert macs(_single(make(), 5, 4)) == expected


def test_lookup_and_normalization_count_nothing():
    model = keras.Sequential(
        [keras.Input((6,), dtype="int32"), L.Embedding(20, 4), L.LayerNormalization(), L.Flatten()]
    )
    assert macs(model) == 0


def test_attention_counts_projections_and_products(to_file):
    query, value = keras.Input((6, 8)), keras.Input((5, 8))
    model = keras.Model([query, value], L.MultiHeadAttention(2, 3, value_dim=4)(query, value))
    projections = 6 * 8 * 6 + 5 * 8 * 6 + 5 * 8 * 8 + 6 * 8 * 8
    products = 2 * 6 * 5 * 3 + 2 * 6 * 5 * 4
    assert macs(model) == projections + products
    assert macs(to_file(model)) == projections + products


def test_dot_of_activations_counts_in_model_and_file(to_file):
    a, b = keras.Input((6, 3)), keras.Input((5, 3))
    model = keras.Model([a, b], L.Dot(axes=2)([a, b]))
    assert macs(model) == 6 * 5 * 3 == macs(to_file(model))


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: keras.ops.matmul(a, keras.ops.transpose(b, (0, 2, 1))),
        lambda a, b: keras.ops.einsum("...ic,...jc->...ij", a, b),
    ],
)
def test_products_by_keras_ops_count_in_model_and_file(product, to_file):
    a, b = keras.Input((6, 3)), keras.Input((5, 3))
    model = keras.Model([a, b], product(a, b))
    assert macs(model) == 6 * 5 * 3 == macs(to_file(model))


def test_subclassed_model_counts_like_its_file():
    class Sub(keras.Model):
        def __init__(self):
            super().__init__()
            self.up = L.Conv2DTranspose(2, 3, name="up")
            self.head = L.Dense(2, name="head")

        def call(self, x):
            return self.head(tf.reshape(self.up(x), (-1, 6 * 6 * 2)))

    model = Sub()
    model(tf.zeros((1, 4, 4, 1)))
    table = {row["name"]: row["macs"] for row in macs_table(model)}
    assert table == {"up": 9 * 2 * 16, "head": 72 * 2}


def test_weight_outside_of_a_layer_is_refused_and_named():
    class Scaled(L.Layer):
        def __init__(self):
            super().__init__()
            self.inner = L.Dense(3)

        def build(self, shape):
            self.inner.build(shape)
            self.mix = self.add_weight(shape=(3, 3), name="mix")

        def call(self, x):
            return tf.raw_ops.MatMul(a=self.inner(x), b=self.mix)

    with pytest.raises(ValueError, match="scaled.*describe"):
        macs(_single(Scaled(), 4))


def test_shared_layer_counts_once_per_call(to_file):
    dense = L.Dense(4)
    x = keras.Input((4,))
    model = keras.Model(x, dense(dense(dense(x))))
    assert macs_table(model) == [{"name": dense.name, "op": "Dense", "macs": 3 * 16}]
    assert macs(to_file(model)) == 3 * 16


def test_nested_models_are_counted_with_their_names():
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, name="d")], name="backbone")
    x = keras.Input((4,))
    model = keras.Model(x, L.Dense(2, name="head")(L.Concatenate()([inner(x), inner(x * 2.0)])))
    table = {row["name"]: row["macs"] for row in macs_table(model)}
    assert table == {"backbone/d": 2 * 12, "head": 6 * 2}


def test_int8_and_float_file_count_the_same(net_files):
    float_file, int8_file = net_files
    assert macs(Artifact(float_file)) == macs(Artifact(int8_file)) > 0


def test_loop_with_a_known_number_of_rounds_counts_all_of_them(to_file):
    model = _single(L.LSTM(3, unroll=False), 5, 4)
    assert macs(to_file(model)) == macs(model) == 5 * 4 * 3 * (4 + 3)


def test_loop_in_a_file_is_refused_and_named(to_file):
    class UntilLarge(L.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(4, 4))

        def call(self, x):
            grown = tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: tf.matmul(y, self.kernel), [x])[0]
            return tf.ensure_shape(grown, x.shape)

    artifact = to_file(_single(UntilLarge(), 4))
    assert any(row["op"] == "WHILE" and row["macs"] is None for row in macs_table(artifact))
    with pytest.raises(ValueError, match="WHILE"):
        macs(artifact)


def test_unknown_layer_with_kernels_is_refused_and_named():
    class Odd(L.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(shape[-1], 3), name="table")

        def call(self, x):
            return tf.raw_ops.MatMul(a=x, b=self.table)

    with pytest.raises(ValueError, match="odd_one.*describe"):
        macs(_single(Odd(name="odd_one"), 4))


def test_products_inside_of_layers_are_counted(to_file):
    class Scaled(L.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(shape[-1], 3), name="table")

        def call(self, x):
            y = x @ self.table
            return keras.ops.matmul(y, keras.ops.transpose(y, (0, 2, 1)))

    model = _single(Scaled(name="mine"), 5, 4)
    rows = [
        {"name": "mine/matmul", "op": "Matmul", "macs": 5 * 4 * 3},
        {"name": "mine/matmul_1", "op": "Matmul", "macs": 75},
    ]
    assert macs_table(model) == rows
    assert macs(to_file(model)) == 60 + 75


def test_unknown_shapes_and_other_types_are_refused():
    with pytest.raises(ValueError, match="not built"):
        macs(keras.Sequential([L.Dense(2)]))
    with pytest.raises(ValueError, match="unknown dimension"):
        macs(_single(L.Conv2D(2, 3), None, None, 1))
    with pytest.raises(TypeError, match="int"):
        macs(3)


@pytest.mark.parametrize("name", ["lenet5", "resnet8", "ds_cnn"])
def test_reference_nets_count_like_their_files(name, to_file):
    model = getattr(networks, name)()
    assert macs(model) == macs(to_file(model)) > 400_000


def test_flex_ops_are_not_taken_for_free(flex_file):
    assert [row["macs"] for row in macs_table(Artifact(flex_file))] == [None]
    with pytest.raises(ValueError, match="FlexSinh"):
        macs(Artifact(flex_file))


def test_heads_that_share_keys_count_by_hand(to_file):
    x = keras.Input((5, 6))
    model = keras.Model(x, L.GroupQueryAttention(3, 4, 2, use_bias=False)(x, x))
    projections = 5 * 6 * 3 * (4 + 2 + 2 + 4)  # query, key, value, output
    assert macs(model) == projections + 2 * 4 * 5 * 5 * 3 == macs(to_file(model))
