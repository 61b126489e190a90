"""Which functions and operators compute which kind of operation; a kind is the name of a row of the layer table.

A function of Keras' backend computes the kind of its own name (`expand_dims`: ExpandDims), unless it stands here.
"""

OF_KERAS = {"abs": "Absolute", "amax": "Max", "amin": "Min"}

CASTS = {"Cast"}

# Functions of Keras' backend that compute nothing from the values of a tensor.
NO_OPERATION = {
    "array", "compute_homography_matrix", "compute_output_spec", "convert_to_numpy", "convert_to_tensor", "copy",
    "custom_gradient", "device_scope", "is_tensor", "ndim", "random_seed_dtype", "remat", "shape", "size",
    "stop_gradient", "vectorize",
}  # fmt: skip

PASSING = ("stop_gradient",)  # of these, functions that return what they get as another tensor

# Functions of TensorFlow by the kind of operation; most have the name of the function of Keras.
OF_TENSORFLOW = {
    "Absolute": ("abs", "math.abs"),
    "Add": ("add", "math.add", "add_n", "math.add_n", "nn.bias_add"),
    "Argmax": ("argmax", "math.argmax"),
    "Argmin": ("argmin", "math.argmin"),
    "AveragePool": ("nn.avg_pool", "nn.avg_pool1d", "nn.avg_pool2d"),
    "BroadcastTo": ("broadcast_to",),
    "Cast": ("cast",),
    "Clip": ("clip_by_value",),
    "Concatenate": ("concat",),
    "Conv": ("nn.conv1d", "nn.conv2d", "nn.conv3d"),
    "Cos": ("cos", "math.cos"),
    "Cumsum": ("cumsum", "math.cumsum"),
    "DepthToSpace": ("nn.depth_to_space",),
    "DepthwiseConv": ("nn.depthwise_conv2d",),
    "Divide": ("divide", "math.divide", "math.truediv", "truediv", "math.divide_no_nan"),
    "Einsum": ("einsum",),
    "Elu": ("nn.elu",),
    "Erf": ("math.erf",),
    "Exp": ("exp", "math.exp"),
    "ExpandDims": ("expand_dims",),
    "Fft": ("signal.fft",),
    "Fft2": ("signal.fft2d",),
    "Flip": ("reverse",),
    "Floor": ("floor", "math.floor"),
    "Gelu": ("nn.gelu",),
    "LeakyRelu": ("nn.leaky_relu",),
    "Log": ("math.log",),
    "LogSoftmax": ("nn.log_softmax",),
    "Matmul": ("matmul", "linalg.matmul"),
    "Max": ("reduce_max", "math.reduce_max"),
    "MaxPool": ("nn.max_pool", "nn.max_pool1d", "nn.max_pool2d"),
    "Maximum": ("maximum", "math.maximum"),
    "Mean": ("reduce_mean", "math.reduce_mean"),
    "Min": ("reduce_min", "math.reduce_min"),
    "Minimum": ("minimum", "math.minimum"),
    "Moments": ("nn.moments",),
    "Multiply": ("multiply", "math.multiply"),
    "Negative": ("negative", "math.negative"),
    "Normalize": ("nn.l2_normalize", "math.l2_normalize", "linalg.l2_normalize"),
    "OneHot": ("one_hot",),
    "Pad": ("pad",),
    "Power": ("pow", "math.pow"),
    "Prod": ("reduce_prod", "math.reduce_prod"),
    "Relu": ("nn.relu",),
    "Relu6": ("nn.relu6",),
    "Repeat": ("repeat",),
    "Reshape": ("reshape",),
    "Resize": ("image.resize", "compat.v1.image.resize"),
    "Roll": ("roll",),
    "Rsqrt": ("math.rsqrt",),
    "Selu": ("nn.selu",),
    "Sigmoid": ("sigmoid", "math.sigmoid", "nn.sigmoid"),
    "Silu": ("nn.silu", "nn.swish"),
    "Sin": ("sin", "math.sin"),
    "Slice": ("slice",),
    "Softmax": ("nn.softmax",),
    "Softplus": ("nn.softplus", "math.softplus"),
    "SpaceToDepth": ("nn.space_to_depth",),
    "Split": ("split", "unstack"),
    "Sqrt": ("sqrt", "math.sqrt"),
    "Square": ("square", "math.square"),
    "Squeeze": ("squeeze",),
    "Stack": ("stack",),
    "Subtract": ("subtract", "math.subtract"),
    "Sum": ("reduce_sum", "math.reduce_sum"),
    "Take": ("gather",),
    "Tanh": ("tanh", "math.tanh", "nn.tanh"),
    "Tensordot": ("tensordot",),
    "Tile": ("tile",),
    "Transpose": ("transpose",),
    "Where": ("where",),
}

# Operators of tensors; a comparison for equality is none, for Python compares objects that way.
OF_TENSORS = {
    "Add": ("add", "radd"),
    "Subtract": ("sub", "rsub"),
    "Multiply": ("mul", "rmul"),
    "TrueDivide": ("truediv", "rtruediv"),
    "FloorDivide": ("floordiv", "rfloordiv"),
    "Mod": ("mod", "rmod"),
    "Power": ("pow", "rpow"),
    "Matmul": ("matmul", "rmatmul"),
    "Negative": ("neg",),
    "Absolute": ("abs",),
    "GetItem": ("getitem",),
    "Less": ("lt",),
    "LessEqual": ("le",),
    "Greater": ("gt",),
    "GreaterEqual": ("ge",),
}

# How the arguments of functions of TensorFlow are those of the operations of Keras.
REDUCING = ("Mean", "Sum", "Max", "Min", "Prod", "Argmax", "Argmin")  # axis and keepdims
UNARY = (
    "Absolute", "Cos", "Elu", "Erf", "Exp", "Floor", "Log", "Negative", "Relu", "Relu6", "Rsqrt", "Selu", "Sigmoid",
    "Silu", "Sin", "Softplus", "Sqrt", "Square", "Tanh",
)  # fmt: skip
SUMS = ("Add",)
BINARY = ("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum", "Power")
OPTIONS = {
    "Concatenate": {"axis": "axis"}, "Cumsum": {"axis": "axis"}, "ExpandDims": {"axis": "axis"},
    "Flip": {"axis": "axis"}, "Gelu": {"approximate": "approximate"}, "LeakyRelu": {"alpha": "negative_slope"},
    "LogSoftmax": {"axis": "axis"}, "Softmax": {"axis": "axis"}, "Squeeze": {"axis": "axis"},
    "Stack": {"axis": "axis"}, "Transpose": {"perm": "axes"},
}  # fmt: skip
"""By kind, the arguments behind the first: their name in TensorFlow to that in Keras."""

PRODUCTS = ("Matmul", "Dot")  # of two tensors; with a matrix as the second, what Dense computes
