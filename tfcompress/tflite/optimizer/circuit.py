"""An editable view of one graph of a file: operations by name, constants, scales, inputs and outputs."""

import copy
from collections.abc import Iterable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.optimizer.sharing import numbers

_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_TYPES = {
    schema.TensorType.INT8: "<i1", schema.TensorType.INT32: "<i4", schema.TensorType.INT64: "<i8",
    schema.TensorType.FLOAT32: "<f4",
}  # fmt: skip


class Circuit:
    """An editable view of one graph of a file.

    Args:
        model: The file.
        graph: One of its graphs.
        ends: Its inputs, outputs and the tensors that signatures name.

    Attributes:
        ops: Its operations.
        ends: Its inputs, outputs and the tensors that signatures name.
    """

    def __init__(self, model: schema.ModelT, graph: schema.SubGraphT, ends: Iterable[int]):
        self.model = model
        self.graph = graph
        self.ends = frozenset(ends)

    @property
    def ops(self) -> list[schema.OperatorT]:
        """The operations in the order of execution."""
        return self.graph.operators or []

    def name(self, op: schema.OperatorT) -> str:
        """Returns the builtin name of an operation; "CUSTOM" for a custom operation."""
        code = self.model.operatorCodes[op.opcodeIndex]
        return _NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")

    def inputs(self, op: schema.OperatorT) -> list[int]:
        """Returns the numbers of the tensors an operation reads, -1 for one that is not given."""
        return numbers(op.inputs)

    def outputs(self, op: schema.OperatorT) -> list[int]:
        """Returns the numbers of the tensors an operation writes."""
        return numbers(op.outputs)

    def tensor(self, index: int) -> schema.TensorT:
        """Returns a tensor by number."""
        return self.graph.tensors[index]

    def shape(self, index: int) -> tuple[int, ...]:
        """Returns the shape of a tensor, with -1 for a dimension that is only known at run time."""
        tensor = self.tensor(index)
        return tuple(numbers(tensor.shapeSignature) or numbers(tensor.shape))

    def width(self, index: int) -> int:
        """Returns the number of channels of a tensor: its last dimension."""
        shape = self.shape(index)
        return shape[-1] if shape else 0

    def is_codes(self, index: int) -> bool:
        """Returns whether a tensor holds int8 codes of one scale on an axis of channels."""
        tensor = self.tensor(index)
        found = tensor.quantization
        return (
            tensor.type == schema.TensorType.INT8
            and self.width(index) > 0
            and not tensor.isVariable
            and tensor.sparsity is None
            and found is not None
            and found.details is None
            and len(numbers(found.scale)) == 1
            and len(numbers(found.zeroPoint)) == 1
            and 0 < found.scale[0] < np.inf
        )

    def scale(self, index: int) -> float:
        """Returns the scale of a quantized tensor."""
        return float(self.tensor(index).quantization.scale[0])

    def zero(self, index: int) -> int:
        """Returns the zero point of a quantized tensor."""
        return int(self.tensor(index).quantization.zeroPoint[0])

    def same_scale(self, *indices: int) -> bool:
        """Returns whether tensors have the same scale and zero point."""
        return len({(self.scale(index), self.zero(index)) for index in indices}) == 1

    def constant(self, index: int) -> np.ndarray | None:
        """Returns the contents of a tensor if they are in the file and dense; None otherwise."""
        tensor = self.tensor(index)
        data = self.model.buffers[tensor.buffer].data
        if data is None or tensor.isVariable or tensor.sparsity is not None or tensor.type not in _TYPES:
            return None
        values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), _TYPES[tensor.type])
        shape = numbers(tensor.shape)
        return values.reshape(shape) if values.size == np.prod(shape, dtype=np.int64) and values.size else None

    def is_constant(self, index: int) -> bool:
        """Returns whether the contents of a tensor are in the file."""
        data = self.model.buffers[self.tensor(index).buffer].data
        return data is not None and len(data) > 0

    def add_constant(self, values: np.ndarray, like: schema.TensorT) -> int:
        """Adds a constant tensor.

        Args:
            values: Its contents.
            like: Tensor whose type, name and quantization it gets.

        Returns:
            Its number.
        """
        tensor = copy.copy(like)
        tensor.shape, tensor.shapeSignature = np.array(values.shape, np.int32), None
        tensor.buffer = len(self.model.buffers)
        data = np.frombuffer(np.ascontiguousarray(values, _TYPES[tensor.type]).tobytes(), np.uint8)
        self.model.buffers.append(schema.BufferT(data=data))
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def set_input(self, op: schema.OperatorT, position: int, index: int) -> None:
        """Sets an input of an operation; adds inputs where it has fewer."""
        given = numbers(op.inputs)
        given += [-1] * (position + 1 - len(given))
        given[position] = index
        op.inputs = np.array(given, np.int32)
