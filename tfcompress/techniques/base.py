"""What a technique is: a frozen declaration with up to four hooks, all of them optional."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from tfcompress.fake_quant.op_plan import WeightChain
from tfcompress.layer_table.lookup import LayerSpec
from tfcompress.selection import Where, resolve, where
from tfcompress.text.printable import shown
from tfcompress.validation import checks
from tfcompress.validation.restoring import restored


@dataclass(frozen=True)
class Target:
    """One weight of one operation, as a technique meets it when the plan is made.

    Args:
        path: Unique path of the operation in the model.
        layer: The operation.
        weight: Path of the weight in the layer.
        spec: Facts about the layer type.
        chain: The chain as the techniques before left it.
        has_norm: Whether a BatchNormalization is folded into this weight in the file.
    """

    path: str
    layer: object
    weight: str
    spec: LayerSpec
    chain: WeightChain
    has_norm: bool

    @property
    def axes(self) -> str:
        """Axis letters of the weight."""
        return self.spec.axes[self.weight]


@dataclass(frozen=True)
class Kernel:
    """A treated weight with the setting that holds for it."""

    name: str
    chain: WeightChain
    axes: str
    setting: object
    number: int


@dataclass(frozen=True)
class Moment:
    """When: the step about to run, of how many, and the fraction of the training that is done."""

    step: int
    total: int | None
    progress: float
    last: bool = False


@dataclass
class Memory:
    """What a technique remembers of one model between steps."""

    model: keras.Model
    extras: list = field(default_factory=list)
    is_final: bool = False
    looked: int | None = None  # the step of the last look at a schedule
    plain: keras.Model | None = None  # the model of ordinary layers; in a session the one inside the wrappers
    found: object = None  # what the technique found out about the model, once


def percent(value: object) -> str:
    """What a fraction that is given in per cent may have been meant to be, for an error message."""
    return f"Did you mean {value / 100:g}?" if checks.is_number(value) and 1 < value <= 100 else ""


def level_at(plan, moment: Moment) -> float:
    """Returns the value of a schedule at a moment; at the end its last one, however early that came."""
    if moment.last:
        return plan.value(max(moment.total or 0, moment.step), moment.total, 1.0)
    return plan.value(moment.step, moment.total, moment.progress)


def is_due(plan, first: int, step: int) -> bool:
    """Whether the schedule wants a look at one of the steps since the last one."""
    return any(plan.due(k) for k in range(first, step + 1))


def is_reached(plan, moment: Moment) -> bool:
    """Whether a schedule with an end is past it."""
    stop = getattr(plan, "stop", None)
    if stop is None:
        return False
    return (moment.step if plan.unit == "steps" else moment.progress) >= stop


@dataclass(frozen=True)
class Skip:
    """A target that is left alone, and why."""

    reason: str


@dataclass(frozen=True)
class Technique:
    """Base of all techniques.

    Args:
        where: Which weights: None for all, or what `tfc.Where` accepts.
        overrides: `{key: value}` by name pattern or layer type; None leaves a layer alone.
    """

    where: object = field(default=None, kw_only=True)
    overrides: dict | None = field(default=None, kw_only=True)

    order = 0
    """Place in a chain's construction; a technique sees what those of lower order put there."""

    def __post_init__(self):
        """Stores `where` and the keys of `overrides` in the one form that goes to JSON and back."""
        chosen = checks.within(self.name, "where", lambda: None if self.where is None else where(self.where))
        object.__setattr__(self, "where", chosen)
        if self.overrides is None:
            return
        if not isinstance(self.overrides, Mapping):
            raise TypeError(
                f"{self.name}: overrides must map a layer name pattern or layer type to a value. "
                f"Received: overrides={shown(self.overrides)}."
            )
        object.__setattr__(self, "overrides", checks.within(self.name, "overrides", self._stored_overrides))

    def _stored_overrides(self) -> dict:
        found = {}
        for key, value in self.overrides.items():
            if not isinstance(key, str | type):
                raise TypeError(f"a key must be a layer name pattern or a layer type. Received: {shown(key)}.")
            (name,) = Where(layers=key).layers
            if name in found:
                raise ValueError(f"each layer name or type may come once. Received twice: {shown(name)}.")
            found[name] = None if value is None else self.stored(value)
        return found

    def set(self, **fields: object) -> None:
        """Stores checked fields while the frozen dataclass is being made."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    shape_changing = False
    """Whether the technique changes the graph or shapes of weights, which takes `tfc.compress`."""

    is_gradual = True
    """Whether the technique is at work while training goes on."""

    def setting(self, target: Target) -> object:
        """Returns what holds for a target: the technique's default, an override, or a `Skip`."""
        if not where(self.where)(target.layer, target.weight, int(np.prod(target.chain.variable.shape))):
            return Skip(f"{self.name}: left out by `where`")
        value = resolve(target.layer, self.default(), self.overrides)
        return Skip(f"{self.name}: override None") if value is None else self.accept(value)

    @property
    def name(self) -> str:
        """The name in plans and reports."""
        return type(self).__name__

    def default(self) -> object:
        """Value that holds where no override does."""
        return True

    def accept(self, value: object) -> object:
        """Validates an override."""
        return value

    def stored(self, value: object) -> object:
        """Returns the form in which a setting is kept; validates it on the way."""
        self.accept(value)
        return value

    def transforms(self, target: Target, setting: object, seed: int) -> list:
        """Returns the transforms for a target; they are added to its chain."""
        return []

    def action(self, target: Target, setting: object) -> str:
        """Says in a few words what is done to a target, for the plan."""
        return self.name

    def remarks(self, model: keras.Model) -> list[str]:
        """Returns sentences for the end of the plan: what of this technique can't take effect, and a way out."""
        return []

    def advance(self, moment: Moment, kernels: list[Kernel], memory: Memory) -> None:
        """Moves the transforms' state; runs eagerly before a step, and once at the end (`last`).

        Techniques of higher order go first: masks are chosen before the weights that are left share
        values.
        """

    def extras(self, model: keras.Model) -> list[keras.layers.Layer]:
        """Returns further state the technique keeps with a model."""
        return []

    def captured(self, model: keras.Model) -> tuple[str, ...]:
        """Returns paths of operations of a model whose outputs the technique's loss reads."""
        return ()

    def penalty(self, kernels: list[Kernel]):
        """Returns a scalar added to the loss, or None."""
        return None

    def get_config(self) -> dict:
        """Fields as Keras serializes them."""
        return {f.name: keras.saving.serialize_keras_object(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_config(cls, config: dict) -> "Technique":
        """Inverse of `get_config`."""
        return cls(**restored(config))
