"""The rows of Keras' own layers."""

from dataclasses import replace

import numpy as np
from keras import layers as L

from tfcompress.layer_table import integer_rewrites as forms
from tfcompress.layer_table.activations import PROBABILITY, activation_spec, is_elementwise
from tfcompress.layer_table.spec import AVERAGE, BLEND, FIXED, FOLD, FUSE, JOIN, OWN, SAME, arguments, describe, spec_of


def _by_activation(layer, spec):
    """The row of a layer that is nothing but its activation."""
    act = activation_spec(layer.activation)
    flow = "pass" if is_elementwise(layer.activation) else "whole"
    ops = act.float_ops if act.written is None else ()
    return replace(spec, grid=act.grid, fixed=act.fixed, float_ops=ops, flow=flow)


def _relu(layer, spec):
    if layer.negative_slope and not layer.threshold and layer.max_value is None:
        return replace(spec, grid=OWN, written=forms.leaky_relu)
    if layer.negative_slope or layer.threshold:
        return replace(spec, grid=OWN)
    # a smaller and a larger of two, both on the scale of the output
    return spec if layer.max_value in (None, 6, 6.0) else replace(spec, grid=JOIN, written=forms.capped)


def _einsum(layer, spec):
    """Letters from the equation: what the output keeps of the kernel is `o`, what is summed over is `i`."""
    inputs, output = layer.equation.replace(" ", "").split("->")
    data, letters = inputs.split(",")
    axes = {"kernel": "".join("o" if k in output else "i" for k in letters), "bias": "o"}
    # as Dense: the last axis of the input is summed over, the last of the output is new
    plain = axes["kernel"] in ("io", "oi") and data[-1] not in output and output[-1] not in data
    plain = plain and len(layer.bias_axes or "o") == 1
    return replace(spec, axes=axes, flow="mix" if plain else "still")


def _einsum_shape(layer, left):
    whole = layer.get_config()["output_shape"]
    return {"output_shape": (*whole[:-1], left.outputs) if isinstance(whole, (list, tuple)) else left.outputs}


def _conv(layer, spec):
    """A grouped convolution sums over the inputs of one group only, which go or stay as a whole."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return replace(spec, flow="still")
    if layer.groups == 1:
        return spec
    axes = {path: letters.replace("i", "j") for path, letters in spec.axes.items()}
    return replace(spec, flow="grouped", axes=axes)


def _filters(layer, left):
    return {"filters": left.outputs, "groups": left.groups} if layer.groups > 1 else {"filters": left.outputs}


def _last(layer, spec):
    """Channels lie on the last axis, or they can't be cut."""
    first = getattr(layer, "data_format", "channels_last") != "channels_last"
    return replace(spec, flow="still") if first else spec


def _normalized(layer, spec):
    """BatchNormalization treats each entry of its axis for itself; channels are the last one."""
    last = -1 if layer.input_spec is None else layer.input_spec.ndim - 1
    return spec if layer.axis in (-1, last) else replace(spec, flow="still")


_RMS = ("magnitude", "spread", "eased", "normalized")


def _layer_norm(layer, spec):
    if layer.rms_scaling:  # deprecated, and no RMS normalization
        return replace(spec, float_ops=("NEG",))
    scales = layer.scale or layer.center
    several = layer.scale and layer.center and not forms.by_channel(layer)
    names = ("mean", "centred", *_RMS[: 4 if scales else 3], *(("scaled",) if several else ()))
    return replace(spec, written=forms.layer_normalization, inside=names)


def _group_norm(layer, spec):
    last = -1 if layer.input_spec is None else layer.input_spec.ndim - 1
    if layer.axis not in (-1, last):
        return replace(spec, float_ops=("NEG", "SQUARE"))
    names = ("mean", "centred", *_RMS[: 4 if layer.scale or layer.center else 3])
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


def _gru(layer, spec):
    axes = dict(spec.axes)
    if layer.cell.use_bias:
        axes["cell/bias"] = "jg" if layer.reset_after else "g"
    return replace(spec, axes=axes)


def resized(op, spec):
    """Nearest neighbours are values that were there, what lies between them are new ones."""
    return replace(spec, grid=SAME if op.interpolation == "nearest" else BLEND)


def _standardized(layer, spec):
    mean = getattr(layer, "mean", None)
    return replace(spec, affine=mean is not None and all(n == 1 for n in mean.shape[:-1]))


def _rescaled(layer, spec):
    rank = max(np.ndim(layer.scale), np.ndim(layer.offset))
    return replace(spec, affine=rank <= 1, flow="still" if rank else "pass")


