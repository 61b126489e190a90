"""The integer forms compute what Keras' own calls compute, as long as nothing is rounded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.fake_quant.intermediate_ranges import IntermediateRanges
from tfcompress.fake_quant.transforms.ranges import OBSERVE, ActivationRange
from tfcompress.layer_table import integer_rewrites as forms
from tfcompress.layer_table.activations import activation_spec
from tfcompress.layer_table.lookup import spec_of

L = keras.layers
pytestmark = pytest.mark.needs_keras("layers.RMSNormalization", rows=["rms", "rms over two axes"])

NORMS = {
    "layer": (lambda: L.LayerNormalization(), (7, 12)),
    "layer without factors": (lambda: L.LayerNormalization(center=False, scale=False), (7, 12)),
    "layer without beta": (lambda: L.LayerNormalization(center=False), (12,)),
    "layer without gamma": (lambda: L.LayerNormalization(scale=False), (5, 4, 3)),
    "layer over two axes": (lambda: L.LayerNormalization(axis=[1, 2], epsilon=1e-6), (5, 4, 3)),
    "layer over the first axis": (lambda: L.LayerNormalization(axis=1), (5, 4)),
    "layer, axis counted from the front": (lambda: L.LayerNormalization(axis=2), (5, 4)),
    "rms": (lambda: L.RMSNormalization(), (7, 12)),
    "rms over two axes": (lambda: L.RMSNormalization(axis=[1, 2]), (7, 12)),
    "group": (lambda: L.GroupNormalization(groups=3), (5, 4, 12)),
    "group of a vector": (lambda: L.GroupNormalization(groups=3), (12,)),
    "group over a volume": (lambda: L.GroupNormalization(groups=2, scale=False), (2, 3, 4, 6)),
    "group without factors": (lambda: L.GroupNormalization(groups=3, scale=False, center=False), (5, 12)),
    "instance": (lambda: L.GroupNormalization(groups=-1), (5, 4, 6)),
    "unit": (lambda: L.UnitNormalization(), (7, 12)),
    "unit over two axes": (lambda: L.UnitNormalization(axis=[1, 2]), (7, 12)),
}


def watching(names):
    """A grid whose ranges look on and round nothing."""
    return IntermediateRanges({n: ActivationRange() for n in names}, 8, OBSERVE, exports=False, folds=False)


def built(make, shape):
    layer = make()
    layer.build((None, *shape))
    rng = np.random.default_rng(0)
    for v in layer.variables:
        v.assign(rng.uniform(-1.5, 1.5, v.shape))
    return layer


@pytest.mark.sampled(5)
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("name", NORMS)
def test_a_normalization_is_itself(name, scale):
    make, shape = NORMS[name]
    layer, x = built(make, shape), np.random.default_rng(1).normal(0.3, 1.0, (6, *shape)).astype("float32")
    spec = spec_of(layer)
    grid = watching(spec.inside)
    found, wanted = spec.written(layer, tf.constant(scale * x), grid), layer(scale * x)
    assert np.abs(found - wanted).max() < 2e-4
    assert all(span.is_set for span in grid.ranges.values())  # no name without a value


@pytest.mark.parametrize("name", ["layer", "rms", "group", "unit"])
def test_a_blank_vector_has_a_finite_answer(name):
    make, shape = NORMS[name]
    layer, x = built(make, shape), np.random.default_rng(1).normal(size=(6, *shape)).astype("float32")
    x[2] = 0.0
    spec = spec_of(layer)
    found = spec.written(layer, tf.constant(x), watching(spec.inside))
    assert np.allclose(found[2], layer(x)[2], atol=1e-5) and np.isfinite(found).all()


def test_a_vector_far_below_the_largest_keeps_its_direction():
    layer = built(*NORMS["unit"])
    x = np.random.default_rng(1).normal(size=(6, 7, 12)).astype("float32")
    x[0] *= 1e-3  # its largest value is below 1/32 of the largest of all
    spec = spec_of(layer)
    found, wanted = (np.asarray(y)[0] for y in (spec.written(layer, x, watching(spec.inside)), layer(x)))
    assert np.allclose(found / np.linalg.norm(found, axis=-1, keepdims=True), wanted, atol=1e-5)
    assert np.abs(found).max() < np.abs(wanted).max()


@pytest.mark.parametrize("name", ["elu", "selu", "softplus", "mish", "log_sigmoid"])
def test_an_activation_is_itself(name):
    function = getattr(keras.activations, name)
    spec, x = activation_spec(function), np.linspace(-8.0, 8.0, 1001, dtype="float32")
    grid = watching(spec.inside)
    limit = 1.0 / 128.0 if name == "mish" else 1e-6  # LiteRT's tanh ends at 127/128
    assert np.allclose(spec.written(tf.constant(x), grid), function(x), rtol=limit, atol=2e-6)
    assert all(span.is_set for span in grid.ranges.values())


@pytest.mark.parametrize("layer", [L.ELU(), L.ELU(0.3), L.ELU(alpha=2.5)], ids=["1", "0.3", "2.5"])
def test_the_slope_of_elu_is_kept(layer):
    x, spec = np.linspace(-8.0, 8.0, 101, dtype="float32"), spec_of(layer)
    assert np.allclose(spec.written(layer, tf.constant(x), watching(spec.inside)), layer(x), atol=1e-6)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", [L.MaxPooling3D, L.AveragePooling3D])
def test_a_volume_is_pooled_plane_by_plane(kind, padding):
    layer = kind((2, 3, 2), strides=(1, 2, 3), padding=padding)
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 6, 7, 3)), tf.float32)
    assert np.allclose(spec_of(layer).written(layer, x, watching(())), layer(x), atol=1e-6)


def test_masking_by_zeros_hands_on_values_and_mask():
    x = np.ones((2, 3, 4), "float32")
    x[0, 1] = 0.0
    given, layer = tf.constant(x), L.Masking()
    found = forms.masking(layer, given, watching(()))
    assert np.array_equal(found, layer(given)) and np.array_equal(found._keras_mask, layer.compute_mask(given))


def test_where_no_form_exists_the_row_says_so():
    first = L.GroupNormalization(groups=2, axis=1)
    first.build((None, 4, 5, 6))
    assert spec_of(first).written is None and spec_of(first).float_ops == ("NEG", "SQUARE")
    assert spec_of(L.Masking(1.0)).float_ops == ("NOT_EQUAL",) and spec_of(L.Masking(1.0)).written is None


@pytest.mark.parametrize("name", ["layer", "group"])
def test_plans_of_an_earlier_release_keep_their_form(name):
    make, shape = NORMS[name]
    layer, x = built(make, shape), np.random.default_rng(1).normal(0.3, 1.0, (6, *shape)).astype("float32")
    grid = watching(("mean", "centred", "magnitude", "spread", "eased", "inverse", "normalized"))
    assert np.abs(spec_of(layer).written(layer, tf.constant(x), grid) - layer(x)).max() < 2e-4
    assert all(span.is_set for span in grid.ranges.values())


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_the_mean_of_small_vectors_is_not_subtracted_on_the_scale_of_large_ones(offset):
    rng = np.random.default_rng(0)
    size = np.exp(0.7 * rng.normal(size=(64, 16, 1)))
    x = (rng.normal(size=(64, 16, 32)) * size + offset * rng.normal(size=(64, 16, 1))).astype("float32")
    inputs = keras.Input((16, 32))
    model = keras.Model(inputs, L.LayerNormalization()(inputs))
    gap = tfc.convert(model, calibration=x, diagnose=False).predict(x) - model.predict(x, verbose=0)
    assert np.sqrt(np.mean(gap**2)) < 0.095
