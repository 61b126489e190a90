"""The rows of private classes of Keras: nodes of `keras.ops` calls, and layers inside `keras.applications`."""

from dataclasses import replace

from tfcompress.layer_table import integer_rewrites as forms
from tfcompress.layer_table import mac_counts
from tfcompress.layer_table.activations import LOGARITHM, PROBABILITY, TANH
from tfcompress.layer_table.keras_layers_without_kernels import resized
from tfcompress.layer_table.registry import describe_operation
from tfcompress.layer_table.spec import AVERAGE, FIXED, FUSE, JOIN, SAME, SIGMOID, SOFTMAX


def _over_last(op, spec):
    """Describes Softmax, which over the last axis reads all channels."""
    return replace(spec, flow="whole" if getattr(op, "axis", -1) in (-1, None) else "along")


def _unit_length(op, spec):
    """Adds the rewrite of UnitNormalization where the norm is that of length (order 2)."""
    if op.order != 2 or op.axis is None:
        return spec
    return replace(spec, written=forms.unit_normalization, inside=("magnitude", "spread"))


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
describe_operation("Square", written=forms.square)
# elementwise
describe_operation(
    "Abs", "Absolute", "Exp", "Gelu", "HardSigmoid", "HardSilu", "Log", "Power",
    "Rsqrt", "Selu", "Softplus", "Softsign", "Sqrt",
)  # fmt: skip
describe_operation("Sin", float_ops=("SIN",))
describe_operation("Cos", float_ops=("COS",))
describe_operation("Clip", "HardTanh", grid=JOIN)  # minimum and maximum with a constant
describe_operation("Multiply", flow="merge", product=True, passes_masks=True)
describe_operation("Add", flow="merge", is_homogeneous=True, is_sum=True, passes_masks=True)
describe_operation("Subtract", flow="merge", is_homogeneous=True, passes_masks=True)
describe_operation("Divide", "TrueDivide", flow="merge", is_quotient=True, passes_masks=True)
describe_operation("Maximum", "Minimum", flow="merge", grid=JOIN, is_homogeneous=True)
describe_operation("Concatenate", flow="concat", grid=JOIN)
describe_operation("GetItem", "Transpose", "Squeeze", "ExpandDims", flow="move", grid=SAME)
describe_operation(
    "Reshape", flow="move", grid=SAME, pushes=True, resize=lambda op, left: {"newshape": (-1, *left.shape)}
)
describe_operation("Cast", grid=SAME)  # between float types, and from integers that an integer file takes as codes
describe_operation("Max", "Min", flow="reduce", grid=SAME, pushes=True)
describe_operation("Mean", "Sum", flow="reduce")
# on the scale of their input, like the layers of these names
describe_operation("Pad", "Stack", flow="still", grid=JOIN)  # the padding value shares the scale too
describe_operation("Where", flow="still", grid=JOIN, passes_masks=True)
describe_operation("AveragePool", flow="still", grid=AVERAGE)
describe_operation("MaxPool", flow="still", grid=SAME, pushes=True)
describe_operation("Resize", flow="still", refine=resized)
describe_operation(
    "BroadcastTo", "Flip", "Moveaxis", "Ravel", "Repeat", "Roll", "Split", "Swapaxes", "Take", "TakeAlongAxis",
    "Tile", "TopK", flow="still", grid=SAME,
)  # fmt: skip

# ConvNeXt
describe_operation("LayerScale", axes={"gamma": "c"}, affine=True)
describe_operation("StochasticDepth", grid=SAME)

# products of two activations
describe_operation("Matmul", flow="matmul", count_macs=mac_counts.matmul)
describe_operation("Einsum", flow="einsum", count_macs=mac_counts.einsum)
