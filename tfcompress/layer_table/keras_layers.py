"""The rows of Keras' layers that have kernels."""

from dataclasses import replace

from keras import layers as L

from tfcompress.layer_table import integer_rewrites as forms
from tfcompress.layer_table import mac_counts
from tfcompress.layer_table.activations import activation_spec
from tfcompress.layer_table.registry import arguments, describe, is_of_keras, spec_of
from tfcompress.layer_table.spec import FIXED, FUSE, OWN


def _einsum(layer, spec):
    """Reads the axis letters from the equation: kernel axes in the output are `o`, summed ones are `i`."""
    inputs, output = layer.equation.replace(" ", "").split("->")
    data, letters = inputs.split(",")
    axes = {"kernel": "".join("o" if k in output else "i" for k in letters), "bias": "o"}
    # as Dense: the last axis of the input is summed over, the last of the output is new
    plain = data[:-1] == output[:-1] and letters in (data[-1] + output[-1], output[-1] + data[-1])
    plain = plain and data[-1] != output[-1] and layer.bias_axes in (None, output[-1])
    # the channels of the input are summed over, and nothing else of it
    reads = ("kernel",) if [k for k in letters if k not in output] == [data[-1]] else ()
    flow = "mix" if plain else "project" if len(letters) > 2 else "still"
    return replace(spec, axes=axes, flow=flow, input_kernels=reads)


def _einsum_shape(layer, left):
    whole = layer.get_config()["output_shape"]
    if not isinstance(whole, (list, tuple)):
        return {"output_shape": left.outputs}
    if len(whole) != len(left.shape):
        return {"output_shape": (*whole[:-1], left.outputs)}
    return {"output_shape": tuple(a if b is None else b for a, b in zip(whole, left.shape, strict=True))}


