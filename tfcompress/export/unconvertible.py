"""Explains, in terms of the Keras model, what LiteRT lacks and why TensorFlow's converter or the runtime fails."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_OUTSIDE = "compute it in the app, before the model's input or behind its output, and build the model from what is left"
_INVERSE = "LiteRT has no inverse or hyperbolic functions besides tanh: replace it by a polynomial or a table"

# By the type of TensorFlow's operation, as a regular expression; measured with the converter of TensorFlow 2.21.
_LACKING = {
    r"Complex|I?FFT[23]?D?|I?FFTND": f"LiteRT has no complex numbers: {_OUTSIDE}",
    r"String\w*|Regex\w*|StaticRegex\w*|Unicode\w*|AsString|Substr|ReduceJoin|SerializeTensor|Decode\w*|Encode\w*": (
        f"LiteRT files hold no strings or file formats: {_OUTSIDE}"
    ),
    r"\w*HashTable\w*|LookupTable\w*": f"a lookup table: {_OUTSIDE}; the model then takes the numbers it gives",
    r"BitwiseAnd|BitwiseOr|Invert|LeftShift|PopulationCount|Bitcast": (
        "LiteRT has no such operation on bits: write it with comparisons or arithmetic"
    ),
    r"A?(Sin|Cos)h|Atanh|Acos|Asin|Atan|Tan": _INVERSE,
    r"Bessel\w*|Digamma|Lgamma|Polygamma|Zeta|Igammac?|Betainc|Erfinv|Ndtri|Expint|Spence|Dawsn|Fresnel\w*": (
        f"LiteRT has no special functions: replace it by a polynomial or a table, or {_OUTSIDE}"
    ),
    r"Cholesky|Qr|Svd|Lu|Matrix(Inverse|Determinant|Solve|SquareRoot|TriangularSolve)|LogMatrixDeterminant|"
    r"SelfAdjointEigV2|BandedTriangularSolve": f"LiteRT has no linear algebra: {_OUTSIDE}",
    r"Cumprod|Mod|TruncateMod|NthElement|UniqueV2|UniqueWithCounts\w*|RandomShuffle|AdjustHue|AdjustSaturation|"
    r"IsotonicRegression|RaggedBincount|DenseBincount|Bincount": (
        f"LiteRT has no such operation: write the layer with operations it has, or {_OUTSIDE}"
    ),
    r"Stateless(Random|Truncated|Parameterized|Multinomial|Case)\w*": (
        "TensorFlow's stateless random functions: draw with keras.random, which becomes an operation of LiteRT or one "
        "fixed draw, or make the noise an input of the model"
    ),
    r"\w*PyFunc\w*|NumpyFunction": "Python code can't be put into a file: write the layer with operations of keras.ops",
}  # fmt: skip

_COMPILED = [(re.compile(pattern), way) for pattern, way in _LACKING.items()]
_ANY = f"write the layer with Keras layers or keras.ops that LiteRT has, or {_OUTSIDE}"
_TOKEN = re.compile(r"tfc(\d+)_")


@dataclass(frozen=True)
class Refused:
    """An operation that can't be converted, the Keras layer it is in, and what to do."""

    op: str
    layer: str
    remedy: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.op} in layer {self.layer!r}: {self.remedy}" if self.layer else f"{self.op}: {self.remedy}"


class NotConvertible(ValueError, RuntimeError):
    """Raised where no file can be made of a model, with operation, layer, reason and a way out.

    Args:
        what: What happened.
        refused: The operations.
        error: The message of TensorFlow or the runtime, quoted at the end; None where neither was run.

    Attributes:
        refused: The operations, each with `op`, `layer` and `remedy`.
    """

    def __init__(self, what: str, refused: Iterable[Refused] = (), error: object = None) -> None:
        self.refused = tuple(refused)
        lines = "".join(f"\n  {r}" for r in self.refused)
        said = "" if error is None else f"\n(It said: {shorten_message(str(error))})"
        super().__init__(f"{what}{':' if lines else '.'}{lines}{said}")


def shorten_message(text: str, limit: int = 300) -> str:
    """Returns the first lines of a message, without the stacks of locations that the converter prints."""
    plain = " ".join(line.strip() for line in re.sub(r"loc\(.*?\)+:?", "", text).splitlines()[:4] if line.strip())
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."


def remedy(op: str) -> str | None:
    """Returns the remedy for an operation of TensorFlow that LiteRT lacks; None for one that it may have."""
    return next((way for pattern, way in _COMPILED if pattern.fullmatch(op)), None)


