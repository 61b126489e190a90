"""Edits of a `.tflite` file that leave what it computes as it was meant: names, and biases."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.deploy.flatbuffer import IDENTIFIER, read


def rewritten(content: bytes, names: dict[int, str], biases: dict[int, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Gives tensors of the main graph new names and contents, and drops the converter's own notes.

    Args:
        content: The bytes of a `.tflite` file.
        names: Index of a tensor to its new name; tensors that are not named keep theirs.
        biases: Index of a constant tensor to its new int32 codes and the scales they have.

    Returns:
        The bytes of the new file; signatures and the minimal runtime version stay.

    Raises:
        ValueError: If the content is no such file.

    Example:
        >>> from tfcompress.deploy.rewriting import rewritten
        >>> rewritten(b"no file", {}, {})
        Traceback (most recent call last):
        ValueError: not a .tflite file...
    """
    read(content)  # refuses what is no file
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = model.subgraphs[0].tensors
    for index, name in names.items():
        tensors[index].name = name.encode()
    for index, (codes, scales) in biases.items():
        buffer = schema.BufferT()  # of its own: the old one may serve other tensors
        buffer.data = np.ascontiguousarray(codes, "<i4").view(np.uint8).reshape(-1)
        model.buffers.append(buffer)
        tensors[index].buffer = len(model.buffers) - 1
        tensors[index].quantization.scale = np.asarray(scales, np.float32)
    dropped = [m for m in model.metadata or () if m.name == b"CONVERSION_METADATA"]
    for m in dropped:
        model.metadata.remove(m)
        model.buffers[m.buffer].data = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
