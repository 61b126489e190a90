"""The one table of facts about layer types: what each weight's axes mean, and how int8 sees the output.

Axis letters: `i` input channel, `o` output channel, `c` one channel in and out, `m` multiplier, `x y z`
space, `g` gates of a recurrent cell, `v` vocabulary. Everything else (per-channel axes, kernels, MACs, folding
of BatchNormalization, placement of activation ranges) is derived from these strings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import keras
import numpy as np
from keras import layers as L

OWN = "own"  # the output has an int8 scale of its own
SAME = "same"  # the output has the scale of the input and only values that were there (MaxPooling, Reshape)
AVERAGE = "average"  # the scale of the input, but new values between (AveragePooling, bilinear resizing)
FIXED = "fixed"  # LiteRT fixes the scale (Softmax, sigmoid, tanh)
FUSE = "fuse"  # becomes part of the operation before it (ReLU)
FOLD = "fold"  # becomes part of the kernel before it (BatchNormalization)
JOIN = "join"  # all inputs and the output share one scale (Concatenate)
NONE = "none"  # no int8 output (integers, or an operation LiteRT runs in float only)


@dataclass(frozen=True)
class LayerSpec:
    """What is true of a layer type.

    Args:
        axes: Weight path (attributes joined by `/`, such as `cell/kernel`) to its axis letters.
        flow: How channels travel: "mix", "pass", "merge", "concat", "tile", "reshape" or "unknown".
        width: Constructor argument that sets the number of output channels, if there is one.
        kernels: Paths of the weights that techniques treat. Default: every weight with two axes or more.
        grid: How the int8 scale of the output arises, one of the constants of this module.
        fixed: `(low, high)` of the output where `grid` is "fixed".
        pushes: Whether a range found behind the layer serves its input as well (the layer only picks or moves values).
        float_ops: LiteRT operations that stay float inside an int8 file; empty when the layer becomes fully integer.
        inner: Attributes that hold the layers this one wraps (Bidirectional, TimeDistributed).
        step: Whether the layer runs a loop over time, which has to be unrolled for an integer file.
        affine: Whether the layer is `x * factor + shift` with one pair per channel (last axis) at inference, which an
            integer file holds as one depthwise 1x1 convolution.
    """

    axes: Mapping[str, str] = field(default_factory=dict)
    flow: str = "pass"
    width: str | None = None
    kernels: tuple[str, ...] = ()
    grid: str = OWN
    fixed: tuple[float, float] | None = None
    pushes: bool = False
    float_ops: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    step: bool = False
    affine: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the type stands in the table."""
        return self.flow != "unknown"

    def channel_axes(self, path: str) -> tuple[int, ...]:
        """Positions of the axes of a weight that get one quantization scale each (`o`, `c`, `m`, `g`)."""
        return tuple(k for k, letter in enumerate(self.axes[path]) if letter in "ocmg")

    def fan_in_axes(self, path: str) -> tuple[int, ...]:
        """Positions of the axes of a weight that one output channel sums over."""
        return tuple(k for k, letter in enumerate(self.axes[path]) if letter not in "ocmg")


UNKNOWN = LayerSpec(flow="unknown")

_table: dict[type, LayerSpec] = {}
_refine: dict[type, Callable[[object, LayerSpec], LayerSpec]] = {}


