"""The rows of private classes of Keras: nodes of `keras.ops` calls, and layers inside `keras.applications`."""

from dataclasses import replace

import numpy as np

from tfcompress.layer_table import integer_rewrites as forms
from tfcompress.layer_table import mac_counts
from tfcompress.layer_table import operation_rewrites as single
from tfcompress.layer_table.activations import LOGARITHM, PROBABILITY, TANH
from tfcompress.layer_table.keras_layers_without_kernels import resized
from tfcompress.layer_table.registry import describe_operation
from tfcompress.layer_table.spec import AVERAGE, FIXED, FOLD, FUSE, JOIN, NONE, SAME, SIGMOID, SOFTMAX


def _over_last(op, spec):
    """Describes Softmax, which over the last axis reads all channels."""
    return replace(spec, flow="whole" if getattr(op, "axis", -1) in (-1, None) else "along")


def _unit_length(op, spec):
    """Adds the rewrite of UnitNormalization where the norm is that of length (order 2)."""
    if op.order != 2 or op.axis is None:
        return spec
    return replace(spec, written=forms.unit_normalization, inside=("magnitude", "spread", "inverse"))


def _with_kernel(op, spec):
    """Describes a product with a matrix of weights as a kernel."""
    kernel = _only_weight(op, ("x2", "b"))
    if kernel is None or len(kernel.shape) != 2 or op.arguments.get("transpose_b"):
        return spec
    return replace(spec, flow="mix", axes={kernel.name: "io"}, kernels=(kernel.name,), count_macs=None)


def _convolution(op, spec, letters=("xio", "xyio", "xyzio")):
    """Describes a convolution with weights, or with a constant kernel, which gets a scale without a zero point."""
    kernel = _only_weight(op, ("kernel", "filters"))
    if kernel is not None and getattr(op, "data_format", None) != "channels_first":
        axes = next(each for each in letters if len(each) == len(kernel.shape))
        return replace(spec, flow="mix", axes={kernel.name: axes}, kernels=(kernel.name,), count_macs=None)
    return spec if getattr(op, "weights", {}) else replace(spec, written=single.with_constant_kernel, reads_all=True)


def _depthwise_convolution(op, spec):
    """Describes a depthwise convolution as `_convolution` does."""
    return _convolution(op, spec, ("xcm", "xycm"))


def _only_weight(op, names):
    """Returns the only variable that an operation reads, if it is one of some arguments."""
    weights = getattr(op, "weights", {})
    found = [weights[name] for name in names if name in weights]
    return found[0] if len(weights) == 1 and found else None


def _with_bias(op, spec):
    """Describes a sum with one vector of weights as a bias."""
    shapes = [tuple(v.shape) for v in getattr(op, "weights", {}).values()]
    return replace(spec, is_bias=True) if len(shapes) == 1 and len(shapes[0]) == 1 else spec


def _by_constant(op, spec):
    """Describes a product with constants, which becomes part of the kernel before it as BatchNormalization does."""
    operand = getattr(op, "operand", None)
    if operand is None or spec.is_quotient and operand.place != 0:
        return spec
    power = -1 if spec.is_quotient else 1
    known = None if operand.value is None else lambda op: (_value(op.operand) ** power, 0.0)
    return replace(spec, grid=FOLD, affine=operand.size > 1, scale_and_shift=known)


def _shifted(op, spec):
    """Describes a sum or difference with constants."""
    spec = _with_bias(op, spec)
    operand = getattr(op, "operand", None)
    if operand is None or operand.value is None or not spec.is_sum and operand.place != 0:
        return spec
    sign = 1.0 if spec.is_sum else -1.0
    return replace(spec, scale_and_shift=lambda op: (1.0, sign * _value(op.operand)))


def _value(operand):
    """Returns a constant as an array: one number, or one for each channel."""
    return np.reshape(np.asarray(operand.value, "float32"), () if operand.size == 1 else (-1,))


def _plain_attention(op, spec):
    """Adds the rewrite of attention unless its scores are capped."""
    if not single.attention_is_plain(op):
        return spec
    names = ("query", "scores", "biased")
    return replace(spec, written=single.attention, inside=names, reads_all=True)


def _power(op, spec):
    """Adds the rewrite of a power whose exponent is a known small number."""
    exponent = getattr(op, "x2", getattr(op, "y", None))
    known = single.power(float(exponent)) if isinstance(exponent, (int, float)) else None
    return spec if known is None else replace(spec, written=known.written, inside=known.inside, function=known.function)


