"""Measures the noise of each layer between two files of one model, for a SavedModel, which has no Keras layers.

Both files run with the plain kernels, which keep every tensor; the output of the last operation in a name scope stands
for the layer.
"""

from collections.abc import Sequence

import numpy as np

from tfcompress.fidelity.noise import LayerNoise
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.runner import Runner
from tfcompress.tflite.schema.flatbuffer import Tensor
from tfcompress.tflite.tensor_spec import TensorSpec


def file_noise(plain: Artifact, rounded: Artifact, inputs: Sequence[np.ndarray]) -> list[LayerNoise]:
    """Measures the noise that rounding adds to the output of every layer that two files have in common.

    Args:
        plain: The float file.
        rounded: The integer file.
        inputs: Samples, `(samples, ...)` for each input in the order of both files.

    Returns:
        One entry for each layer, in order of execution; empty where a file has state or loops.
    """
    if any(len(a.model.graphs) > 1 or any(t.is_variable for t in a.model.graphs[0].tensors) for a in (plain, rounded)):
        return []
    ends = [_ends(plain), _ends(rounded)]
    layers = [name for name in ends[1] if name in ends[0] and ends[0][name].shape == ends[1][name].shape]
    values = [_values(a, [end[name] for name in layers], inputs) for a, end in zip((plain, rounded), ends, strict=True)]
    errors = {name: _error(a, b) for name, a, b in zip(layers, *values, strict=True)}
    return [LayerNoise(name, errors[name], _fed(rounded, name, errors)) for name in layers]


def _ends(artifact: Artifact) -> dict[str, Tensor]:
    """Returns the last tensor of each layer that holds real numbers."""
    found: dict[str, Tensor] = {}
    graph = artifact.model.graphs[0]
    for op in graph.ops:
        layer = artifact.layer_of(op)
        made = [graph.tensors[t] for t in op.outputs]
        if layer and made and (made[0].is_float or made[0].scale is not None) and made[0].shape:
            found.pop(layer, None)  # layers are ordered by their last tensor
            found[layer] = made[0]
    return found


def _values(artifact: Artifact, tensors: Sequence[Tensor], inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    specs = [_spec(t) for t in tensors]
    runner = Runner(artifact.content, artifact.model, artifact.inputs, specs, xnnpack=False, keeps_all=True)
    codes = [spec.quantize(x) for spec, x in zip(artifact.inputs, inputs, strict=True)]
    return [spec.dequantize(x) for spec, x in zip(specs, runner.run(codes), strict=True)]


def _spec(tensor: Tensor) -> TensorSpec:
    scale, zero = (None, None) if tensor.scale is None else (float(tensor.scale[0]), int(tensor.zero_point[0]))
    return TensorSpec(tensor.name, tensor.shape, tensor.dtype, scale, zero, tensor.index)


def _error(plain: np.ndarray, rounded: np.ndarray) -> float:
    """Returns the root mean square error over the spread, pooled over the channels of the last axis."""
    axes = tuple(range(plain.ndim - 1))
    signal = float(np.mean(np.var(plain.astype(np.float64), axis=axes)))
    return float(np.sqrt(np.mean((rounded.astype(np.float64) - plain) ** 2) / max(signal, 1e-30)))


def _fed(artifact: Artifact, layer: str, errors: dict[str, float]) -> float:
    """Returns the largest error among the layers that a layer reads."""
    graph = artifact.model.graphs[0]
    makers = graph.producers()
    read = {t for op in graph.ops if artifact.layer_of(op) == layer for t in op.inputs}
    feeding = {artifact.layer_of(makers[t]) for t in read if t in makers} - {layer}
    return max((errors.get(name, 0.0) for name in feeding), default=0.0)
