"""The three smallest layers of one's own that no raw error of TensorFlow may come from."""

import keras
from keras import layers as L
from keras import ops as K

from nets.common import net, pictures, sequences


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