def _conv(layer, spec):
    """Describes grouped convolutions, which sum over the channels of one group; groups are only cut whole."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return replace(spec, flow="still")
    if layer.groups == 1:
        return spec
    axes = {path: letters.replace("i", "j") for path, letters in spec.axes.items()}
    return replace(spec, flow="grouped", axes=axes)


def _filters(layer, left):
    return {"filters": left.outputs, "groups": left.groups} if layer.groups > 1 else {"filters": left.outputs}


def _last(layer, spec):
    """Excludes layers whose channels are not on the last axis from channel pruning."""
    first = getattr(layer, "data_format", "channels_last") != "channels_last"
    return replace(spec, flow="still") if first else spec


def _gru(layer, spec):
    axes = dict(spec.axes)
    if layer.cell.use_bias:
        axes["cell/bias"] = "jg" if layer.reset_after else "g"
    return _recurrent(layer, replace(spec, axes=axes))


_STEP = {  # cell: the values inside a step; with `reset_after=False` a GRU has one more
    "lstm": ("x", "zx", "zh", "z", "fc", "ig", "c", "h"),
    "gru": ("x", "zx", "zh", "z", "rh", "n", "gap", "zg", "h"),
    "simple": ("x", "zx", "zh", "z"),
}
_BENT = {"lstm": ("gate", "bent"), "gru": ("gate", "bent"), "simple": ("h",)}  # behind its activation functions
_STATES = {"lstm": ("h", "c"), "gru": ("h",), "simple": ("h",)}


def _recurrent(layer, spec):
    """Describes the values inside a step, of which one range each serves all steps; not of every cell."""
    cell, kind = layer.cell, spec.within
    rows = [activation_spec(getattr(cell, n)) for n in ("recurrent_activation", "activation") if hasattr(cell, n)]
    fits = all(row.grid == FIXED and not row.across or row.grid == FUSE and row.written is None for row in rows)
    if not fits or layer.stateful or not is_of_keras(cell):
        return replace(spec, within=None)
    bent = tuple(name for name, row in zip(_BENT[kind], rows, strict=True) if row.grid != FIXED)
    late = ("zr",) if not getattr(layer, "reset_after", True) else ()
    inside = (*_STEP[kind], *late, *bent)
    return replace(spec, inside=inside, shares=("h", *_STATES[kind]) if "h" in inside else ())


def _wrapped(layer, spec):
    """Describes a wrapper by the rows of the layers inside, with their attribute in front of the weight paths."""
    inner = {name: spec_of(getattr(layer, name)) for name in spec.inner}
    return replace(
        spec,
        axes={f"{n}/{p}": a for n, s in inner.items() for p, a in s.axes.items()},
        kernels=tuple(f"{n}/{p}" for n, s in inner.items() for p in s.kernels),
        input_kernels=tuple(f"{n}/{p}" for n, s in inner.items() for p in _reading(s)),
        float_ops=tuple(dict.fromkeys(op for s in inner.values() for op in s.float_ops)),
        step=spec.step or any(s.step for s in inner.values()),
    )


def _both(layer, spec):
    """Describes a bidirectional layer: its directions have ranges of their own, but one for the state they put out."""
    rows = {name.split("_")[0]: spec_of(getattr(layer, name)) for name in spec.inner}
    spec = _wrapped(layer, spec)
    if not all(row.within for row in rows.values()) or len({"h" in row.inside for row in rows.values()}) > 1:
        return spec
    joins = layer.merge_mode in ("concat", None)
    first = ("h",) * (2 if layer.merge_mode is None else 1) if joins else (OWN,)
    mine = [(d, n) for d, row in rows.items() for n in row.inside]
    states = [(d, n) for d, row in rows.items() for n in row.shares[1:]]
    inside, shares = ([n if n == "h" else f"{d} {n}" for d, n in each] for each in (mine, states))
    spec = replace(spec, within="both directions", inside=tuple(dict.fromkeys(inside)))
    if "h" in inside:
        return replace(spec, shares=(*first, *shares))
    return (
        replace(spec, grid=FIXED, fixed=activation_spec(layer.forward_layer.cell.activation).fixed) if joins else spec
    )


def _reading(spec):
    """Returns the kernels by which alone a layer inside reads its input; none where they read it group by group."""
    if spec.input_kernels or not spec.is_linear:
        return spec.input_kernels
    return () if spec.axes[spec.kernels[0]].is_grouped else spec.kernels[:1]


def _heads(layer, spec):
    """Describes multi-head attention by its projections, which are EinsumDense layers; lists those that exist."""
    names = [n for n in ("query_dense", "key_dense", "value_dense", "output_dense") if hasattr(layer, n)]
    kernels = {f"{n}/kernel": "reo" if n == "output_dense" else "ind" for n in names}
    biases = {path.replace("kernel", "bias"): letters[1:].replace("eo", "o") for path, letters in kernels.items()}
    return replace(
        spec,
        axes=kernels | (biases if layer.get_config()["use_bias"] else {}),
        kernels=tuple(kernels),
        input_kernels=_projections(layer, kernels),
        inside=_inside_heads(layer),
    )


def _inside_heads(layer):
    """Returns the names of the values inside of attention; Keras has a gate on its result from 3.14 on."""
    gate = ("gate", "attended") if _has_gate(layer) else ()
    return ("query", "key", "scores", "value", "context", *gate)


def _has_gate(layer):
    return bool(layer.get_config().get("use_gate"))


def _projections(layer, kernels):
    """Returns the kernels that read query, key and value; none with a gate, whose kernel reads the query too."""
    return () if _has_gate(layer) else tuple(path for path, letters in kernels.items() if "i" in letters)


def _grouped_heads(layer, spec):
    """Describes grouped-query attention, where several query heads share key and value; its heads are never cut."""
    names = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")
    kernels = {f"{n}/kernel": "jjo" if n == "_output_dense" else "ind" for n in names if hasattr(layer, n)}
    return replace(
        spec,
        axes=kernels,
        kernels=tuple(kernels),
        input_kernels=_projections(layer, kernels),
        inside=_inside_heads(layer),
    )


def _dot_attention(layer, spec):
    names = ("scaled", "scores") if layer.use_scale else ("scores",)
    return (
        replace(spec, inside=names)
        if layer.score_mode == "dot"
        else replace(spec, within="joined", inside=("sum", *names))
    )


def _attention(layer, left):
    return {"num_heads": left.inner, "output_shape": left.outputs}


def _inside(layer, left):
    """Returns the arguments of a wrapper, which contain those of the layers inside."""
    config = layer.get_config()
    inner = arguments(getattr(layer, spec_of(layer).inner[0]), left)
    held = {name: config[name] for name in ("layer", "backward_layer") if config.get(name)}
    # the build configuration holds the sizes before the cut
    held = {name: {k: v for k, v in value.items() if k != "build_config"} for name, value in held.items()}
    return {name: {**value, "config": {**value["config"], **inner}} for name, value in held.items()}


def _units(layer, left):
    return {"units": left.inner}


describe(L.Dense, flow="mix", is_linear=True, width="units", kernel="io", bias="o")
describe(
    L.EinsumDense,
    flow="mix",
    is_linear=True,
    kernel="io",
    bias="o",
    refine=_einsum,
    resize=_einsum_shape,
    count_macs=mac_counts.einsum_dense,
)
describe(L.Conv1D, flow="mix", is_linear=True, width="filters", kernel="xio", bias="o", refine=_conv, resize=_filters)
describe(L.Conv2D, flow="mix", is_linear=True, width="filters", kernel="xyio", bias="o", refine=_conv, resize=_filters)
describe(
    L.Conv3D,
    flow="mix",
    is_linear=True,
    width="filters",
    kernel="xyzio",
    bias="o",
    float_ops=("CONV_3D",),
    refine=_conv,
    resize=_filters,
)
describe(L.Conv1DTranspose, flow="mix", is_linear=True, width="filters", kernel="xoi", bias="o", refine=_last)
describe(L.Conv2DTranspose, flow="mix", is_linear=True, width="filters", kernel="xyoi", bias="o", refine=_last)
describe(
    L.Conv3DTranspose,
    flow="mix",
    is_linear=True,
    width="filters",
    kernel="xyzoi",
    bias="o",
    float_ops=("CONV_3D_TRANSPOSE",),
    refine=_last,
)
describe(L.DepthwiseConv1D, is_linear=True, kernel="xcm", bias="c", refine=_last)
describe(L.DepthwiseConv2D, is_linear=True, kernel="xycm", bias="c", refine=_last)
describe(
    L.SeparableConv1D,
    flow="mix",
    is_linear=True,
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
    is_linear=True,
    width="filters",
    depthwise_kernel="xycm",
    pointwise_kernel="xyio",
    bias="o",
    refine=_last,
    written=forms.separable_convolution,
    inside=("between",),
)
describe(L.Embedding, flow="mix", is_linear=True, width="output_dim", embeddings="vo")
describe(
    L.SimpleRNN,
    flow="mix",
    width="units",
    step=True,
    resize=_units,
    input_kernels=("cell/kernel",),
    within="simple",
    refine=_recurrent,
    **{"cell/kernel": "io", "cell/recurrent_kernel": "ro", "cell/bias": "o"},
)
describe(
    L.LSTM,
    flow="mix",
    width="units",
    step=True,
    resize=_units,
    input_kernels=("cell/kernel",),
    within="lstm",
    refine=_recurrent,
    **{"cell/kernel": "ig", "cell/recurrent_kernel": "rg", "cell/bias": "g"},
)
describe(
    L.GRU,
    flow="mix",
    width="units",
    step=True,
    resize=_units,
    input_kernels=("cell/kernel",),
    within="gru",
    refine=_gru,
    **{"cell/kernel": "ig", "cell/recurrent_kernel": "rg"},
)
describe(L.Bidirectional, flow="both", inner=("forward_layer", "backward_layer"), refine=_both, resize=_inside)
describe(
    L.TimeDistributed,
    flow="each step",
    inner=("layer",),
    refine=_wrapped,
    resize=_inside,
    count_macs=mac_counts.time_distributed,
)
describe(
    L.MultiHeadAttention,
    flow="attention",
    within="heads",
    refine=_heads,
    resize=_attention,
    count_macs=mac_counts.multi_head,
)
describe(
    L.GroupQueryAttention, flow="still", within="heads", refine=_grouped_heads, count_macs=mac_counts.grouped_heads
)
describe(L.Attention, flow="still", within="dot", inside=("scores",), refine=_dot_attention)
describe(L.AdditiveAttention, flow="still", within="additive", inside=("sum", "scores"))
