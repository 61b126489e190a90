"""Finds channels of a graph that can be removed: constant ones that fold into a bias, and those never read.

Channels that an operation processes one by one form groups that are kept or removed together. A
group is removed if every operation that mixes channels can do without each of its members.
"""

from collections import defaultdict

import numpy as np

from tfcompress.tflite.optimizer.arithmetic import Span, full
from tfcompress.tflite.optimizer.circuit import Circuit
from tfcompress.tflite.optimizer.passing import Tie, span_of, ties_of
from tfcompress.tflite.optimizer.places import block_of, block_of_product
from tfcompress.tflite.optimizer.products import NAMES, Product, product_of


class RemovableChannels:
    """Ranges of codes and groups of the channels of a graph.

    Args:
        circuit: The graph.

    Attributes:
        products: The operations with kernels in a supported form, by their number.
        spans: Lowest and highest code of each channel, by tensor; absent where nothing is known.
        frozen: Tensors that keep all their channels.
    """

    def __init__(self, circuit: Circuit):
        self.circuit = circuit
        self.products: dict[int, Product] = {}
        self.spans: dict[int, Span] = {}
        self.frozen: set[int] = set(circuit.ends)
        self._ties: list[Tie] = []
        self._blocks: dict[int, int] = {}  # what the number of channels has to be a multiple of
        for number, op in enumerate(circuit.ops):
            self._visit(number, op)
        self.frozen -= {-1}

    def span(self, tensor: int) -> Span:
        """Returns the lowest and highest code that each channel of a tensor can have."""
        if tensor in self.spans:
            return self.spans[tensor]
        width = self.circuit.width(tensor)
        values = self.circuit.constant(tensor) if self.circuit.is_constant(tensor) else None
        if values is None:
            return full(width)
        rows = values.reshape(-1, width).astype(np.int64)
        return rows.min(0), rows.max(0)

    def kept(self) -> dict[int, np.ndarray]:
        """Returns the channels to keep, by tensor; only for tensors that lose some.

        Every tensor keeps at least one channel.
        """
        place, total = self._places()
        group = _groups(total, place, self._ties)
        stays = np.zeros(total, bool)  # by group, at the number of its first member
        for tensor in self.frozen & set(place):
            stays[group[place[tensor]]] = True
        for product in self.products.values():
            if product.is_mixing:
                needed = ~product.removable_inputs(self.span(product.x))
                stays[group[place[product.x]][needed]] = True
        self._fill(place, group, stays)
        return {
            tensor: np.flatnonzero(stays[group[slots]])
            for tensor, slots in place.items()
            if not stays[group[slots]].all()
        }

    def _visit(self, number: int, op) -> None:
        circuit = self.circuit
        product = product_of(circuit, op)
        if product is not None:
            self.products[number] = product
            self.spans[product.y] = product.span(self.span(product.x))
            self._blocks[product.y] = block_of_product(product)
            if not product.is_mixing:
                self._ties.append(Tie(product.x, product.y, product.slots[:, 0]))
            return
        ties = None if circuit.name(op) in NAMES else ties_of(circuit, op)
        if ties is None:
            self.frozen |= {*circuit.inputs(op), *circuit.outputs(op)}
            return
        (y,) = circuit.outputs(op)
        self._ties += ties
        self._blocks[y] = block_of(circuit, op, self.span)
        self.spans[y] = span_of(circuit, op, self.span)

    def _fill(self, place: dict[int, np.ndarray], group: np.ndarray, stays: np.ndarray) -> None:
        """Keeps further channels where a tensor would become empty or a block incomplete."""
        is_changed = True
        while is_changed:
            is_changed = False
            for tensor, slots in place.items():
                block = self._blocks.get(tensor, 1)
                fits = len(slots) % block == 0
                while not stays[group[slots]].any() or (
                    not stays[group[slots]].all() and not (fits and stays[group[slots]].sum() % block == 0)
                ):
                    stays[group[slots[~stays[group[slots]]][0]]] = is_changed = True

    def _places(self) -> tuple[dict[int, np.ndarray], int]:
        """Numbers the channels of all tensors that supported operations touch."""
        tensors = {tie.first for tie in self._ties} | {tie.second for tie in self._ties}
        for product in self.products.values():
            tensors |= {product.x, product.y}
        place, total = {}, 0
        for tensor in sorted(tensors):
            width = self.circuit.width(tensor)
            place[tensor] = np.arange(total, total + width)
            total += width
        return place, total


def _groups(total: int, place: dict[int, np.ndarray], ties: list[Tie]) -> np.ndarray:
    """Returns the group of each channel: the lowest number of the channels that are kept or removed with it."""
    neighbours = defaultdict(list)
    for tie in ties:
        tied = tie.channels >= 0
        for a, b in zip(place[tie.first][tie.channels[tied]], place[tie.second][tied], strict=True):
            neighbours[int(a)].append(int(b))
            neighbours[int(b)].append(int(a))
    group = np.arange(total)
    seen = np.zeros(total, bool)
    for start in range(total):
        if seen[start]:
            continue
        stack, seen[start] = [start], True
        while stack:
            number = stack.pop()
            group[number] = start
            for other in neighbours[number]:
                if not seen[other]:
                    seen[other] = True
                    stack.append(other)
    return group
