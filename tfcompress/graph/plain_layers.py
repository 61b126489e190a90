"""Converts layers with LoRA adapters, or with weights that `model.quantize` quantized, to plain float layers."""

import keras
import numpy as np

from tfcompress.graph.adapters import adapters, with_adapter
from tfcompress.graph.keras_private import full_precision, layers_inside, override_attributes
from tfcompress.layer_table.lookup import spec_of, weight

_OWN = ("lora_rank", "lora_alpha", "quantization_config", "gptq_unpacked_column_size")
_WEIGHTS = ("kernel", "embeddings", "bias")  # in the order a fresh layer has them


def is_quantized_by_keras(op: object) -> bool:
    """Whether Keras' `quantize` replaced the layer's weights by integer codes."""
    return getattr(op, "quantization_mode", None) is not None


def is_special(op: object) -> bool:
    """Whether a layer, or a layer inside it, has a LoRA adapter or weights that Keras quantized."""
    layers = [op, *layers_inside(op)] if isinstance(op, keras.layers.Layer) else []
    return any(is_quantized_by_keras(layer) or getattr(layer, "lora_enabled", False) for layer in layers)


def plain_layer(op: keras.layers.Layer, config: dict) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    """Returns a new layer, not built, that computes the same with plain weights, and these weights.

    Args:
        op: A layer with an adapter, or one that Keras quantized.
        config: Constructor arguments of the new layer.

    Raises:
        ValueError: If the weights of such a layer can't be converted back.
    """
    quantized = is_quantized_by_keras(op)
    inside = any(is_special(layer) for layer in layers_inside(op))
    spec = spec_of(op)
    if inside or quantized and not (spec.is_linear and len(spec.kernels) == 1 and not spec.axes[spec.kernels[0]].space):
        raise ValueError(
            f"Layer {op.name!r} of type {type(op).__name__} has LoRA adapters inside, or weights that Keras quantized, "
            "and can't be read back into plain weights. Load the weights of before `enable_lora` or `quantize`."
        )
    config = {name: value for name, value in config.items() if name not in _OWN}
    config["dtype"] = "float32" if quantized else op.dtype_policy
    values = {v.name: np.asarray(full_precision(v)) for v in op.variables}
    if quantized:
        values[spec.kernels[0]] = _read_back(op)
    else:
        values |= {path: np.asarray(with_adapter(weight(op, path), adapter)) for path, adapter in adapters(op).items()}
    return type(op).from_config(config), [values[name] for name in _WEIGHTS if name in values]


def _read_back(layer) -> np.ndarray:
    """Computes the float kernel or embedding table of a layer that Keras quantized."""
    if spec_of(layer).is_table:
        return np.asarray(layer(np.arange(layer.input_dim)), "float32")
    return _einsum(layer) if hasattr(layer, "equation") else _dense(layer)


def _dense(layer) -> np.ndarray:
    """Computes the kernel of a Dense layer: its output for unit vectors, without bias and activation."""
    return _linear(layer, np.eye(layer.input_spec.axes[-1], dtype="float32"))


def _linear(layer, x) -> np.ndarray:
    with override_attributes([(layer, "activation", None), (layer, "bias", None)]):
        return np.asarray(layer(x), "float32")


def _einsum(layer) -> np.ndarray:
    """Computes the kernel of EinsumDense from its outputs for unit vectors over the summed axes, one per sample."""
    given, output = layer.equation.replace(" ", "").split("->")
    data, letters = given.split(",")
    config = layer.get_build_config()["input_shape"]
    sizes = dict(zip(data, config, strict=True))
    summed = [k for k in data if k in letters]
    if data[0] in letters or any(k in output for k in summed) or spec_of(layer).flow != "mix" and "..." in data:
        raise ValueError(f"Layer {layer.name!r}: equation {layer.equation!r} can't be read back into a plain kernel.")
    count = int(np.prod([sizes[k] for k in summed]))
    shape = [count if k == data[0] else sizes[k] if k in summed else 1 for k in data]
    made = _linear(layer, np.eye(count, dtype="float32").reshape(shape))
    made = made.reshape([sizes[k] for k in summed] + [made.shape[output.index(k)] for k in output if k in letters])
    order = summed + [k for k in output if k in letters]
    return made.transpose([order.index(k) for k in letters])
