"""Text through layers of one's own: attention written by hand, its positions and masks, norms and gates."""

import keras
import numpy as np
from keras import layers as L
from keras import ops as K

from nets.common import net, on_steps, padding, pooled, tokens

STEPS, WORDS = 16, 60


def on_tokens(rng, layers):
    """A model of token ids: the layers, one after the other, and its samples."""
    h = i = keras.Input((STEPS,), dtype="int32")
    for layer in layers:
        h = layer(h)
    return keras.Model(i, h), tokens(rng, STEPS, WORDS)


class RMSNorm(L.Layer):
    """Divides by the root mean square; one weight a channel."""

    def __init__(self, epsilon=1e-6, **options):
        super().__init__(**options)
        self.epsilon = epsilon

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x):
        return x * K.rsqrt(K.mean(K.square(x), axis=-1, keepdims=True) + self.epsilon) * self.scale


@net
def own_rms_norm(rng):
    return on_steps(16, 16, rng, [RMSNorm(), L.Dense(24, activation="silu"), RMSNorm(), L.Dense(5)])


class HandNorm(L.Layer):
    """Layer normalization by mean, variance and a division."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta")

    def call(self, x):
        mean, variance = K.mean(x, -1, keepdims=True), K.var(x, -1, keepdims=True)
        return (x - mean) / K.sqrt(variance + 1e-5) * self.gamma + self.beta


@net
def own_layer_norm(rng):
    return on_steps(16, 16, rng, [HandNorm(), L.Dense(24, activation="gelu"), HandNorm(), L.Dense(5)])


class EinsumAttention(L.Layer):
    """Attention by `ops.einsum`, with a causal mask of -1e9 that is added."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.width, self.heads, self.each = width, heads, width // heads

    def build(self, shape):
        for name in ("query", "key", "value"):
            setattr(self, name, self.add_weight(shape=(shape[-1], self.heads, self.each), name=name))
        self.out = self.add_weight(shape=(self.heads, self.each, self.width), name="out")

    def call(self, x):
        q, k, v = (K.einsum("btd,dhe->bthe", x, w) for w in (self.query, self.key, self.value))
        logits = K.einsum("bqhe,bkhe->bhqk", q, k) / np.sqrt(self.each)
        steps = x.shape[1]
        logits = logits + (1.0 - K.tril(K.ones((steps, steps)))) * -1e9
        return K.einsum("bhqe,hed->bqd", K.einsum("bhqk,bkhe->bhqe", K.softmax(logits), v), self.out)


@net
def own_causal_einsum(rng):
    return on_tokens(rng, [L.Embedding(WORDS, 16), EinsumAttention(16, 2), L.LayerNormalization(), L.Dense(8)])


class MatmulAttention(L.Layer):
    """Attention by `ops.matmul`, with a causal mask by `ops.where`."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.heads, self.each = heads, width // heads
        self.qkv, self.out = L.Dense(width * 3, use_bias=False), L.Dense(width)

    def call(self, x):
        _, steps, width = x.shape
        parts = K.split(self.qkv(x), 3, axis=-1)
        q, k, v = (K.transpose(K.reshape(h, (-1, steps, self.heads, self.each)), (0, 2, 1, 3)) for h in parts)
        logits = K.matmul(q, K.swapaxes(k, -1, -2)) * self.each**-0.5
        places = K.arange(steps)
        logits = K.where(places[:, None] >= places[None], logits, float("-inf"))
        h = K.matmul(K.softmax(logits, axis=-1), v)
        return self.out(K.reshape(K.transpose(h, (0, 2, 1, 3)), (-1, steps, width)))


class GPTBlock(L.Layer):
    """Pre-norm block around causal attention."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.norm_a, self.norm_b = L.LayerNormalization(epsilon=1e-5), L.LayerNormalization(epsilon=1e-5)
        self.attention = MatmulAttention(width, heads)
        self.wide, self.narrow = L.Dense(width * 2), L.Dense(width)

    def call(self, x):
        x = x + self.attention(self.norm_a(x))
        return x + self.narrow(keras.activations.gelu(self.wide(self.norm_b(x)), approximate=True))


