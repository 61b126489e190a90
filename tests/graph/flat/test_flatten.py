"""Layers of one's own are replaced by what is inside of them, or stay whole and are named with the reason."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

from tfcompress.graph.flat.flatten import flat
from tfcompress.layer_table.lookup import spec_of


def reasons(layer, shape=(6, 4), **kwargs):
    """Why a layer stays whole, behind which the model computes the same."""
    i = keras.Input(shape, **kwargs)
    model = keras.Model(i, layer(i))
    found = flat(model)
    x = np.random.default_rng(0).integers(0, 2, (3, *shape)).astype(model.inputs[0].dtype)
    assert np.abs(found.model(x) - model(x)).max() <= 1e-6
    return found


def named(name, call, **sublayers):
    """A layer with a function as its call."""

    class Own(L.Layer):
        def __init__(self):
            super().__init__(name=name)
            for key, layer in sublayers.items():
                setattr(self, key, layer)

    Own.call = call
    return Own()


def test_a_model_without_such_layers_is_copied():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3)])
    found = flat(model)
    assert not found.whole and [type(layer) for layer in found.model.layers[1:]] == [L.Dense]
    assert found.model.layers[-1] is not model.layers[-1]


def test_layers_are_named_by_their_paths_and_weights_get_layers(own_layers):
    found = flat(own_layers.MODELS["block"]())
    names = [op.name for op in found.model.operations[1:]]
    assert {"block_norm", "block_attend", "block_scale", "block_multiply", "block_add", "block_add_1"} <= set(names)
    assert type(found.model.get_layer("block_scale")).__name__ == "Weight"


def test_a_raw_product_with_a_kernel_becomes_a_dense_layer(own_layers):
    found = flat(own_layers.MODELS["linear"]()).model
    assert [type(layer).__name__ for layer in found.layers[1:]] == ["Dense", "ReLU", "Dense"]
    assert [layer.name for layer in found.layers[1::2]] == ["linear", "linear2"]


def test_an_einsum_with_a_kernel_becomes_an_einsum_dense():
    class Heads(L.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], 2, 3), name="kernel")

        def call(self, x):
            return ops.einsum("btd,dhe->bthe", x, self.kernel)

    found = reasons(Heads(name="heads"))
    assert type(found.model.get_layer("heads")) is L.EinsumDense


def test_a_frozen_layer_stays_frozen(own_layers):
    model = own_layers.MODELS["block"]()
    model.get_layer("block").trainable = False
    made = flat(model).model
    assert len(made.trainable_weights) == len(model.trainable_weights) == 2
    assert len(made.weights) == len(model.weights)


def test_regularizers_and_constraints_of_weights_are_kept():
    class Scaled(L.Layer):
        def build(self, shape):
            options = {"regularizer": keras.regularizers.L2(0.5), "constraint": keras.constraints.NonNeg()}
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale", **options)

        def call(self, x):
            return x * self.scale

    i = keras.Input((3,))
    model = keras.Model(i, Scaled(name="scaled")(i))
    made = flat(model).model
    assert float(sum(made.losses)) == pytest.approx(float(sum(model.losses))) == pytest.approx(1.5)
    assert isinstance(made.weights[0].constraint, keras.constraints.NonNeg)
    again = keras.models.model_from_json(made.to_json())
    assert float(again.weights[0].regularizer.l2) == 0.5


def test_an_integer_weight_keeps_its_type():
    class Places(L.Layer):
        def build(self, shape):
            self.numbers = self.add_weight(
                shape=(1, 6), initializer="ones", dtype="int32", trainable=False, name="numbers"
            )
            self.table = L.Embedding(6, 4)
            self.table.build((1, 6))

        def call(self, x):
            return x + self.table(self.numbers)

    found = reasons(Places(name="places"))
    assert not found.whole and found.model.get_layer("places_numbers").weights[0].dtype == "int32"


def drawing(self, x):
    return x + keras.random.normal((4,), seed=1)


def losing(self, x):
    self.add_loss(ops.mean(x))
    return x * 2.0


def by_training(self, x, training=None):
    return ops.relu(x) if training else x


def by_batch(self, x):
    return x * float(x.shape[0] or 1)


def unseen(self, x):
    return tf.raw_ops.Relu(features=x) + 1.0


def reading(self, x):
    return self.dense(x) + ops.sum(self.dense.kernel)


@pytest.mark.parametrize(
    "call, why",
    [
        (drawing, "draws random numbers"),
        (losing, "adds a loss"),
        (by_training, "computes something else in training"),
        (by_batch, "does something else when a batch has another size"),
        (unseen, "passes a value that no known operation made"),
    ],
)
def test_what_does_not_always_do_the_same_stays_whole_and_is_named(call, why):
    found = reasons(named("mine", call))
    assert [*found.whole] == ["mine"] and why in found.whole["mine"]


def test_a_layer_that_reads_a_weight_of_one_inside_stays_whole():
    found = reasons(named("mine", reading, dense=L.Dense(4)))
    assert "reads the weight" in found.whole["mine"]


def test_only_the_innermost_layer_stays_whole():
    inside = named("inside", by_training)
    found = reasons(named("outside", lambda self, x, training=None: x + self.inner(x, training=training), inner=inside))
    assert [*found.whole] == ["outside/inside"] and found.passing == {"outside/inside"}
    assert "outside_add" in [op.name for op in found.model.operations]


def test_a_layer_that_does_nothing_at_inference_passes_every_channel(own_layers):
    found = flat(own_layers.stack(own_layers.DropPath(name="drop"), L.Dense(3)))
    assert found.passing == {"drop"} and spec_of(found.model.get_layer("drop")).is_identity
    x = own_layers.samples(4)
    trained = [np.asarray(found.model(x, training=True)) for _ in range(2)]
    assert np.abs(trained[0] - trained[1]).max() > 0


def test_a_subclassed_model_whose_call_can_not_be_followed_is_refused(own_layers):
    class Strange(keras.Model):
        def __init__(self):
            super().__init__(name="strange")
            self.dense = L.Dense(3)

        def call(self, x):
            return self.dense(x) + keras.random.normal((3,), seed=1)

    model = Strange()
    model(np.zeros((1, 4), "float32"))
    with pytest.raises(ValueError, match="'strange' .* can't be followed: it draws random .* tfc.Compression"):
        flat(model)


def test_dropout_of_a_model_that_does_not_say_that_it_trains_stays_off():
    class Quiet(keras.Model):
        def __init__(self):
            super().__init__()
            self.drop, self.dense = L.Dropout(0.5), L.Dense(3)

        def call(self, x):
            return self.dense(self.drop(x))

    model = Quiet()
    x = np.ones((4, 8), "float32")
    model(x)
    assert np.abs(flat(model).model(x, training=True) - model(x)).max() <= 1e-6


def test_a_layer_that_its_configuration_does_not_rebuild_stops_nothing():
    class Strange(L.Layer):
        def call(self, x):
            return self.inner(tf.raw_ops.Relu(features=x))

        def __init__(self, size, **kwargs):
            super().__init__(**kwargs)
            self.size, self.inner = size, L.Dense(4)

        def get_config(self):
            return {**super().get_config(), "size": self.size, "area": self.size**2}

    found = reasons(Strange(2, name="mine"))
    assert found.model.get_layer("mine").size == 2


def test_masks_of_padded_steps_reach_the_layers_inside():
    def call(self, ids):
        x = self.table(ids)
        return self.sum(self.attend(x, x))

    found = reasons(
        named("mine", call, table=L.Embedding(5, 4, mask_zero=True), attend=L.MultiHeadAttention(1, 4), sum=L.LSTM(3)),
        shape=(6,),
        dtype="int32",
    )
    assert not found.whole


def test_an_open_size_keeps_layers_whole(own_layers):
    i = keras.Input((None, 16))
    model = keras.Model(i, own_layers.Linear(3, name="linear")(i))
    assert "open size" in flat(model).whole["linear"]
