"""DropLayers: depth pruning removes residual blocks and single layers that matter least to the model.

The effect of each is measured on data, and measured again after every removal (after Veit et al., "Residual networks
behave like ensembles of relatively shallow networks", 2016).
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.budgets.sensitivity import MEASURES, Sensitivity
from tfcompress.calibration.evidence import Evidence
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import spec_of
from tfcompress.rewrites.residual_blocks import BLOCK, LAYER, Droppable, Picks, droppable, remove_operations
from tfcompress.techniques.protocol.graph_technique import GraphTechnique, check_names, setting_of
from tfcompress.techniques.protocol.hook_values import Change, Left, Operated
from tfcompress.text.log import tell
from tfcompress.text.printable import shown
from tfcompress.validation import checks

MOST_LAYERS = 10**6
_KINDS = {"both": (BLOCK, LAYER), "blocks": (BLOCK,), "layers": (LAYER,)}


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class DropLayers(GraphTechnique):
    """Removes residual blocks and layers.

    A residual block is a sum one of whose operands, the branch, is computed from the other, the shortcut: the sum is
    replaced by the shortcut, and the branch is removed. A layer can be removed if its output has the shape of its
    input, with the normalization and activation behind it.

    Args:
        amount: How many to remove (an int), or which fraction of the removable ones, 0..1.
        budget: Instead: remove as long as the measure stays within this: the rise of the loss, the fall of the
            accuracy (fraction), or the relative change of the output.
        names: Instead: names of sums and layers to remove, whatever their effect; no data is needed.
        measure: "loss" or "accuracy" (labels needed), or "output": mean squared change relative to the mean square of
            the output, and for softmax outputs the Kullback-Leibler divergence in nats. Default: "loss" with labels,
            "output" without.
        what: "blocks", "layers" or "both".
        where: Layers that may be removed; a block only if all its layers with weights may. None for all.
        overrides: `{key: None}` leaves a layer alone.

    Raises:
        ValueError: If a value is out of range or two values contradict.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> x = inputs = keras.Input((8,))
        >>> for k in range(3):
        ...     x = keras.layers.Add(name=f"sum{k}")([x, keras.layers.Dense(8, "relu", name=f"dense{k}")(x)])
        >>> model = keras.Model(inputs, keras.layers.Dense(2)(x))
        >>> model.get_layer("dense1").set_weights([np.zeros((8, 8)), np.zeros(8)])
        >>> data = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
        >>> small = tfc.DropLayers(1, what="blocks").apply(model, data)
        >>> [layer.name for layer in small.layers if "sum" in layer.name]
        ['sum0', 'sum2']
    """

    amount: int | float | None = None
    budget: float | None = None
    names: tuple[str, ...] | None = None
    measure: str | None = None
    what: str = "both"

    order = 21

    def __post_init__(self) -> None:
        """Validates the fields."""
        given = {k: getattr(self, k) for k in ("amount", "budget", "names") if getattr(self, k) is not None}
        if len(given) != 1:
            raise ValueError(
                f"DropLayers: give one of amount, budget, names. Received: {shown(given) if given else 'none'}."
            )
        if self.amount is not None:
            self.set(amount=_amount(self.amount))
        if self.budget is not None:
            self.set(budget=checks.number("DropLayers", "budget", self.budget, least=0))
        if self.names is not None:
            self.set(names=checks.texts("DropLayers", "names", self.names, "names of sums and layers"))
            if not self.names:
                checks.refuse(ValueError, "DropLayers", "names", "names of sums and layers", self.names)
        if self.measure is not None:
            checks.choice("DropLayers", "measure", self.measure, MEASURES)
        if self.names is not None and self.measure is not None:
            raise ValueError("DropLayers: with names nothing is measured. Leave measure out, or give amount or budget.")
        checks.choice("DropLayers", "what", self.what, _KINDS)
        super().__post_init__()

    def accept(self, value: Any) -> Any:
        """Validates an override, which can only leave a layer alone."""
        if value is not True:
            raise ValueError(f"DropLayers: an override must be None (leave alone) or True. Received: {shown(value)}.")
        return value

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Drops blocks and layers of a flat model.

        Raises:
            ValueError: If data or labels are missing, a name is not that of a removable sum or layer, or `amount` is
                larger than the number of removable ones.
        """
        ops = dict(leaves(model))
        check_names(self, ops.values())
        found, reasons = self._found(model, ops, {})
        rows = [Left(path, why) for path, why in reasons.items()]
        picks, done = (
            self._named(model, ops, found, rows) if self.names else self._measured(model, ops, found, evidence)
        )
        small = remove_operations(model, picks) if picks else model
        return Operated(small, (*done, *rows))

    def _may(self, op: Any) -> bool:
        size = sum(int(np.prod(v.shape)) for v in getattr(op, "variables", ()))
        return setting_of(self, op, next(iter(spec_of(op).kernels), ""), size) is not None

    def _found(self, model: keras.Model, ops: Any, picks: Picks) -> tuple[list[Droppable], dict[str, str]]:
        """Returns what may be removed, and for other sums and layers the reason why they may not."""
        all_found, reasons = droppable(model, picks)
        kept = []
        for d in all_found:
            if d.kind not in _KINDS[self.what]:
                continue
            if not all(self._may(ops[path]) for path in d.inside if getattr(ops[path], "variables", ())):
                reasons[d.path] = "left out by `where` or `overrides`"
                continue
            kept.append(d)
        return kept, reasons

    def _named(self, model: keras.Model, ops: Any, found: Any, rows: Any) -> Any:
        """Chooses the blocks and layers that `names` lists, one after the other."""
        picks: Picks = {}
        done = []
        for name in self.names:
            at = {d.path: d for d in self._found(model, ops, picks)[0]}
            if name not in at:
                why = next((r.reason for r in rows if r.layer == name), "no removable sum or layer has this name")
                known = ", ".join(d.path for d in found) or "nothing"
                raise ValueError(f"DropLayers: {name!r} can't be removed: {why}. Removable: {known}.")
            picks |= at[name].picks
            done.append(_change(ops, at[name], "named"))
        return picks, done

    def _measured(self, model: keras.Model, ops: Any, found: Any, evidence: Evidence) -> Any:
        """Chooses what matters least, again and again, and measures the rest anew each time."""
        count = self._count(found)
        if not found or count == 0:
            return {}, []
        measure = Sensitivity(model, evidence, self.measure)
        picks: Picks = {}
        done: list[Change] = []
        while True:
            costs = self._costs(measure, found, picks, evidence.verbose)
            best = int(np.argmin(costs)) if found else -1  # the first among equals
            if not found or (costs[best] > self.budget if count is None else len(done) == count):
                break
            picks |= found[best].picks
            done.append(_change(ops, found[best], measure.text(costs[best])))
            found, _ = self._found(model, ops, picks)
        return picks, [*done, *(Left(d.path, f"kept: {measure.text(c)}") for d, c in zip(found, costs, strict=True))]

    def _count(self, found: Any) -> int | None:
        if self.amount is None:
            return None
        if isinstance(self.amount, float):
            return round(self.amount * len(found))
        if self.amount > len(found):
            known = ", ".join(d.path for d in found) or "none"
            raise ValueError(f"DropLayers: amount={self.amount}, but only {len(found)} can be removed: {known}.")
        return self.amount

    def _costs(self, measure: Any, found: Any, picks: Any, verbose: int) -> list[float]:
        costs = []
        for number, d in enumerate(found, start=1):
            costs.append(measure(picks | d.picks))
            tell(f"DropLayers {number}/{len(found)}: without {d.path} {measure.text(costs[-1])}", verbose)
        return costs


def _amount(amount: Any) -> Any:
    wanted = "a count from 1 on (an int) or a fraction in (0, 1)"
    if not checks.is_number(amount):
        checks.refuse(TypeError, "DropLayers", "amount", wanted, amount)
    is_count = isinstance(amount, int | np.integer)
    if not (1 <= amount <= MOST_LAYERS if is_count else 0 < amount < 1):
        checks.refuse(ValueError, "DropLayers", "amount", wanted, amount)
    return int(amount) if is_count else float(amount)


def _change(ops: Any, d: Droppable, why: str) -> Change:
    """Returns the row for a removed block or layer, with the number of its parameters."""
    size = sum(int(np.prod(v.shape)) for path in d.inside for v in getattr(ops[path], "variables", ()))
    others = [path for path in d.inside if path != d.path]
    also = f" with {', '.join(others)}" if others else ""
    return Change(d.path, f"dropped the {d.kind}{also}; {why}", size, 0)
