"""Finds biases whose stored scale is not the one that the runtime computes with, and corrects their codes.

LiteRT takes a bias to have the scale of the input times that of the weights. TensorFlow's converter
makes a bias for the calibrated scale of each input, and may later replace that scale by the one of a
whole sequence or tensor it was cut from (the steps of an unrolled recurrent layer), without making
the bias again; and with 16-bit activations it gives a layer that is called twice one bias for both,
at the scale of the first call's input. All outputs are then wrong without any error (seen in
TensorFlow 2.21).
"""

import numpy as np

from tfcompress.file_formats import FORMATS
from tfcompress.tflite.schema.flatbuffer import Graph, Model, Op

_ROWS = [row for row in FORMATS.values() if row.bias_bits is not None]
_WITH_BIAS = frozenset(name for row in _ROWS for name in row.kernels)
_TYPES = frozenset(f"int{row.bias_bits}" for row in _ROWS)
_LARGEST_LONG = 2**53  # what a float64 holds exactly; the accumulators of 16-bit kernels have 48 bits
_TOLERANCE = 1e-3  # scales are float32 products; a real mismatch is far larger


Corrections = dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]]


def mistaken_biases(model: Model) -> Corrections:
    """Returns corrected codes and scales of the biases that the runtime would misread, in all graphs of a file.

    Args:
        model: A file as `flatbuffer.read` gives it.

    Returns:
        Indices of the graph, of the operation and of the bias among its inputs, to the codes and scales that give the
        runtime the intended values there.
    """
    found: Corrections = {}
    for graph in model.graphs:
        for op in graph.ops:
            if op.name in _WITH_BIAS:
                found |= _mistaken(graph, op)
    return found


def _mistaken(graph: Graph, op: Op) -> Corrections:
    # a transposed convolution lists its output shape first
    shift = 1 if op.name == "TRANSPOSE_CONV" else 0
    if len(op.inputs) < 3 + shift or op.inputs[2 + shift] < 0:
        return {}
    place = 2 + shift
    weights, x = (graph.tensors[op.inputs[k]] for k in ((1, 2) if shift else (1, 0)))
    bias = graph.tensors[op.inputs[place]]
    if bias.dtype not in _TYPES or not bias.is_constant or bias.scale is None or x.scale is None:
        return {}
    expected = np.asarray(weights.scale, np.float64) * float(np.ravel(x.scale)[0])
    held = np.asarray(bias.scale, np.float64)
    if np.all(np.abs(held - expected) <= _TOLERANCE * expected):
        return {}
    codes = np.round(bias.data.astype(np.float64) * held / expected)
    limit = np.iinfo(bias.dtype).max if bias.dtype == "int32" else _LARGEST_LONG
    corrected = np.clip(codes, -limit, limit).astype(bias.dtype)
    return {(graph.subgraph, op.index, place): (corrected, np.broadcast_to(expected, held.shape))}
