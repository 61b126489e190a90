"""LoRA adapters: a layer computes with its frozen kernel plus the product of two thin matrices.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021. Transforms are applied to the sum; its final
value is written into the kernel, and the adapter starts again from zero.
"""

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tfcompress.graph.keras_private import full_precision
from tfcompress.layer_table.lookup import spec_of


@dataclass(frozen=True)
class Adapter:
    """The LoRA adapter of one weight.

    Args:
        holder: The layer that owns the weight.
        name: Name of the weight.
    """

    holder: keras.layers.Layer
    name: str

    def change(self):
        """Returns the matrix that the adapter adds to the weight."""
        a, b = (full_precision(getattr(self.holder, f"lora_{self.name}_{k}")) for k in "ab")
        # Keras before 3.10 has no factor
        factor = self.holder.lora_alpha / self.holder.lora_rank if hasattr(self.holder, "lora_alpha") else 1.0
        return factor * tf.matmul(a, b)

    def clear(self) -> None:
        """Sets the adapter to zero."""
        b = getattr(self.holder, f"lora_{self.name}_b")
        b.assign(tf.zeros_like(b))

    @property
    def off(self) -> tuple[Any, str, Any]:
        """The override with which the layer computes without its adapter."""
        return self.holder, "lora_enabled", False


def adapter_of(layer: Any, path: str) -> Adapter | None:
    """Returns the LoRA adapter of the weight at an attribute path of a layer; None where it has none."""
    *inside, name = path.split("/")
    holder = layer
    for part in inside:
        holder = holder[int(part)] if part.isdigit() else getattr(holder, part, None)
    return Adapter(holder, name) if getattr(holder, "lora_enabled", False) else None


def adapters(layer: Any) -> dict[str, Adapter]:
    """Returns the LoRA adapters of a layer's kernels by the paths of the kernels."""
    found = {path: adapter_of(layer, path) for path in spec_of(layer).kernels}
    return {path: adapter for path, adapter in found.items() if adapter is not None}


def with_adapter(variable: keras.Variable, adapter: Adapter | None):
    """Returns a weight in float32, with its adapter added."""
    w = tf.cast(full_precision(variable), tf.float32)
    return w if adapter is None else w + adapter.change()
