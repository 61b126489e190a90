"""Calls the operation of `keras.ops` that computes what a recorded function or operator did, on symbolic tensors."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfcompress.graph.flat.steps import Fixed, Step, Varying, leaves_of
from tfcompress.graph.inside.functions import OperationFunction, function_name, named_arguments_of
from tfcompress.graph.keras_private import BACKEND_MODULES
from tfcompress.layer_table.operation_names import BINARY, OPTIONS, REDUCING, SUMS, UNARY


class CantFollow(Exception):
    """A layer can't be replaced by its steps; the message says why, and follows the layer's name."""


def call_stock(step: Step, args: tuple, kwargs: dict, along_batch: Callable) -> Any:
    """Returns the symbolic result of an operation.

    Args:
        step: A call of a function or operator.
        args: Its positional arguments, with symbolic tensors.
        kwargs: Its keyword arguments.
        along_batch: Function that repeats a tensor whose first axis has size 1 for every sample.

    Raises:
        CantFollow: If there is no stock operation for it, or it depends on the size of the batch in an unknown way.
    """
    f: OperationFunction = step.op
    args, kwargs = _narrowed(step, (args, kwargs))
    if f.kind in _BY_SHAPE:
        return _BY_SHAPE[f.kind](step, _named(f, args, kwargs), along_batch)
    if any(isinstance(x, Varying) and isinstance(x.first, Fixed) for x in leaves_of((args, kwargs))):
        raise CantFollow(f"passes a value that no known operation made to {shown(f)}")
    if any(isinstance(x, Varying) for x in leaves_of((args, kwargs))):
        raise CantFollow(f"uses the size of the batch in {shown(f)}")
    if f.owner in BACKEND_MODULES:
        return _of_keras(f.attribute, f)(*args, **kwargs)
    if f.kind in SUMS and len(args) == 2 and _is_one_per_sample(args[1]):
        args = args[::-1]
    if f.attribute.startswith("__"):
        if f.kind == "GetItem":
            return args[0][args[1] if isinstance(args[1], tuple) else (args[1],)]
        return _of_keras(function_name(f.kind), f)(*args, **kwargs)
    return _of_tensorflow(f, _named(f, args, kwargs))


def _is_one_per_sample(x: Any) -> bool:
    """Whether a tensor has one number for each sample, which Keras takes for a bias if the batch has a certain size."""
    return isinstance(x, keras.KerasTensor) and len(x.shape) > 1 and all(n == 1 for n in x.shape[1:])


def shown(f: OperationFunction) -> str:
    """Returns how a function or operator is written."""
    if f.attribute.startswith("__"):
        return f"the operator {f.kind}"
    return f"keras.ops.{f.attribute}" if f.owner in BACKEND_MODULES else f"tf.{f.attribute}"


def _narrowed(step: Step, structure: Any) -> Any:
    """Replaces constants by arrays, of float64 by float32 ones where the result is that."""
    narrow = "float32" in step.dtypes.values()

    def array(x):
        if not isinstance(x, Fixed):
            return x
        return x.array.astype("float32") if narrow and x.array.dtype == "float64" else x.array

    return keras.tree.map_structure(array, structure)


def _named(f: OperationFunction, args: tuple, kwargs: dict) -> dict[str, Any]:
    return named_arguments_of(f, args, kwargs)


def _of_keras(name: str, f: OperationFunction) -> Callable:
    for module in (keras.ops, keras.ops.image, keras.ops.linalg, keras.ops.nn):
        if hasattr(module, name):
            return getattr(module, name)
    raise CantFollow(f"calls {shown(f)}, for which Keras has no operation")


def _first(named: dict[str, Any]) -> Any:
    return next(iter(named.values()))


def _shape_of(step: Step) -> tuple[int, ...]:
    return next(iter(step.shapes.values()))


def _reshape(step: Step, named: dict, along_batch: Callable) -> Any:
    """Reshapes with -1 in the place of the size that depends on the batch."""
    shape, other = _shape_of(step), next(iter(step.other_shapes.values()))
    open_axes = [k for k, (a, b) in enumerate(zip(shape, other, strict=True)) if a != b]
    if len(open_axes) > 1:
        raise CantFollow("reshapes to several sizes that depend on the size of the batch")
    return keras.ops.reshape(_first(named), tuple(-1 if k in open_axes else n for k, n in enumerate(shape)))


def _broadcast(step: Step, named: dict, along_batch: Callable) -> Any:
    """Broadcasts along the batch by a layer, along other axes by tiling."""
    return _repeated(_first(named), _shape_of(step), along_batch)


def _tile(step: Step, named: dict, along_batch: Callable) -> Any:
    x, repeats = list(named.values())[:2]
    if not any(isinstance(n, Varying) for n in leaves_of(repeats)):
        return keras.ops.tile(x, repeats)
    return _repeated(x, _shape_of(step), along_batch)


def _repeat(step: Step, named: dict, along_batch: Callable) -> Any:
    x, repeats, axis = (named.get(name) for name in ("x", "repeats", "axis"))
    if isinstance(repeats, Varying):
        return _repeated(x, _shape_of(step), along_batch)
    return keras.ops.repeat(x, repeats, axis=axis)


def _repeated(x: Any, shape: tuple[int, ...], along_batch: Callable) -> Any:
    """Repeats a tensor up to a shape; axes of size 1 grow, and the first one to the batch."""
    given = tuple(x.shape)
    if len(given) < len(shape):
        given = (1,) * (len(shape) - len(given)) + given
        x = keras.ops.reshape(x, given)
    repeats = [n if m == 1 else 1 for m, n in zip(given[1:], shape[1:], strict=True)]
    if any(n % m for m, n in zip(given[1:], shape[1:], strict=True)):
        raise CantFollow("repeats a tensor by a size that is no multiple of its own")
    if math.prod(repeats) > 1:
        x = keras.ops.tile(x, (1, *repeats))
    if given[0] != 1:
        return x
    return along_batch(x)


def _slice(step: Step, named: dict, along_batch: Callable) -> Any:
    x, start, size = list(named.values())[:3]
    start = [int(n) for n in np.asarray(start).reshape(-1)]
    if start[0] != 0:
        raise CantFollow("takes a part of the batch")
    shape = _shape_of(step)
    along = [slice(s, s + n) for s, n in zip(start[1:], shape[1:], strict=True)]
    return x[tuple([slice(None), *along])]


def _unstack(step: Step, named: dict, along_batch: Callable) -> Any:
    return keras.ops.unstack(named["x"], num=len(step.made), axis=named["axis"])


_BY_SHAPE = {
    "Unstack": _unstack,
    "Reshape": _reshape,
    "BroadcastTo": _broadcast,
    "Tile": _tile,
    "Repeat": _repeat,
    "Slice": _slice,
}


def _of_tensorflow(f: OperationFunction, named: dict[str, Any]) -> Any:
    """Returns the result of a function of TensorFlow by the operation of Keras that computes the same."""
    values = [x for name, x in named.items() if name != "name"]
    function = _of_keras(function_name(f.kind), f)
    if f.kind in REDUCING:
        options = {k: _plain(named[k]) for k in ("axis", "keepdims") if named.get(k) is not None}
        return function(values[0], **options)
    if f.kind in OPTIONS:
        options = {to: _plain(named[k]) for k, to in OPTIONS[f.kind].items() if named.get(k) is not None}
        return function(values[0], **({"approximate": False} if f.kind == "Gelu" else {}) | options)
    if f.kind in UNARY:
        return function(values[0])
    if f.kind in SUMS and _is_one_per_sample(values[1]):
        values[:2] = values[1::-1]
    if f.kind in BINARY and f.attribute not in ("add_n", "divide_no_nan"):
        return function(values[0], values[1])
    if f.kind == "Cast":
        return function(values[0], getattr(values[1], "name", values[1]))
    if f.kind == "Einsum":
        return function(named["equation"], *named["inputs"])
    if f.kind == "Matmul":
        a, b = (_turned(named, key) for key in "ab")
        return function(a, b)
    if f.kind == "Take" and not named.get("batch_dims"):
        axis = named.get("axis")
        return function(named["params"], named["indices"], axis=0 if axis is None else _plain(axis))
    if f.kind in ("Where", "Clip") and len(values) >= 3:
        return function(*values[:3])
    raise CantFollow(f"calls tf.{f.attribute}, for which no operation of Keras is known")


def _turned(named: dict[str, Any], key: str) -> Any:
    is_turned = named.get(f"transpose_{key}") or named.get(f"adjoint_{key}")
    return keras.ops.swapaxes(named[key], -1, -2) if is_turned else named[key]


def _plain(x: Any) -> Any:
    """Returns numbers as Python has them."""
    return x.tolist() if isinstance(x, (np.ndarray, np.generic)) else x