def lacking_operations(graph: Any, layer: Callable[[str], str | None]) -> list[Refused]:
    """Returns the operations of a graph that LiteRT lacks, each kind once per layer.

    Args:
        graph: A graph of TensorFlow; what does not depend on its inputs is a constant to the converter.
        layer: Function from the name of an operation to the path of its Keras layer; None where the file gets others.
    """
    found = {(op.type, layer(op.name)): remedy(op.type) for op in dependent_operations(graph.inputs)}
    return [Refused(kind, path, way) for (kind, path), way in found.items() if way is not None and path is not None]


def dependent_operations(tensors: Any) -> list:
    """Returns the operations that depend on one of the tensors, directly or through others."""
    waiting, found = list(tensors), {}
    while waiting:
        for op in waiting.pop().consumers():
            if op.name not in found:
                found[op.name] = op
                waiting += op.outputs
    return list(found.values())


_SIXTEEN = (
    "LiteRT has no kernel with 16-bit activations for it: convert with mode='int8' or mode='float16', replace it, or "
    "move it out of the model"
)


def converter_failure(text: str, paths: dict[int, str], graph: Any = None) -> list[Refused]:
    """Finds the operations that failed in a message of TensorFlow's converter.

    Args:
        text: The message.
        paths: Number in the exported names to the path of the layer.
        graph: The graph that was converted, for operations whose layer the message does not tell; None if unknown.
    """
    found = {}
    for line in text.splitlines():
        ops = re.findall(r"'tf\.(\w+)' op", line) or re.findall(r'fused\["(\w+):"', line)[:1]
        if "rror" in line and ops and not ops[0].endswith("PartitionedCall"):
            for layer in _numbered(line, paths) or _layers(ops[0], graph, paths):
                found[ops[0], layer] = remedy(ops[0]) or _ANY
    for op in re.findall(r"16x8-bit not yet supported for op: '(\w+)'", text):
        found |= {(op, layer): _SIXTEEN for layer in _layers(op, graph, paths)}
    failed = re.search(r"(?s)\.cc:\d+ (.*?) ?Node number \d+ \((\w+)\) failed to (invoke|prepare)", text)
    if failed and not found:
        way = (
            f"its kernel fails on the calibration samples ({failed[1].strip()}): look at the samples for values that "
            "the layer divides by or looks up, or convert with mode='float32' to see which layer it is"
        )
        found |= {(failed[2], layer): way for layer in _layers(failed[2], graph, paths)}
    return [Refused(op, layer, way) for (op, layer), way in found.items()]


def _numbered(line: str, paths: dict[int, str]) -> list[str]:
    """Returns the layer whose number stands last in a line of a message."""
    return [paths.get(int(n), "") for n in _TOKEN.findall(line)[-1:]]


def _layers(op: str, graph: Any, paths: dict[int, str]) -> list[str]:
    """Returns the layers with an operation of a name, LiteRT's (`TOPK_V2`) or TensorFlow's (`TopKV2`); else `[""]`."""
    wanted = op.replace("_", "").lower()
    same = [] if graph is None else [o for o in graph.get_operations() if o.type.lower() == wanted]
    return list(dict.fromkeys(layer for o in same for layer in _numbered(o.name, paths))) or [""]


_FATAL = (
    "one of its kernels aborts instead of refusing the file: convert with mode='int8' or mode='float16', "
    "or, if it is a SavedModel, convert the Keras model it was exported from"
)


def runtime_failure(text: str, artifact: Any) -> list[Refused]:
    """Finds the operation that failed in a message of the runtime.

    Args:
        text: The message.
        artifact: The file, with the layers of its operations.
    """
    if "does not survive" in text:
        return [Refused("the runtime itself ends", "", _FATAL)]
    failed = re.search(r"Node number (\d+) \((\w+)\) failed to (invoke|prepare)", text)
    if not failed:
        return []
    op = next((o for o in artifact.model.graphs[0].ops if o.index == int(failed[1]) and o.name == failed[2]), None)
    kernel = re.search(r"\.cc:\d+ (.*?) ?Node number", text.replace("\n", " "))
    reason = f"its kernel refuses the values it gets ({kernel[1]})" if kernel else "its kernel refuses what it gets"
    way = f"{reason}: keep zeros out of a divisor (add a small number), or {_ANY}"
    return [Refused(failed[2], artifact.layer_of(op) if op is not None else "", way)]
