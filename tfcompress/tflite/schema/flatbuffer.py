"""Reads the `.tflite` flatbuffer as plain Python values: tensors, ops, graphs, signatures.

Other modules read files through this one; only those that change a file (`tflite/edits.py`, `tflite/unread_splits.py`,
`conversion/int16_ranges.py`, `tflite/optimizer/`) use the objects of the generated schema module themselves. Reading
copies no weights: the constants of a tensor are views into the file's bytes, unpacked on demand.
Format: tensorflow/lite/schema/schema.fbs, file identifier `TFL3`.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.schema.checks import check_calls, check_graph, check_passing, check_signature, check_tensor
from tfcompress.tflite.schema.element_types import numpy_type
from tfcompress.tflite.schema.form import check_form
from tfcompress.tflite.schema.op_shapes import check_places
from tfcompress.tflite.schema.op_signatures import called_graphs

IDENTIFIER = b"TFL3"
FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})

_DTYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
_OPS = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
OPERATIONS = frozenset(_OPS.values())
"""Names of the operations that LiteRT builds in."""
_PACKED_BITS = {"int4": 4, "uint4": 4, "int2": 2}
# What reading damaged bytes may raise in the flatbuffers and numpy readers.
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, KeyError, OverflowError)


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a graph.

    Attributes:
        index: its number in the graph.
        name: its name in the file.
        shape: the shape stored in the file; dynamic dimensions hold 1.
        shape_signature: the same with -1 for each dynamic dimension.
        dtype: `"float32"`, `"int8"`, `"int4"`, ... (the schema's names in lower case).
        scale: float32 array, one value, or one per channel; None if not quantized.
        zero_point: int64 array of the same length; None if not quantized.
        quantized_dimension: the axis of the per-channel scales.
        buffer_bytes: bytes of its constant contents in the file, 0 for an activation.
        is_constant: True if its contents are in the file.
        is_variable: True for state that lives between calls.
        is_sparse: True if its constant contents are stored in the sparse format.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    dtype: str
    scale: np.ndarray | None
    zero_point: np.ndarray | None
    quantized_dimension: int
    buffer_bytes: int
    is_constant: bool
    is_variable: bool
    is_sparse: bool
    raw: np.ndarray = field(repr=False)

    @property
    def is_float(self) -> bool:
        """True for float32 and every other floating type."""
        return self.dtype in FLOATS

    @property
    def data(self) -> np.ndarray | None:
        """The constant contents in the tensor's shape; None for an activation.

        Packed 4- and 2-bit values are widened to 8 bits, bfloat16 to float32; all other types are
        read-only views into the file's bytes.

        Raises:
            ValueError: if the contents do not fill the shape, or are sparse or of a type that
                NumPy does not have (strings, resources).
        """
        if not self.is_constant:
            return None
        if self.is_sparse:
            raise ValueError(f"Tensor {self.name!r} is stored in the sparse format; not readable.")
        values = self._values()
        if values.size != math.prod(self.shape):
            raise ValueError(
                f"Tensor {self.name!r} of shape {self.shape} and type {self.dtype} needs "
                f"{math.prod(self.shape)} values, its buffer of {self.buffer_bytes} bytes holds "
                f"{values.size}: the file is damaged."
            )
        return values.reshape(self.shape)

    def _values(self) -> np.ndarray:
        if self.dtype in _PACKED_BITS:
            return _unpack(self.raw, math.prod(self.shape), self.dtype)
        if self.dtype == "bfloat16":
            return (self.raw.view("<u2").astype("<u4") << 16).view(np.float32)
        if (dtype := numpy_type(self.dtype)) is None:
            raise ValueError(f"Tensor {self.name!r}: type {self.dtype!r} has no NumPy form; read `.raw` (bytes).")
        dtype = dtype.newbyteorder("<")
        return self.raw[: self.raw.size // dtype.itemsize * dtype.itemsize].view(dtype)


@dataclass(frozen=True)
class Op:
    """One operation of a graph.

    Attributes:
        index: its number in the graph, which is the order of execution.
        name: the builtin name such as `"CONV_2D"`, or the custom code of a custom op.
        version: the op version, which the runtime must know.
        inputs: tensor indices; -1 stands for an optional input that is not given.
        outputs: tensor indices.
        is_custom: True if it is not a builtin.
        is_flex: True if it runs a TensorFlow kernel through the Flex delegate.
        subgraph: the number of its graph.
        calls: the numbers of the graphs that it runs: condition and body of a loop, both sides of a branch.
    """

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    is_custom: bool
    is_flex: bool
    subgraph: int
    calls: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Graph:
    """One graph: the main one is number 0, the others are branches and bodies of control flow.

    Attributes:
        tensors: all tensors, by index.
        ops: all operations in the order of execution.
        inputs: tensor indices of the graph's inputs.
        outputs: tensor indices of the graph's outputs.
        subgraph: its number in the file.
        name: its name in the file, often `"main"`.
    """

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraph: int
    name: str

    def tensors_of(self, op: Op) -> Iterator[Tensor]:
        """Returns the input tensors of `op` that are given, then its outputs."""
        return (self.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0)

    def producers(self) -> dict[int, Op]:
        """Returns the op that writes each tensor, by tensor index; constants and inputs are absent."""
        return {index: op for op in self.ops for index in op.outputs}

    def consumers(self) -> dict[int, tuple[Op, ...]]:
        """Returns the ops that read each tensor, by tensor index; unread tensors are absent."""
        readers: dict[int, list[Op]] = {}
        for op in self.ops:
            for index in dict.fromkeys(index for index in op.inputs if index >= 0):
                readers.setdefault(index, []).append(op)
        return {index: tuple(ops) for index, ops in readers.items()}


@dataclass(frozen=True, eq=False)
class Model:
    """A `.tflite` file.

    Attributes:
        graphs: all graphs; `graphs[0]` is the main one.
        signatures: `{name: {"inputs": {name: tensor index}, "outputs": {...}, "subgraph": number}}`
        min_runtime: the oldest runtime that knows all ops and versions, `""` if not stored.
        metadata: names of the metadata entries.
        op_versions: the highest version in use of each op, by op name.
        description: the text the writer left, such as `"MLIR Converted."`.
    """

    graphs: tuple[Graph, ...]
    signatures: dict[str, dict[str, Any]]
    min_runtime: str
    metadata: tuple[str, ...]
    op_versions: dict[str, int]
    description: str


def read(content: bytes) -> Model:
    """Reads a `.tflite` file.

    Args:
        content: the bytes of the file. They are kept alive by the tensors and not copied.

    Returns:
        The model as plain values.

    Raises:
        ValueError: if the bytes are not a `.tflite` file, or one that is cut off or damaged: an offset leads out of
            it, or what it says contradicts itself (a tensor that does not exist or is read before it is written, a
            shape that its contents do not fill, a scale that is none, ...).
        TypeError: if `content` is not bytes.

    Example:
    >>> read(b"<html>not a model</html>")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: not a .tflite file: bytes 4 to 8 must be b'TFL3'. Received: 24 bytes that start ...
    """
    if not isinstance(content, bytes):
        raise TypeError(
            f"read: content must be the bytes of a .tflite file. Received: "
            f"{type(content).__name__}. Read a path with open(path, 'rb').read()."
        )
    if content[4:8] != IDENTIFIER:
        raise ValueError(
            f"not a .tflite file: bytes 4 to 8 must be {IDENTIFIER!r}. Received: "
            f"{len(content)} bytes that start with {content[:8]!r}."
        )
    try:
        check_form(content)
        return _Reader(content).model()
    except _DAMAGE as error:
        raise ValueError(
            f"not a .tflite file that can be read: its {len(content)} bytes are cut off or damaged ({error})."
        ) from error


class _Reader:
    """Reads the flatbuffer once; holds the file's bytes and its list of buffers."""

    def __init__(self, content: bytes):
        self.content = content
        self.root = schema.Model.GetRootAs(content, 0)
        self.calls: list[list[list[int]]] = []  # by graph and operation
        self.buffers = [self.buffer(self.root.Buffers(i)) for i in self.range(self.root.BuffersLength())]

    def range(self, length: int) -> range:
        # Each element of a vector of tables takes four bytes, so a longer vector is damage; the
        # check also keeps a damaged length from looping for hours.
        if length * 4 > len(self.content):
            raise ValueError(f"a list of {length} entries is longer than the file")
        return range(length)

    def buffer(self, buffer: schema.Buffer) -> np.ndarray:
        # Files above 2 GB keep the contents behind the flatbuffer; offsets 0 and 1 mean "inside".
        if buffer.Offset() > 1:
            return np.frombuffer(self.content, np.uint8, buffer.Size(), buffer.Offset())
        return _array(buffer.DataAsNumpy(), np.uint8)

    def model(self) -> Model:
        root = self.root
        codes = [_code(root.OperatorCodes(i)) for i in self.range(root.OperatorCodesLength())]
        graphs = tuple(self.graph(root.Subgraphs(i), i, codes) for i in self.range(root.SubgraphsLength()))
        if not graphs:
            raise ValueError("it holds no graph")
        check_calls([[other for called in each for other in called] for each in self.calls])
        for graph, each in zip(graphs, self.calls, strict=True):
            for op, called in zip(graph.ops, each, strict=True):
                check_passing(op, graph, [graphs[other] for other in called])
        versions: dict[str, int] = {}
        for op in (op for graph in graphs for op in graph.ops):
            versions[op.name] = max(op.version, versions.get(op.name, 0))
        metadata = self.metadata()
        runtime = metadata.get("min_runtime_version", np.zeros(0, np.uint8))
        return Model(
            graphs=graphs,
            signatures=self.signatures(graphs),
            min_runtime=runtime.tobytes().rstrip(b"\0").decode("utf-8"),
            metadata=tuple(metadata),
            op_versions=dict(sorted(versions.items())),
            description=_text(root.Description()),
        )

    def metadata(self) -> dict[str, np.ndarray]:
        entries = [self.root.Metadata(i) for i in self.range(self.root.MetadataLength())]
        return {_text(entry.Name()): self.buffers[entry.Buffer()] for entry in entries}

    def graph(self, graph: schema.SubGraph, number: int, codes: list[tuple]) -> Graph:
        tensors = tuple(self.tensor(graph.Tensors(i), i) for i in self.range(graph.TensorsLength()))
        stored = [graph.Operators(i) for i in self.range(graph.OperatorsLength())]
        ops = tuple(_op(op, i, number, codes) for i, op in enumerate(stored))
        inputs, outputs = _integers(graph.InputsAsNumpy()), _integers(graph.OutputsAsNumpy())
        used = [*inputs, *outputs, *(i for op in ops for i in (*op.inputs, *op.outputs))]
        used += [i for op in stored for i in _integers(op.IntermediatesAsNumpy())]
        if used and not -1 <= min(used) <= max(used) < len(tensors):
            raise ValueError(f"graph {number} uses a tensor that does not exist")
        found = Graph(tensors, ops, inputs, outputs, number, _text(graph.Name()))
        check_graph(found)
        self.calls.append([list(op.calls) for op in ops])
        for op, facts in zip(stored, ops, strict=True):
            if not facts.is_custom:
                check_places(found, facts, op)
        return found

    def tensor(self, tensor: schema.Tensor, index: int) -> Tensor:
        if tensor.ExternalBuffer():
            raise ValueError("its weights lie in another file")
        raw = self.buffers[tensor.Buffer()]
        shape = _integers(tensor.ShapeAsNumpy())
        quantization = tensor.Quantization()
        scale, zero_point, stored = None, None, np.zeros(0, np.int64)
        if quantization is not None:
            stored = _array(quantization.ZeroPointAsNumpy(), np.int64)
        if quantization is not None and quantization.ScaleLength():
            scale = _array(quantization.ScaleAsNumpy(), np.float32)
            zero_point = stored if stored.size == scale.size else np.zeros(scale.size, np.int64)
        found = Tensor(
            index=index,
            name=_text(tensor.Name()),
            shape=shape,
            shape_signature=_integers(tensor.ShapeSignatureAsNumpy()) or shape,
            dtype=_DTYPES[tensor.Type()],
            scale=scale,
            zero_point=zero_point,
            quantized_dimension=0 if scale is None else quantization.QuantizedDimension(),
            buffer_bytes=raw.size,
            is_constant=raw.size > 0,
            is_variable=bool(tensor.IsVariable()),
            is_sparse=tensor.Sparsity() is not None,
            raw=raw,
        )
        check_tensor(found, stored, quantization is not None and quantization.DetailsType() != 0)
        return found

    def signatures(self, graphs: tuple[Graph, ...]) -> dict[str, dict[str, Any]]:
        found = {}
        for number in self.range(self.root.SignatureDefsLength()):
            signature = self.root.SignatureDefs(number)
            subgraph = signature.SubgraphIndex()
            entry = {
                "inputs": self.names(signature.Inputs, signature.InputsLength()),
                "outputs": self.names(signature.Outputs, signature.OutputsLength()),
                "subgraph": subgraph,
            }
            name = _text(signature.SignatureKey())
            check_signature(name, entry, graphs)
            found[name] = entry
        return found

    def names(self, entry, length: int) -> dict[str, int]:
        maps = (entry(i) for i in self.range(length))
        return {_text(each.Name()): each.TensorIndex() for each in maps}


