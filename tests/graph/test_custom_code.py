"""What code of the user's does: found for layers nobody described, and for no others."""

import keras

from tfcompress.graph.custom_code import find_custom_code

L, ops = keras.layers, keras.ops


class Mine(L.Layer):
    def __init__(self, of, **kwargs):
        super().__init__(**kwargs)
        self.of = of

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.of.kernel)) + keras.random.uniform((4,))


def test_plain_layers_need_no_trace():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.Dropout(0.5), L.Dense(2)])
    assert find_custom_code(model).traced is None


def test_reader_owner_and_draws_are_named():
    i = keras.Input((4,))
    d = L.Dense(3, name="owner")
    found = find_custom_code(keras.Model(i, Mine(d, name="reader")(d(i))))
    assert found.borrowed == {id(d.kernel): ("owner", "reader")}
    assert found.draws == {"reader": ["uniform"]}
