"""Values that the hooks of a technique take and return."""

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
    """A weight of an operation that a technique may treat, given to it when the plan is made.

    Args:
        path: Unique path of the operation in the model.
        layer: The operation.
        weight: Path of the weight in the layer.
        spec: Facts about the layer type.
        chain: The chain with the transforms of earlier techniques.
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
        """The meaning of the weight's axes."""
        return self.spec.axes[self.weight]

    @property
    def channel_axes(self) -> tuple[int, ...]:
        """Positions of the axes along which the file has a scale for each index."""
        return self.spec.channel_axes(self.weight)


@dataclass(frozen=True)
class Skip:
    """Says that a technique leaves a weight alone, and why; what `Technique.setting` returns then.

    Args:
        reason: The reason, as the plan shows it.

    Example:
        >>> import tfcompress as tfc
        >>> class Halve(tfc.Technique):
        ...     def setting(self, target):
        ...         found = super().setting(target)  # obeys `where` and `overrides`
        ...         return tfc.Skip("Halve: the kernel is small") if target.chain.variable.shape[-1] < 8 else found
        >>> tfc.Skip("too small").reason
        'too small'
    """

    reason: str


@dataclass(frozen=True)
class Kernel:
    """A weight that a technique treats, with its setting.

    Args:
        name: Path of the layer and of the weight in it.
        chain: The weight with its transforms: `chain.variable`, `chain.plain()` (its value), `chain.find(kind)` (the
            transform of a class, or None).
        axes: What the axes of the weight mean.
        setting: The setting that `Technique.setting` returned.
        number: Its index among the weights of the technique.
    """

    name: str
    chain: WeightChain
    axes: Axes
    setting: Any
    number: int


@dataclass(frozen=True)
class Moment:
    """A moment of the training: the step about to run, the number of steps, and the fraction that is done."""

    step: int
    total: int | None
    progress: float
    last: bool = False


@dataclass
class Memory:
    """Stores what a technique remembers of one model between steps."""

    model: keras.Model
    extras: list = field(default_factory=list)
    is_final: bool = False
    looked: int | None = None  # the step at which a schedule was last read
    plain: keras.Model | None = None  # the model of ordinary layers; in a session the one inside the wrappers
    found: Any = None  # what the technique computed about the model once, such as channel groups


@dataclass(frozen=True)
class Change:
    """Row for a layer that was changed: what was done, and a number before and after (channels, parameters)."""

    layer: str
    what: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Left:
    """Row for a layer that was left as it is, with the reason."""

    layer: str
    reason: str


@dataclass(frozen=True)
class Operated:
    """The result of a graph change: the new model, and a row for each layer.

    Args:
        model: The new model; the old one is unchanged.
        rows: What was done to each layer, or why nothing was.
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
    """Channel groups to remove after training, which masks have hidden from all layers that read them.

    Args:
        channels: All channel groups of the model.
        dead: Numbers of the groups to remove.
        rows: Function `(model before, model after) -> rows` that says what was removed.
    """

    channels: Channels
    dead: np.ndarray
    rows: Callable[[keras.Model, keras.Model], tuple]