def _code(code: schema.OperatorCode) -> tuple[str, int, bool]:
    # Writers before op 127 fill only the old 8-bit field; the larger of both is the op.
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    custom = builtin == schema.BuiltinOperator.CUSTOM
    name = _text(code.CustomCode()) if custom else _OPS.get(builtin, f"BUILTIN_{builtin}")
    return name, code.Version(), custom


def _op(op: schema.Operator, index: int, subgraph: int, codes: list[tuple]) -> Op:
    name, version, custom = codes[op.OpcodeIndex()]
    return Op(
        index=index,
        name=name,
        version=version,
        inputs=_integers(op.InputsAsNumpy()),
        outputs=_integers(op.OutputsAsNumpy()),
        is_custom=custom,
        is_flex=custom and name.startswith("Flex"),
        subgraph=subgraph,
        calls=tuple(called_graphs(op, index, name)),
    )


def _array(values: Any, dtype: type) -> np.ndarray:
    # The generated readers return the number 0 for a vector that is absent.
    return np.zeros(0, dtype) if np.isscalar(values) else values


def _integers(values: Any) -> tuple[int, ...]:
    return () if np.isscalar(values) else tuple(values.tolist())


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8")


def _unpack(raw: np.ndarray, count: int, dtype: str) -> np.ndarray:
    """Widens packed values; the value with the lowest index lies in the lowest bits."""
    bits = _PACKED_BITS[dtype]
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = ((raw[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:count]
    if dtype.startswith("u"):
        return codes
    # Two's complement of `bits` bits: shift the sign up to bit 7 and back down.
    return (codes << (8 - bits)).view(np.int8) >> (8 - bits)