def describe(*types: type, refine: Callable[[object, LayerSpec], LayerSpec] | None = None, **facts) -> None:
    """Adds a row to the table, for one or several layer types; works for your own layers.

    Args:
        *types: Layer or operation classes.
        refine: Optional function `(layer, spec) -> spec` for facts that depend on the instance.
        **facts: Fields of `LayerSpec`; any other keyword is a weight path and its axis letters
            (`kernel="xyio"`, `**{"cell/kernel": "ig"}`).

    Raises:
        ValueError: If an axis string holds an unknown letter.

    Example:
        >>> import keras, tfcompress as tfc
        >>> class Scale(keras.layers.Layer):
        ...     def build(self, shape):
        ...         self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
        ...     def call(self, x):
        ...         return x @ self.kernel
        >>> tfc.describe(Scale, flow="mix", kernel="io")
        >>> tfc.spec_of(Scale()).kernels
        ('kernel',)
    """
    names = set(LayerSpec.__dataclass_fields__)
    axes = dict(facts.pop("axes", {})) | {k: facts.pop(k) for k in list(facts) if k not in names}
    for path, letters in axes.items():
        if not isinstance(letters, str) or set(letters) - set("iocmxyzgv"):
            raise ValueError(
                f"describe({types[0].__name__}): axes of weight {path!r} must be letters of 'iocmxyzgv'. "
                f"Received: {letters!r}"
            )
    kernels = facts.pop("kernels", tuple(p for p, letters in axes.items() if len(letters) > 1))
    for cls in types:
        _table[cls] = LayerSpec(axes=axes, kernels=tuple(kernels), **facts)
        if refine:
            _refine[cls] = refine


def spec_of(layer: object) -> LayerSpec:
    """Returns the facts about a layer or operation, `UNKNOWN` for a type that nobody described."""
    for cls in type(layer).__mro__:
        if cls in _table:
            spec = _table[cls]
            refine = _refine.get(cls)
            return refine(layer, spec) if refine else spec
    if isinstance(layer, keras.Operation) and type(layer).__module__.startswith("keras."):
        return _operations.get(type(layer).__name__, UNKNOWN)
    return UNKNOWN


def forget(*types: type) -> None:
    """Takes rows that `describe` added out of the table again."""
    for cls in types:
        _table.pop(cls, None)
        _refine.pop(cls, None)


def rows() -> dict[type, LayerSpec]:
    """Returns a copy of the table, in the order of description."""
    return dict(_table)


def weight(layer: object, path: str) -> keras.Variable:
    """Returns the variable of `layer` at an attribute path such as `kernel` or `cell/kernel`.

    Raises:
        ValueError: If there is no such variable, or the layer is not built.
    """
    found = layer
    for name in path.split("/"):
        found = found[int(name)] if name.isdigit() else getattr(found, name, None)
    if not isinstance(found, keras.Variable):
        raise ValueError(
            f"Layer {getattr(layer, 'name', layer)!r} has no weight {path!r}. "
            "Build the model first (call it once on data), or correct the path given to `describe`."
        )
    return found


@dataclass(frozen=True)
class ActivationSpec:
    """What int8 makes of an activation function.

    Args:
        grid: How the scale of its output arises, as in `LayerSpec`.
        fixed: Its range where LiteRT fixes it.
        float_ops: LiteRT operations that stay float.
        in_steps: The same function as the file computes it where that takes several operations, the values in
            between rounded; None where one operation does.
        written: The same function in operations whose inner values stay small enough for int8; None where Keras' own
            do.
    """

    grid: str = OWN
    fixed: tuple[float, float] | None = None
    float_ops: tuple[str, ...] = ()
    in_steps: Callable | None = None
    written: Callable | None = None


def _silu(x):
    """LiteRT multiplies x by its sigmoid, which has steps of 1/256."""
    gate = keras.ops.round(keras.ops.sigmoid(x) * 256.0) / 256.0
    return x * keras.ops.minimum(gate, 255.0 / 256.0)


def _positive(x):
    """As a maximum: a ReLU would fuse into the layer before, which then runs twice."""
    return keras.ops.maximum(x, 0.0)


def _softplus(x):
    """log(1 + exp(x)) without a large exponential."""
    return _positive(x) + keras.ops.log(1.0 + keras.ops.exp(keras.ops.abs(x) * -1.0))


def _mish(x):
    return x * keras.ops.tanh(_softplus(x))


def _selu(x):
    """Klambauer et al., "Self-Normalizing Neural Networks", 2017, without a large exponential."""
    low = keras.ops.exp(keras.ops.minimum(x, 0.0)) - 1.0
    return _positive(x) * 1.05070098 + low * (1.05070098 * 1.67326324)


_PROBABILITY = (0.0, 255.0 / 256.0)
_TANH = (-1.0, 127.0 / 128.0)

