"""Replaces TensorFlow calls in the graph of a Keras 2 model by equivalent calls of `keras.ops`.

Each row has TensorFlow's own argument names, so that a call with an argument that the row does not know is refused.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.values import plain

CLASSES = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
_REMEDY = "Write the model with layers of Keras, or export it where it was made: load_model reads the folder."


def _two(op):
    return lambda x, y: op(_like(x, y), _like(y, x))


def _like(value, other):
    """Returns a constant as an array of the other operand's dtype."""
    listed = isinstance(value, (list, tuple, np.ndarray))
    return np.asarray(value, other.dtype) if listed and isinstance(other, keras.KerasTensor) else value


def _one(op):
    return lambda x: op(x)


def _reduce(op):
    return lambda input_tensor, axis=None, keepdims=False: op(input_tensor, axis=axis, keepdims=keepdims)


def _product(a, b, transpose_a=False, transpose_b=False):
    if transpose_a or transpose_b:
        raise TypeError("a transposed factor")
    return ops.matmul(a, b)


def _split(value, num_or_size_splits, axis=0):
    sizes = num_or_size_splits
    return ops.split(value, sizes if isinstance(sizes, int) else list(np.cumsum(sizes)[:-1]), axis=axis)


def _pad(tensor, paddings, mode="CONSTANT", constant_values=0):
    widths = tuple(tuple(int(n) for n in pair) for pair in paddings)
    extra = {"constant_values": constant_values} if mode.lower() == "constant" else {}
    return ops.pad(tensor, widths, mode=mode.lower(), **extra)


def _item(tensor, slice_spec):
    spec = slice_spec if isinstance(slice_spec, (list, tuple)) else [slice_spec]
    return tensor[tuple(_index(each) for each in spec)]


def _index(each):
    if isinstance(each, dict) and set(each) == {"start", "stop", "step"}:
        return slice(each["start"], each["stop"], each["step"])
    if isinstance(each, keras.KerasTensor):
        raise TypeError("an index that is computed")
    return each


def _resize(images, size, method="bilinear", preserve_aspect_ratio=False, antialias=False):
    if preserve_aspect_ratio:
        raise TypeError("preserve_aspect_ratio")
    return ops.image.resize(images, tuple(size), interpolation=method, antialias=antialias, data_format="channels_last")


def _softmax(logits, axis=-1):
    return ops.softmax(logits, axis=-1 if axis is None else axis)


def _silu(features, beta=1.0):
    if beta != 1.0:
        raise TypeError(f"beta={beta}")
    return ops.silu(features)


def _normalize(x, axis=None, epsilon=1e-12):
    return ops.normalize(x, axis=axis, order=2, epsilon=math.sqrt(epsilon))  # TensorFlow's epsilon is of the square


