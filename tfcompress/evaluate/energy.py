"""Estimates the energy of one inference of a `.tflite` file from its operations and its memory traffic."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfcompress.benchmarking.named_artifacts import ArtifactLike, lineup
from tfcompress.evaluate.arithmetic import FREE, arithmetic
from tfcompress.evaluate.energy_table import HOROWITZ_2014, EnergyTable
from tfcompress.evaluate.macs_artifact import CONTROL, artifact_macs
from tfcompress.text.table import number, text_table
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.schema.element_types import bytes_of
from tfcompress.tflite.schema.flatbuffer import Graph, Op, Tensor
from tfcompress.validation import checks

_LOADING = frozenset({"DEQUANTIZE", "DENSIFY"})  # of a constant: done once, when the file is loaded
# These read as much of one input as they write: its position.
_PICKING = {"GATHER": 0, "GATHER_ND": 0, "SLICE": 0, "STRIDED_SLICE": 0, "EMBEDDING_LOOKUP": 1}


@dataclass(frozen=True)
class Energy:
    """Estimated energy of one inference, as `energy` returns it.

    Attributes:
        rows: One dictionary per operation of the file: `name` (the Keras layer where known), `op`,
            `operations` (counts by kind and width: `{"int8 mult": 12, ...}`), `weight_bytes` (read),
            `activation_bytes` (read and written), `operations_pj`, `memory_pj` and `pj`.
        table: The table behind the figures.
        weights_in: Name of the memory that the weights are read from.
    """

    rows: list[dict[str, Any]]
    table: EnergyTable
    weights_in: str

    @property
    def pj(self) -> float:
        """Energy of one inference in picojoules."""
        return sum(row["pj"] for row in self.rows)

    @property
    def uj(self) -> float:
        """Energy of one inference in microjoules."""
        return self.pj * 1e-6

    @property
    def operations_pj(self) -> float:
        """The part of additions and multiplications, in picojoules."""
        return sum(row["operations_pj"] for row in self.rows)

    @property
    def memory_pj(self) -> float:
        """The part of reading and writing, in picojoules."""
        return sum(row["memory_pj"] for row in self.rows)

    @property
    def operations(self) -> dict[str, int]:
        """Counts of additions and multiplications by kind and width."""
        total: Counter[str] = Counter()
        for row in self.rows:
            total.update(row["operations"])
        return dict(total)

    def __str__(self) -> str:
        """Returns the same as `text()`."""
        return self.text()

    def text(self) -> str:
        """Returns the total, a table of the operations, and what the figures are."""
        head = (
            f"{self.uj:.4g} uJ for one inference: operations {self.operations_pj * 1e-6:.4g} uJ, memory "
            f"{self.memory_pj * 1e-6:.4g} uJ (weights in {self.weights_in})"
        )
        keys = ("weight_bytes", "activation_bytes", "operations_pj", "memory_pj", "pj")
        cells = [[row["name"], row["op"], *(number(row[key]) for key in keys)] for row in self.rows]
        header = ["layer", "op", "weight bytes", "activation bytes", "operations pJ", "memory pJ", "pJ"]
        return "\n\n".join([head, text_table(header, cells), self.table.note])


def energy(file: ArtifactLike, half: bool = False, table: EnergyTable | None = None) -> Energy:
    """Estimates the energy of one inference of a `.tflite` file, operation by operation.

    An estimate for comparing files of one model, not for a phone's battery: the default table is of
    a 45 nm process of 2014, and what a processor spends on instructions is left out. The rules:

    - Products of kernels and activations count as multiplications in the width of their operands
      and additions in the width of the sum (int32 for int8, the bias's for int16). Quantized outputs
      are rescaled (an int32 multiplication and addition each); a dynamic-range file scales inputs
      to int8 and outputs back in float. Zeros of a pruned kernel count: the runtime multiplies them.
    - Functions (exp, tanh, softmax) are a polynomial of degree 5 in float, a lookup in int8.
    - Each operation reads its inputs once and writes its outputs once. Weights lie in the smallest
      memory that holds all of the file's weights, activations in the smallest that holds those of
      the operation; what is larger than every cache lies in DRAM.
    - Weights that a DEQUANTIZE widens when the file is loaded count in their wide form.

    Args:
        file: An `Artifact`, the path of a `.tflite` file, or its bytes.
        half: Whether float values are computed and kept in float16, as GPUs and processors with
            half-precision arithmetic do with a float16 file.
        table: Another `EnergyTable` of `tfcompress.evaluate.energy_table`; None takes its `HOROWITZ_2014`.

    Returns:
        Total, parts, and one row per operation.

    Raises:
        TypeError: If `file` or `table` is of another kind.
        ValueError: If an operation can't be counted (loops, branches, custom operations), or the
            table has no figure for it.

    Example:
        ```python
        import keras, tensorflow as tf
        import tfcompress as tfc

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, bias_initializer="ones")])
        found = tfc.energy(tf.lite.TFLiteConverter.from_keras_model(model).convert())
        print(found.text())
        assert found.operations == {"float32 mult": 12, "float32 add": 15}
        ```
    """
    checks.flag("energy", "half", half)
    table = HOROWITZ_2014 if table is None else table
    if not isinstance(table, EnergyTable):
        checks.refuse(TypeError, "energy", "table", "an EnergyTable or None", table)
    artifact = next(iter(lineup([file]).values()))
    counted = _counted(artifact)
    graph = artifact.model.graphs[0]
    tensors = _Tensors(graph, half)
    weights_in, weight_pj = table.memory_for(tensors.weight_bytes())
    rows = [
        _row(op, row, tensors, table, weight_pj if op.index in tensors.running else None)
        for op, row in zip(graph.ops, counted, strict=True)
    ]
    return Energy(rows, table, weights_in)


def _row(
    op: Op, counted: Mapping[str, Any], tensors: "_Tensors", table: EnergyTable, weight_pj: float | None
) -> dict[str, Any]:
    """Returns the row of one operation; `weight_pj` is None if the operation does nothing at run time."""
    work: Counter[str] = Counter()
    weights, activations, moved = 0, 0, 0.0
    if weight_pj is not None and op.outputs:
        inputs = [tensors.graph.tensors[index] if index >= 0 else None for index in op.inputs]
        work = arithmetic(op, inputs, tensors.graph.tensors[op.outputs[0]], counted["macs"], tensors.dtype)
        weights, activations = tensors.moved(op)
        moved = weights * weight_pj + activations * table.memory_for(activations)[1]
    spent = sum(count * table.operation_pj(name) for name, count in work.items())
    return {
        "name": counted["name"],
        "op": op.name,
        "operations": dict(work),
        "weight_bytes": weights,
        "activation_bytes": activations,
        "operations_pj": spent,
        "memory_pj": moved,
        "pj": spent + moved,
    }


def _counted(artifact: Artifact) -> list[dict[str, Any]]:
    """Returns the MACs of each operation; loops and branches are refused even if they hold no product."""
    rows = artifact_macs(artifact)
    unknown = [f"{row['name']} ({row['op']})" for row in rows if row["macs"] is None or row["op"] in CONTROL]
    if unknown:
        raise ValueError(
            f"energy: can't count {', '.join(unknown)}: the estimate knows no loops, branches or custom operations. "
            "convert(recurrent='unrolled') writes recurrent layers without a loop."
        )
    return rows


class _Tensors:
    """Where the values of a graph lie and how many bytes they take."""

    def __init__(self, graph: Graph, half: bool):
        self.graph = graph
        self.half = half
        # Constants, and what is widened from one when the file is loaded.
        self.weights = {tensor.index for tensor in graph.tensors if tensor.is_constant}
        self.running = {op.index for op in graph.ops if op.name not in FREE}
        for op in graph.ops:
            if op.name in _LOADING and op.inputs[0] in self.weights:
                self.weights.update(op.outputs)
                self.running.discard(op.index)

    def dtype(self, tensor: Tensor) -> str:
        """Returns the type in which a tensor's values are computed and kept."""
        return "float16" if self.half and tensor.is_float else tensor.dtype

    def weight_bytes(self) -> int:
        """Returns the bytes of all weights that operations read."""
        running = (op for op in self.graph.ops if op.index in self.running)
        return sum(self._size(index) for index in {i for op in running for i in op.inputs if i in self.weights})

    def moved(self, op: Op) -> tuple[int, int]:
        """Returns the bytes of weights and of activations that an operation reads and writes."""
        written = sum(self._size(index) for index in op.outputs if index >= 0)
        picked = op.inputs[_PICKING[op.name]] if op.name in _PICKING else -1
        weights, activations = 0, written
        for index in dict.fromkeys(index for index in op.inputs if index >= 0):
            size = min(self._size(index), written) if index == picked else self._size(index)
            if index in self.weights:
                weights += size
            else:
                activations += size
        return weights, activations

    def _size(self, index: int) -> int:
        tensor = self.graph.tensors[index]
        return tensor.buffer_bytes if tensor.is_sparse else bytes_of(tensor.shape, self.dtype(tensor))