_activations: dict[object, ActivationSpec] = {
    keras.activations.linear: ActivationSpec(FUSE),
    keras.activations.relu: ActivationSpec(FUSE),
    keras.activations.relu6: ActivationSpec(FUSE),
    keras.activations.softmax: ActivationSpec(FIXED, _PROBABILITY),
    keras.activations.sigmoid: ActivationSpec(FIXED, _PROBABILITY),
    keras.activations.tanh: ActivationSpec(FIXED, _TANH),
    keras.activations.log_softmax: ActivationSpec(FIXED, (-255.0 / 16.0, 0.0)),
    keras.activations.softplus: ActivationSpec(OWN, written=_softplus),
    keras.activations.mish: ActivationSpec(OWN, written=_mish),
    keras.activations.selu: ActivationSpec(OWN, written=_selu),
    keras.activations.silu: ActivationSpec(OWN, in_steps=_silu),
    keras.activations.elu: ActivationSpec(OWN, float_ops=("ELU",)),
    keras.activations.log_sigmoid: ActivationSpec(OWN, float_ops=("NEG",)),
}


def activation_spec(function: object) -> ActivationSpec:
    """Returns the facts about an activation function; an unlisted one has an output range of its own."""
    return _activations.get(function, ActivationSpec())


def _by_activation(layer, spec):
    """The row of a layer that is nothing but its activation."""
    act = activation_spec(layer.activation)
    return replace(spec, grid=act.grid, fixed=act.fixed, float_ops=act.float_ops)


def _relu(layer, spec):
    plain = not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6, 6.0)
    return spec if plain else replace(spec, grid=OWN)


def _einsum(layer, spec):
    """Letters from the equation: what the output keeps of the kernel is `o`, what is summed over is `i`."""
    inputs, output = layer.equation.replace(" ", "").split("->")
    letters = inputs.split(",")[1]
    return replace(spec, axes={"kernel": "".join("o" if k in output else "i" for k in letters), "bias": "o"})


def _resize(layer, spec):
    return spec if layer.interpolation == "nearest" else replace(spec, grid=AVERAGE, pushes=False)


def _standardized(layer, spec):
    mean = getattr(layer, "mean", None)
    return replace(spec, affine=mean is not None and all(n == 1 for n in mean.shape[:-1]))


def _rescaled(layer, spec):
    return replace(spec, affine=max(np.ndim(layer.scale), np.ndim(layer.offset)) <= 1)


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
    axes = {f"{n}/kernel": "iio" if n == "output_dense" else "ioo" for n in names}
    return replace(spec, axes=axes, kernels=tuple(axes))


describe(L.Dense, flow="mix", width="units", kernel="io", bias="o")
describe(L.EinsumDense, flow="mix", kernel="io", bias="o", refine=_einsum)
describe(L.Conv1D, flow="mix", width="filters", kernel="xio", bias="o")
describe(L.Conv2D, flow="mix", width="filters", kernel="xyio", bias="o")
describe(L.Conv3D, flow="mix", width="filters", kernel="xyzio", bias="o", float_ops=("CONV_3D",))
describe(L.Conv1DTranspose, flow="mix", width="filters", kernel="xoi", bias="o")
describe(L.Conv2DTranspose, flow="mix", width="filters", kernel="xyoi", bias="o")
describe(
    L.Conv3DTranspose,
    flow="mix",
    width="filters",
    kernel="xyzoi",
    bias="o",
    float_ops=("CONV_3D_TRANSPOSE",),
)
describe(L.DepthwiseConv1D, kernel="xcm", bias="c")
describe(L.DepthwiseConv2D, kernel="xycm", bias="c")
describe(
    L.SeparableConv1D,
    flow="mix",
    width="filters",
    depthwise_kernel="xcm",
    pointwise_kernel="xio",
    bias="o",
)
describe(
    L.SeparableConv2D,
    flow="mix",
    width="filters",
    depthwise_kernel="xycm",
    pointwise_kernel="xyio",
    bias="o",
)
describe(L.Embedding, flow="mix", width="output_dim", embeddings="vo")

