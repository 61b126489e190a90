"""Counts the MACs of a `.tflite` file, op by op, from the shapes it stores.

Counted are products with kernels and of two activations (BATCH_MATMUL), padding included; additions
of a bias, scales and activation functions are not.
"""

import math
from collections.abc import Callable
from typing import Any

from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.loops.trips import trips
from tfcompress.tflite.schema.flatbuffer import Graph, Model, Op

Shapes = list[tuple[int, ...]]


def artifact_macs(artifact: Artifact) -> list[dict[str, Any]]:
    """Counts the MACs of one call of the file, for each op of its main graph; a loop has those of all its rounds.

    Args:
        artifact: The file; a dynamic dimension counts as 1.

    Returns:
        One dictionary per op: `name` (the Keras layer where known, else op and number), `op`, and
        `macs`, an int, or None where the file does not show it (branches, loops that end by a value that is computed,
        custom ops).

    Example:
        ```python
        import keras, tensorflow as tf
        from tfcompress.tflite.artifact import Artifact
        from tfcompress.evaluate.macs_artifact import artifact_macs

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        artifact = Artifact(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        assert sum(row["macs"] for row in artifact_macs(artifact)) == 8
        ```
    """
    (main, *_), rows = artifact.model.graphs, []
    for op in main.ops:
        name = artifact.layer_of(op) or f"{op.name}:{op.index}"
        rows.append({"name": name, "op": op.name, "macs": _macs(artifact.model, main, op)})
    return rows


def _macs(model: Model, graph: Graph, op: Op) -> int | None:
    """Returns the MACs of an operation with those of the graphs that it runs."""
    if op.name not in CONTROL:
        return _op_macs(graph, op)
    inner = [[_macs(model, model.graphs[n], each) for each in model.graphs[n].ops] for n in op.calls]
    if not any(count != 0 for each in inner for count in each):
        return 0
    rounds = trips(model, graph, op) if op.name == "WHILE" else None
    if rounds is None or any(count is None for each in inner for count in each):
        return None  # the number of rounds, or the branch taken, is known at run time only
    return rounds * sum(count for each in inner for count in each if count is not None)


def _op_macs(graph: Graph, op: Op) -> int | None:
    if op.is_custom or op.name in _UNTOLD or op.name.startswith("STABLEHLO"):
        return None
    if op.name not in _RULES:
        return 0
    inputs = [graph.tensors[i].shape if i >= 0 else () for i in op.inputs]
    return _RULES[op.name](inputs, graph.tensors[op.outputs[0]].shape)


def _convolution(inputs: Shapes, output: tuple[int, ...]) -> int:
    kernel = inputs[1]  # (o, y, x, i); i is that of one group
    return math.prod(output) * math.prod(kernel[1:])


def _depthwise(inputs: Shapes, output: tuple[int, ...]) -> int:
    kernel = inputs[1]  # (1, y, x, o)
    return math.prod(output) * math.prod(kernel[1:3])


def _dense(inputs: Shapes, output: tuple[int, ...]) -> int:
    kernel = inputs[1]  # (o, i)
    return math.prod(output) * kernel[-1]


def _convolution_3d(inputs: Shapes, output: tuple[int, ...]) -> int:
    kernel = inputs[1]  # (z, y, x, i, o)
    return math.prod(output) * math.prod(kernel[:4])


def _transpose(inputs: Shapes, output: tuple[int, ...]) -> int:
    # inputs: output shape, kernel (o, y, x, i), x (n, h, w, i). Each value of x meets the kernel of
    # its channel once, also where `same` padding cuts the result.
    del output
    _, kernel, x = inputs[:3]
    return math.prod(x[:-1]) * math.prod(kernel)


def _batch_matmul(inputs: Shapes, output: tuple[int, ...]) -> int:
    x = inputs[0]  # (..., m, k), or (..., k, m) if transposed; the output is (..., m, n)
    return math.prod(output) * (x[-1] * x[-2] // output[-2])


def _recurrent(*positions: int) -> Callable[[Shapes, tuple[int, ...]], int]:
    def macs(inputs: Shapes, output: tuple[int, ...]) -> int:
        del output
        rows = math.prod(inputs[0][:-1])  # batch and time in either order
        # An input that is not given has shape ().
        kernels = [inputs[p] for p in positions if p < len(inputs) and inputs[p]]
        return rows * sum(math.prod(kernel) for kernel in kernels)

    return macs


_RULES: dict[str, Callable[[Shapes, tuple[int, ...]], int]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "CONV_3D": _convolution_3d,
    "TRANSPOSE_CONV": _transpose,
    "CONV_3D_TRANSPOSE": _transpose,
    "BATCH_MATMUL": _batch_matmul,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _recurrent(1, 2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _recurrent(1, 2, 3, 4, 5, 6, 7, 8, 16),
}
CONTROL = frozenset({"WHILE", "IF"})
# Ops that do multiply, but that no current converter writes.
_UNTOLD = frozenset({"BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN", "SVDF"})
