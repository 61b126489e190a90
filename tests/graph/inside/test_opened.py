"""Which layers are open, and what is known of them."""

import keras
import numpy as np
from keras import layers as L
from keras import ops

from tfcompress.graph.inside.opened import can_open, inside, operations
from tfcompress.graph.trace import open_up, trace


def kinds(layer):
    return [op.kind for op in inside(layer).operations]


def test_layers_of_keras_and_of_this_package_stay_closed(own_layers):
    assert not can_open(L.Dense(2)) and not can_open(L.MultiHeadAttention(2, 2)) and not can_open(L.CategoryEncoding(3))
    assert not can_open(keras.Sequential([keras.Input((2,)), L.Dense(2)]))
    assert can_open(own_layers.Block()) and can_open(L.Lambda(lambda x: x)) and can_open(own_layers.network())

    class Mine(L.MultiHeadAttention):
        def call(self, *args, **kwargs):
            return super().call(*args, **kwargs)

    assert can_open(Mine(2, 2))


def test_every_operation_has_a_path_and_known_inputs(own_model):
    traced = trace(own_model, opens=True)
    paths = {id(op): path for path, op in operations(own_model)}
    assert len(set(paths.values())) == len(paths)
    assert all(id(call.op) in paths for call in traced.calls)
    assert not traced.unknown() and None not in traced.outputs


def test_the_inside_of_a_block(own_layers):
    model = own_layers.MODELS["block"]()
    trace(model, opens=True)
    assert kinds(model.get_layer("block")) == ["Multiply", "Add", "Add"]
    assert [path for path, _ in operations(model)][-3:] == ["block/multiply", "block/add", "block/add_1"]


def test_the_same_operation_is_found_again(own_model):
    trace(own_model, opens=True)
    first = operations(own_model)
    open_up(own_model)
    assert all(a is b for (_, a), (_, b) in zip(first, operations(own_model), strict=True))


def test_what_reads_weights_alone_is_no_call(own_layers):
    model = own_layers.MODELS["tokens"]()
    traced = trace(model, opens=True)
    assert kinds(model.get_layer("tokens")) == ["BroadcastTo", "Concatenate", "Add"]
    assert [getattr(call.op, "kind", "") for call in traced.calls][:2] == ["Concatenate", "Add"]


def test_another_computation_in_training_is_matched(own_layers):
    model = own_layers.stack(own_layers.DropPath(name="path"), own_layers.Noted(name="noted"))
    open_up(model)
    assert inside(model.get_layer("path")).in_training == {}  # the identity at inference
    noted = inside(model.get_layer("noted"))
    assert kinds(model.get_layer("noted")) == ["Relu", "Add"]
    assert noted.at(0, trains=True).kind == "Relu" and noted.in_training[max(noted.in_training)] == 1
    assert {noted.operations[k].kind for k in noted.in_training.values()} == {"Relu", "Add"}


def test_tracing_leaves_no_losses_and_no_state(own_layers):
    model = own_layers.MODELS["noted"]()
    before = [np.asarray(v) for v in model.variables]
    open_up(model)
    assert model.losses == []
    assert all((np.asarray(v) == b).all() for v, b in zip(model.variables, before, strict=True))


def test_a_layer_that_hides_an_operation_is_closed(own_layers):
    model = own_layers.stack(L.Dense(16), own_layers.Opaque(name="hidden"), L.Dense(2))
    traced = trace(model, opens=True)
    hidden = model.get_layer("hidden")
    assert inside(hidden).is_closed and not traced.unknown()
    assert [path for path, op in operations(model) if op is hidden] == ["hidden"]


def test_kernels_read_by_code_are_weights_of_the_operation(own_layers):
    from tfcompress.layer_table.lookup import spec_of

    model = own_layers.MODELS["linear"]()
    trace(model, opens=True)
    matmul, add = inside(model.get_layer("linear")).operations
    assert spec_of(matmul).kernels == ("kernel",) and matmul.kernel is model.get_layer("linear").kernel
    assert spec_of(add).is_bias


def test_a_kernel_that_a_layer_owns_stays_that_of_the_layer():
    class Tied(L.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = L.Dense(4)

        def build(self, shape):
            self.dense.build(shape)
            self.built = True

        def call(self, x):
            return ops.matmul(self.dense(x), ops.transpose(self.dense.kernel)) + x @ self.dense.kernel @ np.ones((4, 4))

    i = keras.Input((4,))
    tied = Tied()
    model = keras.Model(i, tied(i))
    trace(model, opens=True)
    assert all(not op.weights for op in inside(tied).operations)