describe(
    L.SimpleRNN,
    flow="mix",
    width="units",
    step=True,
    **{"cell/kernel": "io", "cell/recurrent_kernel": "io", "cell/bias": "o"},
)
describe(
    L.LSTM,
    flow="mix",
    width="units",
    step=True,
    **{"cell/kernel": "ig", "cell/recurrent_kernel": "ig", "cell/bias": "g"},
)
describe(
    L.GRU,
    flow="mix",
    width="units",
    step=True,
    **{"cell/kernel": "ig", "cell/recurrent_kernel": "ig"},
)
describe(L.Bidirectional, flow="mix", inner=("forward_layer", "backward_layer"), refine=_wrapped)
describe(L.TimeDistributed, flow="mix", inner=("layer",), refine=_wrapped)
describe(L.MultiHeadAttention, flow="mix", refine=_heads)

describe(
    L.BatchNormalization,
    gamma="c",
    beta="c",
    moving_mean="c",
    moving_variance="c",
    grid=FOLD,
    affine=True,
)
describe(L.LayerNormalization, gamma="c", beta="c", float_ops=("NEG",))
describe(L.GroupNormalization, gamma="c", beta="c", float_ops=("NEG", "SQUARE"))
describe(L.UnitNormalization, float_ops=("SQUARE",))
describe(L.Normalization, affine=True, refine=_standardized)
describe(L.Rescaling, affine=True, refine=_rescaled)
describe(L.PReLU, alpha="c", kernels=())

describe(L.Add, L.Subtract, L.Multiply, L.Average, flow="merge")
describe(L.Maximum, L.Minimum, flow="merge", grid=JOIN)
describe(L.Dot, flow="mix")
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
describe(L.MaxPooling3D, float_ops=("MaxPool3D",))
describe(L.AveragePooling1D, L.AveragePooling2D, grid=AVERAGE)
describe(L.AveragePooling3D, float_ops=("AvgPool3D",))
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
describe(L.UpSampling2D, grid=SAME, refine=_resize)
describe(L.Flatten, flow="tile", grid=SAME, pushes=True)
describe(L.Reshape, flow="reshape", grid=SAME, pushes=True)
describe(L.Permute, L.RepeatVector, flow="reshape", grid=SAME)
describe(L.Dropout, L.SpatialDropout1D, L.SpatialDropout2D, L.SpatialDropout3D, grid=SAME)
describe(L.GaussianDropout, L.GaussianNoise, L.AlphaDropout, L.Identity, grid=SAME)
describe(L.ActivityRegularization, grid=SAME)
describe(L.Masking, float_ops=("NOT_EQUAL",))
describe(L.InputLayer, grid=SAME)

describe(L.Activation, refine=_by_activation)
describe(L.ReLU, grid=FUSE, refine=_relu)
describe(L.Softmax, grid=FIXED, fixed=_PROBABILITY)
describe(L.LeakyReLU)
describe(L.ELU, float_ops=("ELU",))

# Nodes that `keras.ops` calls leave in a Functional model; Keras publishes the functions, not these classes.
_operations: dict[str, LayerSpec] = {
    "Relu": LayerSpec(grid=FUSE),
    "Relu6": LayerSpec(grid=FUSE),
    "Sigmoid": LayerSpec(grid=FIXED, fixed=_PROBABILITY),
    "Softmax": LayerSpec(grid=FIXED, fixed=_PROBABILITY),
    "Tanh": LayerSpec(grid=FIXED, fixed=_TANH),
    "Concatenate": LayerSpec(flow="concat", grid=JOIN),
    **dict.fromkeys(("Add", "Subtract", "Multiply"), LayerSpec(flow="merge")),
    **dict.fromkeys(("GetItem", "Transpose", "Squeeze", "ExpandDims"), LayerSpec(grid=SAME)),
    **dict.fromkeys(("Reshape", "Max"), LayerSpec(flow="reshape", grid=SAME, pushes=True)),
    "Elu": LayerSpec(float_ops=("ELU",)),
    "Negative": LayerSpec(float_ops=("NEG",)),
    "Square": LayerSpec(float_ops=("SQUARE",)),
}
