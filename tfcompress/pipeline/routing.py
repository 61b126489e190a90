"""Runs the parts of a pipeline one after the other; samples that an early exit is confident of skip the rest.

Confidence is the largest class probability. (BranchyNet, Teerapittayanon et al. 2016, uses the entropy; with the
largest probability the threshold is a probability itself.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress.validation import checks

LOGITS, PROBABILITIES = "logits", "probabilities"
_CANDIDATES = 1024  # thresholds that are tried

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Stage:
    """One part to run.

    Args:
        call: Function from the arrays `(n, ...)` it reads to those it computes, both by tensor name.
        takes: Names of the tensors it reads.
        macs: MACs of one sample; None where unknown.
        exit: Name of the early exit's output among its outputs; None without one.
    """

    call: Callable[[Arrays], Arrays]
    takes: tuple[str, ...]
    macs: int | None
    exit: str | None = None


@dataclass(frozen=True)
class Run:
    """Outputs of a pipeline, and how many parts ran for each sample.

    Args:
        outputs: Outputs by name, float arrays `(n, ...)`.
        parts_run: Number of parts that ran for each sample, `(n,)`.
        macs: MACs of each part for one sample; None where unknown.

    Example:
        >>> import numpy as np
        >>> from tfcompress.pipeline.routing import Run
        >>> run = Run({}, np.array([1, 1, 1, 2]), (100, 900))
        >>> run.share_early, run.mean_macs
        (0.75, 325.0)
        >>> print(run.text())
        4 samples: 75.0 % left early (part 1: 75.0 %), 325 of 1,000 MACs in the mean
    """

    outputs: Arrays
    parts_run: np.ndarray
    macs: tuple[int | None, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """Fraction of the samples that finished after each part."""
        return tuple(float(np.mean(self.parts_run == k + 1)) for k in range(len(self.macs)))

    @property
    def share_early(self) -> float:
        """Fraction of the samples that left before the last part."""
        return float(np.mean(self.parts_run < len(self.macs)))

    @property
    def mean_macs(self) -> float | None:
        """Mean MACs of one sample; None where those of a part are not known."""
        if None in self.macs:
            return None
        return float(np.mean(np.cumsum(self.macs)[self.parts_run - 1]))

    def text(self) -> str:
        """Returns one line with the shares and the mean MACs."""
        count, early = len(self.parts_run), self.share_early
        parts = ", ".join(f"part {k + 1}: {share:.1%}" for k, share in enumerate(self.shares[:-1]))
        line = f"{count} samples: {early:.1%} left early ({parts or 'no exits'})".replace("%", " %")
        if self.mean_macs is None:
            return line
        return f"{line}, {self.mean_macs:,.0f} of {sum(self.macs):,} MACs in the mean"


def run_stages(
    stages: Sequence[Stage],
    inputs: Arrays,
    wanted: Sequence[str],
    real: Callable[[str, np.ndarray], np.ndarray],
    thresholds: Sequence[float] = (),
    kind: str = LOGITS,
    batch_size: int = 32,
) -> Run:
    """Runs stages on all samples, in batches.

    Args:
        stages: In order.
        inputs: Arrays `(n, ...)` with the same n by name.
        wanted: Names of the outputs; one, where there are exits.
        real: Function `(name, array) -> real values`.
        thresholds: One for each stage with an exit: a sample leaves where the confidence is larger.
        kind: Outputs of the exits: "logits" or "probabilities".
        batch_size: Samples at a time.

    Returns:
        The outputs and the number of stages that ran.
    """
    count = len(next(iter(inputs.values())))
    found = [
        _batch(stages, {n: a[k : k + batch_size] for n, a in inputs.items()}, wanted, real, list(thresholds), kind)
        for k in range(0, count, batch_size)
    ]
    outputs = {name: np.concatenate([answers[name] for answers, _ in found]) for name in wanted}
    return Run(outputs, np.concatenate([ran for _, ran in found]), tuple(stage.macs for stage in stages))


def _batch(stages, values, wanted, real, thresholds, kind):
    rows = np.arange(len(next(iter(values.values()))))
    ran, gathered, levels = np.zeros(len(rows), int), [], iter(thresholds)
    for stage in stages:
        values = values | stage.call({name: values[name] for name in stage.takes})
        ran[rows] += 1
        if stage.exit is None:
            continue
        answer = real(stage.exit, values[stage.exit])
        sure = confidence(answer, kind) > next(levels)
        gathered.append((rows[sure], answer[sure]))
        rows = rows[~sure]
        values = {name: value[~sure] for name, value in values.items()}
        if not len(rows):
            break
    if len(rows):
        answers = {name: real(name, values[name]) for name in wanted}
        if not gathered:
            return answers, ran
        gathered.append((rows, answers[wanted[0]]))
    order = np.argsort(np.concatenate([r for r, _ in gathered]))
    return {wanted[0]: np.concatenate([a for _, a in gathered])[order]}, ran


def confidence(answer: np.ndarray, kind: str) -> np.ndarray:
    """Returns the largest class probability of each sample.

    Args:
        answer: `(n, classes)`; with one column, the second class of two.
        kind: "logits" or "probabilities".

    Example:
        >>> import numpy as np
        >>> confidence(np.array([[0.0, 0.0], [9.0, -9.0]]), "logits").round(3)
        array([0.5, 1. ])
    """
    answer = np.asarray(answer, np.float64)
    if answer.shape[1] == 1:
        p = 1 / (1 + np.exp(-answer[:, 0])) if kind == LOGITS else answer[:, 0]
        return np.maximum(p, 1 - p)
    if kind == PROBABILITIES:
        return np.minimum(answer.max(axis=1), 1.0)  # a rounded softmax may be a little above 1
    return 1 / np.exp(answer - answer.max(axis=1, keepdims=True)).sum(axis=1)


def classes(answer: np.ndarray, kind: str) -> np.ndarray:
    """Returns the class of each sample; a single column is the second class of two."""
    if answer.shape[1] > 1:
        return answer.argmax(axis=1)
    return (answer[:, 0] > (0.0 if kind == LOGITS else 0.5)).astype(int)


def lowest_threshold(exits: Sequence[np.ndarray], final: np.ndarray, kind: str, agreement: float) -> float:
    """Returns the lowest threshold, one for all exits, with the wanted agreement with the whole network.

    It lies between two confidences, so that rounding moves no sample across.

    Args:
        exits: Outputs `(n, classes)` of each exit for all samples.
        final: Outputs `(n, classes)` of the whole network.
        kind: "logits" or "probabilities".
        agreement: Wanted fraction of samples that get the class the whole network gives.

    Raises:
        ValueError: If `agreement` is no fraction.
    """
    hint = f"Did you mean {agreement / 100:g}?" if checks.is_number(agreement) and 1 < agreement <= 100 else ""
    agreement = checks.number("choose_threshold", "agreement", agreement, least=0, most=1, hint=hint)
    sure = [confidence(e, kind) for e in exits]
    right = [classes(e, kind) == classes(final, kind) for e in exits]
    tried = np.unique(np.concatenate(sure))
    if len(tried) > _CANDIDATES:
        tried = np.quantile(tried, np.linspace(0, 1, _CANDIDATES), method="lower")
    above = np.unique(np.concatenate(sure))[1:]
    between = [(t + above[np.searchsorted(above, t, side="right")]) / 2 for t in tried[:-1]]
    for threshold in (0.0, *between, (tried[-1] + 1) / 2):
        agrees = np.ones(len(final), bool)
        for s, r in zip(reversed(sure), reversed(right), strict=True):
            agrees = np.where(s > threshold, r, agrees)
        if agrees.mean() >= agreement:
            return float(threshold)
    return 1.0


def checked_thresholds(threshold: float | Sequence[float], count: int) -> tuple[float, ...]:
    """Checks thresholds and returns one for each exit.

    Raises:
        ValueError: If there are others than one or one for each, or one is not in [0, 1].
    """
    single = checks.is_number(threshold) or not hasattr(threshold, "__iter__")
    given = [threshold] * max(count, 1) if single else list(threshold)  # type: ignore[arg-type]  # `single` has looked
    given = [
        checks.number("early exits", "threshold", t, least=0, most=1, accepted="a probability in [0, 1]") for t in given
    ]
    if len(given) != count:
        raise ValueError(
            f"threshold must be a probability in [0, 1], or one for each early exit, of which there are {count}. "
            f"Received: threshold={threshold}."
        )
    return tuple(float(t) for t in given)