class Positions(L.Layer):
    """Adds a learned table of positions, a weight of this layer."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="random_normal", name="table")

    def call(self, x):
        return x + self.table


@net
def own_mini_gpt(rng):
    layers = [L.Embedding(WORDS, 16), Positions(), GPTBlock(16, 2), GPTBlock(16, 2), L.LayerNormalization()]
    return on_tokens(rng, [*layers, L.Dense(WORDS, use_bias=False)])


class RotaryAttention(L.Layer):
    """Attention of which queries and keys are turned by their positions."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.heads, self.each = heads, width // heads
        self.q, self.k, self.v, self.out = (L.Dense(width, use_bias=False) for _ in range(4))

    def turned(self, x):
        half = self.each // 2
        speeds = 1.0 / 10000 ** (K.arange(half, dtype="float32") / half)
        angles = K.arange(x.shape[1], dtype="float32")[:, None] * speeds[None]
        cos, sin = (f(K.concatenate([angles, angles], -1))[None, :, None] for f in (K.cos, K.sin))
        a, b = K.split(x, 2, axis=-1)
        return x * cos + K.concatenate([-b, a], axis=-1) * sin

    def call(self, x):
        shape = (-1, x.shape[1], self.heads, self.each)
        q, k, v = (K.reshape(dense(x), shape) for dense in (self.q, self.k, self.v))
        logits = K.einsum("bqhe,bkhe->bhqk", self.turned(q), self.turned(k)) * self.each**-0.5
        h = K.einsum("bhqk,bkhe->bqhe", K.softmax(logits), v)
        return self.out(K.reshape(h, (-1, *x.shape[1:])))


class SwiGLU(L.Layer):
    """Gated feed-forward layer with SiLU."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.width, self.gate, self.up = width, L.Dense(width, use_bias=False), L.Dense(width, use_bias=False)

    def build(self, shape):
        self.down = L.Dense(shape[-1], use_bias=False)
        for layer in (self.gate, self.up):
            layer.build(shape)
        self.down.build((*shape[:-1], self.width))

    def call(self, x):
        return self.down(K.silu(self.gate(x)) * self.up(x))


@net
def own_llama_block(rng):
    """Rotary attention, SwiGLU and RMS norms in a functional model with raw additions."""
    i = keras.Input((STEPS,), dtype="int32")
    h = L.Embedding(WORDS, 16)(i)
    h = h + RotaryAttention(16, 2)(RMSNorm()(h))
    h = h + SwiGLU(32)(RMSNorm()(h))
    return keras.Model(i, L.Dense(WORDS, use_bias=False)(RMSNorm()(h))), tokens(rng, STEPS, WORDS)


@net
def own_swiglu(rng):
    return on_steps(16, 16, rng, [SwiGLU(24), L.LayerNormalization(), SwiGLU(24), L.Dense(5)])


class GEGLU(L.Layer):
    """One dense layer, of which one half gates the other by GELU."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.both = L.Dense(width * 2)

    def call(self, x):
        a, b = K.split(self.both(x), 2, axis=-1)
        return a * keras.activations.gelu(b)


@net
def own_geglu(rng):
    return on_steps(16, 16, rng, [GEGLU(24), L.Dense(16), GEGLU(24), L.Dense(5)])


class RelativeAttention(L.Layer):
    """Attention with a learned bias for each head and distance, in T5's way without scaling."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.attention_in, self.out = L.Dense(width * 3, use_bias=False), L.Dense(width, use_bias=False)
        self.heads, self.bias = heads, L.Embedding(2 * STEPS - 1, heads)

    def call(self, x):
        _, steps, width = x.shape
        h = K.reshape(self.attention_in(x), (-1, steps, 3, self.heads, width // self.heads))
        q, k, v = (K.transpose(h[:, :, n], (0, 2, 1, 3)) for n in range(3))
        apart = K.arange(steps)[:, None] - K.arange(steps)[None] + steps - 1
        logits = K.matmul(q, K.transpose(k, (0, 1, 3, 2))) + K.transpose(self.bias(apart), (2, 0, 1))[None]
        h = K.transpose(K.matmul(K.softmax(logits), v), (0, 2, 1, 3))
        return self.out(K.reshape(h, (-1, steps, width)))


@net
def own_relative_bias(rng):
    h = [L.Embedding(WORDS, 16), RMSNorm(), RelativeAttention(16, 2), L.GlobalAveragePooling1D(), L.Dense(5)]
    return on_tokens(rng, h)


class MaskedAttention(L.Layer):
    """Attention with a padding mask, made an addend of -10000 by hand."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.q, self.k, self.v = (L.Dense(width) for _ in range(3))

    def call(self, x, mask_of_padding):
        addend = (1.0 - K.cast(mask_of_padding, "float32"))[:, None] * -10000.0
        logits = K.matmul(self.q(x), K.transpose(self.k(x), (0, 2, 1))) / 4.0 + addend
        return K.matmul(K.softmax(logits), self.v(x))


