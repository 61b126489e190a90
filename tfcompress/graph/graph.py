"""Graph of operation calls and tensors: which node makes a tensor, which nodes read it, what depends on what."""

from collections import Counter
from collections.abc import Hashable, Iterable
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar


class Node(Protocol):
    """One call of an operation; tensors are any hashable values, None where the source is unknown."""

    @property
    def op(self) -> Any:
        """The operation that is called."""

    @property
    def inputs(self) -> Iterable[Any]:
        """The tensors it reads."""

    @property
    def outputs(self) -> Iterable[Any]:
        """The tensors it makes, or passes on unchanged."""


N = TypeVar("N", bound=Node)


class Graph(Generic[N]):
    """A graph of operation calls and the tensors between them.

    Makers and readers are computed once, when first needed; make a new graph if the nodes change.

    Args:
        nodes: The calls in order of execution.
        inputs: Tensors that no node makes.
        outputs: Output tensors of the graph.

    Example:
        >>> from types import SimpleNamespace as Node
        >>> from tfcompress.graph.graph import Graph
        >>> a, b = Node(op="a", inputs=["x"], outputs=["y"]), Node(op="b", inputs=["y"], outputs=["z"])
        >>> graph = Graph([a, b], ["x"], ["z"])
        >>> graph.maker("z").op, [node.op for node in graph.readers("x")], graph.is_before("x", "z")
        ('b', ['a'], True)
    """

    def __init__(self, nodes: Iterable[N], inputs: Iterable[Hashable], outputs: Iterable[Hashable | None]):
        self.nodes, self.inputs, self.outputs = list(nodes), list(inputs), list(outputs)

    @cached_property
    def _makers(self) -> dict[Hashable, N]:
        found = {}
        for node in self.nodes:
            for tensor in node.outputs:
                if tensor not in node.inputs:  # a node that passes a tensor on did not make it
                    found.setdefault(tensor, node)
        return found

    @cached_property
    def _readers(self) -> dict[Hashable, list[N]]:
        found = {}
        for node in self.nodes:
            for tensor in dict.fromkeys(node.inputs):
                found.setdefault(tensor, []).append(node)
        return found

    @cached_property
    def _times(self) -> Counter:
        return Counter(id(node.op) for node in self.nodes)

    @cached_property
    def _ancestors(self) -> dict[Hashable, set]:
        found = {tensor: set() for tensor in self.inputs}
        for node in self.nodes:
            before = set().union(*(found.get(tensor, set()) | {tensor} for tensor in node.inputs))
            found.update({tensor: before for tensor in node.outputs if tensor not in before})
        return found

    def maker(self, tensor: Hashable | None) -> N | None:
        """Returns the node that makes a tensor; None for inputs."""
        return self._makers.get(tensor)

    def readers(self, tensor: Hashable) -> list[N]:
        """Returns the nodes that read a tensor, in order of execution, also those that pass it on unchanged."""
        return list(self._readers.get(tensor, ()))

    def only_reader(self, tensor: Hashable) -> N | None:
        """Returns the one node that reads a tensor, unless the tensor is an output as well."""
        readers = self._readers.get(tensor, ())
        return readers[0] if len(readers) == 1 and not self.is_output(tensor) else None

    def is_output(self, tensor: Hashable) -> bool:
        """Whether a tensor is one of the outputs."""
        return tensor in self.outputs

    def times(self, op: object) -> int:
        """Returns how often an operation is called."""
        return self._times[id(op)]

    def is_before(self, first: Hashable, second: Hashable) -> bool:
        """Whether the second tensor depends on the first."""
        return first in self._ancestors[second]

    def needed(self) -> set:
        """Returns the tensors that the outputs depend on, these included."""
        return set().union(*(self._ancestors.get(tensor, set()) | {tensor} for tensor in self.outputs))
