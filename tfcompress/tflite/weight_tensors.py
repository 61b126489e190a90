"""Finds the constants of a `.tflite` file that are kernels: the weights that an op multiplies with.

Biases, scales of a folded normalization and shape constants are not kernels. Used to count zeros,
codes and parameters in the file itself.
"""

from collections.abc import Iterator

from tfcompress.tflite.schema.flatbuffer import Graph, Model, Op, Tensor

# Op name to the positions of its kernels among its inputs (schema.fbs and the op definitions).
KERNEL_INPUTS: dict[str, tuple[int, ...]] = {
    "CONV_2D": (1,),
    "DEPTHWISE_CONV_2D": (1,),
    "TRANSPOSE_CONV": (1,),
    "CONV_3D": (1,),
    "CONV_3D_TRANSPOSE": (1,),
    "FULLY_CONNECTED": (1,),
    "BATCH_MATMUL": (0, 1),
    "EMBEDDING_LOOKUP": (1,),
    "GATHER": (0,),
    "SVDF": (1, 2),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (1, 2, 3, 4, 5, 6, 7, 8, 16),
}
_WEIGHT_TYPES = frozenset({"int8", "uint8", "int16", "int4", "int2", "float16", "bfloat16", "float32"})


def kernel_tensors(model: Model) -> Iterator[tuple[Op, Tensor]]:
    """Yields all kernels of a file with the op that uses each.

    A float16 kernel that a DEQUANTIZE op widens before use counts as the kernel of the op that reads
    it. A kernel shared by several ops is given once per op.

    Args:
        model: a file as `flatbuffer.read` gives it.

    Yields:
        The op, and the constant tensor with its `data`.
    """
    for graph in model.graphs:
        producers = graph.producers()
        for op in graph.ops:
            for position in KERNEL_INPUTS.get(op.name, ()):
                tensor = _constant(graph, producers, op, position)
                if tensor is not None:
                    yield op, tensor


def _constant(graph: Graph, producers: dict[int, Op], op: Op, position: int) -> Tensor | None:
    if position >= len(op.inputs) or op.inputs[position] < 0:
        return None
    index = op.inputs[position]
    if index in producers and producers[index].name == "DEQUANTIZE":
        index = producers[index].inputs[0]
    tensor = graph.tensors[index]
    # A table of at least two dimensions: GATHER also picks from lists of shapes.
    usable = tensor.is_constant and tensor.dtype in _WEIGHT_TYPES and len(tensor.shape) >= 2
    return tensor if usable else None