class Embeddings(L.Layer):
    """Sums embeddings of tokens, positions and token types, as BERT does."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.token, self.place, self.kind = L.Embedding(WORDS, width), L.Embedding(STEPS, width), L.Embedding(2, width)
        self.norm, self.drop = L.LayerNormalization(epsilon=1e-12), L.Dropout(0.1)

    def call(self, ids, kinds):
        h = self.token(ids) + self.place(K.arange(ids.shape[1])) + self.kind(kinds)
        return self.drop(self.norm(h))


@net
def own_additive_mask(rng):
    """Three inputs: ids, token types and the padding mask."""
    inputs = {n: keras.Input((STEPS,), dtype="int32", name=n) for n in ("ids", "kinds", "mask")}
    h = Embeddings(16)(inputs["ids"], inputs["kinds"])
    h = L.LayerNormalization()(h + MaskedAttention(16)(h, inputs["mask"]))
    x = {"ids": tokens(rng, STEPS, WORDS), "mask": padding(rng, STEPS)}
    x["kinds"] = (x["ids"] > WORDS // 2).astype("int32")
    return keras.Model(inputs, L.Dense(3, activation="tanh")(h[:, 0])), x


@net
def own_keras_padding_mask(rng):
    """Keras' own attention with the mask as an input, cast and spread by operations."""
    inputs = {n: keras.Input((STEPS,), dtype="int32", name=n) for n in ("ids", "mask")}
    h = L.Embedding(WORDS, 16)(inputs["ids"])
    mask = K.expand_dims(K.cast(inputs["mask"], "bool"), 1)
    h = L.LayerNormalization()(h + L.MultiHeadAttention(2, 8)(h, h, attention_mask=mask))
    return keras.Model(inputs, pooled(h)), {"ids": tokens(rng, STEPS, WORDS), "mask": padding(rng, STEPS)}


@net
def own_mask_zero(rng):
    """`mask_zero` of the embedding travels through attention and pooling."""
    i = keras.Input((STEPS,), dtype="int32")
    h = L.Embedding(WORDS, 16, mask_zero=True)(i)
    h = L.LayerNormalization()(L.Add()([h, L.MultiHeadAttention(2, 8)(h, h)]))
    return keras.Model(i, pooled(h)), tokens(rng, STEPS, WORDS) * padding(rng, STEPS)


@net
def own_subclassed_transformer(rng):
    """A subclassed Model with a list of blocks."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.embed, self.places = L.Embedding(WORDS, 16), Positions()
            self.blocks, self.norm = [GPTBlock(16, 2) for _ in range(2)], L.LayerNormalization()
            self.head = L.Dense(5)

        def call(self, ids):
            h = self.places(self.embed(ids))
            for block in self.blocks:
                h = block(h)
            return self.head(K.mean(self.norm(h), axis=1))

    model, x = Net(), tokens(rng, STEPS, WORDS)
    model(x[:1])
    return model, x


@net
def own_tied_embedding(rng):
    """The table of tokens is read again as the last matrix."""

    class Tied(L.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.norm, self.dense = L.LayerNormalization(), L.Dense(16, activation="gelu")

        def build(self, shape):
            self.table = self.add_weight(shape=(WORDS, 16), initializer="random_normal", name="table")

        def call(self, ids):
            h = self.norm(self.dense(K.take(self.table, ids, axis=0)))
            return K.matmul(h, K.transpose(self.table))

    return on_tokens(rng, [Tied()])


@net
def own_attention_pooling(rng):
    """A learned query weighs the steps."""

    class Pool(L.Layer):
        def build(self, shape):
            self.query = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="query")
            self.project = L.Dense(shape[-1], activation="tanh")
            self.project.build(shape)

        def call(self, x):
            weights = K.softmax(K.sum(self.project(x) * self.query, axis=-1), axis=1)
            return K.sum(x * weights[..., None], axis=1)

    return on_tokens(
        rng, [L.Embedding(WORDS, 16), L.Bidirectional(L.GRU(8, return_sequences=True)), Pool(), L.Dense(3)]
    )


@net
def own_sinusoidal(rng):
    """Positions as sines, computed inside `call`, before a block of Keras layers."""

    class Sines(L.Layer):
        def call(self, x):
            steps, width = x.shape[1:]
            angles = K.arange(steps, dtype="float32")[:, None] / 10000.0 ** (
                K.arange(0, width, 2, dtype="float32") / width
            )
            return x * width**0.5 + K.reshape(K.stack([K.sin(angles), K.cos(angles)], -1), (steps, width))

    i = keras.Input((STEPS,), dtype="int32")
    h = Sines()(L.Embedding(WORDS, 16)(i))
    h = L.LayerNormalization()(h + L.MultiHeadAttention(2, 8)(h, h))
    return keras.Model(i, pooled(h)), tokens(rng, STEPS, WORDS)


@net
def own_encoder_decoder(rng):
    """Two texts: an encoder, and a causal decoder that attends to it."""
    a, b = (keras.Input((STEPS,), dtype="int32", name=n) for n in ("source", "target"))
    h = GPTBlock(16, 2)(Positions()(L.Embedding(WORDS, 16)(a)))
    g = GPTBlock(16, 2)(Positions()(L.Embedding(WORDS, 16)(b)))
    g = L.LayerNormalization()(g + L.MultiHeadAttention(2, 8)(g, h))
    x = {n: tokens(rng, STEPS, WORDS) for n in ("source", "target")}
    return keras.Model({"source": a, "target": b}, L.Dense(WORDS)(g)), x
