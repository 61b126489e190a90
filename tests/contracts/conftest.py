"""One tiny net for every row of the table of layer facts; the contracts run over all of them.

A case is the layer alone between the model's input and output, and the same layer between
quantized neighbours. Statistics and factors of normalizations are random: with those of an
untrained layer a test of folding would pass whatever the code does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.export.check import floats_inside
from tfcompress.fake_quant.quantizer_placement import float_reasons
from tfcompress.graph.trace import trace
from tfcompress.graph.tree import leaves

L = keras.layers
IMAGE, SERIES, VECTOR, VOLUME = (6, 6, 4), (6, 4), (8,), (4, 4, 4, 2)


@dataclass(frozen=True)
class Case:
    """A layer, or several that belong together, and what it is called on.

    Args:
        name: Name of the case.
        make: Function that returns the layer; a list for several in a row; or a function.
        shape: Shape of the input without the batch.
        covers: Layer types whose row this is; by default the type of what `make` returns.
        words: Whether the input is word numbers (0..9).
        gap: Largest difference between file and simulation, in steps of the output scale.
        needs: Public names of Keras without which it is skipped.
    """

    name: str
    make: Callable
    shape: tuple[int, ...] = IMAGE
    covers: tuple[type, ...] = ()
    words: bool = False
    gap: float = 1.0
    needs: tuple[str, ...] = ()

    def model(self, between: bool = False) -> keras.Model:
        """Returns the net: the layer alone, or between a Dense layer before and one behind."""
        keras.utils.set_random_seed(0)
        x = inputs = keras.Input(self.shape, dtype="int32" if self.words else "float32", name="x")
        if between and not self.words:
            # a Dense layer on five axes is two operations in the file
            before = L.Dense(self.shape[-1], name="before") if len(self.shape) < 4 else L.ReLU()
            x = before(x)
        made = self.make()
        for layer in made if isinstance(made, list) else [made]:
            x = layer(x)
        if between:
            flat = L.Flatten(name="flat")
            flat.supports_masking = True  # or Keras warns behind Masking
            x = x if len(x.shape) == 2 else flat(x)
            x = L.Dense(3, name="after")(x)
        model = keras.Model(inputs, x, name="net")
        shake(model)
        return model

    def data(self, count: int = 32, seed: int = 1) -> np.ndarray:
        """Returns samples, `(count, ...)`."""
        rng = np.random.default_rng(seed)
        if self.words:
            return rng.integers(0, 10, (count, *self.shape)).astype("int32")
        return rng.normal(size=(count, *self.shape)).astype("float32")

    def types(self) -> tuple[type, ...]:
        """Returns the layer types this case is the contract of."""
        made = self.make()
        found = [type(layer) for layer in (made if isinstance(made, list) else [made])]
        return self.covers or tuple(t for t in found if issubclass(t, L.Layer))


def shake(model: keras.Model, seed: int = 0) -> None:
    """Makes every bias, factor and statistic random."""
    rng = np.random.default_rng(seed)
    for v in model.variables:
        if v.name in ("bias", "beta", "moving_mean"):
            v.assign(rng.normal(0, 0.3, v.shape))
        elif v.name in ("gamma", "scale", "moving_variance", "alpha"):
            v.assign(rng.uniform(0.3, 1.5, v.shape))


def _merge(kind):
    """A merge of two branches."""

    def make():
        left, right, merge = L.Dense(4, name="left"), L.Dense(4, name="right"), kind(name="merge")
        return lambda x: merge([left(x), right(x)])

    return make


def _attention():
    layer = L.MultiHeadAttention(2, 3, name="attention")
    return lambda x: layer(x, x)


def _grouped_attention():
    layer = L.GroupQueryAttention(3, 4, 2, name="attention")
    return lambda x: layer(x, x, use_causal_mask=True)


def _plain_attention(kind):
    def make():
        layer = kind(name="attention")
        return lambda x: layer([x, x], use_causal_mask=True)

    return make


def _layer(kind, *args, **kwargs):
    return lambda: kind(*args, name="it", **kwargs)


def _row(name, kind, *args, shape=IMAGE, gap=1.0, words=False, covers=(), **kwargs):
    return Case(name, _layer(kind, *args, **kwargs), shape, covers or (kind,), words, gap)


def _newer_row(name, **kwargs):
    """The row of a layer type that came after the oldest Keras, which `needs_keras` skips there."""
    row = _row(name, getattr(L, name, None), **kwargs)
    return replace(row, needs=(f"layers.{name}",))


def _merged(kind):
    # Average is a sum and a product, with a value in between
    return Case(kind.__name__, _merge(kind), covers=(kind,), gap=2 if kind is L.Average else 1)


KERNELS = [
    _row("Dense", L.Dense, 5, shape=VECTOR),
    _row("Dense-relu", L.Dense, 5, activation="relu", shape=VECTOR),
    _row("Dense-sigmoid", L.Dense, 5, activation="sigmoid", shape=VECTOR),
    _row("Dense-tanh", L.Dense, 5, activation="tanh", shape=VECTOR),
    _row("Dense-softmax", L.Dense, 5, activation="softmax", shape=VECTOR),
    _row("Dense-silu", L.Dense, 5, activation="silu", shape=VECTOR),
    _row("Dense-elu", L.Dense, 5, activation="elu", shape=VECTOR),
    _row(
        "EinsumDense",
        L.EinsumDense,
        "abc,cd->abd",
        output_shape=(6, 5),
        bias_axes="d",
        shape=SERIES,
    ),
    _row(
        "EinsumDense-heads",
        L.EinsumDense,
        "abc,cde->abde",
        output_shape=(6, 2, 3),
        bias_axes="de",
        shape=SERIES,
    ),
    _row("Conv1D", L.Conv1D, 5, 3, shape=SERIES),
    _row("Conv2D", L.Conv2D, 5, 3),
    _row("Conv2D-relu6", L.Conv2D, 5, 3, activation="relu6", padding="same", strides=2),
    _row("Conv2D-groups", L.Conv2D, 6, 3, groups=2),
    _row("Conv2D-dilated", L.Conv2D, 5, 2, dilation_rate=2),
    _row("Conv3D", L.Conv3D, 3, 2, shape=VOLUME),
    _row("Conv1DTranspose", L.Conv1DTranspose, 5, 3, strides=2, shape=SERIES),
    _row("Conv2DTranspose", L.Conv2DTranspose, 5, 3, strides=2),
    _row("Conv3DTranspose", L.Conv3DTranspose, 3, 2, shape=VOLUME),
    _row("DepthwiseConv1D", L.DepthwiseConv1D, 3, shape=SERIES),
    _row("DepthwiseConv2D", L.DepthwiseConv2D, 3, depth_multiplier=2),
    _row("SeparableConv1D", L.SeparableConv1D, 5, 3, shape=SERIES, gap=2),
    _row("SeparableConv2D", L.SeparableConv2D, 5, 3, gap=2),
    _row("Embedding", L.Embedding, 10, 4, shape=(6,), words=True),
    _row("SimpleRNN", L.SimpleRNN, 4, shape=SERIES, gap=6),
    _row("SimpleRNN-sequences", L.SimpleRNN, 4, return_sequences=True, shape=SERIES, gap=6),
    _row("LSTM", L.LSTM, 4, shape=SERIES, gap=6),
    _row("GRU", L.GRU, 4, shape=SERIES, gap=6),
    Case(
        "Bidirectional",
        lambda: L.Bidirectional(L.SimpleRNN(3), name="it"),
        SERIES,
        (L.Bidirectional,),
        gap=6,
    ),
    Case(
        "Bidirectional-GRU",
        lambda: L.Bidirectional(L.GRU(3), name="it"),
        SERIES,
        (L.Bidirectional,),
        gap=6,
    ),
    Case(
        "TimeDistributed",
        lambda: L.TimeDistributed(L.Dense(3), name="it"),
        SERIES,
        (L.TimeDistributed,),
    ),
    Case(
        "TimeDistributed-Conv2D",
        lambda: L.TimeDistributed(L.Conv2D(3, 2), name="it"),
        (3, 4, 4, 2),
        (L.TimeDistributed,),
    ),
    Case("MultiHeadAttention", _attention, SERIES, (L.MultiHeadAttention,), gap=4),
    Case("GroupQueryAttention", _grouped_attention, SERIES, (L.GroupQueryAttention,), gap=4),
    Case(
        "Conv2D-BN-ReLU",
        lambda: [L.Conv2D(5, 3, use_bias=False), L.BatchNormalization(), L.ReLU()],
        covers=(L.BatchNormalization,),
    ),
    Case(
        "Dense-BN-ReLU",
        lambda: [L.Dense(5), L.BatchNormalization(), L.ReLU()],
        VECTOR,
        (L.BatchNormalization,),
    ),
    Case(
        "Depthwise-BN-ReLU",
        lambda: [
            L.DepthwiseConv2D(3, use_bias=False, depth_multiplier=2),
            L.BatchNormalization(),
            L.ReLU(),
        ],
        covers=(L.BatchNormalization,),
    ),
    Case(
        "Transpose-BN-ReLU",
        lambda: [L.Conv2DTranspose(5, 3, strides=2), L.BatchNormalization(), L.ReLU()],
        covers=(L.BatchNormalization,),
    ),
    Case(
        "Separable-BN-ReLU",
        lambda: [L.SeparableConv2D(5, 3), L.BatchNormalization(), L.ReLU()],
        covers=(L.BatchNormalization,),
        gap=4,
    ),
    Case(
        "BN-ReLU-Conv2D",
        lambda: [L.BatchNormalization(), L.ReLU(), L.Conv2D(5, 3)],
        covers=(L.BatchNormalization,),
    ),
]

PLAIN = [
    _row("BatchNormalization", L.BatchNormalization),
    _row("BatchNormalization-vector", L.BatchNormalization, shape=VECTOR),
    _row("BatchNormalization-volume", L.BatchNormalization, shape=VOLUME),
    # plain kernels round a mean the other way now and then, which all that follows enlarges
    _row("LayerNormalization", L.LayerNormalization, shape=SERIES, gap=4),
    _row("LayerNormalization-axes", L.LayerNormalization, axis=[1, 2], shape=SERIES, gap=4),
    _row("LayerNormalization-plain", L.LayerNormalization, scale=False, center=False, shape=SERIES, gap=4),
    _newer_row("RMSNormalization", shape=SERIES, gap=2),
    _row("GroupNormalization", L.GroupNormalization, groups=2, gap=4),
    _row("GroupNormalization-first", L.GroupNormalization, groups=2, axis=1),
    _row("UnitNormalization", L.UnitNormalization, shape=VECTOR, gap=2),
    _row("PReLU", L.PReLU, shared_axes=[1, 2]),
    _row("Normalization", L.Normalization, mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 0.5]),
    _row("Rescaling", L.Rescaling, 0.5, offset=-0.2),
    *[_merged(k) for k in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate)],
    Case(
        "Dot",
        lambda: (lambda a, b: lambda x: L.Dot(axes=(2, 2), name="dot")([a(x), b(x)]))(
            L.Dense(4, name="left"), L.Dense(4, name="right")
        ),
        SERIES,
        (L.Dot,),
    ),
    Case(
        "Dot-cosine",
        lambda: (lambda a, b: lambda x: L.Dot(axes=(2, 2), normalize=True, name="dot")([a(x), b(x)]))(
            L.Dense(4, name="left"), L.Dense(4, name="right")
        ),
        SERIES,
        (L.Dot,),
    ),
    _row("MaxPooling1D", L.MaxPooling1D, shape=SERIES),
    _row("MaxPooling2D", L.MaxPooling2D),
    _row("MaxPooling3D", L.MaxPooling3D, shape=VOLUME),
    _row("MaxPooling3D-same", L.MaxPooling3D, 3, strides=2, padding="same", shape=VOLUME),
    _row("AveragePooling1D", L.AveragePooling1D, 2, shape=SERIES),
    _row("AveragePooling2D", L.AveragePooling2D, padding="same", pool_size=4),
    _row("AveragePooling3D", L.AveragePooling3D, 2, shape=VOLUME, gap=2),
    _row("AveragePooling3D-same", L.AveragePooling3D, 3, strides=2, padding="same", shape=VOLUME, gap=2),
    _row("GlobalMaxPooling1D", L.GlobalMaxPooling1D, shape=SERIES),
    _row("GlobalMaxPooling2D", L.GlobalMaxPooling2D),
    _row("GlobalMaxPooling3D", L.GlobalMaxPooling3D, shape=VOLUME),
    _row("GlobalAveragePooling1D", L.GlobalAveragePooling1D, shape=SERIES),
    _row("GlobalAveragePooling2D", L.GlobalAveragePooling2D),
    _row("GlobalAveragePooling2D-keepdims", L.GlobalAveragePooling2D, keepdims=True),
    _row("GlobalAveragePooling3D", L.GlobalAveragePooling3D, shape=VOLUME),
    _row("ZeroPadding1D", L.ZeroPadding1D, shape=SERIES),
    _row("ZeroPadding2D", L.ZeroPadding2D),
    _row("ZeroPadding3D", L.ZeroPadding3D, shape=(2, 2, 2, 2)),
    _row("Cropping1D", L.Cropping1D, shape=SERIES),
    _row("Cropping2D", L.Cropping2D),
    _row("Cropping3D", L.Cropping3D, shape=VOLUME),
    _row("UpSampling1D", L.UpSampling1D, shape=SERIES),
    _row("UpSampling2D", L.UpSampling2D),
    _row("UpSampling2D-bilinear", L.UpSampling2D, interpolation="bilinear", gap=2),
    _row("Resizing", L.Resizing, 9, 8, gap=2),
    _row("Resizing-nearest", L.Resizing, 9, 8, interpolation="nearest"),
    _row("CenterCrop", L.CenterCrop, 4, 3),
    _row("UpSampling3D", L.UpSampling3D, shape=(2, 2, 2, 2)),
    _row("Flatten", L.Flatten),
    _row("Reshape", L.Reshape, (9, 16)),
    _row("Permute", L.Permute, (2, 1), shape=SERIES),
    _row("RepeatVector", L.RepeatVector, 3, shape=VECTOR),
    Case(
        "passing",
        lambda: [
            *(k(0.2) for k in (L.Dropout, L.SpatialDropout2D, L.GaussianDropout)),
            *(L.GaussianNoise(0.2), L.AlphaDropout(0.2), L.ActivityRegularization(l2=0.1)),
            L.Identity(),
        ],
    ),
    _row("SpatialDropout1D", L.SpatialDropout1D, 0.2, shape=SERIES),
    _row("SpatialDropout3D", L.SpatialDropout3D, 0.2, shape=VOLUME),
    _row("Masking", L.Masking, shape=SERIES),
    _row("Masking-by-ones", L.Masking, 1.0, shape=SERIES),
    Case("Attention", _plain_attention(L.Attention), SERIES, (L.Attention,), gap=2),
    Case("AdditiveAttention", _plain_attention(L.AdditiveAttention), SERIES, (L.AdditiveAttention,), gap=8),
    _row("Softmax", L.Softmax, shape=VECTOR),
    _row("ReLU", L.ReLU),
    _row("ReLU-capped", L.ReLU, max_value=2.0, gap=2),
    _row("ReLU-leaky", L.ReLU, negative_slope=0.1),
    _row("LeakyReLU", L.LeakyReLU),
    _row("ELU", L.ELU),
    _row("ELU-steep", L.ELU, alpha=2.0),
    *[
        _row(f"Activation-{a}", L.Activation, a, shape=VECTOR, gap=gap)
        for a, gap in {
            **dict.fromkeys(("linear", "relu", "relu6", "sigmoid", "tanh", "softmax"), 1),
            **dict.fromkeys(("silu", "gelu", "leaky_relu", "hard_silu", "hard_sigmoid"), 1),
            **dict.fromkeys(("elu", "softsign", "exponential", "log_softmax"), 1),
            **{"softplus": 2, "log_sigmoid": 2, "mish": 4, "selu": 2},  # several roundings in a row
        }.items()
    ],
]

CASES = KERNELS + PLAIN


def pytest_generate_tests(metafunc):
    """Runs a test over all cases, over those with kernels, or over the others."""
    for name, cases in (
        ("case", CASES),
        ("kernel_case", KERNELS),
        ("plain_case", PLAIN),
    ):
        if name in metafunc.fixturenames:
            rows = [pytest.param(c, marks=[pytest.mark.needs_keras(n) for n in c.needs]) for c in cases]
            metafunc.parametrize(name, rows, ids=[c.name for c in cases])


@pytest.fixture(name="shake", scope="session")
def shake_fixture():
    """The function that makes biases, factors and statistics random."""
    return shake


@pytest.fixture(scope="session")
def all_cases(keras_has):
    """Every case whose layers this Keras has."""
    return [case for case in CASES if all(map(keras_has, case.needs))]


@pytest.fixture(scope="session")
def case_named():
    """Function from the name of a case to the case."""
    return {case.name: case for case in CASES}.__getitem__


@pytest.fixture(scope="session")
def convert_as_the_table_says():
    """Function `(case, model) -> Artifact`, None where the table says an operation stays float.

    The contract of conversion: either every operation is integer and the file computes the
    simulation, within a step where the simulation knows every inner value; or the error names the
    operations the table names, and their layer.
    """
    return _convert_as_the_table_says


def _convert_as_the_table_says(case, model):
    expected = {}
    reasons = float_reasons(op for _, op in leaves(model))
    for path, op in leaves(model):
        if id(op) in reasons:
            expected[path] = set(reasons[id(op)])
    said = {}
    for each in floats_inside(model, trace(model)):  # what a plan says before training
        said.setdefault(each.layer, set()).add(each.op)
    assert said == expected
    if expected:
        with pytest.raises(tfc.NotFullyInteger) as caught:
            tfc.convert(model, calibration=case.data())
        found = {}
        for each in caught.value.float_ops:
            found.setdefault(each.layer, set()).add(each.op)
        assert found == expected
        return None
    artifact = tfc.convert(model, calibration=case.data())
    assert artifact.is_integer and artifact.float_ops() == ()
    with_xnnpack, without = artifact.metadata["parity"]
    assert with_xnnpack["largest_gap"] <= case.gap + 0.5
    assert without["largest_gap"] <= case.gap + 1.5  # the plain kernels round twice
    return artifact
