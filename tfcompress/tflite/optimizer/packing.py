"""Reads a `.tflite` file into the schema's objects, and writes them with equal parts stored once.

The generated `Pack` cannot share: two equal scales, option tables or shapes are two vectors there,
and it forgets that the contents of buffers are aligned to 16 bytes. `pack_model` does both.
"""

import io
import struct
import zipfile
import zlib

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.layout import write_parts
from tfcompress.tflite.optimizer.recording import Recorder
from tfcompress.tflite.schema.flatbuffer import IDENTIFIER, read

_ALIGNMENT = 16  # bytes; the schema's `force_align` of the contents of a buffer
# Enough for labels and vocabularies; a megabyte of zip can hold a gigabyte of zeros.
LARGEST_ARCHIVE = 1 << 28
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, KeyError, OverflowError, AttributeError)


def unpack_file(content: bytes) -> schema.ModelT:
    """Reads a file into objects that can be changed.

    Args:
        content: The bytes of a `.tflite` file.

    Returns:
        The model; constants are views into the bytes, also those that lay behind the flatbuffer.

    Raises:
        ValueError: If it is no such file, is damaged, or uses fields that a newer schema brought
            and that would be lost.
    """
    read(content)  # raises if the bytes are no such file or are cut off
    try:
        root = schema.Model.GetRootAs(content, 0)
        _check_known(root)
        model = schema.ModelT.InitFromObj(root)
        for buffer in model.buffers or ():
            buffer.data = _inside(content, buffer.data, buffer.offset, buffer.size)
            buffer.offset = buffer.size = 0
        for graph in model.subgraphs:
            for op in graph.operators or ():
                where = op.largeCustomOptionsOffset, op.largeCustomOptionsSize
                op.customOptions = _inside(content, op.customOptions, *where)
                op.largeCustomOptionsOffset = op.largeCustomOptionsSize = 0
    except _DAMAGE as error:
        if isinstance(error, _NewerSchema):
            raise
        raise ValueError(
            f"not a .tflite file that can be read: its {len(content)} bytes are cut off or damaged ({error})."
        ) from error
    return model


def pack_model(model: schema.ModelT) -> bytes:
    """Writes a model as bytes, with equal tables, vectors and strings stored once.

    Args:
        model: The model.

    Returns:
        The bytes of the file; the same model gives the same bytes.

    Raises:
        ValueError: If it would be larger than two gigabytes.

    Example:
        ```python
        from tfcompress.tflite.optimizer.packing import packed, unpacked

        content = open("model.tflite", "rb").read()
        smaller = packed(unpacked(content))
        ```
    """
    contents = [buffer.data for buffer in model.buffers or () if isinstance(buffer.data, np.ndarray)]
    recorder = Recorder({id(data): _ALIGNMENT for data in contents})
    root = model.Pack(recorder)
    return write_parts(recorder.parts, root, IDENTIFIER)


def archive(content: bytes) -> zipfile.ZipFile | None:
    """Opens the zip archive that metadata tools append to a `.tflite` file (labels, vocabularies).

    Args:
        content: The bytes of the file.

    Returns:
        The archive, or None without one.

    Raises:
        ValueError: If it would unpack to more than `LARGEST_ARCHIVE` bytes, or is packed in another way than tools do.
    """
    # the last record of an archive may be followed by a comment of 64 kB
    if b"PK\x05\x06" not in content[-66_000:]:
        return None
    try:
        found = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, *_DAMAGE, NotImplementedError):
        return None
    total = sum(entry.file_size for entry in found.infolist())
    if total > LARGEST_ARCHIVE:
        raise ValueError(
            f"the archive behind the model unpacks to {total:,} bytes; at most {LARGEST_ARCHIVE:,} are read."
        )
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in found.infolist()):
        raise ValueError("the archive behind the model is packed neither plainly nor by deflate.")
    return found


def with_archive(content: bytes, files: zipfile.ZipFile | None) -> bytes:
    """Appends an archive to another file, its entries and their dates unchanged.

    Raises:
        ValueError: If an entry is damaged or encrypted.
    """
    if files is None:
        return content
    stream = io.BytesIO(content)
    try:
        with zipfile.ZipFile(stream, "a") as copy:
            for entry in files.infolist():
                copy.writestr(entry, files.read(entry))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, *_DAMAGE) as error:
        raise ValueError(f"the archive behind the model is damaged: {error}.") from error
    return stream.getvalue()


def _inside(content: bytes, data: np.ndarray | None, offset: int, size: int) -> np.ndarray | None:
    # Files above 2 GB keep contents behind the flatbuffer; offsets 0 and 1 mean "inside".
    return np.frombuffer(content, np.uint8, size, offset) if offset > 1 else data


class _NewerSchema(ValueError):
    """Raised where a file has fields that this schema lacks."""


class _Slots:
    """Counts the fields of a table by its generated `Start` function."""

    def __init__(self, name: str):
        getattr(schema, f"{name}Start")(self)

    def StartObject(self, count: int) -> None:
        self.count = count


def _check_known(root: schema.Model) -> None:
    """Raises if a file has fields or options that would be lost by reading and writing them."""
    _check(root, "Model")
    for k in range(root.OperatorCodesLength()):
        _check(root.OperatorCodes(k), "OperatorCode")
    for k in range(root.BuffersLength()):
        _check(root.Buffers(k), "Buffer")
    for g in range(root.SubgraphsLength()):
        graph = root.Subgraphs(g)
        _check(graph, "SubGraph")
        for k in range(graph.TensorsLength()):
            tensor = graph.Tensors(k)
            _check(tensor, "Tensor")
            if tensor.Quantization() is not None:
                _check(tensor.Quantization(), "QuantizationParameters")
        for k in range(graph.OperatorsLength()):
            op = graph.Operators(k)
            _check(op, "Operator")
            _check_union(op.BuiltinOptions(), op.BuiltinOptionsType(), schema.BuiltinOptions)
            _check_union(op.BuiltinOptions2(), op.BuiltinOptions2Type(), schema.BuiltinOptions2)


def _check_union(table, kind: int, union: type) -> None:
    if table is None:
        return
    names = {code: name for name, code in vars(union).items() if isinstance(code, int)}
    name = names.get(kind)
    if not kind or name is None:
        raise _NewerSchema(f"an operation has options of kind {kind}, which this version's schema does not know.")
    _check_slots(table, name)


def _check(table, name: str) -> None:
    _check_slots(table._tab, name)


def _check_slots(table, name: str) -> None:
    vtable = table.Pos - int.from_bytes(table.Bytes[table.Pos : table.Pos + 4], "little", signed=True)
    size = int.from_bytes(table.Bytes[vtable : vtable + 2], "little")
    known = 4 + 2 * _Slots(name).count
    if any(table.Bytes[vtable + known : vtable + size]):
        raise _NewerSchema(
            f"the file has fields of {name} that this version's schema does not know and would lose; "
            "a newer ai-edge-litert may know them."
        )
