"""PruneChannels: structured pruning removes whole channels, units and heads, so that the model gets smaller and faster.

Channels that can only be removed together are found by label propagation (`channels/dependency.py`). They are removed
at once, or masked where they are read during training and removed at its end.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.budgets.channel_choice import Family, by_budget, by_latency, by_rank, by_share, families, removed_groups
from tfcompress.budgets.latency import convert_for_latency, latencies
from tfcompress.budgets.model_cost import Costs
from tfcompress.calibration.evidence import Evidence
from tfcompress.channels import criteria
from tfcompress.channels.criteria import Scene
from tfcompress.channels.dependency import Channels, groups
from tfcompress.channels.shrink import shrink
from tfcompress.evaluate.macs_model import model_macs
from tfcompress.fake_quant.transforms.channel_mask import ChannelMask
from tfcompress.file_formats import MODES
from tfcompress.graph.clone import flat_name
from tfcompress.layer_table.lookup import weight
from tfcompress.schedules import schedule
from tfcompress.selection import resolve, where
from tfcompress.techniques.base import Kernel, Memory, Moment, Skip, Target, percent
from tfcompress.techniques.protocol.graph_technique import GraphTechnique
from tfcompress.techniques.protocol.hook_values import Change, Cut, Left, Operated
from tfcompress.techniques.protocol.timing import is_due, is_reached, level_at
from tfcompress.text.printable import shown
from tfcompress.validation import checks

_BUDGETS = ("macs", "parameters", "latency")
LARGEST_MULTIPLE = 2**16  # no layer has as many channels
MOST_ROUNDS = 1000  # each scores the whole model anew


@keras.saving.register_keras_serializable("tfcompress")
@dataclass(frozen=True)
class PruneChannels(GraphTechnique):
    """Removes channels (filters, units, attention heads).

    Args:
        amount: Fraction of the channels to remove, 0..1, of all that can be removed.
        macs: Instead: MACs to keep at most; up to 1 a fraction of the model's, above 1 a number.
        parameters: Instead: parameters to keep at most; up to 1 a fraction of the model's, above 1 a number.
        latency: Instead: latency to reach, measured on the LiteRT interpreter of this machine; below 1 a fraction of
            the model's, from 1 on microseconds.
        schedule: Instead: fraction of removed channels over the training (`tfc.schedules`): channels are masked where
            they are read while a session trains, and removed in `finish`.
        criterion: How channels are scored: "l1", "l2", "fpgm" and "bn_scale" by their own weights, "taylor" and
            "gradient" by the loss (data and labels needed), "activation" and "deviation" by their values (data
            needed), "random"; or a name given to `tfc.channel_criterion`.
        scope: "global" ranks the channels of all layers together, "layer" each layer's by themselves. Under a budget of
            MACs or parameters, "global" divides scores that are effects on the loss ("taylor", "gradient") by the MACs
            or parameters that the channel costs.
        round_to: Every layer keeps a multiple of this many channels.
        steps: Number of rounds to remove channels in; they are scored anew in each.
        mode: Mode of `tfc.convert` for the files whose latency is measured.
        where: Layers whose channels may be removed; None for all.
        overrides: Other amounts by layer name or type (scope "layer"); None leaves the layer alone.

    Raises:
        ValueError: If a value is out of range or two values contradict.

    Example:
        >>> import keras, tfcompress as tfc
        >>> layers = [keras.layers.Conv2D(16, 3, name="c"), keras.layers.Flatten(), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
        >>> tfc.PruneChannels(0.5, criterion="l2").apply(model).get_layer("c").filters
        8
    """

    amount: float | None = None
    macs: float | None = None
    parameters: float | None = None
    latency: float | None = None
    schedule: Any = None
    criterion: str = "l1"
    scope: str = "global"
    round_to: int = 8
    steps: int = 1
    mode: str = "int8"

    order = 25

    def __post_init__(self) -> None:
        """Validates the fields."""
        named = ("amount", *_BUDGETS, "schedule")
        given = [name for name in named if getattr(self, name) is not None]
        if len(given) != 1:
            received = shown({name: getattr(self, name) for name in given}) if given else "none"
            raise ValueError(f"PruneChannels: give one of {', '.join(named)}. Received: {received}.")
        for name in _BUDGETS:
            if getattr(self, name) is not None:
                self.set(**{name: checks.number("PruneChannels", name, getattr(self, name), above=0)})
        if self.amount is not None:
            self.set(amount=self.accept(self.amount))
        if self.schedule is not None:
            self._store_schedule()
        self._check_choices()
        super().__post_init__()
        if self.overrides and self.scope == "global" and any(v is not None for v in self.overrides.values()):
            raise ValueError(
                "PruneChannels: with scope='global' an override can only be None (leave alone). "
                f"Received: overrides={shown(self.overrides)}. Use scope='layer'."
            )

    def _store_schedule(self) -> None:
        plan = checks.within("PruneChannels", "schedule", lambda: schedule(self.schedule))
        bounds = checks.within("PruneChannels", "schedule", lambda: plan.bounds)
        if bounds is not None and not (bounds[0] >= 0 and bounds[1] < 1):
            raise ValueError(f"PruneChannels: the amount of a schedule must stay in [0, 1). Received: {shown(plan)}.")
        self.set(schedule=plan)

    def _check_choices(self) -> None:
        criterion = criteria.find(self.criterion)
        checks.choice("PruneChannels", "scope", self.scope, ("global", "layer"), "'global' or 'layer'")
        checks.choice("PruneChannels", "mode", self.mode, MODES)
        for name, most in (("round_to", LARGEST_MULTIPLE), ("steps", MOST_ROUNDS)):
            wanted = f"a whole number, 1 or more and at most {most}"
            value = checks.whole("PruneChannels", name, getattr(self, name), 1, most, accepted=wanted)
            self.set(**{name: value})
        if self.schedule is not None and (criterion.data or self.steps > 1):
            raise ValueError(
                "PruneChannels: during training, channels are scored by their weights alone. Received: "
                f"criterion={self.criterion!r}, steps={self.steps}. Use criterion 'l1', 'l2', 'fpgm', 'bn_scale' or "
                "'random' and steps=1 with a schedule."
            )

    def default(self) -> Any:
        """Returns the amount; True where a budget decides."""
        return True if self.amount is None else self.amount

    def accept(self, value: Any) -> Any:
        """Validates an amount."""
        return checks.number("PruneChannels", "amount", value, least=0, below=1, hint=percent(value))

    def stored(self, value: Any) -> Any:
        """Returns the validated amount as a Python float."""
        return self.accept(value)

    @property
    def is_gradual(self) -> bool:  # type: ignore[override]  # a flag of the class elsewhere, here of the instance
        """Whether channels are masked during training and removed at its end."""
        return self.schedule is not None

    def setting(self, target: Target) -> Any:
        """Returns True for a weight that reads channels, so that a mask on it can hide them; else a `Skip`."""
        return True if target.axes.reads else Skip(f"{self.name}: reads no channels")

    def transforms(self, target: Target, setting: Any, seed: int) -> list:
        """Returns a mask along the axis that reads channels."""
        axis = target.axes.reads[0]
        return [ChannelMask(axis, target.axes)]

    def action(self, target: Target, setting: Any) -> str:
        """Says that channels are masked, and names the criterion."""
        return f"{self.name}: masks channels by a schedule ({self.criterion}), removed at the end"

    def remarks(self, model: keras.Model) -> list[str]:
        """Names layers that can lose no channels, whatever the schedule."""
        channels = groups(model)
        if not self.is_gradual:
            return []
        if not len(channels.groups):
            return [f"{self.name}: no channels can be cut. {_kept(channels)}"]
        scene = Scene(model, channels, None, None, None, np.random.default_rng(0))
        narrow = [f for f in self.families(model, channels, scene) if not f.most]
        return [f"{self.name}: {', '.join(f.layers)}: {_why_all_stay(len(f.groups), self.round_to)}" for f in narrow]

    def advance(self, moment: Moment, kernels: list[Kernel], memory: Memory) -> None:
        """Updates which channels are masked; once the schedule has reached its end the masks stay as they are."""
        if not kernels or memory.is_final:
            return
        first = moment.step if memory.looked is None else memory.looked + 1
        memory.looked = moment.step
        if moment.last or is_due(self.schedule, first, moment.step):
            self._hide(level_at(self.schedule, moment), kernels, memory)
        memory.is_final = moment.last or is_reached(self.schedule, moment)

    def _hide(self, level: float, kernels: list[Kernel], memory: Memory) -> None:
        model = memory.plain
        channels = memory.found = memory.found or groups(model)
        scene = Scene(model, channels, None, None, None, np.random.default_rng(0))
        found = self.families(model, channels, scene)
        gone = removed_groups(self._pick(found, channels, level) if found else [])
        for mask, made in _masks(channels, kernels):
            mask.assign((~np.isin(made, gone)).astype("float32").reshape(mask.shape))

    def close(self, model: keras.Model, memory: Memory, kernels: list[Kernel]) -> Cut:
        """Returns the channels that are masked at the end, to be removed."""
        channels = memory.found or groups(model)
        gone = [made[np.asarray(mask).reshape(-1) == 0] for mask, made in _masks(channels, kernels)]
        return Cut(channels, np.unique(np.concatenate([[], *gone])).astype(int), self._rows)

    def _rows(self, before: keras.Model, after: keras.Model) -> tuple:
        return channel_rows(before, after, self.round_to)

    def operate(self, model: keras.Model, evidence: Evidence) -> Operated:
        """Removes channels of a flat model.

        Raises:
            ValueError: If no channels can be removed, a budget can't be kept, or data is missing.
        """
        small, note = model, ()
        for step in range(self.steps):
            channels = groups(small)
            if not len(channels.groups):
                self._check_budget(channels)
                break
            gone, note = self._chosen(small, channels, evidence, (step + 1) / self.steps, model)
            small = shrink(small, channels, gone) if len(gone) else small
        rows = self._rows(model, small)
        if small is model and self.amount != 0:
            reasons = "; ".join(f"{row.layer}: {row.reason}" for row in rows if isinstance(row, Left))
            warnings.warn(f"{self.name} cut nothing. {reasons or 'No channels of it can be cut.'}", stacklevel=3)
        return Operated(small, (*note, *rows))

    def _check_budget(self, channels: Channels) -> None:
        """Checks that no budget is to be kept by a model whose channels can't be cut.

        Raises:
            ValueError: If there is one; the message names what keeps the channels.
        """
        given = [name for name in _BUDGETS if getattr(self, name) is not None]
        if given:
            raise ValueError(
                f"PruneChannels: {given[0]}={getattr(self, given[0])} can't be reached, since no channels can be cut. "
                f"{_kept(channels)} Cut layers and ranks instead (tfc.DropLayers, tfc.LowRank)."
            )

    def families(self, model: keras.Model, channels: Channels, scene: Scene) -> list[Family]:
        """Returns the families of channel groups that may be removed, with their scores."""
        worth = criteria.scores(self.criterion, scene, self.scope == "global")
        ops = {use.path: use.op for use in channels.uses.values()}

        def may(path: Any) -> Any:
            op = ops[path]
            chosen = where(self.where)(op, "kernel", int(sum(np.prod(v.shape) for v in op.variables)))
            return chosen and resolve(op, True, self.overrides) is not None

        return families(channels, worth, self.round_to, may)

    def _chosen(self, model: keras.Model, channels: Any, evidence: Any, part: Any, original: keras.Model) -> Any:
        x = evidence.inputs(model, self.name) if evidence.x is not None else None
        rng = np.random.default_rng(evidence.seed)
        found = self.families(model, channels, Scene(model, channels, x, evidence.y, evidence.loss, rng))
        if not found:
            raise ValueError(
                "PruneChannels: no layer's channels may be cut. Loosen `where` and `overrides`. Kept: "
                + "; ".join(f"{path} ({why} at {who})" for path, (who, why) in channels.kept().items())
            )
        if self.latency is not None:
            return self._by_latency(model, channels, found, evidence)
        if self.amount is not None:
            # a fraction of what is left now, such that all rounds together remove the amount
            share = 1 - (1 - part * self.amount) / (1 - (part - 1 / self.steps) * self.amount)
            return removed_groups(self._pick(found, channels, share)), ()
        name = "macs" if self.macs is not None else "parameters"
        whole, costs = self._whole(original, name), Costs(model, channels)
        budget = getattr(self, name) * (whole if getattr(self, name) <= 1 else 1)
        budget = whole - part * (whole - budget)

        # An effect on the loss can be set against a price; a size relative to the layer's mean can't.
        price = costs.each(name) if criteria.find(self.criterion).absolute else None

        def pick(share: Any) -> Any:
            return self._pick(found, channels, share, price)

        return removed_groups(by_budget(pick, lambda gone: costs.of(gone)[name], budget, name)), ()

    def _pick(self, found: Any, channels: Any, share: Any, price: Any = None) -> Any:
        if self.scope == "global":
            return by_rank(found, round(share * sum(len(f.groups) for f in found)), price)
        ops = {use.path: use.op for use in channels.uses.values()}

        def own(family: Any) -> Any:
            given = [resolve(ops[path], None, self.overrides) for path in family.layers]
            given = [v for v in given if v is not None]
            return min(given) if given else share

        return by_share(found, own)

    def _whole(self, model: keras.Model, name: str) -> float:
        if name == "parameters":
            return float(sum(np.prod(v.shape) for v in model.weights if "float" in v.dtype))
        return float(sum(row["macs"] for row in model_macs(model)))

    def _by_latency(self, model: keras.Model, channels: Any, found: Any, evidence: Any) -> Any:
        files = {}

        def file(gone: Any) -> Any:
            key = gone.tobytes()
            if key not in files:
                files[key] = convert_for_latency(shrink(model, channels, gone), evidence.x, self.mode, evidence.seed)
            return files[key]

        def measure(sets: Any) -> Any:
            return latencies([file(gone) for gone in sets])

        def goal(whole: Any) -> Any:
            return whole * self.latency if self.latency < 1 else self.latency

        chosen, before, after = by_latency(found, measure, goal)
        note = Change("(model)", "latency, measured on this machine, us", round(before, 1), round(after, 1))
        return removed_groups(chosen), (note,)


def _kept(channels: Channels) -> str:
    """Says why no channels can be cut."""
    found = "; ".join(f"{path}: {why} at {who}" for path, (who, why) in channels.kept().items())
    return f"{found or 'No layer makes channels'}."


def _masks(channels: Channels, kernels: list[Kernel]) -> list[tuple[keras.Variable, np.ndarray]]:
    """Returns each channel mask with the numbers of the channel groups along it."""
    read = {id(weight(use.op, path)): made for use in channels.uses.values() for path, _, made in channels.reads(use)}
    found = [(kernel.chain.find(ChannelMask).read, read.get(id(kernel.chain.variable))) for kernel in kernels]
    return [(mask, made) for mask, made in found if made is not None]


def channel_rows(before: keras.Model, after: keras.Model, round_to: int = 1) -> tuple:
    """Returns a row for every layer that makes channels: their number before and after, or why it lost none.

    Args:
        before: The model before channels were removed.
        after: The model after it.
        round_to: The multiple that every layer keeps.
    """
    channels, left = groups(before), groups(after)
    kept, small = channels.kept(), {path: len(made) for path, made in left.made_by().items()}
    found: list[Change | Left] = []
    for path, made in channels.made_by().items():
        name = flat_name(path)
        if path in kept:
            who, why = kept[path]
            found.append(Left(path, why if who == path else f"{why}, at {who}"))
        elif small.get(name, len(made)) != len(made):
            found.append(Change(path, "channels cut", len(made), small[name]))
        else:
            found.append(Left(path, _why_all_stay(len(made), round_to)))
    return tuple(found)


def _why_all_stay(count: int, round_to: int) -> str:
    stay = f"all of its {count} channels stay"
    if count <= round_to:
        return f"{stay}, since every layer keeps a multiple of round_to={round_to}; round_to=1 would cut here"
    if round_to > 1:
        return f"{stay}: fewer than a block of round_to={round_to} were to be removed"
    return f"{stay}: those of other layers are worth less"
