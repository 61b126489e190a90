"""Runs a `.tflite` file in the ai-edge-litert interpreter, batch after batch.

Takes and gives arrays of the file's own types, integer codes included. Files are converted with a
fixed batch (usually 1), so samples go through in groups of that size; a dynamic batch is resized.
"""

import math
import threading
from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tfcompress.text.progress import followed
from tfcompress.tflite.kernels.widths import check_widths
from tfcompress.tflite.schema.flatbuffer import Model
from tfcompress.tflite.tensor_spec import TensorSpec

# Rows of one call of a file with a dynamic batch: bounds the memory of its activations.
_DYNAMIC_BATCH = 32


class Runner:
    """Interpreter of one file. Threads that call `run` at once wait for each other.

    Args:
        content: the bytes of the file.
        model: the file as `flatbuffer.read` gives it.
        inputs: the specs of its inputs.
        outputs: the specs of its outputs.
        threads: threads of the interpreter.
        xnnpack: False runs the plain kernels, without the default delegate.
        keeps_all: Whether every tensor outlives its last reader, so that `outputs` may be any.

    Raises:
        ValueError: if the runtime cannot load the file; Flex and custom ops are named.
        UnsupportedWidth: if it would load it and compute other numbers than the file says.
    """

    def __init__(
        self,
        content: bytes,
        model: Model,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        threads: int = 1,
        xnnpack: bool = True,
        keeps_all: bool = False,
    ):
        check_widths(model)
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        # An interpreter holds the tensors of one run; a second thread would overwrite them.
        self._running = threading.Lock()
        self.has_state = any(t.is_variable for graph in model.graphs for t in graph.tensors)
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self.interpreter = Interpreter(
                model_content=content,
                num_threads=threads,
                experimental_op_resolver_type=OpResolverType.AUTO if xnnpack else plain,
                experimental_preserve_all_tensors=keeps_all,
            )
            self.interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(_load_error(model, xnnpack, error)) from error
        self.shapes = {detail["index"]: tuple(detail["shape"]) for detail in self.interpreter.get_input_details()}

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Runs the file on all samples.

        Args:
            arrays: one per input, of the input's own type, shape (n, ...) with the same n. A file
                without inputs runs once.

        Returns:
            One array per output, (n, ...) where the output has the batch as its first
            dimension; outputs without one are stacked, one row per call.
        """
        with self._running:
            return self._run(arrays)

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        count = len(arrays[0]) if len(arrays) else 1
        batch = self._batch(count)
        parts: list[list[np.ndarray]] = [[] for _ in self.outputs]
        starts = range(0, count, batch)
        for start in followed(starts, "running the file, calls", len(starts)):
            rows = min(batch, count - start)
            self._set([array[start : start + rows] for array in arrays], batch)
            if self.has_state:
                self.interpreter.reset_all_variables()
            self.interpreter.invoke()
            for part, spec in zip(parts, self.outputs, strict=True):
                value = self.interpreter.get_tensor(spec.index)
                batched = value.ndim > 0 and value.shape[0] == batch
                part.append(value[:rows] if batched else value[None])
        return [np.concatenate(part) for part in parts]

    def _batch(self, count: int) -> int:
        fixed = [spec.shape[0] for spec in self.inputs if spec.shape[0] > 0]
        return fixed[0] if fixed else min(count, _DYNAMIC_BATCH)

    def _set(self, groups: Sequence[np.ndarray], batch: int) -> None:
        """Fills the inputs; a last, shorter group repeats its last row, the caller cuts it off."""
        filled = [
            rows if len(rows) == batch else np.concatenate([rows, *[rows[-1:]] * (batch - len(rows))])
            for rows in groups
        ]
        changed = [
            (spec.index, rows.shape)
            for spec, rows in zip(self.inputs, filled, strict=True)
            if rows.shape != self.shapes[spec.index]
        ]
        # all inputs are resized before tensors are allocated again: their sizes must fit each other
        for index, shape in changed:
            self.interpreter.resize_tensor_input(index, shape)
            self.shapes[index] = shape
        if changed:
            self.interpreter.allocate_tensors()
        for spec, rows in zip(self.inputs, filled, strict=True):
            self.interpreter.set_tensor(spec.index, rows)


def check_inputs(
    x: np.ndarray | dict[str, np.ndarray] | Sequence[np.ndarray], inputs: Sequence[TensorSpec]
) -> list[np.ndarray]:
    """Brings samples from any accepted form into one array per input.

    Args:
        x: an array (n, ...), a dict by input name, or a list in the order of the inputs.
        inputs: the specs of the inputs.

    Returns:
        One array per input, in their order.

    Raises:
        ValueError: if names, the number of inputs, shapes or the numbers of samples do not fit.
    """
    names = [spec.name for spec in inputs]
    if isinstance(x, dict):
        if set(x) != set(names):
            raise ValueError(f"x must hold the inputs {names} by name. Received: {sorted(x)}.")
        arrays = [np.asarray(x[name]) for name in names]
    elif len(inputs) == 1 and not (isinstance(x, list | tuple) and len(x) == 1):
        arrays = [np.asarray(x)]
    else:
        if not isinstance(x, list | tuple) or len(x) != len(inputs):
            raise ValueError(
                f"The file has the inputs {names}: give x as a dict by name or as a list of "
                f"{len(inputs)} arrays. Received: {type(x).__name__}."
            )
        arrays = [np.asarray(each) for each in x]
    for spec, array in zip(inputs, arrays, strict=True):
        _check_shape(spec, array)
    counts = {spec.name: len(array) for spec, array in zip(inputs, arrays, strict=True)}
    if len(set(counts.values())) > 1:
        raise ValueError(f"All inputs must have the same number of samples. Received: {counts}.")
    return arrays


def _check_shape(spec: TensorSpec, array: np.ndarray) -> None:
    wanted = spec.shape[1:]
    fits = array.ndim == len(spec.shape) and all(
        want in (-1, got) for want, got in zip(wanted, array.shape[1:], strict=True)
    )
    if not spec.shape or not fits or not len(array):
        shown = ", ".join("any" if size == -1 else str(size) for size in wanted)
        hint = ""
        if array.ndim == len(wanted) or array.ndim == len(spec.shape) - 1:
            if math.prod(array.shape) == math.prod(wanted):
                hint = " For one sample, add a batch axis: x[None]."
            elif array.shape[1:] == wanted[:-1]:
                hint = " The channel axis is missing: x[..., None]."
        raise ValueError(f"Input {spec.name!r} takes shape (n, {shown}) with n >= 1. Received: {array.shape}.{hint}")


def _load_error(model: Model, xnnpack: bool, error: Exception) -> str:
    foreign = sorted({op.name for graph in model.graphs for op in graph.ops if op.is_custom})
    how = "with XNNPACK" if xnnpack else "without XNNPACK"
    text = f"The runtime cannot load this file {how}: {error}"
    if foreign:
        text += (
            f" It holds the Flex or custom ops {foreign}, which the plain runtime does not have; "
            "replace the layers they come from."
        )
    return text
