"""The rows of Keras' layers without kernels: normalizations, merges, pooling, activations, moves of values."""

from dataclasses import replace

import keras
import numpy as np
from keras import layers as L

from tfcompress.layer_table import integer_rewrites as forms
from tfcompress.layer_table import mac_counts
from tfcompress.layer_table.activations import PROBABILITY, activation, activation_spec, is_elementwise
from tfcompress.layer_table.registry import describe, present
from tfcompress.layer_table.spec import AVERAGE, BLEND, FIXED, FOLD, FUSE, JOIN, OWN, SAME, SOFTMAX


def _by_activation(layer, spec):
    """Describes a layer that only applies its activation function."""
    act = activation_spec(layer.activation)
    flow = "pass" if is_elementwise(layer.activation) else "whole"
    ops = act.float_ops if act.written is None else ()
    return replace(
        spec,
        grid=act.grid,
        fixed=act.fixed,
        float_ops=ops,
        flow=flow,
        is_positive=act.is_positive,
        is_identity=activation(layer) is None,
        relu_cap=act.relu_cap,
        probabilities=act.probabilities,
    )


def _relu(layer, spec):
    spec = replace(
        spec,
        is_positive=not layer.negative_slope,
        is_homogeneous=not layer.threshold and layer.max_value is None,
        relu_cap=None if layer.threshold else layer.max_value,
    )
    if layer.negative_slope and spec.is_homogeneous:
        return replace(spec, grid=OWN, written=forms.leaky_relu)
    if layer.negative_slope or layer.threshold:
        return replace(spec, grid=OWN)
    # a minimum and a maximum, both on the scale of the output
    return spec if layer.max_value in (None, 6, 6.0) else replace(spec, grid=JOIN, written=forms.capped)


def _normalized(layer, spec):
    """Excludes BatchNormalization over another axis than the last, the channels, from channel pruning."""
    last = -1 if layer.input_spec is None else layer.input_spec.ndim - 1
    return spec if layer.axis in (-1, last) else replace(spec, flow="still")


_RMS = ("magnitude", "spread", "eased", "inverse")
_CENTRED = ("sized", "offset", "around")


def _layer_norm(layer, spec):
    if layer.rms_scaling:  # deprecated in Keras, and not the same as RMS normalization
        return replace(spec, float_ops=("NEG",))
    scales = layer.scale or layer.center
    several = layer.scale and layer.center and not forms.by_channel(layer)
    names = (*_CENTRED, *_RMS, *(("normalized",) if scales else ()), *(("scaled",) if several else ()))
    return replace(spec, written=forms.layer_normalization, inside=names)


def _group_norm(layer, spec):
    last = -1 if layer.input_spec is None else layer.input_spec.ndim - 1
    if layer.axis not in (-1, last):
        return replace(spec, float_ops=("NEG", "SQUARE"))
    names = (*_CENTRED, *_RMS, *(("normalized",) if layer.scale or layer.center else ()))
    return replace(spec, written=forms.group_normalization, inside=names)


def _pool(layer, spec):
    largest = isinstance(layer, L.MaxPooling3D)
    if layer.data_format != "channels_last":
        return replace(spec, float_ops=("MaxPool3D" if largest else "AvgPool3D",))
    form = forms.max_pooling3d if largest else forms.average_pooling3d
    return replace(spec, grid=SAME if largest else AVERAGE, pushes=largest, written=form)


def _masking(layer, spec):
    if np.any(layer.mask_value):
        return replace(spec, float_ops=("NOT_EQUAL",))
    return replace(spec, grid=SAME, written=forms.masking)


def resized(op, spec):
    """Describes resizing: nearest neighbours are input values, other interpolations make new ones."""
    how = getattr(op, "interpolation", getattr(op, "method", "bilinear"))
    return replace(spec, grid=SAME if how == "nearest" else BLEND)


def _flat(layer, spec):
    """Describes Flatten, whose output repeats the channels of the last axis, place after place."""
    last = layer.data_format == "channels_last"
    return replace(spec, repeats_channels=last, affine_commutes=last)


def _padded(layer, spec):
    """Describes padding with zeros, which may be none at all."""
    return replace(spec, pads_zeros=bool(np.any(layer.padding)))


def _standardized(layer, spec):
    mean = getattr(layer, "mean", None)
    if mean is None:  # not adapted yet
        return replace(spec, affine=False)
    return replace(spec, affine=all(n == 1 for n in mean.shape[:-1]), scale_and_shift=_by_mean_and_variance)


describe(L.Lambda, flow="unknown", holds_code=True)


