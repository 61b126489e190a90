"""Fidelity: how far the outputs of a `.tflite` file are from those of the model the user gave.

Errors are measured against the spread of an output: the standard deviation of the reference over samples and
positions, channel by channel (last axis), pooled over the channels. A file that answers a constant has an error of
100 %, whatever offset the output has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

CLASSES = "classes"  # scores on the last axis, of which the largest wins
PROBABILITIES = "probabilities"  # the same, behind a softmax
THRESHOLD = "threshold"  # one probability, above or below 0.5
VALUES = "values"

FLOAT_MODEL = "float model"
SIMULATION = "simulation"

# Limits beyond which there is a warning. An 8-bit file without a loss has an error of 1 to 5 %.
ERROR = 0.10
AGREEMENT = 0.98
CHANNEL_ERROR = 0.25  # of one channel: its spread is below about one step
_GONE = 0.9  # error of a slice along another axis that has lost nearly all of its values
_FEW_CODES = 4
_FLAT = 1e-6  # a channel whose spread is below this share of the output's does not vary


class FidelityWarning(UserWarning):
    """Warns that the outputs of a file differ from those of its model, with the layer and what was tried."""


class NotFaithful(ValueError):
    """Raised when a file is further from the model than `convert(..., require=...)` allows.

    Args:
        message: What was required and what was measured.
        fidelity: The measurement.
    """

    exit_code = 3  # of the command line: the file is refused, the call was right

    def __init__(self, message: str, fidelity: "Fidelity") -> None:
        super().__init__(message)
        self.fidelity = fidelity


@dataclass(frozen=True)
class OutputFidelity:
    """One output of a file compared with one reference.

    Attributes:
        output: Name of the output.
        reference: "float model" (the model as it was given) or "simulation" (the model under fake quantization).
        xnnpack: Whether the file ran with XNNPACK.
        samples: Number of samples compared.
        error: Root mean square of the differences, as a fraction of the output's spread; None for integer outputs.
        largest_error: Largest difference, in the unit of the output.
        worst_channel: Index on `worst_axis` of the channel with the largest error of its own spread.
        channel_error: That error, as a fraction of the channel's spread.
        channel_codes: Distinct codes in which that channel answers.
        agreement: Fraction of positions with the same class; None where the output has no classes.
        same: Number of those positions.
        positions: Number of positions that have a class.
        codes: Fraction of the output type's codes in use; None for float outputs.
        saturated: Fraction of values at the lowest or highest code while the reference lies beyond it.
        kind: What the output holds: classes, probabilities, one probability (a threshold), or values.
        worst_axis: Axis of the channels: the last one, or another where a slice along it has nearly lost its values.
        decisions: Number of different classes that the reference names on the samples.
    """

    output: str
    reference: str
    xnnpack: bool
    samples: int
    error: float | None
    largest_error: float | None
    worst_channel: int | None
    channel_error: float | None
    channel_codes: int | None
    agreement: float | None
    same: int | None
    positions: int | None
    codes: float | None
    saturated: float | None
    kind: str = VALUES
    worst_axis: int = -1
    decisions: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether the error, a channel's error or the agreement is so bad that a warning is due."""
        disagrees = self.agreement is not None and self.agreement < AGREEMENT and self.positions - self.same > 1
        if self.kind in (PROBABILITIES, THRESHOLD) and self.agreement == 1.0 and self.decisions > 1:
            return False  # every decision is the same, so the probabilities themselves may be coarse
        return disagrees or (self.error or 0.0) > ERROR or self.has_lost_channel

    @property
    def has_lost_channel(self) -> bool:
        """Whether a channel has too large an error; not for probabilities, most of which are near 0."""
        return self.kind in (VALUES, CLASSES) and (self.channel_error or 0.0) > CHANNEL_ERROR


