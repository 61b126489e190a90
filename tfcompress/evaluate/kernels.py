"""Tables of the kernels and activation ranges of a `.tflite` file, read from its bytes alone."""

from typing import Any

import numpy as np

from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.schema.flatbuffer import Graph, Op, Tensor
from tfcompress.tflite.weight_tensors import kernel_tensors


def kernel_table(artifact: Artifact) -> list[dict[str, Any]]:
    """Returns one row per kernel, in the order of the ops; a shared kernel counts once.

    Args:
        artifact: Any artifact, integer or float.

    Returns:
        Dictionaries with `layer` (the Keras layer where the artifact knows it, else the tensor's
        name), `op`, `shape`, `dtype`, `weights` (count), `sparsity` (fraction of weights that
        stand for 0), `values` (distinct codes), `values_per_channel` (the most in one output
        channel), `scales` (count; 0 if not quantized) and `bytes`.

    Example:
        ```python
        import tfcompress as tfc
        from tfcompress.evaluate.kernels import kernel_table

        for row in kernel_table(tfc.Artifact.load("model.tflite")):
            print(row["layer"], f"{row['sparsity']:.1%} zeros,", row["values"], "values")
        ```
    """
    rows, seen = [], set()
    for op, tensor in kernel_tensors(artifact.model):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            rows.append(_kernel_row(artifact, op, tensor))
    return rows


def range_table(artifact: Artifact) -> list[dict[str, Any]]:
    """Returns one row per quantized activation with the range of real values of its codes.

    Args:
        artifact: Any artifact; a float one gives no rows.

    Returns:
        Dictionaries with `name` (layer that makes it, or the input's name), `dtype`, `low` and
        `high` (real values of the first and the last code), `scale` and `zero_point`. Activations
        with the scale of their input (pooling, reshape) are left out.

    Example:
        ```python
        import tfcompress as tfc
        from tfcompress.evaluate.kernels import range_table

        for row in range_table(tfc.Artifact.load("model.tflite")):
            print(f"{row['name']}: {row['low']:.3g} to {row['high']:.3g}")
        ```
    """
    rows = []
    for graph in artifact.model.graphs:
        makers = graph.producers()
        for tensor in graph.tensors:
            if tensor.is_constant or tensor.scale is None or tensor.dtype not in _LIMITS:
                continue
            maker = makers.get(tensor.index)
            if maker is None and (graph.subgraph or tensor.index not in graph.inputs):
                continue  # what a loop is given has the scale of what is made outside of it
            if maker is not None and _passes_on(graph, maker, tensor):
                continue
            rows.append(_range_row(_activation_name(artifact, maker, tensor), tensor))
    return rows


_LIMITS = {name: (np.iinfo(name).min, np.iinfo(name).max) for name in ("int8", "uint8", "int16")}


def _kernel_row(artifact: Artifact, op: Op, tensor: Tensor) -> dict[str, Any]:
    codes = tensor.data
    axis = _output_axis(op, tensor)
    rows = np.moveaxis(codes, axis, 0).reshape(codes.shape[axis], -1)
    return {
        "layer": artifact.layer_of(op) or _short(tensor),
        "op": op.name,
        "shape": tensor.shape,
        "dtype": tensor.dtype,
        "weights": codes.size,
        "sparsity": float(np.mean(codes == _zero(tensor))),
        "values": int(np.unique(codes).size),
        "values_per_channel": max(int(np.unique(row).size) for row in rows),
        "scales": 0 if tensor.scale is None else int(np.size(tensor.scale)),
        "bytes": tensor.buffer_bytes,
    }


def _output_axis(op: Op, tensor: Tensor) -> int:
    if tensor.scale is not None and np.size(tensor.scale) > 1:
        return tensor.quantized_dimension
    return len(tensor.shape) - 1 if op.name == "DEPTHWISE_CONV_2D" else 0


def _zero(tensor: Tensor) -> np.ndarray | int:
    """Returns the code of real zero, in a shape to compare with the codes."""
    if tensor.zero_point is None:
        return 0
    shape = [1] * len(tensor.shape)
    if tensor.zero_point.size > 1:
        shape[tensor.quantized_dimension] = -1
    return tensor.zero_point.reshape(shape)


def _passes_on(graph: Graph, op: Op, tensor: Tensor) -> bool:
    """Returns whether an input of the op has the scale of its output."""
    if op.name in ("QUANTIZE", "DEQUANTIZE"):
        return False
    return any(
        index >= 0
        and not graph.tensors[index].is_constant
        and graph.tensors[index].scale is not None
        and np.array_equal(graph.tensors[index].scale, tensor.scale)
        and np.array_equal(graph.tensors[index].zero_point, tensor.zero_point)
        for index in op.inputs
    )


def _short(tensor: Tensor) -> str:
    """Returns the first of the names that the converter joined when it fused ops."""
    return tensor.name.split(";")[0]


def _activation_name(artifact: Artifact, maker: Op | None, tensor: Tensor) -> str:
    if maker is not None:
        return artifact.layer_of(maker) or _short(tensor)
    for spec in artifact.inputs:
        if spec.index == tensor.index:
            return spec.name
    return tensor.name


def _range_row(name: str, tensor: Tensor) -> dict[str, Any]:
    first, last = _LIMITS[tensor.dtype]
    scale, zero = float(tensor.scale.flat[0]), int(tensor.zero_point.flat[0])
    low, high = (first - zero) * scale, (last - zero) * scale
    return {
        "name": name,
        "dtype": tensor.dtype,
        "low": low,
        "high": high,
        "scale": scale,
        "zero_point": zero,
    }