def _by_mean_and_variance(layer):
    mean, variance = (np.asarray(v) for v in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return (deviation, mean) if layer.invert else (1.0 / deviation, -mean / deviation)


def _rescaled(layer, spec):
    rank = max(np.ndim(layer.scale), np.ndim(layer.offset))
    return replace(spec, affine=rank <= 1, flow="still" if rank else "pass")


def _dot(layer, spec):
    """Adds to Dot(normalize=True) the ranges of the values inside: it divides both vectors by their lengths first."""
    names = [f"{side}{name}" for side in ("left", "right") for name in (" magnitude", " spread", "")]
    return replace(spec, within="unit length", inside=tuple(names)) if layer.normalize else spec


def _softmax(layer, spec):
    """Removes the rewrite of the masked Softmax where it is not taken over the last axis alone."""
    over = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    last = list(over) in ([-1], [len(layer.input_spec.shape) - 1] if getattr(layer, "input_spec", None) else [-1])
    return spec if last else replace(spec, within=None, inside=())


def _target_shape(layer, left):
    return {"target_shape": tuple(-1 if n is None else n for n in left.shape)}


_FACTORS = ("gamma", "beta")

describe(
    L.BatchNormalization,
    gamma="c",
    beta="c",
    moving_mean="c",
    moving_variance="c",
    grid=FOLD,
    affine=True,
    output_factors=_FACTORS,
    refine=_normalized,
)
describe(L.LayerNormalization, flow="whole", gamma="c", beta="c", output_factors=_FACTORS, refine=_layer_norm)
for _layer in present(L, "RMSNormalization"):  # from Keras 3.9 on
    describe(
        _layer,
        flow="whole",
        scale="c",
        output_factors=("scale",),
        written=forms.rms_normalization,
        inside=(*_RMS, "normalized"),
    )
describe(L.GroupNormalization, flow="whole", gamma="c", beta="c", output_factors=_FACTORS, refine=_group_norm)
describe(L.UnitNormalization, flow="whole", written=forms.unit_normalization, inside=("magnitude", "spread", "inverse"))
describe(L.Normalization, flow="still", affine=True, refine=_standardized)
describe(L.Rescaling, affine=True, refine=_rescaled, scale_and_shift=lambda layer: (layer.scale, layer.offset))
describe(L.PReLU, alpha="c", kernels=(), is_homogeneous=True, is_trailing=True)
describe(L.Add, flow="merge", is_homogeneous=True, is_sum=True, passes_masks=True)
describe(L.Subtract, flow="merge", is_homogeneous=True, passes_masks=True, function="difference")
describe(L.Average, flow="merge", is_homogeneous=True)
describe(L.Multiply, flow="merge", product=True, passes_masks=True)
describe(L.Maximum, L.Minimum, flow="merge", grid=JOIN, is_homogeneous=True)
describe(L.Dot, flow="still", refine=_dot, count_macs=mac_counts.dot)
describe(L.Concatenate, flow="concat", grid=JOIN)
describe(
    *(L.MaxPooling1D, L.MaxPooling2D, L.GlobalMaxPooling1D, L.GlobalMaxPooling2D, L.GlobalMaxPooling3D),
    grid=SAME,
    pushes=True,
    is_homogeneous=True,
)
describe(L.MaxPooling3D, refine=_pool, is_homogeneous=True)
describe(L.AveragePooling1D, L.AveragePooling2D, grid=AVERAGE, is_homogeneous=True, affine_commutes=True)
describe(L.AveragePooling3D, refine=_pool, is_homogeneous=True, affine_commutes=True)
describe(
    *(L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalAveragePooling3D),
    is_homogeneous=True,
    affine_commutes=True,
)
describe(
    *(L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D),
    grid=SAME,
    is_homogeneous=True,
    pads_zeros=True,
    refine=_padded,
)
describe(L.Cropping1D, L.Cropping2D, L.Cropping3D, grid=SAME, is_homogeneous=True, affine_commutes=True)
describe(L.UpSampling1D, L.UpSampling3D, grid=SAME, is_homogeneous=True, affine_commutes=True)
describe(L.UpSampling2D, grid=SAME, refine=resized, is_homogeneous=True, affine_commutes=True)
describe(L.Resizing, flow="still", refine=resized)
describe(L.CenterCrop, flow="still", grid=SAME)
describe(L.Flatten, flow="move", grid=SAME, pushes=True, refine=_flat)
describe(L.Reshape, flow="move", resize=_target_shape, grid=SAME, pushes=True)
describe(L.Permute, L.RepeatVector, flow="move", grid=SAME)
describe(
    *(L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D),
    grid=SAME,
    is_homogeneous=True,
    is_identity=True,
    is_trailing=True,
)
describe(
    *(L.GaussianDropout, L.GaussianNoise, L.AlphaDropout, L.ActivityRegularization),
    grid=SAME,
    is_homogeneous=True,
    is_identity=True,
)
describe(L.Identity, grid=SAME, is_homogeneous=True, is_identity=True, affine_commutes=True)
describe(L.Masking, flow="whole", refine=_masking)
describe(L.InputLayer, grid=SAME)
describe(
    L.StringLookup,
    L.IntegerLookup,
    L.TextVectorization,
    L.Hashing,
    L.HashedCrossing,
    flow="still",
    outside="LiteRT files hold no lookup tables and no strings: look the values up in the app (layer.get_vocabulary() "
    "gives the table), and convert what lies behind this layer, tfc.split(model, 'numeric').models[1]",
)
describe(L.Activation, refine=_by_activation, is_trailing=True)
describe(L.ReLU, grid=FUSE, refine=_relu, is_trailing=True)
describe(
    L.Softmax,
    flow="whole",
    grid=FIXED,
    fixed=PROBABILITY,
    within="masked softmax",
    inside=("logits",),
    refine=_softmax,
    probabilities=SOFTMAX,
)
describe(L.LeakyReLU, written=forms.leaky_relu, is_homogeneous=True, is_trailing=True)
describe(L.ELU, written=lambda layer, x, grid: forms.elu(x, grid, layer.alpha), inside=forms.BENT, is_trailing=True)
