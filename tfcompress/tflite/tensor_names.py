"""Makes short names for the tensors of a file, such as `layer/kernel`, in place of the converter's long ones.

A file then has the same bytes in every process, whatever TensorFlow's counters of names were, is a little smaller, and
is readable.
"""

from tfcompress.tflite.artifact import Artifact

_ROLES = {1: "kernel", 2: "bias"}


def tensor_names(artifact: Artifact, ends: dict[int, str]) -> dict[int, str]:
    """Returns a name for every tensor of the main graph that an operation touches.

    Args:
        artifact: A file with the layers of its operations in `metadata["layers"]`.
        ends: Names of the inputs and outputs by index of their tensors.

    Returns:
        Index of the tensor to its name: that of the input or output in the signature, `layer` for an operation's
        outputs, `layer/kernel`, `layer/bias` or `layer/constant` for its constants.
    """
    (graph, *_) = artifact.model.graphs
    names = dict(ends)
    for op in graph.ops:
        layer = artifact.layer_of(op) or op.name.lower()
        for t in op.outputs:
            names.setdefault(t, layer)
        for place, t in enumerate(op.inputs):
            if t >= 0 and graph.tensors[t].is_constant:
                names.setdefault(t, f"{layer}/{_ROLES.get(place, 'constant')}")
    return names
