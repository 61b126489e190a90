"""Verifies an integer file: no operation is float, it runs with and without XNNPACK, it agrees with the simulation."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfcompress.export.float_reasons import is_never_integer, never_integer_reason, stayed_float_reason
from tfcompress.export.unconvertible import NotConvertible, runtime_failure
from tfcompress.file_formats import INT8
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.schema.flatbuffer import Op

_MOVES = frozenset({"RESHAPE", "TRANSPOSE", "EXPAND_DIMS", "SQUEEZE", "PAD", "SLICE", "STRIDED_SLICE"})
_TOKEN = re.compile(r"tfc(\d+)_")


@dataclass(frozen=True)
class FloatOp:
    """An operation of an integer file that works on floats, and the Keras layer it came from.

    Attributes:
        index: Its place in the file; None where the converter refused it outright.
        op: LiteRT's name of it.
        layer: Path of the layer.
        remedy: Reason and way out.
        follows: Whether it is float only because of another one of its layer, and is accepted with that one.
    """

    index: int | None
    op: str
    layer: str
    remedy: str
    follows: bool = False

    def __str__(self) -> str:
        """One line; an operation the converter refuses outright has no index."""
        at = "" if self.index is None else f"{self.index} "
        return f"op {at}{self.op} from layer {self.layer!r}: {self.remedy}"


class NotFullyInteger(ValueError):
    """Raised where an int8 file would hold a float operation; no file is written.

    Args:
        float_ops: The operations.

    Attributes:
        float_ops: The operations, each with `op`, `layer` and `remedy`.
    """

    exit_code = 3  # of the command line: the file is refused, the call was right

    def __init__(self, float_ops: Iterable[FloatOp]) -> None:
        self.float_ops = tuple(float_ops)
        lines = "\n".join(f"  {f}" for f in self.float_ops)
        super().__init__(
            f"{len(self.float_ops)} operation(s) would stay float in the int8 file:\n{lines}\n"
            "Change the layers as said, or accept the operations by name: convert(..., allow_float=["
            + ", ".join(repr(n) for n in sorted({f.op for f in self.float_ops if not f.follows}))
            + "])."
        )


def layer_names(artifact: Artifact, paths: dict[int, str], ends: dict[int, int] | None = None) -> dict[str, str]:
    """Maps every operation of a file to its Keras layer by the numbers in its tensors' names.

    Args:
        artifact: A file that `export.run_converter` made.
        paths: Number to the path of the layer.
        ends: Index of the tensor of an output to the number of the layer that computes it.

    Returns:
        Index of the operation (as text) to the path.
    """
    (graph, *_) = artifact.model.graphs
    found, known, ends = {}, {}, ends or {}
    for op in graph.ops:
        numbers = _numbers(graph, op.outputs)
        if not numbers:  # outputs of the model have names of their own, the kernels of such an operation have not
            numbers = _numbers(graph, [t for t in op.inputs if t >= 0 and t not in known])
        if not numbers:  # the converter of TensorFlow 2.18 gives kernels no names
            numbers = [ends[t] for t in op.outputs if t in ends]
        if not numbers:  # an operation the converter put in: it belongs to what feeds it
            numbers = [known[t] for t in op.inputs if t in known]
        if numbers:
            # a fused operation carries the names of all its parts, the one that gives the kernel last
            found[str(op.index)] = paths.get(numbers[-1], "?")
            known |= dict.fromkeys(op.outputs, numbers[-1])
    users = {t: found[str(op.index)] for op in graph.ops if str(op.index) in found for t in op.inputs}
    for op in reversed(graph.ops):  # casts behind the model's input belong to what they feed
        if str(op.index) not in found and (layers := [users[t] for t in op.outputs if t in users]):
            found[str(op.index)] = layers[0]
            users |= dict.fromkeys(op.inputs, layers[0])
    return found | _inner_names(artifact.model.graphs, found)


def _inner_names(graphs: Any, found: dict[str, str]) -> dict[str, str]:
    """Returns the layers of the operations of loops and branches: those of the operations that run them."""
    layers = {called: found[str(op.index)] for op in graphs[0].ops for called in op.calls if str(op.index) in found}
    for graph in graphs[1:]:  # a loop in a loop
        layers |= {
            called: layers[graph.subgraph] for op in graph.ops for called in op.calls if graph.subgraph in layers
        }
    return {f"{n}:{op.index}": layer for n, layer in layers.items() for op in graphs[n].ops}


def _numbers(graph: Any, tensors: Any) -> list[int]:
    return [int(n) for t in tensors for n in _TOKEN.findall(graph.tensors[t].name)]


def predicted_float_ops(reasons: dict[str, tuple[str, ...]]) -> list[FloatOp]:
    """Returns the operations that stay float by the layer table, for a model that the converter refuses outright.

    Args:
        reasons: Path of a layer to its float operations.
    """
    return [
        FloatOp(None, name, layer, never_integer_reason(name)) for layer, names in reasons.items() for name in names
    ]


def float_operations(
    artifact: Artifact, allowed: Iterable[str], calibrated: bool = True, drags: bool = True
) -> list[FloatOp]:
    """Returns the operations of a file that work on floats without being allowed to.

    Args:
        artifact: The file, its layer names in `metadata["layers"]`.
        allowed: Names of operations or layers.
        calibrated: Whether the converter had calibration data, for the remedies.
        drags: Whether operations that are float only because of an allowed one beside them are allowed as well.
    """
    allowed = set(allowed)
    makers = {(graph.subgraph, t): op for graph in artifact.model.graphs for op in graph.ops for t in op.outputs}
    layers = {_place(op): artifact.layer_of(op) or "?" for op in artifact.float_ops()}
    found, accepted = [], {}
    for op in artifact.float_ops():
        # an operation that only moves the values of an accepted one is accepted with it
        follows = op.name in _MOVES and any(
            _place(maker) in accepted for t in op.inputs if (maker := makers.get((op.subgraph, t))) is not None
        )
        if follows or op.name in allowed or any(_names(a, layers[_place(op)]) for a in allowed):
            accepted[_place(op)] = op
        else:
            found.append(op)
    with_accepted = _dragged(found, list(accepted.values()), layers) if drags else []
    found = [op for op in found if op not in with_accepted]
    follow = _dragged(found, [op for op in found if is_never_integer(op.name)], layers)
    return [
        FloatOp(op.index, op.name, layers[_place(op)], _remedy(op, found, calibrated), op in follow) for op in found
    ]


def _place(op: Op) -> tuple[int, int]:
    return op.subgraph, op.index


def _dragged(candidates: list[Op], by: list[Op], layers: dict[tuple[int, int], str]) -> list[Op]:
    """Returns the operations with integer kernels that are float because a float operation of their layer is next."""
    by, dragged = list(by), []
    waiting = [op for op in candidates if not is_never_integer(op.name) and not op.is_flex and not op.is_custom]
    while new := [op for op in waiting if any(_touch(op, b) and layers[_place(op)] == layers[_place(b)] for b in by)]:
        dragged += new
        by, waiting = new, [op for op in waiting if op not in new]
    return dragged


def _names(allowed: str, layer: str) -> bool:
    return layer.startswith(f"{allowed}/") or allowed in (layer, *layer.split("/"))


def _remedy(op: Op, lost: list[Op], calibrated: bool) -> str:
    if op.is_flex:
        return "TensorFlow has no LiteRT operation for it: write the layer with Keras layers"
    if op.is_custom:
        return "a custom operation, which the stock interpreter lacks: write the layer with Keras layers"
    if is_never_integer(op.name):
        return never_integer_reason(op.name)
    beside = next((o.name for o in lost if is_never_integer(o.name) and _touch(o, op)), None)
    if beside is not None:
        return f"LiteRT has an integer kernel for it, but {beside} beside it has none and hands it floats"
    return stayed_float_reason(op.name, calibrated)


def _touch(a: Op, b: Op) -> bool:
    return a.subgraph == b.subgraph and bool({*a.inputs, *a.outputs} & {*b.inputs, *b.outputs})


@dataclass(frozen=True)
class Parity:
    """Figures of how far a file agrees with its simulation.

    Args:
        samples: Number of samples compared.
        agreement: Fraction with the same argmax over the last axis, of the output with the fewest.
        largest_gap: Largest difference of any output, in steps of its int8 scale.
        equal: Fraction of output values that are equal.
        xnnpack: Whether the file ran with XNNPACK.
    """

    samples: int
    agreement: float
    largest_gap: float
    equal: float
    xnnpack: bool

    def facts(self) -> dict:
        """Returns the figures for JSON."""
        return asdict(self)


def parity(artifact: Artifact, simulated: Any, got: Any, xnnpack: bool = True) -> Parity:
    """Compares a file with the simulation on the same inputs.

    Args:
        artifact: The file.
        simulated: Outputs of the simulation by name.
        got: Outputs of the file by name, dequantized.
        xnnpack: Whether the file ran with XNNPACK.

    Returns:
        The figures.
    """
    pairs = list(_pairs(artifact, got, simulated))
    gaps = [np.abs(a - b) / scale for a, b, scale in pairs]
    return Parity(
        samples=len(pairs[0][0]),
        agreement=float(min(np.mean(_decision(a) == _decision(b)) for a, b, _ in pairs)),
        largest_gap=float(max(g.max() for g in gaps)),
        equal=float(np.mean([np.mean(g < 0.5) for g in gaps])),
        xnnpack=xnnpack,
    )


def _pairs(artifact: Any, got: Any, simulated: Any) -> Iterator[Any]:
    for spec in artifact.outputs:
        scale = float(np.ravel(spec.scale)[0]) if spec.is_quantized else 1.0 / INT8.activations.count
        yield np.asarray(got[spec.name], np.float32), np.asarray(simulated[spec.name], np.float32), scale


def _decision(y: Any) -> Any:
    """Returns the argmax over the last axis; single values are rounded to float16 and returned."""
    return y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.astype(np.float16)


def check_loads(artifact: Artifact, samples: Any = None) -> None:
    """Runs a file once with XNNPACK and once without; both must work.

    Args:
        artifact: The file.
        samples: Calibration samples, each a dict by input name, of which some are run; without any, plausible values.

    Raises:
        NotConvertible: If the stock interpreter can't load or run it.
    """
    x = _chosen(samples) if samples else {s.name: _plausible(s) for s in artifact.inputs}
    for xnnpack in (True, False):
        run_file(artifact, x, xnnpack)


def run_file(artifact: Artifact, x: Any, xnnpack: bool = True) -> Any:
    """Runs a file and returns its outputs.

    Args:
        artifact: The file.
        x: Inputs, as `Artifact.predict` takes them.
        xnnpack: Whether to run it with XNNPACK.

    Raises:
        NotConvertible: If the stock interpreter can't load or run it; the operation and its layer are named.
    """
    try:
        return artifact.predict(x, xnnpack=xnnpack)
    except Exception as error:
        text = f"The file does not run in ai-edge-litert {'with' if xnnpack else 'without'} XNNPACK"
        raise NotConvertible(text, runtime_failure(str(error), artifact), error) from error


def _chosen(samples: Any) -> dict[str, np.ndarray]:
    rows = [samples[k] for k in sorted({0, len(samples) // 2, len(samples) - 1})]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _plausible(spec: Any) -> np.ndarray:
    """Makes an input: ones for integers, which are mostly indices or counts; else numbers between 0 and 1."""
    shape = (1, *(1 if size < 1 else size for size in spec.shape[1:]))
    if not spec.is_quantized and not spec.dtype.startswith("float"):
        return np.ones(shape, spec.dtype)
    return np.random.default_rng(0).random(shape, "float32")
