"""What the hooks of a technique are given, and what they give back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tfcompress.channels.dependency import Channels
from tfcompress.fake_quant.op_plan import WeightChain
from tfcompress.layer_table.axes import Axes
from tfcompress.layer_table.lookup import LayerSpec


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
    layer: Any
    weight: str
    spec: LayerSpec
    chain: WeightChain
    has_norm: bool

    @property
    def axes(self) -> Axes:
        """What the axes of the weight mean."""
        return self.spec.axes[self.weight]

    @property
    def channel_axes(self) -> tuple[int, ...]:
        """Positions of the axes along which the file has one scale each."""
        return self.spec.channel_axes(self.weight)


@dataclass(frozen=True)
class Skip:
    """A target that is left alone, and why."""

    reason: str


@dataclass(frozen=True)
class Kernel:
    """A treated weight with the setting that holds for it.

    Args:
        name: Path of the layer and of the weight in it.
        chain: The weight with its transforms: `chain.variable`, `chain.plain()` (its value), `chain.find(kind)` (the
            transform of a class, or None).
        axes: What the axes of the weight mean.
        setting: What `Technique.setting` said of it.
        number: Its place among the weights of the technique.
    """

    name: str
    chain: WeightChain
    axes: Axes
    setting: Any
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
    found: Any = None  # what the technique found out about the model, once


@dataclass(frozen=True)
class Change:
    """A layer that was changed: what was done, and a figure of it before and after (channels, parameters, rank)."""

    layer: str
    what: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Left:
    """A layer that was left as it is, and why."""

    layer: str
    reason: str


@dataclass(frozen=True)
class Operated:
    """A model after its graph was changed.

    Args:
        model: The new model; the old one is as it was.
        rows: What was done to which layer, and what was not.
    """

    model: keras.Model
    rows: tuple[Change | Left, ...] = ()

    def text(self) -> str:
        """Returns the rows as a table."""
        cells = [("layer", "what was done, or why not", "before", "after")]
        for row in self.rows:
            if isinstance(row, Change):
                before, after = ("" if v is None else str(v) for v in (row.before, row.after))
                cells.append((row.layer, row.what, before, after))
            else:
                cells.append((row.layer, f"- {row.reason}", "", ""))
        wide = [max(len(c[k]) for c in cells) for k in range(3)]
        return "\n".join("  ".join(t.ljust(w) for t, w in zip(c, (*wide, 0), strict=True)).rstrip() for c in cells)


@dataclass(frozen=True)
class Cut:
    """Groups of channels that training has made ready to go: nobody reads them any more.

    Args:
        channels: All groups of the model.
        dead: Numbers of those that go.
        rows: Function `(model before, model after) -> rows` that says what was cut.
    """

    channels: Channels
    dead: np.ndarray
    rows: Callable[[keras.Model, keras.Model], tuple]
