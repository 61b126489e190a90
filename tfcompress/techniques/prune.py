"""Prune: sets weights to zero during training, by a schedule, a criterion and a pattern.

Gradual magnitude pruning follows Zhu and Gupta, "To prune, or not to prune", 2017; rewinding
follows Frankle et al., "Stabilizing the Lottery Ticket Hypothesis", 2019.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.fake_quant.transforms.mask import Mask
from tfcompress.fake_quant.transforms.scores import ScoredMask
from tfcompress.graph.keras_private import full_precision
from tfcompress.schedules import polynomial, schedule
from tfcompress.sparsity import criteria
from tfcompress.sparsity.patterns import Groups, Unstructured, lowest_off, pattern
from tfcompress.techniques.base import Kernel, Memory, Moment, Target, Technique, percent
from tfcompress.techniques.protocol.timing import is_due, is_reached, level_at
from tfcompress.text.printable import shown
from tfcompress.validation import checks

RAMP = 0.5  # fraction of the training over which a plain number is reached


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class Prune(Technique):
    """Sets weights to zero during training.

    Args:
        sparsity: Fraction of zeros, 0..1, reached by a cubic ramp over the first half of the
            training; or a schedule (`tfc.schedules`, any tfmot `PruningSchedule`). At the end
            exactly `round(sparsity * n)` weights are 0.
        threshold: Instead of a sparsity: weights whose score is below it become zero.
        criterion: "magnitude", "gradient", "taylor", "sensitivity", "movement", "random" or a name
            given to `tfc.criterion`.
        scope: "layer" (each kernel by itself) or "global" (all kernels together).
        pattern: "unstructured", "N:M" such as "2:4", a block "RxC" such as "4x4", or "channel".
        l1: Factor of an L1 penalty on the pruned kernels, added to the loss.
        rewind: Fraction of the training (0..1) whose weights are restored once the mask is final;
            None for no rewinding.
        seed: Seed of the "random" criterion.
        where: Which weights; None for every kernel.
        overrides: Other sparsities by layer name or type; None leaves the layer alone.

    Raises:
        ValueError: If a value is out of range or two values contradict.

    Example:
        >>> import tfcompress as tfc
        >>> ramp = tfc.schedules.polynomial(0.0, 0.8, begin=0.1, stop=0.7)
        >>> tfc.Prune(ramp, overrides={"head": None}).scope
        'layer'
    """

    sparsity: Any = None
    threshold: float | None = None
    criterion: str = "magnitude"
    scope: str = "layer"
    pattern: str = "unstructured"
    l1: float = 0.0
    rewind: float | None = None
    seed: int = 0

    order = 20

    def __post_init__(self) -> None:
        """Validates the fields; a schedule of tfmot is stored as one of `tfc.schedules`, for JSON."""
        self._check_choices()
        self._check_numbers()
        shape = pattern(self.pattern)
        if isinstance(shape, Groups) and self.sparsity is None:
            object.__setattr__(self, "sparsity", shape.sparsity)
        if (self.sparsity is None) == (self.threshold is None):
            raise ValueError(
                "Prune: give either sparsity or threshold. "
                f"Received: sparsity={shown(self.sparsity)}, threshold={self.threshold}."
            )
        if self.sparsity is not None:
            self.set(sparsity=self.stored(self.sparsity))
        super().__post_init__()
        if self.scope == "global" and any(v is not None for v in (self.overrides or {}).values()):
            raise ValueError(
                "Prune: with scope='global' an override can only be None (leave alone); "
                f"one sparsity holds for all. Received: overrides={shown(self.overrides)}."
            )
        self._check_rewind()

    def _check_choices(self) -> None:
        criteria.find(self.criterion)
        checks.choice("Prune", "scope", self.scope, ("layer", "global"), "'layer' or 'global'")
        checks.text("Prune", "pattern", self.pattern)
        if not isinstance(pattern(self.pattern), Unstructured) and (
            self.scope == "global" or self.threshold is not None
        ):
            raise ValueError(
                f"Prune: pattern {self.pattern!r} is chosen per layer and by sparsity. "
                f"Received: scope={self.scope!r}, threshold={self.threshold}. "
                "Use pattern='unstructured'."
            )

    def _check_numbers(self) -> None:
        self.set(l1=checks.number("Prune", "l1", self.l1, least=0), seed=checks.seed("Prune", self.seed))
        if self.threshold is not None:
            self.set(threshold=checks.number("Prune", "threshold", self.threshold, least=0))
        if self.rewind is not None:
            self.set(rewind=checks.number("Prune", "rewind", self.rewind, least=0, below=1))

    def _check_rewind(self) -> None:
        if self.rewind is None:
            return
        plans = [self.accept(v) for v in (self.sparsity, *(self.overrides or {}).values()) if v]
        stops = [p.stop for p in plans if self.threshold is None]
        if not stops or None in stops:
            raise ValueError(
                "Prune: rewind needs a sparsity whose schedule has an end. Received: "
                f"sparsity={self.sparsity}, threshold={self.threshold}. "
                "Use a number or a ramp such as schedules.polynomial."
            )
        ends = [p.stop for p in plans if p.unit == "fraction"]
        if ends and not self.rewind < max(ends) < 1:
            raise ValueError(
                "Prune: rewinding goes back from the schedule's end to an earlier moment, and "
                f"trains on from there. Received: rewind={self.rewind}, end of the schedule "
                f"{max(ends)}. Give a schedule with rewind < stop < 1."
            )

    @property
    def adds_penalty(self) -> bool:
        """Whether there is an L1 penalty."""
        return self.l1 > 0

    def default(self) -> Any:
        """Returns the sparsity (a number or a schedule), or the threshold."""
        return self.sparsity if self.threshold is None else self.threshold

    def stored(self, value: Any) -> Any:
        """Returns a validated number as a float; anything else as a schedule of `tfc.schedules`."""
        plan = self.accept(value)
        return float(value) if checks.is_number(value) else plan

    def accept(self, value: Any) -> Any:
        """Converts a sparsity to a schedule; validates a threshold."""
        if self.threshold is not None:
            return checks.number("Prune", "threshold", value, least=0)
        shape = pattern(self.pattern)
        if checks.is_number(value):
            value = checks.number("Prune", "sparsity", value, least=0, below=1, hint=percent(value))
            if isinstance(shape, Groups) and abs(value - shape.sparsity) > 1e-6:
                raise ValueError(
                    f"Prune: pattern {self.pattern!r} has sparsity {shape.sparsity:g} by itself. "
                    f"Received: sparsity={value}. Leave it out, or give a schedule, whose first "
                    "value above 0 is when the pattern sets in."
                )
            return polynomial(0.0, float(value), begin=0.0, stop=RAMP)
        plan = checks.within("Prune", "sparsity", lambda: schedule(value))
        bounds = checks.within("Prune", "sparsity", lambda: plan.bounds)
        if bounds is not None and not (bounds[0] >= 0 and bounds[1] < 1):
            raise ValueError(
                f"Prune: the sparsity of a schedule must stay in [0, 1). Received: sparsity={shown(plan)}."
            )
        return plan

    def transforms(self, target: Target, setting: Any, seed: int) -> list:
        """Returns a mask, which records gradients if the criterion needs them."""
        if criteria.needs_gradient(self.criterion):
            return [ScoredMask(self.criterion, axes=target.axes)]
        return [Mask(target.axes)]

    def action(self, target: Target, setting: Any) -> str:
        """Names criterion, pattern and scope."""
        what = f"threshold {setting:g}" if self.threshold is not None else f"sparsity {_shown(setting.final)}"
        return f"Prune {what} ({self.criterion}, {self.pattern}, {self.scope})"

    def extras(self, model: keras.Model) -> list[keras.layers.Layer]:
        """Returns the snapshot of the weights that rewinding restores."""
        return [] if self.rewind is None else [Snapshot(model.trainable_variables)]

    def renewed(self, extra: Any, model: keras.Model) -> Any:
        """Returns the snapshot for the weights that are trainable now."""
        return extra.renewed(model)

    def advance(self, moment: Moment, kernels: list[Kernel], memory: Memory) -> None:
        """Updates the masks; once the schedule has reached its end they stay as they are."""
        for snapshot in memory.extras:
            snapshot.take(moment.progress >= self.rewind)
        if not kernels or memory.is_final:
            return
        first = moment.step if memory.looked is None else memory.looked + 1
        memory.looked = moment.step
        if self.threshold is not None:
            for k in kernels:
                k.chain.find(Mask).mask.assign((self._scores(k) >= k.setting).astype("float32"))
        else:
            groups = [kernels] if self.scope == "global" else [[k] for k in kernels]
            for group in groups:
                if moment.last or is_due(group[0].setting, first, moment.step):
                    self._choose(moment, group)
        if moment.last or self.threshold is None and all(is_reached(k.setting, moment) for k in kernels):
            memory.is_final = True
            for snapshot in memory.extras:
                snapshot.restore_weights(moment.last)

    def _choose(self, moment: Any, group: Any) -> None:
        """Chooses new masks for kernels that share one sparsity (with scope "layer" a single one)."""
        is_over = moment.last or is_reached(group[0].setting, moment)
        scores = [self._scores(k, zeros_first=is_over) for k in group]
        level = level_at(group[0].setting, moment)
        if self.scope == "global":
            together = np.concatenate([s.reshape(-1) for s in scores])
            flat = lowest_off(together, round(level * together.size))
            parts = np.split(flat, np.cumsum([s.size for s in scores])[:-1])
            masks = [part.reshape(s.shape) for part, s in zip(parts, scores, strict=True)]
        else:
            masks = [pattern(self.pattern).mask(scores[0], level, group[0].axes)]
        # masks with as many zeros already stay: after the end no training could make up for other masks
        if is_over and sum(_zeros(k) for k in group) == sum(m.size - m.sum() for m in masks):
            return
        for k, mask in zip(group, masks, strict=True):
            k.chain.find(Mask).mask.assign(mask)

    def _scores(self, k: Kernel, zeros_first: bool = False) -> np.ndarray:
        tap = k.chain.find(ScoredMask)
        weight = np.asarray(k.chain.plain())
        noted = None
        if tap is not None:
            # before the first gradient is recorded, magnitude is the best guess
            was_seen = float(full_precision(tap.seen)) > 0
            noted = np.asarray(full_precision(tap.score)) if was_seen else np.abs(weight)
        rng = np.random.default_rng([self.seed, k.number])
        scores = np.asarray(criteria.find(self.criterion)(criteria.Evidence(weight, noted, rng)), "float32")
        if scores.shape != weight.shape:
            raise ValueError(
                f"Prune: criterion {self.criterion!r} must return one score per weight of "
                f"{k.name}, shape {weight.shape}. Received: shape {scores.shape}."
            )
        # a weight that is zero already (baked, then restored) counts among the zeros
        first = zeros_first and isinstance(pattern(self.pattern), (Unstructured, Groups))
        return np.where(weight == 0, -np.inf, scores) if first else scores

    def penalty(self, kernels: list[Kernel]) -> Any:
        """Returns the L1 penalty of the pruned kernels, without masked weights."""
        if not self.l1 or not kernels:
            return None
        parts = [tf.reduce_sum(tf.abs(k.chain.plain()) * full_precision(k.chain.find(Mask).mask)) for k in kernels]
        return self.l1 * tf.add_n(parts)


def _zeros(k: Kernel) -> int:
    """Returns the number of zeros of a kernel under its current mask."""
    weight = np.asarray(k.chain.plain() * full_precision(k.chain.find(Mask).mask))
    return weight.size - int(np.count_nonzero(weight))


def _shown(final: float | None) -> str:
    return "by a schedule in code" if final is None else f"{final:g}"


class Snapshot(keras.layers.Layer):
    """Stores the trainable weights of a model at one moment, to restore them once."""

    def __init__(self, variables: list[keras.Variable]) -> None:
        super().__init__(dtype="float32", trainable=False)
        self.__dict__["of"] = list(variables)  # hidden from Keras: the model saves them
        self.stage = self.add_weight(name="stage", shape=(), initializer="zeros", trainable=False)
        self.values = [
            self.add_weight(name=f"value_{k}", shape=tuple(v.shape), trainable=False) for k, v in enumerate(self.of)
        ]
        self.built = True

    def renewed(self, model: keras.Model) -> "Snapshot":
        """Returns a snapshot of the same moment for the weights that are trainable now.

        Weights that were frozen until now have not changed since then.
        """
        held = {id(v): value for v, value in zip(self.of, self.values, strict=True)}
        made = Snapshot(model.trainable_variables)
        for variable, mine in zip(made.of, made.values, strict=True):
            mine.assign(held.get(id(variable), variable))
        made.stage.assign(self.stage)
        return made

    def take(self, now: bool) -> None:
        """Copies the weights the first time that `now` is True."""
        if now and float(full_precision(self.stage)) == 0:
            for mine, theirs in zip(self.values, self.of, strict=True):
                mine.assign(theirs)
            self.stage.assign(1.0)

    def restore_weights(self, too_late: bool) -> None:
        """Restores the weights once, unless it is too late to train on from them."""
        if float(full_precision(self.stage)) == 1 and not too_late:
            for mine, theirs in zip(self.values, self.of, strict=True):
                theirs.assign(mine)
            self.stage.assign(2.0)
