"""Changes one graph of a file in memory: adds casts, tensors and operations, and removes what nothing reads."""

import copy
from collections.abc import Iterable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.file_formats import INT8

_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_OLD_FIELD = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES  # in the field that older readers know
_INT8 = schema.TensorType.INT8
# First version of an operation that takes int8: tensorflow/lite/tools/versioning/op_version.cc
_VERSIONS = {
    "QUANTIZE": 2, "DEQUANTIZE": 2, "STRIDED_SLICE": 2, "SLICE": 2, "GATHER": 2, "TRANSPOSE": 2, "CONCATENATION": 2,
    "PACK": 2, "UNPACK": 2, "SPLIT": 2, "SPLIT_V": 2, "REVERSE_V2": 3,
}  # fmt: skip

Grid = tuple[float, int]
"""Scale and zero point of an int8 tensor."""


class GraphEdit:
    """One graph of a model in memory, with the operations that make and read each tensor.

    Args:
        model: The model, as `packing.unpack_file` gives it.
        number: Number of the graph.
    """

    def __init__(self, model: schema.ModelT, number: int):
        self.model, self.graph = model, model.subgraphs[number]
        self.added: set[int] = set()
        """By id the casts that were added here, which may be moved and removed."""
        for op in self.graph.operators:
            op.inputs, op.outputs = _numbers(op.inputs), _numbers(op.outputs)
        self.graph.inputs, self.graph.outputs = _numbers(self.graph.inputs), _numbers(self.graph.outputs)

    @property
    def ops(self) -> list[schema.OperatorT]:
        """The operations in order."""
        return self.graph.operators

    def name(self, op: schema.OperatorT) -> str:
        """Returns LiteRT's name of an operation."""
        code = self.model.operatorCodes[op.opcodeIndex]
        return _NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")

    def makers(self) -> dict[int, schema.OperatorT]:
        """Returns the operation that makes each tensor."""
        return {t: op for op in self.ops for t in op.outputs}

    def readers(self, tensor: int) -> list[schema.OperatorT]:
        """Returns the operations that read a tensor."""
        return [op for op in self.ops if tensor in op.inputs]

    def is_float(self, tensor: int) -> bool:
        """Whether a tensor is float32."""
        return self.graph.tensors[tensor].type == schema.TensorType.FLOAT32

    def grid(self, tensor: int) -> Grid | None:
        """Returns the grid of an int8 tensor with one scale; None for others."""
        t = self.graph.tensors[tensor]
        if t.type != _INT8 or t.quantization is None or len(_list(t.quantization.scale)) != 1:
            return None
        points = _list(t.quantization.zeroPoint)
        return float(t.quantization.scale[0]), int(points[0]) if points else 0

    def constant(self, tensor: int) -> np.ndarray | None:
        """Returns the float values of a constant; None for an activation."""
        data = self.model.buffers[self.graph.tensors[tensor].buffer].data
        if data is None or not len(data):
            return None
        return np.frombuffer(np.asarray(data, np.uint8).tobytes(), "<f4")

    def use(self, op: schema.OperatorT, name: str) -> None:
        """Makes an operation one of that name, or one that takes int8."""
        made = schema.OperatorCodeT()
        made.builtinCode = getattr(schema.BuiltinOperator, name)
        made.deprecatedBuiltinCode = min(made.builtinCode, _OLD_FIELD)
        known = self.model.operatorCodes[op.opcodeIndex].version if self.name(op) == name else 1
        made.version = max(known, _VERSIONS.get(name, 1))
        self.model.operatorCodes.append(made)
        op.opcodeIndex = len(self.model.operatorCodes) - 1

    def new_tensor(self, like: int, grid: Grid | None) -> int:
        """Adds a tensor of the shape of another: int8 on a grid, or float32."""
        made = copy.copy(self.graph.tensors[like])
        made.buffer, made.quantization = 0, None
        made.type = schema.TensorType.FLOAT32
        self.graph.tensors.append(made)
        index = len(self.graph.tensors) - 1
        if grid is not None:
            self.put_on(index, grid)
        return index

    def put_on(self, tensor: int, grid: Grid) -> None:
        """Makes a tensor an int8 one on a grid, a constant with the codes of its values."""
        t, values = self.graph.tensors[tensor], self.constant(tensor)
        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = np.array([grid[0]], np.float32), np.array([grid[1]], np.int64)
        if values is not None:
            codes = np.round(values / np.float32(grid[0])) + grid[1]
            buffer = schema.BufferT()
            buffer.data = np.clip(codes, *INT8.activations.limits).astype(np.int8).view(np.uint8)
            self.model.buffers.append(buffer)
            t.buffer = len(self.model.buffers) - 1
        t.type, t.quantization = _INT8, quantization

    def new_op(
        self,
        name: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        beside: schema.OperatorT | None = None,
        behind: bool = False,
    ) -> schema.OperatorT:
        """Adds an operation without options in front of another or behind it, or in front of all."""
        made = schema.OperatorT()
        made.inputs, made.outputs = list(inputs), list(outputs)
        made.opcodeIndex = 0
        self.use(made, name)
        at = 0 if beside is None else self._place(beside) + behind
        self.ops.insert(at, made)
        return made

    def _place(self, op: schema.OperatorT) -> int:
        return next(k for k, other in enumerate(self.ops) if other is op)

    def cast(self, source: int, grid: Grid | None, beside: schema.OperatorT | None, behind: bool = False) -> int:
        """Adds a QUANTIZE to a grid, or a DEQUANTIZE; returns the tensor it makes."""
        made = self.new_tensor(source, grid)
        op = self.new_op("DEQUANTIZE" if grid is None else "QUANTIZE", [source], [made], beside, behind)
        self.added.add(id(op))
        return made

    def replace(self, old: int, new: int, but: Iterable[schema.OperatorT] = ()) -> None:
        """Lets all readers of a tensor, and the outputs of the graph, read another."""
        kept = {id(op) for op in but}
        for op in self.ops:
            if id(op) not in kept and old in op.inputs:
                op.inputs = [new if t == old else t for t in op.inputs]
        self.graph.outputs = [new if t == old else t for t in self.graph.outputs]

    def remove_dead(self, names: frozenset[str]) -> None:
        """Removes operations of those names whose outputs nothing reads, and what only they read."""
        while True:
            read = {t for op in self.ops for t in op.inputs} | set(self.graph.outputs)
            live = [op for op in self.ops if self.name(op) not in names or read & set(op.outputs)]
            if len(live) == len(self.ops):
                return
            self.graph.operators = live


def _numbers(values: object) -> list[int]:
    return [int(v) for v in _list(values)]


def _list(values: object) -> list:
    return [] if values is None or np.isscalar(values) else list(values)  # type: ignore[call-overload]
