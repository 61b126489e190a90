"""Edits a converted `.tflite` file: tensor names, biases, and the order of inputs and outputs."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.packing import pack_model, unpack_file
from tfcompress.tflite.optimizer.sharing import share
from tfcompress.tflite.schema.flatbuffer import Model


@dataclass(frozen=True)
class Ends:
    """Inputs and outputs of the main graph, in the order that the file shall have.

    Args:
        signature: Name of the signature.
        inputs: Pairs of a name and the index of its tensor.
        outputs: The same of the outputs; one tensor may have several names.
    """

    signature: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]

    def names(self) -> dict[tuple[int, int], str]:
        """Returns the first name of each tensor, by the numbers of the graph and of the tensor."""
        return {(0, index): name for name, index in reversed((*self.inputs, *self.outputs))}


def argument(number: int) -> str:
    """Returns the name of an argument of an exported function; names of a model's inputs may be taken."""
    return f"in_{number}"


def find_ends(file: Model, signature: str, inputs: Sequence[str], outputs: Sequence[str]) -> Ends:
    """Finds the tensors of a model's inputs and outputs in a converted file.

    Args:
        file: The file that the converter made of an `Export`. If the converter read a SavedModel, the file has a
            signature that numbers arguments and results; otherwise they are in their order.
        signature: Name of the signature that the file shall have.
        inputs: Names of the inputs, in the wanted order.
        outputs: Names of the outputs, in the wanted order.

    Returns:
        The ends.

    Raises:
        ValueError: If the file has other inputs or outputs.
    """
    graph = file.graphs[0]
    at, made = list(graph.inputs), list(graph.outputs)
    for known in file.signatures.values():
        at = [known["inputs"].get(argument(k)) for k in range(len(known["inputs"]))]
        made = [known["outputs"].get(f"output_{k}") for k in range(len(known["outputs"]))]
    if len(at) != len(inputs) or len(made) != len(outputs) or None in (*at, *made):
        raise ValueError(
            f"The file has {len(at)} inputs and {len(made)} outputs, the model {list(inputs)} and {list(outputs)}."
        )
    return Ends(signature, tuple(zip(inputs, at, strict=True)), tuple(zip(outputs, made, strict=True)))


def rewrite_file(
    content: bytes,
    names: dict[tuple[int, int], str],
    biases: dict[tuple[int, int, int], tuple[np.ndarray, np.ndarray]],
    ends: Ends | None = None,
) -> bytes:
    """Renames tensors, corrects biases, orders inputs and outputs, and stores equal parts once.

    Args:
        content: The bytes of a `.tflite` file.
        names: Indices of a graph and of its tensor to the new name; tensors that are not named keep theirs.
        biases: Indices of a graph, of an operation and of a constant among its inputs, to the new codes and scales of
            that constant, for this operation alone.
        ends: Inputs and outputs in their order, and the signature with their names; None leaves both as they are.

    Returns:
        The bytes of the new file, without the converter's own notes; the minimal runtime version stays.

    Raises:
        ValueError: If the content is no such file.

    Example:
        >>> from tfcompress.tflite.edits import rewrite_file
        >>> rewrite_file(b"no file", {}, {})
        Traceback (most recent call last):
        ValueError: not a .tflite file...
    """
    model = unpack_file(content)
    for (graph, index), name in names.items():
        model.subgraphs[graph].tensors[index].name = name.encode()
    for where, (codes, scales) in biases.items():
        _put_constant(model, where, codes, scales)
    if ends is not None:
        _put_in_order(model, ends)
    share(model)
    return pack_model(model)


def _put_constant(model: schema.ModelT, where: tuple[int, int, int], codes: np.ndarray, scales: np.ndarray) -> None:
    """Gives an operation a new constant of its own; other operations may read the old tensor or its buffer."""
    graph, place = model.subgraphs[where[0]], where[2]
    tensors, op, buffer = graph.tensors, graph.operators[where[1]], schema.BufferT()
    buffer.data = np.ascontiguousarray(codes, codes.dtype.newbyteorder("<")).view(np.uint8).reshape(-1)
    model.buffers.append(buffer)
    made = copy.copy(tensors[op.inputs[place]])
    made.quantization = copy.copy(made.quantization)
    made.buffer, made.quantization.scale = len(model.buffers) - 1, np.asarray(scales, np.float32)
    tensors.append(made)
    op.inputs = np.array([*op.inputs[:place], len(tensors) - 1, *op.inputs[place + 1 :]], np.int32)


def _put_in_order(model: schema.ModelT, ends: Ends) -> None:
    graph, made = model.subgraphs[0], schema.SignatureDefT()
    graph.inputs = np.array([index for _, index in ends.inputs], np.int32)
    graph.outputs = np.array([index for _, index in ends.outputs], np.int32)
    made.signatureKey, made.subgraphIndex = ends.signature.encode(), 0
    made.inputs, made.outputs = ([_named(*pair) for pair in pairs] for pairs in (ends.inputs, ends.outputs))
    model.signatureDefs = [made]


def _named(name: str, index: int) -> schema.TensorMapT:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), index
    return made
