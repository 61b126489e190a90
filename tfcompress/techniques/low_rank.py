"""LowRank: low-rank factorization replaces a layer by several with smaller kernels.

At full rank the output does not change; a layer whose factors would not be cheaper stays as it is and is named.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.calibration.evidence import Evidence
from tfcompress.evaluate.macs import macs as macs_of
from tfcompress.graph.activation_probe import iterate_outputs, show_activations
from tfcompress.graph.clone import copy_with_changes
from tfcompress.graph.tree import leaves
from tfcompress.low_rank.candidates import CONVOLUTION, MATRIX, factorings
from tfcompress.low_rank.factoring import Factoring, Rank
from tfcompress.low_rank.rank_allocation import steps
from tfcompress.techniques.base import percent
from tfcompress.techniques.protocol.graph_technique import GraphTechnique, check_names, setting_of
from tfcompress.techniques.protocol.hook_values import Change, Left, Operated
from tfcompress.text.printable import shown
from tfcompress.validation import checks

_LOOKS = 64  # samples that layer errors are measured on
_SAMPLES = 256  # samples that the model's error is measured on
LARGEST_RANK = 2**24  # no kernel has as many rows
_SIZES = ("rank", "energy", "macs", "error")


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class LowRank(GraphTechnique):
    """Factorizes kernels into smaller ones.

    Dense layers, EinsumDense layers like them and convolutions of size 1 become two layers; other convolutions become
    two ("spatial": k x 1 and 1 x k), three ("tucker") or four ("cp": two depthwise ones between two of size 1). Give
    one of `rank`, `energy`, `macs` and `error`.

    Args:
        rank: Rank of every layer, an int; for "tucker" also a pair (inputs, outputs).
        energy: Fraction of the kernel's squared norm to keep, in (0, 1]; the smallest rank that keeps it is taken.
        macs: Fraction of the MACs to keep, in (0, 1); the largest rank that fits is taken.
        error: Largest relative error, in (0, 1): ranks are lowered step by step where that saves most MACs for the
            least error, until the error is reached. With data it is the measured error of the model's outputs;
            without, the root of the summed squared relative errors of the kernels.
        method: "svd" or "pca" (by the outputs on data) for Dense layers; "spatial", "tucker" or "cp" for convolutions;
            or one of each. Default: "svd" and "spatial".
        scope: What `macs` is a fraction of: "layer" (each layer's own MACs) or "model" (all MACs of the model; ranks
            are lowered step by step as for `error`).
        where: Which layers; None for all.
        overrides: Other values of the given size by layer name or type; None leaves a layer alone.

    Raises:
        ValueError: If none or several of the four are given, or a value is out of range.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> layers = [keras.layers.Dense(32, activation="relu", name="wide"), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((64,)), *layers])
        >>> [layer.name for layer in tfc.LowRank(4, where="wide").apply(model).layers[1:3]]
        ['wide_in', 'wide']
    """

    rank: Any = None
    energy: float | None = None
    macs: float | None = None
    error: float | None = None
    method: Any = None
    scope: str = "layer"

    def __post_init__(self) -> None:
        """Validates the fields."""
        given = [name for name in _SIZES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"LowRank: give one of rank, energy, macs, error. Received: {', '.join(given) or 'none of them'}."
            )
        checks.choice("LowRank", "scope", self.scope, ("layer", "model"))
        if self.scope == "model" and self.macs is None:
            raise ValueError(
                f"LowRank: scope must be 'layer', or with macs=... 'model'. Received: scope={self.scope!r}, "
                f"{given[0]}={shown(getattr(self, given[0]))}."
            )
        object.__setattr__(self, "method", _methods(self.method))
        object.__setattr__(self, given[0], self.stored(self.default()))
        super().__post_init__()
        if self._is_shared and any(v is not None for v in (self.overrides or {}).values()):
            raise ValueError(
                "LowRank: with a budget for the whole model an override can only be None (leave alone). "
                f"Received: overrides={shown(self.overrides)}."
            )

    @property
    def _size(self) -> str:
        return next(name for name in _SIZES if getattr(self, name) is not None)

    @property
    def _is_shared(self) -> bool:
        """Whether all layers share one budget."""
        return self.error is not None or self.scope == "model"

    def default(self) -> Any:
        """Returns the rank, energy, fraction of MACs or error that the user gave."""
        return getattr(self, self._size)

    def accept(self, value: Any) -> Any:
        """Validates a rank, energy, fraction of MACs or error."""
        if self._size == "rank":
            return _rank(value, self.method)
        top: dict[str, Any] = {"most": 1} if self._size == "energy" else {"below": 1}
        return checks.number("LowRank", self._size, value, above=0, **top, hint=percent(value))

    def stored(self, value: Any) -> Any:
        """Returns the validated value."""
        return self.accept(value)

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Factorizes the layers that get cheaper; the rows say what each layer became, or why it stayed."""
        ops = leaves(model)
        check_names(self, (op for _, op in ops))
        if self.method[0] == "pca":
            evidence.inputs(model, "LowRank: method='pca'")
        settings = {path: setting_of(self, op, "kernel", _elements(op)) for path, op in ops}
        chosen = {id(op) for path, op in ops if settings[path] is not None}
        matrix, convolution = self.method
        found = factorings(model, chosen, matrix, convolution, evidence.x, evidence.seed)
        rows: dict[str, Change | Left] = {path: Left(path, why) for path, why in found.items() if isinstance(why, str)}
        fit = {path: f for path, f in found.items() if not isinstance(f, str)}
        if self._is_shared:
            ranks = self._shared(model, fit, evidence)
        else:
            ranks = {path: self._rank_of(f, settings[path]) for path, f in fit.items()}
        for path, f in fit.items():
            rows[path] = _row(path, f, ranks.get(path))
        kept = {p: r for p, r in ranks.items() if isinstance(rows[p], Change)}
        # in the order of the model
        return Operated(_factored(model, fit, kept), tuple(rows[path] for path in found))

    def _rank_of(self, factoring: Factoring, setting: Any) -> Rank | None:
        """Returns the rank of one layer that has a setting of its own."""
        if self.rank is not None:
            return factoring.clipped(setting)
        if self.energy is not None:
            return factoring.by_energy(setting)
        limit = setting * factoring.own_macs
        return max((r for r in factoring.ranks() if factoring.macs(r) <= limit), key=factoring.macs, default=None)

    def _shared(self, model: keras.Model, fit: Any, evidence: Any) -> dict[str, Rank]:
        """Returns the ranks of all layers where they share one budget."""
        order = steps(fit, _losses(model, fit, evidence))
        if self.error is None:
            return _ranks(order[: self._steps_to_macs(model, order)])
        if evidence.x is None:
            return _ranks(order[: _first_over(order, self.error)])
        return _ranks(order[: self._steps_to_error(model, fit, order, evidence)])

    def _steps_to_macs(self, model: keras.Model, order: Any) -> int:
        whole = left = macs_of(model)
        for count, step in enumerate(order):
            if left <= self.macs * whole:
                return count
            left -= step.saved
        if left > self.macs * whole:
            raise ValueError(
                f"LowRank: the layers can't get below {left / whole:.3f} of the model's {whole:,} MACs, at rank 1. "
                f"Received: macs={self.macs}. Give a larger one, or prune channels."
            )
        return len(order)

    def _steps_to_error(self, model: keras.Model, fit: Any, order: Any, evidence: Any) -> int:
        """Returns the largest number of steps whose error on data is within the budget, found by bisection."""
        low, high = 0, len(order)
        samples = [a[:_SAMPLES] for a in evidence.x]
        before = _outputs(model, samples)
        while low < high:
            middle = (low + high + 1) // 2
            after = _outputs(_factored(model, fit, _ranks(order[:middle])), samples)
            if _error(before, after) <= self.error:
                low = middle
            else:
                high = middle - 1
        return low


