"""What is done to one operation, and to a weight on its way into the operation's call."""

import enum
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Self

import keras

from tfcompress.fake_quant.constraints import constrained
from tfcompress.graph.adapters import Adapter, adapter_of, with_adapter
from tfcompress.layer_table.lookup import weight


@dataclass
class WeightChain:
    """The transforms a weight is read through, in the order of their rank."""

    path: str
    variable: keras.Variable | None
    transforms: list = field(default_factory=list)
    adapter: Adapter | None = None
    is_borrowed: bool = False  # another operation reads the weight as well

    @classmethod
    def of(cls, layer: Any, path: str) -> "WeightChain":
        """Returns an empty chain for the weight at an attribute path of a layer."""
        return cls(path, weight(layer, path), adapter=adapter_of(layer, path))

    def bind(self, layer: object) -> None:
        """Finds the weight of a chain that was made before its layer was built, and builds the transforms."""
        made = WeightChain.of(layer, self.path)
        self.variable, self.adapter, given, self.transforms = made.variable, made.adapter, self.transforms, []
        for transform in given:
            self.add(transform)

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


class Holds(enum.Enum):
    """What a field of an operation plan holds: it says how the field is copied and saved."""

    SETTING = "setting"  # a flag or numbers that change the call
    FACT = "fact"  # what is known of the operation, and changes nothing by itself
    RANGE = "range"  # an activation range that lies here, or a dict of them
    SCALE = "scale"  # where a scale comes from: a range, fixed limits `(low, high)`, or None where that is unknown
    SCALES = "scales"  # a tuple of these
    LAYER = "layer"  # another operation of the model
    CHAINS = "chains"  # weight path to chain
    LIVE = "live"  # belongs to the live model, and is not saved


Map = Callable[[object], object]
_INERT = (Holds.FACT, Holds.SCALE, Holds.SCALES, Holds.LIVE)


def holding(kind: Holds, **options) -> Any:
    """Returns the field of an operation plan; further options as for `dataclasses.field`."""
    return field(metadata={"holds": kind}, **options)


def held_by(f: Field) -> Holds:
    """Returns what a field of an operation plan holds."""
    return f.metadata.get("holds", Holds.SETTING)


@dataclass(kw_only=True)
class OpPlacement:
    """What quantizer placement finds at one operation: its ranges, and what the file makes of it.

    Placement writes it with a `RangeRequest` for every range; `range_requests.ranged` puts real ranges in their place.

    Args:
        before: Range between the layer's kernel and its activation function, where the two do not fuse.
        inside: Name to the range of a value inside the integer form.
        outputs: Output number to the range behind it.
        fixed: LiteRT's fixed output range, simulated.
        is_last: Whether the output is one of the model's.
        written: Whether the operation or its activation function is computed in its integer form.
        norm: BatchNormalization that is folded into this layer in the file.
        folds: Whether this operation is such a BatchNormalization, or a factor that the layers behind take over.
        front: Layer in front of the model whose factor and offset this layer takes over in the file.
        affine: Whether the file holds this operation as a factor and a shift per channel.
        sources: Where the scale of every input comes from.
        target: Where the scale of the (first) output comes from.
        table: Range that gives what is looked up its scale; in the file the table itself lies on it.
    """

    before: Any = holding(Holds.RANGE, default=None)
    inside: dict[str, Any] = holding(Holds.RANGE, default_factory=dict)
    outputs: dict[int, Any] = holding(Holds.RANGE, default_factory=dict)
    fixed: tuple[float, float] | None = None
    is_last: bool = holding(Holds.FACT, default=False)
    written: bool = False
    norm: Any = holding(Holds.LAYER, default=None)
    folds: bool = False
    front: Any = holding(Holds.LAYER, default=None)
    affine: bool = False
    sources: tuple = holding(Holds.SCALES, default=())
    target: Any = holding(Holds.SCALE, default=None)
    table: Any = holding(Holds.SCALE, default=None)

    @property
    def source(self) -> Any:
        """Where the scale of the (first) input comes from."""
        return self.sources[0] if self.sources else None

    def ranges(self) -> dict[tuple[str, Any], Any]:
        """Returns the ranges that lie at the operation, by `(field, key)`; the key is None for a single one."""
        found = {}
        for f in fields(self):
            if held_by(f) is Holds.RANGE:
                value = getattr(self, f.name)
                each = value if isinstance(value, dict) else {None: value}
                found |= {(f.name, key): span for key, span in each.items() if span is not None}
        return found

    def mapped(self, ranges: Map | None = None, scales: Map | None = None, layers: Map | None = None) -> Self:
        """Returns a copy with others in the place of what it holds; what has no function stays.

        Args:
            ranges: Function of a range that lies here.
            scales: Function of a range, or of fixed limits, that a scale comes from.
            layers: Function of another operation.
        """
        by_kind = {Holds.RANGE: ranges, Holds.SCALE: scales, Holds.SCALES: scales, Holds.LAYER: layers}
        changes = {}
        for f in fields(self):
            if (change := by_kind.get(held_by(f))) is not None:
                changes[f.name] = _each(held_by(f), getattr(self, f.name), change)
        return replace(self, **changes)


def _each(kind: Holds, value, change: Map):
    def changed(x):
        return None if x is None else change(x)

    if kind is Holds.SCALES:  # fixed limits are a tuple as well
        return tuple(changed(x) for x in value)
    return {key: changed(x) for key, x in value.items()} if isinstance(value, dict) else changed(value)


@dataclass
class OpPlan(OpPlacement):
    """All that is done to one operation: what lies there, as `OpPlacement` says, and what its weights go through.

    Quantizer placement writes it, a session's wrapper layer saves it field by field, and the one forward pass,
    `treated_call.run`, reads it.

    Args:
        path: Unique path of the operation in its model.
        op: The layer or operation itself.
        index: Position in the model's list of operation plans; names the operation in the exported graph.
        chains: Weight path to chain.
        captures: Whether the output is kept for a loss between features.
        features: By thread the output that was kept; each replica of a strategy traces in its own.
    """

    path: str = holding(Holds.FACT)
    op: Any = holding(Holds.LIVE)
    index: int = holding(Holds.LIVE, default=0)
    chains: dict[str, WeightChain] = holding(Holds.CHAINS, default_factory=dict)
    captures: bool = False
    features: dict[int, object] = holding(Holds.LIVE, default_factory=dict)

    @classmethod
    def of(cls, path: str, op: object, index: int, placement: OpPlacement | None = None) -> "OpPlan":
        """Returns a plan with what was found at the operation, and no chains yet."""
        found = {f.name: getattr(placement, f.name) for f in fields(OpPlacement)} if placement is not None else {}
        return cls(path, op, index, **found)

    def does_something(self) -> bool:
        """Whether the operation under this plan differs from the operation alone."""
        values = (getattr(self, f.name) for f in fields(self) if held_by(f) not in _INERT)
        return any(value is not None and value is not False and value != {} for value in values)

    def bake(self) -> None:
        """Writes the lasting part of every chain into its weight."""
        for chain in self.chains.values():
            value = constrained(chain, chain.value(lasting=True))
            for transform in chain.transforms:
                transform.settle(chain.plain())
            chain.variable.assign(value)
            if chain.adapter is not None:
                chain.adapter.clear()
