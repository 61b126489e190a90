"""Makes the layers that replace a factorized one: with its dtype policy and regularizer, bias and activation last."""

import keras
import numpy as np

from tfcompress.graph.clone import New, config_of
from tfcompress.graph.keras_private import full_precision

_LAST = ("activation", "activity_regularizer", "use_bias", "bias_initializer", "bias_regularizer", "bias_constraint")
_ALL = ("dtype", "kernel_regularizer")


def dense(op: keras.layers.Layer, name: str, kernel: np.ndarray, is_last: bool = False) -> New:
    """Returns a Dense layer with a kernel `(i, o)`, as one of the layers that replace a Dense or EinsumDense layer."""
    config = _config(op, name, is_last)
    config.setdefault("use_bias", is_last and op.bias is not None)
    return _new(op, keras.layers.Dense(kernel.shape[-1], **config), kernel, is_last)


def conv(op: keras.layers.Layer, name: str, kernel: np.ndarray, is_last: bool = False, **geometry) -> New:
    """Returns a convolution of the type of `op` with a kernel `(..., i, o)`; stride 1 unless `geometry` says other."""
    sizes = {"kernel_size": kernel.shape[:-2], **geometry}
    return _new(op, type(op)(kernel.shape[-1], **sizes, **_config(op, name, is_last)), kernel, is_last)


def depthwise(op: keras.layers.Layer, name: str, kernel: np.ndarray, **geometry) -> New:
    """Returns a depthwise convolution with a kernel `(..., c, 1)`, without bias."""
    given = config_of(op)
    options = {"dtype": given["dtype"], "depthwise_regularizer": given["kernel_regularizer"]}
    size = kernel.shape[:-2] if kernel.ndim == 4 else kernel.shape[0]
    if kernel.ndim == 3:  # DepthwiseConv1D takes numbers, no tuples
        geometry = {k: v[0] if isinstance(v, (tuple, list)) else v for k, v in geometry.items()}
    elif isinstance(geometry.get("strides"), (tuple, list)):
        geometry["strides"] = tuple(geometry["strides"])
    arguments = {"use_bias": False, "name": name, **options, **geometry}
    if kernel.ndim == 4:
        return _new(op, keras.layers.DepthwiseConv2D(size, **arguments), kernel, False)
    return _new(op, keras.layers.DepthwiseConv1D(size, **arguments), kernel, False)


def _config(op, name, is_last) -> dict:
    given = config_of(op)
    keys = (*_ALL, *_LAST) if is_last else _ALL
    config = {k: given[k] for k in keys if k in given}
    return {"name": name, **config} if is_last else {"name": name, "use_bias": False, **config}


def _new(op, layer, kernel, is_last) -> New:
    weights = [kernel]
    if is_last and op.bias is not None:
        weights.append(np.asarray(full_precision(op.bias), "float64").reshape(-1))
    return New(layer, weights, op.trainable)