def _wrapped(layer, spec):
    """A wrapping layer has the weights of the layers inside, with their path in front."""
    inner = {name: spec_of(getattr(layer, name)) for name in spec.inner}
    return replace(
        spec,
        axes={f"{n}/{p}": a for n, s in inner.items() for p, a in s.axes.items()},
        kernels=tuple(f"{n}/{p}" for n, s in inner.items() for p in s.kernels),
        float_ops=tuple(dict.fromkeys(op for s in inner.values() for op in s.float_ops)),
        step=spec.step or any(s.step for s in inner.values()),
    )


def _heads(layer, spec):
    """Attention: the projections are EinsumDense layers; only those that exist are listed."""
    names = [n for n in ("query_dense", "key_dense", "value_dense", "output_dense") if hasattr(layer, n)]
    kernels = {f"{n}/kernel": "reo" if n == "output_dense" else "ind" for n in names}
    biases = {path.replace("kernel", "bias"): letters[1:].replace("eo", "o") for path, letters in kernels.items()}
    return replace(
        spec,
        axes=kernels | (biases if layer.get_config()["use_bias"] else {}),
        kernels=tuple(kernels),
        inside=_HEADS + (("gate", "attended") if layer.get_config().get("use_gate") else ()),
    )


_HEADS = ("query", "key", "scores", "value", "context")


def _grouped_heads(layer, spec):
    """The same with several query heads for one key and value; nothing of it is cut."""
    names = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")
    kernels = {f"{n}/kernel": "jjo" if n == "_output_dense" else "ind" for n in names if hasattr(layer, n)}
    return replace(
        spec, axes=kernels, kernels=tuple(kernels), inside=_HEADS + (("gate", "attended") if layer.use_gate else ())
    )


def _dot_attention(layer, spec):
    names = ("scaled", "scores") if layer.use_scale else ("scores",)
    return (
        replace(spec, inside=names)
        if layer.score_mode == "dot"
        else replace(spec, within="joined", inside=("sum", *names))
    )


def _dot(layer, spec):
    """Cosine similarity divides both vectors by their lengths first."""
    names = [f"{side}{name}" for side in ("left", "right") for name in (" magnitude", " spread", "")]
    return replace(spec, within="unit length", inside=tuple(names)) if layer.normalize else spec


def _softmax(layer, spec):
    """Over several axes at once Keras takes no Softmax."""
    over = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    last = list(over) in ([-1], [len(layer.input_spec.shape) - 1] if getattr(layer, "input_spec", None) else [-1])
    return spec if last else replace(spec, within=None, inside=())


def _attention(layer, left):
    return {"num_heads": left.inner, "output_shape": left.outputs}


def _inside(layer, left):
    """The arguments of a wrapper hold those of the layers inside."""
    config = layer.get_config()
    inner = arguments(getattr(layer, spec_of(layer).inner[0]), left)
    held = {name: config[name] for name in ("layer", "backward_layer") if config.get(name)}
    # as built it would have the sizes of before
    held = {name: {k: v for k, v in value.items() if k != "build_config"} for name, value in held.items()}
    return {name: {**value, "config": {**value["config"], **inner}} for name, value in held.items()}


def _target_shape(layer, left):
    return {"target_shape": tuple(-1 if n is None else n for n in left.shape)}


def _units(layer, left):
    return {"units": left.inner}


describe(L.Dense, flow="mix", width="units", kernel="io", bias="o")
describe(L.EinsumDense, flow="mix", kernel="io", bias="o", refine=_einsum, resize=_einsum_shape)
describe(L.Conv1D, flow="mix", width="filters", kernel="xio", bias="o", refine=_conv, resize=_filters)
describe(L.Conv2D, flow="mix", width="filters", kernel="xyio", bias="o", refine=_conv, resize=_filters)
describe(
    L.Conv3D,
    flow="mix",
    width="filters",
    kernel="xyzio",
    bias="o",
    float_ops=("CONV_3D",),
    refine=_conv,
    resize=_filters,
)
describe(L.Conv1DTranspose, flow="mix", width="filters", kernel="xoi", bias="o", refine=_last)
describe(L.Conv2DTranspose, flow="mix", width="filters", kernel="xyoi", bias="o", refine=_last)
describe(
    L.Conv3DTranspose,
    flow="mix",
    width="filters",
    kernel="xyzoi",
    bias="o",
    float_ops=("CONV_3D_TRANSPOSE",),
    refine=_last,
)
describe(L.DepthwiseConv1D, kernel="xcm", bias="c", refine=_last)
describe(L.DepthwiseConv2D, kernel="xycm", bias="c", refine=_last)
describe(
    L.SeparableConv1D,
    flow="mix",
    width="filters",
    depthwise_kernel="xcm",
    pointwise_kernel="xio",
    bias="o",
    refine=_last,
    written=forms.separable_convolution,
    inside=("between",),
)
describe(
    L.SeparableConv2D,
    flow="mix",
    width="filters",
    depthwise_kernel="xycm",
    pointwise_kernel="xyio",
    bias="o",
    refine=_last,
    written=forms.separable_convolution,
    inside=("between",),
)
describe(L.Embedding, flow="mix", width="output_dim", embeddings="vo")

