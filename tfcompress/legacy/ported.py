"""Ported: a ported layer with its name and class in Keras 2, and the layers inside it.

The order of layers is that of the old model, because its weights were stored in that order.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras


@dataclass
class Ported:
    """A layer or model of Keras 2 with its port.

    Args:
        name: Its name in Keras 2; Keras 3 allows no `/` in it.
        class_name: Its class in Keras 2.
        layer: The layer of Keras 3; None if it became a call of `keras.ops`.
        inside: The layers of a model or a wrapper, in the order of Keras 2; None for a single layer.
    """

    name: str
    class_name: str
    layer: keras.layers.Layer | None
    inside: list[Ported] | None = None

    def leaves(self) -> list[Ported]:
        """Returns the layers that have no layers inside, each once, however often it is shared."""
        found: dict[int, Ported] = {}
        for leaf in [self] if self.inside is None else [leaf for part in self.inside for leaf in part.leaves()]:
            if leaf.layer is not None:
                found.setdefault(id(leaf.layer), leaf)
        return list(found.values())


def plain_name(name: str) -> str:
    """Returns a name that Keras 3 allows, for one that Keras 2 allowed.

    Example:
        >>> from tfcompress.legacy.ported import plain_name
        >>> plain_name("block/conv")
        'block_conv'
    """
    return name.replace("/", "_")