def _methods(value: Any) -> tuple[str, str]:
    """Returns one method for matrices and one for convolutions."""
    given = [] if value is None else checks.texts("LowRank", "method", value)
    matrix = [m for m in given if m in MATRIX]
    convolution = [m for m in given if m in CONVOLUTION]
    if len(matrix) + len(convolution) != len(given) or len(matrix) > 1 or len(convolution) > 1:
        raise ValueError(
            f"LowRank: method must be one of {MATRIX} for Dense layers, one of {tuple(CONVOLUTION)} for convolutions, "
            f"or one of each. Received: method={shown(value)}."
        )
    return (matrix or ["svd"])[0], (convolution or ["spatial"])[0]


def _rank(value: Any, methods: Any) -> Any:
    pair = isinstance(value, (tuple, list)) and len(value) == 2
    wanted, hint = "an int >= 1, or a pair of them with 'tucker'", "For a fraction use energy=... or macs=...."
    numbers = [checks.whole("LowRank", "rank", n, 1, LARGEST_RANK, hint, wanted) for n in (value if pair else [value])]
    if pair and methods[1] != "tucker":
        raise ValueError(
            f"LowRank: a pair of ranks needs method='tucker'. Received: rank={shown(value)}, method={methods}."
        )
    return tuple(numbers) if pair else numbers[0]


