"""Every kind of operation that layers compute in their own `call`: its integer file is near the float model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

import tfcompress as tfc

pytestmark = [
    pytest.mark.sampled(10),
    pytest.mark.e2e,
    pytest.mark.needs_keras("ops.erfc", rows=["erfc"]),
    pytest.mark.needs_keras("3.9", rows=["tril", "triu"]),  # before, both fail in Keras while a layer is traced
]
# Rows with a division or a square root, which older converters leave float.
DIVISIONS, ROOTS = ["softsign", "divide"], ["root", "sqrt", "squareplus", "norm", "std"]
STEPS, WIDTH = 12, 8
TABLE = np.random.default_rng(1).normal(size=(STEPS, WIDTH)).astype("float32")
KERNEL = np.random.default_rng(2).normal(size=(WIDTH, WIDTH)).astype("float32")
MASK = np.tril(np.ones((STEPS, STEPS), "float32"))


def heads(x):
    return ops.reshape(x, (-1, STEPS, 2, WIDTH // 2))


def scores(x):
    return ops.matmul(x, ops.transpose(x, (0, 2, 1)))


def centred(x):
    return x - ops.mean(x, axis=-1, keepdims=True)


OPERATIONS = {
    # one value by itself
    "abs": ops.abs,
    "celu": ops.celu,
    "elu": ops.elu,
    "erf": ops.erf,
    "erfc": lambda x: ops.erfc(x),
    "exp": ops.exp,
    "exp2": ops.exp2,
    "gelu": ops.gelu,
    "gelu exact": lambda x: ops.gelu(x, approximate=False),
    "glu": ops.glu,
    "gelu by hand": lambda x: 0.5 * x * (1.0 + ops.erf(x / 2.0**0.5)),
    "hard sigmoid": ops.hard_sigmoid,
    "hard silu": ops.hard_silu,
    "hard tanh": ops.hard_tanh,
    "leaky relu": ops.leaky_relu,
    "log": lambda x: ops.log(1.5 + ops.abs(x)),
    "log sigmoid": ops.log_sigmoid,
    "minus": lambda x: -x,
    "power": lambda x: x**2,
    "cube": lambda x: x**3,
    "root": lambda x: (x * x + 1.0) ** 0.5,
    "inverse root": lambda x: (x * x + 1.0) ** -0.5,
    "relu": ops.relu,
    "relu6": ops.relu6,
    "rsqrt": lambda x: ops.rsqrt(1.0 + ops.square(x)),
    "selu": ops.selu,
    "sigmoid": ops.sigmoid,
    "silu": ops.silu,
    "soft shrink": ops.soft_shrink,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "sqrt": lambda x: ops.sqrt(1.0 + ops.abs(x)),
    "square": ops.square,
    "squareplus": ops.squareplus,
    "tanh": ops.tanh,
    # along an axis
    "cumsum": lambda x: ops.cumsum(x, axis=1),
    "layer normalization": lambda x: centred(x) / ops.sqrt(ops.var(x, axis=-1, keepdims=True) + 1e-5),
    "log softmax": ops.log_softmax,
    "max": lambda x: ops.max(x, axis=1),
    "mean": lambda x: ops.mean(x, axis=1),
    "moments": lambda x: ops.moments(x, axes=[-1])[1],
    "norm": lambda x: ops.norm(x, axis=-1),
    "normalize": ops.normalize,
    "prod": lambda x: ops.prod(1.0 + 0.2 * x, axis=1),
    "rms normalization": lambda x: x * ops.rsqrt(ops.mean(x**2, axis=-1, keepdims=True) + 1e-5),
    "softmax": ops.softmax,
    "softmax of another axis": lambda x: ops.softmax(x, axis=1),
    "sort": lambda x: ops.sort(x, axis=1),
    "std": lambda x: ops.std(x, axis=1),
    "sum": lambda x: ops.sum(x, axis=-1),
    "top": lambda x: ops.top_k(x, 3)[0],
    "var": lambda x: ops.var(x, axis=-1),
    # places
    "broadcast": lambda x: x + ops.broadcast_to(x[:, :1], (ops.shape(x)[0], STEPS, WIDTH)),
    "concatenate": lambda x: ops.concatenate([x, 2.0 * x], -1),
    "diff": lambda x: ops.diff(x, axis=1),
    "flip": lambda x: ops.flip(x, axis=1),
    "pad": lambda x: ops.pad(x, [[0, 0], [1, 1], [0, 0]]),
    "patches": lambda x: ops.image.extract_patches(x[..., None], (2, 2)),
    "reflect": lambda x: ops.pad(x, [[0, 0], [1, 1], [0, 0]], mode="reflect"),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "resize": lambda x: ops.image.resize(x[..., None], (24, 16)),
    "roll": lambda x: ops.roll(x, 2, axis=1),
    "slice": lambda x: x[:, 2:7, ::2],
    "split": lambda x: ops.add(*ops.split(x, 2, axis=-1)),
    "stack": lambda x: ops.stack([x, 2.0 * x], axis=1),
    "swap": lambda x: ops.swapaxes(x, 1, 2),
    "take": lambda x: ops.take(x, np.array([0, 3]), axis=1),
    "tile": lambda x: ops.tile(x, (1, 2, 1)),
    "tril": ops.tril,
    "triu": ops.triu,
    # two values
    "add": lambda x: x + TABLE,
    "clip": lambda x: ops.clip(x, -1.0, 0.5),
    "divide": lambda x: x / (1.5 + ops.abs(x)),
    "maximum": lambda x: ops.maximum(x, TABLE),
    "multiply": lambda x: x * TABLE,
    "outer": lambda x: x[:, :, :, None] * x[:, :, None, :],
    "subtract": lambda x: TABLE - x,
    "where": lambda x: ops.where(x > 0.0, x, 0.1 * x),
    "greater": lambda x: ops.cast(x > 0.2, "float32") * x,
    # products
    "attention": lambda x: ops.dot_product_attention(heads(x), heads(x), heads(x)),
    "causal attention": lambda x: ops.dot_product_attention(heads(x), heads(x), heads(x), is_causal=True),
    "convolution": lambda x: ops.conv(x, KERNEL[None] / 8.0, padding="same"),
    "einsum": lambda x: ops.einsum("bij,bkj->bik", x, x),
    "matmul": lambda x: x @ KERNEL,
    "tensordot": lambda x: ops.tensordot(x, KERNEL, axes=1),
    "mask added": lambda x: ops.softmax(scores(x) + (1.0 - MASK) * -1e9) @ x,
    "mask selected": lambda x: ops.softmax(ops.where(MASK > 0, scores(x), -1e9)) @ x,
    "mask subtracted": lambda x: ops.softmax(scores(x) - 1e9 * (1.0 - MASK)) @ x,
    "mask of hundred": lambda x: ops.softmax(scores(x) + (1.0 - MASK) * -100.0) @ x,
    "mask of infinity": lambda x: ops.softmax(ops.where(MASK > 0, scores(x), -np.inf)) @ x,
    "mask of a whole number": lambda x: ops.softmax(scores(x) + (1.0 - MASK) * -1000000000) @ x,
    # large numbers in front of a softmax that are no masks
    "scores scaled": lambda x: ops.softmax(scores(40.0 * x) * 0.0005) @ x,
    "scores divided": lambda x: ops.softmax(scores(40.0 * x) / 2000.0) @ x,
    "scores by a large factor": lambda x: ops.softmax(scores(x) * 0.0005 * 2000.0) @ x,
    # TensorFlow's own
    "tf": lambda x: tf.concat([tf.nn.relu(x), tf.square(x)], -1),
    "tf.einsum": lambda x: tf.einsum("bij,jk->bik", x, KERNEL),
    "tf.nn": lambda x: tf.nn.softmax(tf.nn.gelu(x)) + tf.reduce_mean(x, 1, keepdims=True),
}
LIMITS = {"inverse root": 0.09, "rsqrt": 0.09, "root": 0.08, "cube": 0.08, "prod": 0.08, "std": 0.08, "exp": 0.07}


class Computed(L.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


@pytest.fixture
def net(request):
    keras.utils.set_random_seed(0)
    i = keras.Input((STEPS, 6))
    model = keras.Model(i, Computed(OPERATIONS[request.param], name="mine")(L.Dense(WIDTH)(i)))
    return request.param, model, np.random.default_rng(0).normal(size=(32, STEPS, 6)).astype("float32")


@pytest.mark.needs_tensorflow("2.20", rows=DIVISIONS)
@pytest.mark.needs_tensorflow("2.21", rows=ROOTS)
@pytest.mark.parametrize("net", OPERATIONS, indirect=True)
def test_the_integer_file_is_near_the_float_model(net):
    name, model, x = net
    artifact, plain = tfc.convert(model, calibration=x, diagnose=False), model.predict(x, verbose=0)
    error = np.sqrt(np.mean((artifact.predict(x) - plain) ** 2)) / plain.std()
    assert artifact.is_integer
    assert error < LIMITS.get(name, 0.05), name


@pytest.mark.parametrize("net", OPERATIONS, indirect=True)
def test_a_float_file_is_the_model(net):
    name, model, x = net
    artifact, plain = tfc.convert(model, "float32"), model.predict(x, verbose=0)
    np.testing.assert_allclose(
        artifact.predict(x), plain, atol=2e-3 if name in ("erf", "erfc", "gelu") else 1e-4, rtol=1e-3
    )