describe(
    L.SimpleRNN,
    flow="mix",
    width="units",
    step=True,
    resize=_units,
    refine=None,
    **{"cell/kernel": "io", "cell/recurrent_kernel": "ro", "cell/bias": "o"},
)
describe(
    L.LSTM,
    flow="mix",
    width="units",
    step=True,
    resize=_units,
    refine=None,
    **{"cell/kernel": "ig", "cell/recurrent_kernel": "rg", "cell/bias": "g"},
)
describe(
    L.GRU,
    flow="mix",
    width="units",
    step=True,
    resize=_units,
    refine=_gru,
    **{"cell/kernel": "ig", "cell/recurrent_kernel": "rg"},
)
describe(L.Bidirectional, flow="both", inner=("forward_layer", "backward_layer"), refine=_wrapped, resize=_inside)
describe(L.TimeDistributed, flow="each step", inner=("layer",), refine=_wrapped, resize=_inside)
describe(L.MultiHeadAttention, flow="attention", within="heads", refine=_heads, resize=_attention)
describe(L.GroupQueryAttention, flow="still", within="heads", refine=_grouped_heads)
describe(L.Attention, flow="still", within="dot", inside=("scores",), refine=_dot_attention)
describe(L.AdditiveAttention, flow="still", within="additive", inside=("sum", "scores"))

describe(
    L.BatchNormalization,
    gamma="c",
    beta="c",
    moving_mean="c",
    moving_variance="c",
    grid=FOLD,
    affine=True,
    refine=_normalized,
)
describe(L.LayerNormalization, flow="whole", gamma="c", beta="c", refine=_layer_norm)
describe(L.RMSNormalization, flow="whole", scale="c", written=forms.rms_normalization, inside=_RMS)
describe(L.GroupNormalization, flow="whole", gamma="c", beta="c", refine=_group_norm)
describe(L.UnitNormalization, flow="whole", written=forms.unit_normalization, inside=_RMS[:2])
describe(L.Normalization, flow="still", affine=True, refine=_standardized)
describe(L.Rescaling, affine=True, refine=_rescaled)
describe(L.PReLU, alpha="c", kernels=())

describe(L.Add, L.Subtract, L.Average, flow="merge")
describe(L.Multiply, flow="merge", product=True)
describe(L.Maximum, L.Minimum, flow="merge", grid=JOIN)
describe(L.Dot, flow="still", refine=_dot)
describe(L.Concatenate, flow="concat", grid=JOIN)

describe(
    L.MaxPooling1D,
    L.MaxPooling2D,
    L.GlobalMaxPooling1D,
    L.GlobalMaxPooling2D,
    grid=SAME,
    pushes=True,
)
describe(L.GlobalMaxPooling3D, grid=SAME, pushes=True)
describe(L.MaxPooling3D, refine=_pool)
describe(L.AveragePooling1D, L.AveragePooling2D, grid=AVERAGE)
describe(L.AveragePooling3D, refine=_pool)
describe(L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalAveragePooling3D)
describe(
    L.ZeroPadding1D,
    L.ZeroPadding2D,
    L.ZeroPadding3D,
    L.Cropping1D,
    L.Cropping2D,
    L.Cropping3D,
    grid=SAME,
)
describe(L.UpSampling1D, L.UpSampling3D, grid=SAME)
describe(L.UpSampling2D, grid=SAME, refine=resized)
describe(L.Resizing, flow="still", refine=resized)
describe(L.CenterCrop, flow="still", grid=SAME)
describe(L.Flatten, flow="move", grid=SAME, pushes=True)
describe(L.Reshape, flow="move", resize=_target_shape, grid=SAME, pushes=True)
describe(L.Permute, L.RepeatVector, flow="move", grid=SAME)
describe(L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D, grid=SAME)
describe(L.GaussianDropout, L.GaussianNoise, L.AlphaDropout, L.Identity, grid=SAME)
describe(L.ActivityRegularization, grid=SAME)
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
    "gives the table), and build the model from what lies behind this layer, keras.Input(shape, dtype='int32')",
)

describe(L.Activation, refine=_by_activation)
describe(L.ReLU, grid=FUSE, refine=_relu)
describe(
    L.Softmax, flow="whole", grid=FIXED, fixed=PROBABILITY, within="masked softmax", inside=("logits",), refine=_softmax
)
describe(L.LeakyReLU, written=forms.leaky_relu)
describe(L.ELU, written=lambda layer, x, grid: forms.elu(x, grid, layer.alpha), inside=forms.BENT)