# Name of the TensorFlow function -> the same with keras.ops.
FUNCTIONS: dict[str, Callable] = {
    "__operators__.add": _two(ops.add),
    "math.add": _two(ops.add),
    "math.subtract": _two(ops.subtract),
    "math.multiply": _two(ops.multiply),
    "math.truediv": _two(ops.true_divide),
    "math.divide": _two(ops.true_divide),
    "math.pow": _two(ops.power),
    "math.maximum": _two(ops.maximum),
    "math.minimum": _two(ops.minimum),
    "nn.relu": _one(ops.relu),
    "nn.relu6": _one(ops.relu6),
    "nn.elu": _one(ops.elu),
    "nn.selu": _one(ops.selu),
    "math.sigmoid": _one(ops.sigmoid),
    "math.tanh": _one(ops.tanh),
    "math.softplus": _one(ops.softplus),
    "nn.softsign": _one(ops.softsign),
    "math.exp": _one(ops.exp),
    "math.log": _one(ops.log),
    "math.sqrt": _one(ops.sqrt),
    "math.rsqrt": _one(ops.rsqrt),
    "math.square": _one(ops.square),
    "math.abs": _one(ops.abs),
    "math.negative": _one(ops.negative),
    "math.sin": _one(ops.sin),
    "math.cos": _one(ops.cos),
    "stop_gradient": _one(ops.stop_gradient),
    "nn.silu": _silu,
    "nn.swish": _silu,
    "nn.softmax": _softmax,
    "nn.leaky_relu": lambda features, alpha=0.2: ops.leaky_relu(features, negative_slope=alpha),
    "nn.gelu": lambda features, approximate=False: ops.gelu(features, approximate=approximate),
    "nn.bias_add": lambda value, bias: ops.add(value, _like(bias, value)),
    "math.l2_normalize": _normalize,
    "math.reduce_mean": _reduce(ops.mean),
    "math.reduce_sum": _reduce(ops.sum),
    "math.reduce_max": _reduce(ops.max),
    "math.reduce_min": _reduce(ops.min),
    "reshape": lambda tensor, shape: ops.reshape(tensor, tuple(int(n) for n in shape)),
    "transpose": lambda a, perm=None: ops.transpose(a, axes=perm),
    "expand_dims": lambda input, axis: ops.expand_dims(input, axis),
    "squeeze": lambda input, axis=None: ops.squeeze(input, axis if axis is None else tuple(np.atleast_1d(axis))),
    "concat": lambda values, axis: ops.concatenate(values, axis=axis),
    "stack": lambda values, axis=0: ops.stack(values, axis=axis),
    "split": _split,
    "tile": lambda input, multiples: ops.tile(input, tuple(multiples)),
    "cast": lambda x, dtype: ops.cast(x, dtype),
    "clip_by_value": lambda t, clip_value_min, clip_value_max: ops.clip(t, clip_value_min, clip_value_max),
    "linalg.matmul": _product,
    "pad": _pad,
    "image.resize": _resize,
    "__operators__.getitem": _item,
}
_SAME = {
    "nn.sigmoid": "math.sigmoid",
    "nn.tanh": "math.tanh",
    "nn.softplus": "math.softplus",
    "math.scalar_mul": "math.multiply",
    "add": "math.add",
    "subtract": "math.subtract",
    "multiply": "math.multiply",
    "divide": "math.divide",
}
# Name of an operation of a TensorFlow graph (files of 2.0 to 2.3) -> function, names of its inputs.
NODES: dict[str, str] = {
    "Add": "math.add",
    "AddV2": "math.add",
    "BiasAdd": "nn.bias_add",
    "Sub": "math.subtract",
    "Mul": "math.multiply",
    "RealDiv": "math.truediv",
    "Pow": "math.pow",
    "Maximum": "math.maximum",
    "Minimum": "math.minimum",
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Elu": "nn.elu",
    "Selu": "nn.selu",
    "Sigmoid": "math.sigmoid",
    "Tanh": "math.tanh",
    "Softplus": "math.softplus",
    "Softmax": "nn.softmax",
    "Exp": "math.exp",
    "Log": "math.log",
    "Sqrt": "math.sqrt",
    "Rsqrt": "math.rsqrt",
    "Square": "math.square",
    "Abs": "math.abs",
    "Neg": "math.negative",
    "Reshape": "reshape",
    "Transpose": "transpose",
    "ExpandDims": "expand_dims",
}


def call(entry: dict[str, Any], name: str, given: list[Any], options: dict[str, Any]) -> Any:
    """Calls the equivalent of a layer around a TensorFlow operation.

    Args:
        entry: The layer's `class_name` and `config`.
        name: Its name.
        given: Positional arguments, tensors among them.
        options: Arguments by TensorFlow's names.

    Returns:
        The output, or a list of outputs.

    Raises:
        NotPorted: If the table has no row, or the row does not know an argument.
    """
    class_name, config = entry["class_name"], entry["config"]
    if class_name == "TensorFlowOpLayer":
        function, given = _node(name, config, given)
    else:
        function = config.get("function", "__operators__.getitem")
    symbol = function.removeprefix("compat.v1.")
    symbol = _SAME.get(symbol, symbol)
    if symbol not in FUNCTIONS:
        raise NotPorted(name, class_name, f"no keras.ops call is known for tf.{function}.", _REMEDY)
    taken = inspect.signature(FUNCTIONS[symbol]).parameters
    # arguments that are switched off don't matter
    options = {key: plain(value) for key, value in options.items() if key in taken or value not in (None, False)}
    options.pop("name", None)
    try:
        return FUNCTIONS[symbol](*(plain(each) for each in given), **options)
    except Exception as error:  # each operation has errors of its own; the layer is named
        reason = f"this call of tf.{function} has no equivalent: {(str(error).splitlines() or [repr(error)])[0]}."
        raise NotPorted(name, class_name, reason, _REMEDY) from error


def _node(name, config, given):
    """Returns the function and arguments of an operation that is stored as a node of a TensorFlow graph."""
    node = config["node_def"]
    if not isinstance(node, dict):
        raise NotPorted(name, "TensorFlowOpLayer", "its operation is stored in a binary form.", _REMEDY)
    function = NODES.get(node["op"])
    if function is None:
        raise NotPorted(
            name, "TensorFlowOpLayer", f"no keras.ops call is known for the operation {node['op']}.", _REMEDY
        )
    if node.get("attr", {}).get("data_format", {}).get("s") not in (None, "TkhXQw=="):  # NHWC, as JSON writes bytes
        raise NotPorted(name, "TensorFlowOpLayer", "its channels come first.", _REMEDY)
    given = list(given)
    for position, value in sorted((int(k), v) for k, v in (config.get("constants") or {}).items()):
        given.insert(position, plain(value))
    return function, given
