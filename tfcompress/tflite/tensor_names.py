"""Makes short names for the tensors of a file, such as `layer/kernel`, in place of the converter's long ones.

A file then has the same bytes in every process, whatever TensorFlow's counters of names were, is a little smaller, and
is readable.
"""

from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.schema.flatbuffer import Graph

_ROLES = {1: "kernel", 2: "bias"}


def tensor_names(artifact: Artifact, ends: dict[tuple[int, int], str]) -> dict[tuple[int, int], str]:
    """Returns a name for every tensor that an operation touches, also inside of loops and branches.

    Args:
        artifact: A file with the layers of its operations in `metadata["layers"]`.
        ends: Names of the inputs and outputs by the indices of their graph and tensor.

    Returns:
        Indices of graph and tensor to its name: that of the input or output in the signature, `layer` for an
        operation's outputs, `layer/kernel`, `layer/bias` or `layer/constant` for its constants.
    """
    names = dict(ends)
    for graph in artifact.model.graphs:
        for op in graph.ops:
            layer = artifact.layer_of(op) or op.name.lower()
            for t in op.outputs:
                names.setdefault((graph.subgraph, t), layer)
            for place, t in enumerate(op.inputs):
                if t >= 0 and graph.tensors[t].is_constant:
                    names.setdefault((graph.subgraph, t), f"{layer}/{_ROLES.get(place, 'constant')}")
        if graph.subgraph:
            names |= _variables(graph)
    return names


def _variables(graph: Graph) -> dict[tuple[int, int], str]:
    """Returns the names of what a loop or a branch is given: the converter's names differ from process to process."""
    return {(graph.subgraph, t): f"variable {place}" for place, t in enumerate(graph.inputs)}
