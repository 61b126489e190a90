"""The functions and operators whose calls are operations: those of Keras' backend, of TensorFlow, and of tensors."""

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.graph.keras_private import BACKEND_MODULES

_NO_OPERATION = {
    "array", "compute_homography_matrix", "compute_output_spec", "convert_to_numpy", "convert_to_tensor", "copy",
    "custom_gradient", "device_scope", "is_tensor", "ndim", "random_seed_dtype", "remat", "shape", "size",
    "stop_gradient", "vectorize",
}  # fmt: skip

# Functions of TensorFlow by the kind of operation; most have the name of the function of Keras.
_TENSORFLOW = {
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
    "Resize": ("image.resize",),
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
_OPERATORS = {
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


@dataclass(frozen=True)
class OperationFunction:
    """A function or operator whose call is an operation.

    Args:
        owner: The module or class that it is read from.
        attribute: Its name there.
        kind: The kind of operation, the name of a row of the layer table.
        plain: The function itself.
        is_swapped: Whether the operator gets its operands the other way round (`__rsub__`).
    """

    owner: Any
    attribute: str
    kind: str
    plain: Callable
    is_swapped: bool = False


@cache
def operation_functions() -> tuple[OperationFunction, ...]:
    """Returns all functions and operators whose calls are operations."""
    return (*_of_keras(), *_of_tensorflow(), *_of_tensors())


def _of_keras() -> list[OperationFunction]:
    found = []
    for module in BACKEND_MODULES:
        for name, value in vars(module).items():
            is_own = isinstance(value, types.FunctionType) and value.__module__ == module.__name__
            if is_own and not name.startswith("_") and name not in _NO_OPERATION:
                found.append(OperationFunction(module, name, _KINDS.get(name, _camel(name)), value))
    return found


_KINDS = {"abs": "Absolute", "amax": "Max", "amin": "Min"}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _of_tensorflow() -> list[OperationFunction]:
    found = []
    for kind, paths in _TENSORFLOW.items():
        for path in paths:
            *modules, name = path.split(".")
            owner: Any = tf
            for module in modules:
                owner = getattr(owner, module)
            found.append(OperationFunction(owner, name, kind, getattr(owner, name)))
    return found


def _of_tensors() -> list[OperationFunction]:
    found = []
    for kind, names in _OPERATORS.items():
        for name in names:
            attribute = f"__{name}__"
            is_swapped = name.startswith("r")
            found.append(OperationFunction(tf.Tensor, attribute, kind, vars(tf.Tensor)[attribute], is_swapped))
    return found


def named_arguments(f: OperationFunction, args: tuple, kwargs: dict) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the arguments of a call that are no tensors, and the variables among them, both by name.

    Args:
        f: The function.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """
    named = _bound(f.plain, args, kwargs)
    weights = {name: x for name, x in named.items() if isinstance(x, keras.Variable)}
    plain = {name: x for name, x in named.items() if name not in weights and not _holds_tensors(x)}
    return plain, weights


def _bound(function: Callable, args: tuple, kwargs: dict) -> dict[str, Any]:
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return {f"x{k + 1}": x for k, x in enumerate(args)} | kwargs
    bound.apply_defaults()
    return dict(bound.arguments)


def _holds_tensors(x: Any) -> bool:
    return any(isinstance(part, (tf.Tensor, np.ndarray)) for part in keras.tree.flatten(x))
