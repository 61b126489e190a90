"""What is done to one operation, and to a weight on its way into the operation's call."""

import enum
from dataclasses import dataclass, field, fields
from typing import Any

import keras

from tfcompress.fake_quant.constraints import constrained
from tfcompress.graph.adapters import Adapter, adapter_of, with_adapter
from tfcompress.layer_table.lookup import weight


class Mode(enum.Enum):
    """What a forward pass is for."""

    TRAIN = "train"  # ranges follow the batches
    TEST = "test"  # validation during fit
    OBSERVE = "observe"  # calibration: ranges look on, activations stay float
    FOLDED = "folded"  # the simulation of the file: BatchNormalization folded
    EXPORT = "export"  # the same, as constants and FakeQuant nodes for the converter


@dataclass
class Chain:
    """The transforms a weight is read through, in the order of their rank."""

    path: str
    variable: keras.Variable
    transforms: list = field(default_factory=list)
    adapter: Adapter | None = None
    is_borrowed: bool = False  # another operation reads the weight as well

    @classmethod
    def of(cls, layer: Any, path: str) -> "Chain":
        """Returns an empty chain for the weight at an attribute path of a layer."""
        return cls(path, weight(layer, path), adapter=adapter_of(layer, path))

    def plain(self):
        """Returns the weight as it is, with its adapter."""
        return with_adapter(self.variable, self.adapter)

    def add(self, transform) -> None:
        """Puts a transform at its place and builds its state."""
        self.transforms = sorted([*self.transforms, transform], key=lambda t: t.rank)
        if not transform.built:
            transform.build(tuple(self.variable.shape))

    def value(self, lasting: bool = False):
        """Returns the transformed weight; with `lasting`, without the rounding that only the file does."""
        return self.through(self.plain(), lasting)

    def through(self, w, lasting: bool = False):
        """Returns what the transforms make of a value of the weight."""
        for transform in self.transforms:
            if transform.lasting or not lasting:
                w = transform(w)
        return w

    def find(self, kind: type):
        """Returns the transform of a type, or None."""
        return next((t for t in self.transforms if isinstance(t, kind)), None)


@dataclass(kw_only=True)
class Spot:
    """What lies at one operation of a model: ranges, or what is to become one, and what the file makes of it.

    Args:
        outputs: Output number to the range behind it.
        before: Range between the layer's kernel and its activation function, where the two do not fuse.
        fixed: LiteRT's fixed output range, simulated.
        is_last: Whether the output is one of the model's.
        written: Whether the operation or its activation function is computed in its integer form.
        inside: Name to the range of a value inside that form.
        norm: BatchNormalization that is folded into this layer in the file.
        folds: Whether this operation is such a BatchNormalization, or a factor that the layers behind take over.
        front: Layer in front of the model whose factor and offset this layer takes over in the file.
        affine: Whether the file holds this operation as a factor and a shift per channel.
        source: Where the scale of its (first) input comes from: a range, fixed limits, or None where that is unknown.
        sources: The same of every input.
        target: Where the scale of its (first) output comes from, the same way.
        table: Range that gives what is looked up its scale; in the file the table itself lies on it.
    """

    outputs: dict[int, Any] = field(default_factory=dict)
    before: Any = None
    fixed: tuple[float, float] | None = None
    is_last: bool = False
    written: bool = False
    inside: dict[str, Any] = field(default_factory=dict)
    norm: Any = None
    folds: bool = False
    front: Any = None
    affine: bool = False
    source: Any = None
    sources: tuple = ()
    target: Any = None
    table: Any = None


@dataclass
class Treatment(Spot):
    """Everything that is done to one operation: what lies there, as `Spot` says, and what is done to its weights.

    Args:
        path: Unique path of the operation in its model.
        op: The layer or operation itself.
        index: Position in the model's list of treatments; names the operation in the exported graph.
        chains: Weight path to chain.
        captures: Whether the output is kept for a loss between features.
        exported: `(variable, value, what holds it)` for every constant of an export under way.
        ready: What the operation reads in passes under way in which nothing trains; None in all others.
    """

    path: str
    op: Any
    index: int
    chains: dict[str, Chain] = field(default_factory=dict)
    captures: bool = False
    exported: list = field(default_factory=list)
    ready: tuple | None = None

    def lay(self, spot: Spot) -> None:
        """Takes over what was found at the operation."""
        for f in fields(Spot):
            setattr(self, f.name, getattr(spot, f.name))

    def bake(self) -> None:
        """Writes the lasting part of every chain into its weight."""
        for chain in self.chains.values():
            value = constrained(chain, chain.value(lasting=True))
            for transform in chain.transforms:
                transform.settle(chain.plain())
            chain.variable.assign(value)
            if chain.adapter is not None:
                chain.adapter.clear()
