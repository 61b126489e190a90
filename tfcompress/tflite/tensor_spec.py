"""Specs of the inputs and outputs of a `.tflite` file: name, shape, type, and the integer codes of values.

The rules are those of the runtime's own QUANTIZE and DEQUANTIZE kernels, so that a file with
integer inputs and outputs computes what the same file with float ones does.
"""

from dataclasses import dataclass

import numpy as np

from tfcompress.tflite.schema.element_types import numpy_type
from tfcompress.tflite.schema.flatbuffer import Graph, Model, Tensor


@dataclass(frozen=True)
class TensorSpec:
    """Spec of one input or output of an artifact.

    Attributes:
        name: the name in the signature; the tensor's name in a file without signature.
        shape: with the batch dimension; -1 for each dynamic dimension.
        dtype: `"int8"`, `"float32"`, ...
        scale: real value of one step; None if the tensor is not quantized.
        zero_point: the code of the real value 0; None if the tensor is not quantized.
        index: the tensor's number in the main graph.

    Example:
    >>> spec = TensorSpec("image", (1, 4), "int8", scale=0.5, zero_point=-1, index=0)
    >>> spec.quantize(np.array([[0.0, 0.7, -3.0, 1e9]], "float32"))
    array([[ -1,   0,  -7, 127]], dtype=int8)
    >>> spec.dequantize(np.array([[-1, 0, -7, 127]], "int8"))
    array([[ 0. ,  0.5, -3. , 64. ]], dtype=float32)
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None
    index: int = 0

    @property
    def is_quantized(self) -> bool:
        """True for an integer tensor whose codes stand for real values."""
        return self.scale is not None

    @property
    def numpy_type(self) -> np.dtype:
        """NumPy's type of arrays of this tensor.

        Raises:
            ValueError: if NumPy has none (strings, packed integers, bfloat16).
        """
        kind = numpy_type(self.dtype)
        if kind is None:
            raise ValueError(f"{self.name!r} is of the type {self.dtype}, of which there are no NumPy arrays.")
        return kind

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Converts real values to this tensor's codes (or to its type, if it is not quantized).

        `clip(round(x * (1 / scale)) + zero_point)` in float32, halves to even: the rule of the
        optimized and of the XNNPACK kernels, bit for bit. (The runtime's slow reference kernel
        divides and rounds halves away from zero, which differs on values that lie exactly
        between two codes.)

        Args:
            values: real values of any numeric type and shape.

        Returns:
            An array of the same shape and of this tensor's type.

        Raises:
            ValueError: if a value is NaN, or is not a whole number in range where the tensor is
                an integer one without quantization (token numbers, for instance), or if NumPy has
                no codes of this tensor's type.
        """
        values = np.asarray(values)
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise ValueError(f"Input {self.name!r}: the values hold NaN, which has no code.")
        if not self.is_quantized:
            return self._exact(values)
        if self.numpy_type.kind not in "iu":
            raise ValueError(f"Input {self.name!r} is quantized, but its type {self.dtype} is no integer one.")
        limits = np.iinfo(self.numpy_type)
        inverse = np.float32(1) / np.float32(self.scale)
        codes = np.rint(values.astype(np.float32) * inverse) + np.float32(self.zero_point)
        return np.clip(codes, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Converts codes to real values: `(q - zero_point) * scale` in float32.

        Args:
            codes: values of this tensor's type, any shape.

        Returns:
            float32 array of the same shape; unquantized integer and bool values unchanged.
        """
        codes = np.asarray(codes)
        if self.is_quantized:
            shifted = codes.astype(np.int32) - np.int32(self.zero_point)
            return shifted.astype(np.float32) * np.float32(self.scale)
        return codes.astype(np.float32) if codes.dtype.kind == "f" else codes

    def _exact(self, values: np.ndarray) -> np.ndarray:
        dtype = self.numpy_type
        if dtype.kind == "f" or values.dtype == dtype:
            return values.astype(dtype)
        with np.errstate(invalid="ignore"):
            cast = values.astype(dtype)
        if not np.array_equal(cast, values):
            raise ValueError(
                f"Input {self.name!r} takes whole {self.dtype} numbers. Received: {values.dtype} "
                f"values between {values.min()} and {values.max()} that do not fit."
            )
        return cast


def io_specs(model: Model) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Returns the specs of the inputs and outputs of the main graph, in the order of the file.

    Args:
        model: a file as `flatbuffer.read` gives it.

    Returns:
        The input specs and the output specs.
    """
    graph = model.graphs[0]
    inputs: dict[str, int] = {}
    outputs: dict[str, int] = {}
    for signature in model.signatures.values():
        if signature["subgraph"] == 0:
            inputs, outputs = signature["inputs"], signature["outputs"]
            break
    return _specs(graph, graph.inputs, inputs), _specs(graph, graph.outputs, outputs)


def _specs(graph: Graph, indices: tuple[int, ...], names: dict[str, int]) -> tuple[TensorSpec, ...]:
    # Two names may stand for one tensor, which is then listed twice in the graph too.
    free = {index: [name for name, at in names.items() if at == index] for index in indices}
    specs = []
    for index in indices:
        tensor = graph.tensors[index]
        name = free[index].pop(0) if free[index] else tensor.name
        specs.append(_spec(tensor, name))
    return tuple(specs)


def _spec(tensor: Tensor, name: str) -> TensorSpec:
    # Per-channel scales exist for constants only, so one scale is the rule here.
    quantized = tensor.scale is not None and not tensor.is_float
    return TensorSpec(
        name=name,
        shape=tensor.shape_signature,
        dtype=tensor.dtype,
        scale=float(tensor.scale[0]) if quantized else None,
        zero_point=int(tensor.zero_point[0]) if quantized else None,
        index=tensor.index,
    )