@dataclass(frozen=True)
class Fidelity:
    """Comparison of a file with the model it was made of, on the calibration samples.

    Attributes:
        outputs: One row for each output, reference and choice of kernels (XNNPACK first).
        smaller: Bytes of the model's weights in float32 divided by the bytes of the file.
        lost_at: Facts about the layer where a loss arises; empty without a loss.
        remedies: Ways out of the loss that were tried, with the figures of each.
    """

    outputs: tuple[OutputFidelity, ...]
    smaller: float | None = None
    lost_at: dict = field(default_factory=dict)
    remedies: tuple[dict, ...] = ()

    @classmethod
    def of(cls, facts: Mapping) -> "Fidelity":
        """Reads a comparison from what `facts` returned.

        Raises:
            ValueError: If it is something else; the file beside an artifact may hold anything.
        """
        try:
            rows = tuple(OutputFidelity(**row) for row in facts["outputs"])
            found = cls(rows, facts["smaller"], dict(facts.get("lost_at", {})), tuple(facts.get("remedies", ())))
            found.sentence()
            found.lost()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"these are no figures of fidelity: {error!r}") from error
        return found

    def facts(self) -> dict:
        """Returns the figures for JSON, with the sentence."""
        found = {"sentence": self.sentence(), "smaller": self.smaller, "outputs": [asdict(row) for row in self.outputs]}
        if self.lost_at:
            found["lost_at"] = self.lost_at
        if self.remedies:
            found["remedies"] = list(self.remedies)
        return found

    def against(self, reference: str = FLOAT_MODEL, xnnpack: bool = True) -> tuple[OutputFidelity, ...]:
        """Returns the rows of one reference and choice of kernels, one for each output."""
        return tuple(r for r in self.outputs if r.reference == reference and r.xnnpack == xnnpack)

    @property
    def agreement(self) -> float | None:
        """The lowest agreement with the float model; None where no output has classes."""
        found = [r.agreement for r in self.outputs if r.reference == FLOAT_MODEL and r.agreement is not None]
        return min(found, default=None)

    @property
    def error(self) -> float | None:
        """The largest error against the float model."""
        found = [r.error for r in self.outputs if r.reference == FLOAT_MODEL and r.error is not None]
        return max(found, default=None)

    def lost(self) -> list[OutputFidelity]:
        """Returns the rows for which a warning is due, the worst first."""
        found = [r for r in self.outputs if r.is_lost]
        return sorted(
            found, key=lambda r: -max(r.error or 0.0, 1.0 - (r.agreement if r.agreement is not None else 1.0))
        )

    def missed(self, require: Mapping[str, float]) -> list[str]:
        """Returns a sentence for each requirement that is not met.

        Args:
            require: "agreement" (at least), "error", "channel_error", "largest_error", "saturated" (at most).
        """
        found = []
        for name in require:
            if all(getattr(row, name) is None for row in self.outputs):
                what = "no output has classes" if name == "agreement" else "no output has such a figure"
                found.append(f"{name} can't be measured: {what}; require another figure")
        for row in self.outputs:
            for name, limit in require.items():
                value = getattr(row, name)
                if value is not None and (value < limit if name == "agreement" else value > limit):
                    kernels = "with XNNPACK" if row.xnnpack else "with plain kernels"
                    bound = "at least" if name == "agreement" else "at most"
                    found.append(
                        f"output {row.output!r}, against the {row.reference} {kernels}: {name} {value:.4g}, "
                        f"required is {bound} {limit:g}"
                    )
        return found

    def sentence(self) -> str:
        """Returns the comparison in one sentence: size, agreement, error."""
        parts = [] if self.smaller is None else [_size(self.smaller)]
        references = dict.fromkeys(r.reference for r in self.outputs)
        for reference in references:
            rows = [r for r in self.outputs if r.reference == reference]
            parts += [_classes(rows, reference), _error(rows, reference, len(references) > 1)]
        return "; ".join(p for p in parts if p)


REQUIREMENTS = ("agreement", "error", "channel_error", "largest_error", "saturated")


def check_requirement(require: Mapping[str, float] | None, who: str = "convert") -> None:
    """Raises if a requirement is not one that can be checked.

    Raises:
        TypeError: If it is no mapping.
        ValueError: If a name or a limit is not accepted.
    """
    if require is None:
        return
    example = "require={'agreement': 0.99, 'error': 0.05}"
    if not isinstance(require, Mapping):
        raise TypeError(f"{who}: require must be a dict such as {example}. Received: require={require!r}.")
    for name, limit in require.items():
        number = isinstance(limit, int | float) and not isinstance(limit, bool) and np.isfinite(float(limit))
        if name not in REQUIREMENTS or not number or limit < 0 or (name == "agreement" and limit > 1):
            raise ValueError(
                f"{who}: require takes fractions for {', '.join(REQUIREMENTS)}, such as {example}. "
                f"Received: {name!r}: {limit!r}."
            )


def _size(smaller: float) -> str:
    return f"{smaller:.1f}x smaller" if smaller >= 1.05 else f"{1 / smaller:.1f}x the size of its float32 weights"


def _classes(rows: Iterable[OutputFidelity], reference: str) -> str:
    judged = [r for r in rows if r.agreement is not None]
    if not judged:
        return ""
    worst = min(judged, key=lambda r: (r.agreement, not r.xnnpack))
    unit = "samples" if worst.positions == worst.samples else "positions"
    name = f" ({worst.output})" if len({r.output for r in judged}) > 1 else ""
    what = "same class as" if worst.kind != THRESHOLD else "same side of 0.5 as"
    return f"{what} the {reference} on {worst.same:,} of {worst.positions:,} {unit}{name}"


def _error(rows: Iterable[OutputFidelity], reference: str, names_it: bool) -> str:
    judged = [r for r in rows if r.error is not None]
    if not judged:
        return ""
    worst = max(judged, key=lambda r: r.error)
    several = len({r.output for r in judged}) > 1
    whose = f"the spread of output {worst.output!r}" if several else "the output's spread"
    return f"error {100 * worst.error:.2g} % of {whose}" + (f" against the {reference}" if names_it else "")