describe_operation("Relu", grid=FUSE, is_positive=True, is_homogeneous=True)
describe_operation("Relu6", grid=FUSE, is_positive=True, relu_cap=6.0)
describe_operation("Sigmoid", grid=FIXED, fixed=PROBABILITY, probabilities=SIGMOID)
describe_operation("Softmax", grid=FIXED, fixed=PROBABILITY, refine=_over_last, probabilities=SOFTMAX)
describe_operation("LogSoftmax", grid=FIXED, fixed=LOGARITHM, refine=_over_last)
describe_operation("Normalize", flow="whole", refine=_unit_length)
describe_operation("Tanh", grid=FIXED, fixed=TANH)
describe_operation("Elu", written=lambda op, x, grid: forms.elu(x, grid, op.alpha), inside=forms.BENT)
describe_operation("LeakyRelu", written=forms.leaky_relu, is_homogeneous=True)
describe_operation("Silu", written=lambda op, x, grid: forms.silu(x, grid))
describe_operation("Negative", written=forms.negative)
describe_operation("Square", written=forms.square, function="square")
# elementwise
describe_operation(
    "Abs", "Absolute", "Celu", "Exp", "Expm1", "Gelu", "Glu", "HardShrink", "HardSigmoid", "HardSilu", "Log", "Log1p",
    "SoftShrink", "Softsign", "SparsePlus", "SparseSigmoid", "TanhShrink", "Threshold",
)  # fmt: skip
describe_operation("Rsqrt", function="reciprocal root")
describe_operation("Sqrt", function="square root")
describe_operation("Reciprocal", function="reciprocal")
describe_operation("Power", refine=_power)
describe_operation("Selu", written=lambda op, x, grid: forms.selu(x, grid), inside=(*forms.BENT, "elu"))
describe_operation("Softplus", written=lambda op, x, grid: forms.softplus(x, grid), inside=(*forms.BENT, "size"))
describe_operation("LogSigmoid", written=lambda op, x, grid: forms.log_sigmoid(x, grid), inside=("below", "size"))
describe_operation(
    "Squareplus", written=lambda op, x, grid: forms.squareplus(x, grid, op.b), inside=("squares", "root", "sum")
)
describe_operation("Exp2", written=single.power_of_two, inside=("scaled",))
_ERF = ("squares", "factor", "inside")
describe_operation("Erf", written=single.error_function, inside=_ERF, is_lacking=True, grid=FIXED, fixed=TANH)
describe_operation("Erfc", written=single.complementary_error_function, inside=_ERF, is_lacking=True)
# statistics and what runs along an axis
describe_operation("Var", flow="reduce", function="variance", written=single.variance, inside=single.SPREAD)
describe_operation("Std", flow="reduce", written=single.deviation, inside=(*single.SPREAD, "variance"))
describe_operation("Moments", flow="reduce", function="moments", written=single.moments, inside=single.SPREAD)
describe_operation("Cumsum", flow="still", written=single.cumulative_sum)
describe_operation("Tril", flow="still", written=single.lower_triangle)
describe_operation("Triu", flow="still", written=single.upper_triangle)
describe_operation("Sort", flow="still", grid=SAME, written=single.sorted_values)
describe_operation("Sin", float_ops=("SIN",))
describe_operation("Cos", float_ops=("COS",))
describe_operation("Floor", float_ops=("FLOOR",))
describe_operation("Ceil", float_ops=("CEIL",))
describe_operation("Round", float_ops=("ROUND",))
describe_operation("Clip", "HardTanh", grid=JOIN)  # minimum and maximum with a constant
describe_operation("Multiply", flow="merge", product=True, passes_masks=True, refine=_by_constant)
describe_operation("Add", flow="merge", is_homogeneous=True, is_sum=True, passes_masks=True, refine=_shifted)
describe_operation(
    "Subtract", flow="merge", is_homogeneous=True, passes_masks=True, function="difference", refine=_shifted
)
describe_operation("Divide", "TrueDivide", flow="merge", is_quotient=True, passes_masks=True, refine=_by_constant)
describe_operation("Maximum", "Minimum", flow="merge", grid=JOIN, is_homogeneous=True)
describe_operation("Concatenate", flow="concat", grid=JOIN)
describe_operation("GetItem", "Transpose", "Squeeze", "ExpandDims", flow="move", grid=SAME)
describe_operation(
    "Reshape", flow="move", grid=SAME, pushes=True, resize=lambda op, left: {"newshape": (-1, *left.shape)}
)
# between float types, and from integers that an integer file takes as codes
describe_operation("Cast", grid=SAME, function="cast")
describe_operation("Max", "Min", flow="reduce", grid=SAME, pushes=True)
describe_operation("Mean", flow="reduce", function="mean")
describe_operation("Sum", flow="reduce")
# on the scale of their input, like the layers of these names
describe_operation("Pad", flow="pad", grid=JOIN)  # the padding value shares the scale too
describe_operation("Stack", flow="stack", grid=JOIN)
describe_operation("Where", flow="choose", grid=JOIN, passes_masks=True)
describe_operation("AveragePool", flow="still", grid=AVERAGE)
describe_operation("MaxPool", flow="still", grid=SAME, pushes=True)
describe_operation("Resize", flow="still", refine=resized)
describe_operation("Flip", "Moveaxis", "Swapaxes", "Tile", "Repeat", flow="move", grid=SAME)
describe_operation("Roll", "Take", flow="place", grid=SAME)
describe_operation("Split", flow="split", grid=SAME)
describe_operation("BroadcastTo", "Ravel", "TakeAlongAxis", "TopK", flow="still", grid=SAME)
describe_operation(
    "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "NotEqual", flow="choose",
    grid=NONE,
)  # fmt: skip
describe_operation("StopGradient", grid=SAME)
describe_operation("LogicalNot", "OnesLike", "ZerosLike", grid=NONE)

# ConvNeXt
describe_operation("LayerScale", axes={"gamma": "c"}, affine=True)
describe_operation("StochasticDepth", grid=SAME)

describe_operation("Conv", flow="unknown", refine=_convolution)
describe_operation("DepthwiseConv", flow="unknown", refine=_depthwise_convolution)
describe_operation("DotProductAttention", flow="whole", refine=_plain_attention)

# products of two activations
describe_operation("Matmul", flow="matmul", count_macs=mac_counts.matmul, refine=_with_kernel)
describe_operation("Einsum", flow="einsum", count_macs=mac_counts.einsum)