def _elements(op: Any) -> int:
    kernel = getattr(op, "kernel", None)
    return int(np.prod(kernel.shape)) if kernel is not None else 0


def _row(path: Any, factoring: Any, rank: Any) -> Change | Left:
    if rank is None:
        return Left(path, "no rank within the budget makes the layer cheaper")
    if not factoring.pays(rank):
        return Left(
            path,
            f"rank {rank} would not pay: {factoring.macs(rank):,} MACs and {factoring.parameters(rank):,} weights "
            f"instead of {factoring.own_macs:,} and {factoring.kernel.size:,}",
        )
    what = f"{factoring.title} of rank {rank}, relative error {math.sqrt(factoring.lost(rank)):.3g}; weights"
    return Change(path, what, factoring.kernel.size, factoring.parameters(rank))


def _ranks(order: Any) -> dict[str, Rank]:
    """Returns the rank of each layer, which is that of its last step."""
    return {step.path: step.rank for step in order}


def _first_over(order: Any, error: Any) -> int:
    total = np.cumsum([step.lost for step in order])
    return int(np.searchsorted(total, error**2, side="right"))


def _losses(model: keras.Model, fit: Any, evidence: Any) -> Callable[[str, Rank], float]:
    """Returns a function for the relative squared error of a layer at a rank, of its outputs if data is given.

    Without data it is the error of the kernel.
    """
    if evidence.x is None:
        return lambda path, rank: fit[path].lost(rank)
    paths, seen = {id(f.op): path for path, f in fit.items()}, {}

    def look(op: Any, given: Any, _: Any) -> None:
        seen.setdefault(paths[id(op)], given)

    show_activations(model, [f.op for f in fit.values()], [a[:_LOOKS] for a in evidence.x], look, batch=_LOOKS)
    return lambda path, rank: fit[path].lost_on(rank, seen[path])


def _outputs(model: keras.Model, x: Any) -> list[np.ndarray]:
    made = zip(*iterate_outputs(model, x), strict=True)
    return [np.concatenate(parts).astype("float64") for parts in made]


def _error(before: Any, after: Any) -> float:
    """Returns the largest relative error among the outputs."""
    return max(
        float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(a)), 1e-30) for a, b in zip(before, after, strict=True)
    )


def _factored(model: keras.Model, fit: Any, ranks: Any) -> keras.Model:
    made = {id(fit[path].op): fit[path].layers(fit[path].parts(rank)) for path, rank in ranks.items()}
    return copy_with_changes(model, lambda path, op: made.get(id(op)))[0]