def compare_output(
    name: str,
    got: np.ndarray,
    wanted: np.ndarray,
    kind: str,
    *,
    reference: str = FLOAT_MODEL,
    xnnpack: bool = True,
    scale: float | None = None,
    limits: tuple[float, float] | None = None,
) -> OutputFidelity:
    """Compares an output of a file with that of a reference.

    Args:
        name: Name of the output.
        got: Output of the file, dequantized, `(samples, ...)`.
        wanted: Output of the reference, of the same shape.
        kind: What the output holds, one of the four constants above.
        reference: What `wanted` comes from.
        xnnpack: Whether the file ran with XNNPACK.
        scale: Step of the output's codes; None for float outputs.
        limits: Values of the lowest and the highest code; None for float outputs.

    Returns:
        The figures.
    """
    got, wanted = _same_shape(name, got, wanted)
    same = _agreeing(got, wanted, kind)
    figures = dict.fromkeys(
        ("error", "largest_error", "worst_channel", "channel_error", "channel_codes", "codes", "saturated")
    )
    if wanted.dtype.kind == "f":
        figures |= _errors(got, wanted)
    if scale is not None and limits is not None:
        figures |= _code_figures(got, wanted, scale, limits)
    return OutputFidelity(
        output=name,
        reference=reference,
        xnnpack=xnnpack,
        samples=len(wanted),
        agreement=None if same is None else float(np.mean(same)),
        same=None if same is None else int(np.count_nonzero(same)),
        positions=None if same is None else int(same.size),
        kind=kind,
        decisions=_decisions(wanted, kind),
        **figures,
    )


def _same_shape(name: str, got: Any, wanted: Any) -> Any:
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape and got.size == wanted.size:
        got = got.reshape(wanted.shape)  # one of the two leaves out an axis of size 1
    if got.shape != wanted.shape:
        raise ValueError(f"Output {name!r}: the file answers in shape {got.shape}, the model in {wanted.shape}.")
    return got, wanted


def _agreeing(got: np.ndarray, wanted: np.ndarray, kind: str) -> np.ndarray | None:
    if wanted.dtype.kind != "f":
        return np.asarray(got == wanted)
    if kind in (CLASSES, PROBABILITIES):
        return got.argmax(axis=-1) == wanted.argmax(axis=-1)
    return (got > 0.5) == (wanted > 0.5) if kind == THRESHOLD else None


def _decisions(wanted: np.ndarray, kind: str) -> int:
    if wanted.dtype.kind != "f":
        return 0
    if kind in (CLASSES, PROBABILITIES):
        return int(np.unique(wanted.argmax(axis=-1)).size)
    return int(np.unique(wanted > 0.5).size) if kind == THRESHOLD else 0


def _errors(got: np.ndarray, wanted: np.ndarray) -> dict:
    rows = np.asarray(wanted, np.float64).reshape(-1, wanted.shape[-1] if wanted.ndim > 1 else 1)
    gaps = np.asarray(got, np.float64).reshape(rows.shape) - rows
    pooled = float(np.sqrt(np.mean(rows.var(axis=0))))
    total = float(np.sqrt(np.mean(gaps**2)))
    found = {
        # an output that never varies has no spread; its largest value is used instead
        "error": total / (pooled or float(np.abs(rows).max(initial=0.0)) or 1.0),
        "largest_error": float(np.abs(gaps).max(initial=0.0)),
        **_worst_slice(got.reshape(rows.shape), rows, -1),
    }
    # boxes and scores may lie along another axis; along time or space small values at an edge are no loss
    for axis in range(1, wanted.ndim - 1):
        along = [np.moveaxis(a, axis, -1).reshape(-1, a.shape[axis]) for a in (got, wanted)]
        other = _worst_slice(along[0], along[1].astype(np.float64), axis)
        if other["channel_error"] > max(_GONE, found["channel_error"]) and other["channel_codes"] <= _FEW_CODES:
            found |= other
    return found


def _worst_slice(got: np.ndarray, rows: np.ndarray, axis: int) -> dict:
    """Returns the figures of the column with the largest error relative to its own spread."""
    gaps = np.asarray(got, np.float64) - rows
    spreads, power = rows.std(axis=0), np.sqrt(np.mean(gaps**2, axis=0))
    pooled = float(np.sqrt(np.mean(spreads**2)))
    varies = spreads > _FLAT * max(pooled, np.abs(rows).max(initial=0.0) * _FLAT, 1e-30)
    own = np.where(varies, power / np.where(varies, spreads, 1.0), 0.0)
    worst = int(own.argmax())
    return {
        "worst_channel": worst,
        "channel_error": float(own[worst]),
        "channel_codes": int(np.unique(got[:, worst]).size),
        "worst_axis": axis,
    }


def _code_figures(got: Any, wanted: Any, scale: Any, limits: Any) -> dict:
    low, high = limits
    steps = round((high - low) / scale) + 1
    half = scale / 2
    beyond = ((wanted > high + half) & (got >= high - half)) | ((wanted < low - half) & (got <= low + half))
    return {"codes": float(np.unique(got).size / steps), "saturated": float(np.mean(beyond))}
