"""Choice of the channel groups to remove."""

import keras

import tfcompress as tfc


def test_heads_of_several_channels_are_rounded_by_their_channels():
    def heads(x):
        return keras.ops.transpose(keras.ops.reshape(x, (-1, 6, 4, 4)), (0, 2, 1, 3))

    i = keras.Input((6, 8))
    q, k, v = (heads(keras.layers.Dense(16, name=name)(i)) for name in "qkv")
    x = keras.ops.matmul(keras.ops.softmax(keras.ops.matmul(q, keras.ops.swapaxes(k, 2, 3))), v)
    x = keras.ops.reshape(keras.ops.transpose(x, (0, 2, 1, 3)), (-1, 6, 16))
    model = keras.Model(i, keras.layers.Dense(2)(x))
    small = tfc.PruneChannels(0.5, round_to=8).apply(model)
    assert [small.get_layer(name).units for name in "qkv"] == [8, 8, 8]
    assert tfc.PruneChannels(0.25, round_to=4).apply(model).get_layer("q").units == 12
