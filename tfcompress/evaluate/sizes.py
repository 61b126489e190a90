"""Counts bytes, parameters, and zeros in the kernels of a model or a file."""

import gzip
import math
from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.graph.keras_private import full_precision
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import spec_of, weight
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.schema.flatbuffer import Model, Tensor
from tfcompress.tflite.weight_tensors import kernel_tensors


@dataclass(frozen=True)
class Holdings:
    """Counts of a model or a file, as `count_sizes` returns them.

    Attributes:
        size: Bytes of the file; of a Keras model, the bytes of its weights alone.
        gzip_size: The same after gzip at level 9.
        parameters: Numbers in kernels, biases and all other weights.
        kernel_weights: Numbers in kernels.
        zeros: Of these, how many stand for 0.
    """

    size: int
    gzip_size: int
    parameters: int
    kernel_weights: int
    zeros: int

    @property
    def sparsity(self) -> float | None:
        """Fraction of zeros in the kernels, 0..1; None without kernels."""
        return self.zeros / self.kernel_weights if self.kernel_weights else None


def count_sizes(subject: keras.Model | Artifact) -> Holdings:
    """Counts bytes, parameters and zeros of a model or a file.

    In a file, a kernel value is zero if its code is the zero point, and parameters are the
    constants that stand for real values (not shapes or paddings). What the converter folded or left
    out is not there any more: BatchNormalization, a bias of zeros, the second of two equal biases.

    Args:
        subject: A built Keras model or an artifact.

    Returns:
        The counts.

    Example:
        >>> import keras
        >>> from tfcompress.evaluate.sizes import count_sizes
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> count_sizes(model).parameters
        10
    """
    return _of_artifact(subject) if isinstance(subject, Artifact) else _of_model(subject)


def _of_model(model: keras.Model) -> Holdings:
    values = [np.asarray(full_precision(v)) for v in model.weights]
    content = b"".join(value.tobytes() for value in values)
    kernels = [np.asarray(full_precision(v)) for v in _kernels(model)]
    return Holdings(
        size=len(content),
        gzip_size=len(gzip.compress(content, 9, mtime=0)),
        parameters=sum(value.size for value in values),
        kernel_weights=sum(kernel.size for kernel in kernels),
        zeros=sum(kernel.size - int(np.count_nonzero(kernel)) for kernel in kernels),
    )


def _kernels(model: keras.Model) -> Iterable[keras.Variable]:
    """Returns the kernels that the layer table names; for unknown layers, weights with two axes or more."""
    found: dict[int, keras.Variable] = {}
    for _, op in leaves(model):
        spec = spec_of(op)
        if spec.is_known:
            variables = [weight(op, path) for path in spec.kernels]
        else:
            variables = [v for v in getattr(op, "variables", ()) if len(v.shape) > 1]
        found.update((id(v), v) for v in variables)
    return found.values()


def _of_artifact(artifact: Artifact) -> Holdings:
    # A kernel that several ops use is one tensor and counts once.
    kernels = {id(tensor): tensor for _, tensor in kernel_tensors(artifact.model)}.values()
    return Holdings(
        size=artifact.size,
        gzip_size=artifact.gzip_size,
        parameters=_parameters(artifact.model),
        kernel_weights=sum(math.prod(tensor.shape) for tensor in kernels),
        zeros=sum(_zeros(tensor) for tensor in kernels),
    )


def _parameters(model: Model) -> int:
    count, seen = 0, set()
    for graph in model.graphs:
        real = [t for t in graph.tensors if t.is_constant and (t.is_float or t.scale is not None)]
        # Branches and bodies of loops use the same contents again, which count once. Within a graph,
        # two tensors may share contents only because they are equal, as zero biases are.
        fresh = [tensor for tensor in real if _place(tensor) not in seen]
        count += sum(math.prod(tensor.shape) for tensor in fresh)
        seen.update(_place(tensor) for tensor in real)
    return count


def _place(tensor: Tensor) -> int:
    return tensor.raw.__array_interface__["data"][0]


def _zeros(tensor: Tensor) -> int:
    codes, zero = tensor.data, np.zeros((), np.int64)
    if tensor.zero_point is not None and tensor.zero_point.any():
        zero = tensor.zero_point
        if zero.size > 1:
            zero = zero.reshape([-1 if axis == tensor.quantized_dimension else 1 for axis in range(codes.ndim)])
    return int(np.count_nonzero(codes == zero))
