"""Calls layers in the order of a Keras 2 graph, which refers to each input tensor by layer, call and output.

A reference is `[layer name, number of the call, number of the output, keyword arguments]`. Calls of
a nested model are numbered from 1, those of other layers from 0; the least number in use is the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from tfcompress.graph.keras_private import takes_training
from tfcompress.legacy.network import tensorflow_ops
from tfcompress.legacy.network.nodes import mask_of, name_nodes
from tfcompress.legacy.ported import Ported, plain_name
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.values import plain

_CONSTANT = "_CONSTANT_VALUE"
_STATES = (keras.layers.RNN, keras.layers.Bidirectional)


class Replay:
    """Repeats the layer calls of one model.

    Args:
        inputs: Symbolic inputs by the names of their layers.
        parts: Entry and port of every other layer, in the order of Keras 2.
        outputs: References to the model's outputs.
    """

    def __init__(
        self, inputs: dict[str, keras.KerasTensor], parts: list[tuple[dict[str, Any], Ported]], outputs: Any
    ) -> None:
        """Starts with the inputs alone."""
        self._parts = {part.name: (entry, part) for entry, part in parts}
        self._names = {*inputs, *self._parts}
        self._tensors: dict[tuple[str, int], list] = {(name, 0): [x] for name, x in inputs.items()}
        self._taken = {plain_name(name) for name in inputs} | {part.layer.name for _, part in parts if part.layer}
        self._seen: set[int] = set()
        self._first: dict[str, int] = {}
        for name, number in self._references([outputs, *(entry["inbound_nodes"] for entry, _ in parts)]):
            self._first[name] = min(number, self._first.get(name, number))

    def run(self) -> None:
        """Calls every layer as often as the graph says.

        Raises:
            NotPorted: If a layer does not accept its tensors, or needs one that no layer makes.
        """
        waiting = [
            (part.name, number, node)
            for entry, part in self._parts.values()
            for number, node in enumerate(entry["inbound_nodes"])
        ]
        while waiting:
            ready = [w for w in waiting if all(self._key(*r) in self._tensors for r in self._references(w[2]))]
            if not ready:
                entry, part = self._parts[waiting[0][0]]
                raise NotPorted(part.name, part.class_name, "it takes a tensor that no layer of the model makes.")
            for name, number, node in ready:
                self._tensors[name, number] = self._call(*self._parts[name], node)
            done = {(name, number) for name, number, _ in ready}
            waiting = [w for w in waiting if w[:2] not in done]

    def structure(self, references: Any) -> Any:
        """Returns the tensors of the model's inputs or outputs; a single tensor without a list."""
        made = self._filled(references)
        return made[0] if isinstance(made, list) and len(made) == 1 else made

    def _key(self, name, number):
        return name, number - self._first.get(name, 0)

    def _is_reference(self, data):
        return (
            isinstance(data, (list, tuple))
            and len(data) in (3, 4)
            and isinstance(data[0], str)
            and (data[0] in self._names or data[0] == _CONSTANT)
            and all(isinstance(number, int) for number in data[1:2])
        )

    def _references(self, data: Any) -> Iterator[tuple[str, int]]:
        """Yields (layer name, number of the call) of every tensor in a structure, keyword arguments included."""
        if self._is_reference(data):
            if data[0] != _CONSTANT:
                yield data[0], data[1]
            data = data[3] if len(data) == 4 else None
        if isinstance(data, dict):
            data = list(data.values())
        if isinstance(data, (list, tuple)):
            for each in data:
                yield from self._references(each)

    def _filled(self, data):
        """Returns a structure with tensors in place of references."""
        if self._is_reference(data):
            if data[0] == _CONSTANT:
                return plain(data[2])
            return self._tensors[self._key(*data[:2])][data[2]]
        if isinstance(data, dict) and "class_name" not in data:
            return {key: self._filled(each) for key, each in data.items()}
        if isinstance(data, (list, tuple)):
            return [self._filled(each) for each in data]
        return plain(data)

    def _options(self, node):
        """Returns the keyword arguments of a call, which every reference of the call repeats."""
        if self._is_reference(node):
            return self._filled(node[3]) if len(node) == 4 and node[3] else {}
        each = list(node.values()) if isinstance(node, dict) else list(node)
        return self._options(each[-1]) if each and isinstance(each[-1], (list, tuple, dict)) else {}

    def _call(self, entry, part, node):
        given, options = self._filled(node), self._options(node)
        if part.layer is None:
            several = entry["class_name"] == "TensorFlowOpLayer" and isinstance(given, list)
            outputs = tensorflow_ops.call(entry, part.name, given if several else [given], options)
            outputs = keras.tree.flatten(outputs)
            name_nodes(outputs, plain_name(part.name), self._taken, self._seen)
            return outputs
        if isinstance(given, list) and len(given) == 1:
            given = given[0]
        options = {key: value for key, value in options.items() if value is not None}
        if not takes_training(part.layer):
            options.pop("training", None)
        if isinstance(part.layer, _STATES) and isinstance(given, list):
            # if states are given, Keras 3 does not pass the mask on by itself
            options |= {"initial_state": given[1:], "mask": mask_of(given[0])}
            given = given[0]
        try:
            outputs = keras.tree.flatten(part.layer(given, **options))
        except Exception as error:  # layers raise errors of many types; the layer is named
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise NotPorted(part.name, part.class_name, f"Keras 3 does not call it as it was: {line}") from error
        name_nodes(map(mask_of, outputs), f"{part.layer.name}_mask", self._taken, self._seen)
        return outputs
