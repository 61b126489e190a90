"""The proof of an integer file: no float op is left, it runs with and without XNNPACK, it computes what was trained."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from tfcompress.deploy.artifact import Artifact
from tfcompress.deploy.flatbuffer import Op

_MOVES = frozenset({"RESHAPE", "TRANSPOSE", "EXPAND_DIMS", "SQUEEZE", "PAD", "SLICE", "STRIDED_SLICE"})
_TOKEN = re.compile(r"tfc(\d+)_")

_REMEDIES = {
    "ELU": "LiteRT has no int8 ELU inside a loop: use relu or tanh there",
    "CONV_3D_TRANSPOSE": "LiteRT has no int8 Conv3DTranspose: fold a dimension into the channels",
    "MaxPool3D": "LiteRT has no MaxPooling3D with channels first: put channels last",
    "AvgPool3D": "LiteRT has no AveragePooling3D with channels first: put channels last",
    "NOT_EQUAL": "comes from Masking, which compares floats: mask by zeros, before layers that do not read the mask",
    "CONV_3D": "LiteRT has no int8 Conv3D: fold a dimension into the channels and use Conv2D",
    "NEG": "LiteRT has no int8 negation: multiply by -1, or use the Keras layer of that name",
    "SQUARE": "LiteRT has no int8 square: multiply the value by itself, or use the Keras layer of that name",
    "SIN": "LiteRT has no int8 sine: replace it",
    "COS": "LiteRT has no int8 cosine: replace it",
}

_REMEDY = (
    "it got no range, or works on what has none: give calibration data, replace the layer, or leave it out "
    "(leave_float=...)"
)


@dataclass(frozen=True)
class FloatOp:
    """An operation of an integer file that works on floats, and the Keras layer it came from."""

    index: int | None
    op: str
    layer: str
    remedy: str

    def __str__(self) -> str:
        """One line; an operation the converter refuses outright has no index."""
        at = "" if self.index is None else f"{self.index} "
        return f"op {at}{self.op} from layer {self.layer!r}: {self.remedy}"


class NotFullyInteger(ValueError):
    """Raised instead of writing an int8 file with a float operation in it.

    Args:
        float_ops: The operations.

    Attributes:
        float_ops: The operations, each with `op`, `layer` and `remedy`.
    """

    def __init__(self, float_ops: Iterable[FloatOp]):
        self.float_ops = tuple(float_ops)
        lines = "\n".join(f"  {f}" for f in self.float_ops)
        super().__init__(
            f"{len(self.float_ops)} operation(s) would stay float in the int8 file:\n{lines}\n"
            "Change the layers as said, or accept the operations by name: convert(..., allow_float=["
            + ", ".join(repr(n) for n in sorted({f.op for f in self.float_ops}))
            + "])."
        )


def layer_names(artifact: Artifact, paths: dict[int, str]) -> dict[str, str]:
    """Leads every operation of a file back to its Keras layer by the numbers its tensors' names carry.

    Args:
        artifact: A file exported by `deploy.export`.
        paths: Number to the path of the layer.

    Returns:
        Index of the operation (as text) to the path.
    """
    (graph, *_) = artifact.model.graphs
    found, known = {}, {}
    for op in graph.ops:
        numbers = _numbers(graph, op.outputs)
        if not numbers:  # outputs of the model bear names of their own, the kernels of such an operation do not
            numbers = _numbers(graph, [t for t in op.inputs if t >= 0 and t not in known])
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
    return found


def _numbers(graph, tensors) -> list[int]:
    return [int(n) for t in tensors for n in _TOKEN.findall(graph.tensors[t].name)]


def predicted_float_ops(reasons: dict[str, tuple[str, ...]]) -> list[FloatOp]:
    """Returns what the table of layer facts says will stay float, for a model the converter refuses outright.

    Args:
        reasons: Path of a layer to its float operations.
    """
    return [
        FloatOp(None, name, layer, _REMEDIES.get(name, _REMEDY)) for layer, names in reasons.items() for name in names
    ]


def float_operations(artifact: Artifact, allowed: Iterable[str]) -> list[FloatOp]:
    """Returns the operations of a file that work on floats and are not allowed to.

    Args:
        artifact: The file, its layer names in `metadata["layers"]`.
        allowed: Names of operations or layers.
    """
    allowed = set(allowed)
    makers = {t: op for op in artifact.model.graphs[0].ops for t in op.outputs}
    found, accepted = [], set()
    for op in artifact.float_ops():
        layer = artifact.layer_of(op) or "?"
        # what only moves the values of an accepted operation comes with it
        follows = op.name in _MOVES and any(makers[t].index in accepted for t in op.inputs if t in makers)
        if follows or op.name in allowed or any(_names(a, layer) for a in allowed):
            accepted.add(op.index)
        else:
            found.append(FloatOp(op.index, op.name, layer, _remedy(op)))
    return found


def _names(allowed: str, layer: str) -> bool:
    return layer == allowed or layer.rsplit("/", 1)[-1] == allowed


def _remedy(op: Op) -> str:
    if op.is_flex:
        return "TensorFlow has no LiteRT operation for it: write the layer with Keras layers"
    if op.is_custom:
        return "a custom operation, which the stock interpreter lacks: write the layer with Keras layers"
    return _REMEDIES.get(op.name, _REMEDY)


@dataclass(frozen=True)
class Parity:
    """How far a file and the simulation of what was trained agree.

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


def parity(artifact: Artifact, simulated, got, xnnpack: bool = True) -> Parity:
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


def _pairs(artifact, got, simulated):
    for spec in artifact.outputs:
        scale = float(np.ravel(spec.scale)[0]) if spec.is_quantized else 1.0 / 256
        yield np.asarray(got[spec.name], np.float32), np.asarray(simulated[spec.name], np.float32), scale


def _decision(y):
    """The largest of the last axis, position by position; a single value by itself, on the grid of a float16."""
    return y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.astype(np.float16)


def check_loads(artifact: Artifact) -> None:
    """Runs a file once with XNNPACK and once without; either must work.

    Raises:
        RuntimeError: If the stock interpreter can't load or run it.
    """
    x = {
        s.name: np.zeros(
            (1, *s.shape[1:]),
            "int32" if s.dtype.startswith("int") and not s.is_quantized else "float32",
        )
        for s in artifact.inputs
    }
    for xnnpack in (True, False):
        try:
            artifact.predict(x, xnnpack=xnnpack)
        except Exception as error:
            how = "with" if xnnpack else "without"
            raise RuntimeError(f"The file does not run in ai-edge-litert {how} XNNPACK: {error}") from error
