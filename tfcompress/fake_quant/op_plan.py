"""The plan of an operation (its activation ranges and folded layers) and the chain of transforms of a weight."""

import enum
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

import keras
from typing_extensions import Self

from tfcompress.fake_quant.constraints import apply_constraint
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
        """Returns the weight without its transforms, with its LoRA adapter added."""
        return with_adapter(self.variable, self.adapter)

    def add(self, transform) -> None:
        """Inserts a transform by its rank and builds its state."""
        self.transforms = sorted([*self.transforms, transform], key=lambda t: t.rank)
        if not transform.built:
            transform.build(tuple(self.variable.shape))

    def value(self, lasting: bool = False):
        """Returns the transformed weight; with `lasting`, without the rounding that only the file does."""
        return self.through(self.plain(), lasting)

    def through(self, w, lasting: bool = False):
        """Applies the transforms to a value of the weight."""
        for transform in self.transforms:
            if transform.lasting or not lasting:
                w = transform(w)
        return w

    def find(self, kind: type):
        """Returns the transform of a type, or None."""
        return next((t for t in self.transforms if isinstance(t, kind)), None)


class FieldKind(enum.Enum):
    """The kind of a field of an operation plan, which decides how the field is copied and saved."""

    SETTING = "setting"  # a flag or numbers that change the call
    FACT = "fact"  # what is known of the operation, and changes nothing by itself
    RANGE = "range"  # an activation range at this operation, or a dict of them
    SCALE = "scale"  # the origin of a scale: a range, fixed limits `(low, high)`, or None where it is unknown
    SCALES = "scales"  # a tuple of these
    LAYER = "layer"  # another operation of the model
    CHAINS = "chains"  # weight path to chain
    LIVE = "live"  # belongs to the live model, and is not saved


Map = Callable[[object], object]
_INERT = (FieldKind.FACT, FieldKind.SCALE, FieldKind.SCALES, FieldKind.LIVE)


def plan_field(kind: FieldKind, **options) -> Any:
    """Returns a dataclass field of the given kind; further options as for `dataclasses.field`."""
    return field(metadata={"holds": kind}, **options)


def kind_of_field(f: Field) -> FieldKind:
    """Returns the kind of a field of an operation plan."""
    return f.metadata.get("holds", FieldKind.SETTING)


@dataclass(kw_only=True)
class OpPlacement:
    """Quantizer placement at one operation: its activation ranges, and what is folded into it in the file.

    Placement fills it with a `RangeRequest` for every range; `range_requests.ranged` replaces these by real ranges.

    Args:
        before: Range between the layer's kernel and its activation function, where the two do not fuse.
        inside: Name to the range of a value inside the integer rewrite.
        outputs: Output number to the range behind it.
        fixed: Output range that LiteRT fixes, simulated.
        cuts: Where the output only goes into a softmax: the absolute value at which constants of the call, such as the
            -1e9 of a mask, are cut off.
        is_last: Whether the output is one of the model's.
        written: Whether the operation or its activation function is computed by its integer rewrite.
        normalizes: Axes, epsilon and number of the argument that is divided, where the operation ends a normalization
            that is written in single operations.
        ends_function: Where a function of integers ends that is computed in floats, the type of its result; in the file
            it is a table.
        norm: BatchNormalization that is folded into this layer in the file.
        folds: Whether this operation disappears in the file: such a BatchNormalization, or input scaling that is
            folded into the layers behind it.
        front: Layer in front of the model whose factor and offset are folded into this layer in the file.
        affine: Whether the file holds this operation as a factor and a shift per channel.
        sources: The origin of the scale of every input.
        target: The origin of the scale of the (first) output.
        table: Range that gives the entries of a lookup table their scale; in the file the table is stored on it.
    """

    before: Any = plan_field(FieldKind.RANGE, default=None)
    inside: dict[str, Any] = plan_field(FieldKind.RANGE, default_factory=dict)
    outputs: dict[int, Any] = plan_field(FieldKind.RANGE, default_factory=dict)
    fixed: tuple[float, float] | None = None
    cuts: float | None = None
    is_last: bool = plan_field(FieldKind.FACT, default=False)
    written: bool = False
    normalizes: tuple | None = None
    ends_function: str = ""
    norm: Any = plan_field(FieldKind.LAYER, default=None)
    folds: bool = False
    front: Any = plan_field(FieldKind.LAYER, default=None)
    affine: bool = False
    sources: tuple = plan_field(FieldKind.SCALES, default=())
    target: Any = plan_field(FieldKind.SCALE, default=None)
    table: Any = plan_field(FieldKind.SCALE, default=None)

    @property
    def source(self) -> Any:
        """The origin of the scale of the (first) input."""
        return self.sources[0] if self.sources else None

    def ranges(self) -> dict[tuple[str, Any], Any]:
        """Returns the ranges at the operation by `(field, key)`; the key is None for a single range."""
        found = {}
        for f in fields(self):
            if kind_of_field(f) is FieldKind.RANGE:
                value = getattr(self, f.name)
                each = value if isinstance(value, dict) else {None: value}
                found |= {(f.name, key): span for key, span in each.items() if span is not None}
        return found

    def mapped(self, ranges: Map | None = None, scales: Map | None = None, layers: Map | None = None) -> Self:
        """Returns a copy with its ranges, scales or operations replaced by functions of them.

        Args:
            ranges: Function of a range at this operation; None keeps the ranges.
            scales: Function of the origin of a scale, a range or fixed limits; None keeps these.
            layers: Function of another operation; None keeps these.
        """
        by_kind = {FieldKind.RANGE: ranges, FieldKind.SCALE: scales, FieldKind.SCALES: scales, FieldKind.LAYER: layers}
        changes = {}
        for f in fields(self):
            if (change := by_kind.get(kind_of_field(f))) is not None:
                changes[f.name] = _each(kind_of_field(f), getattr(self, f.name), change)
        return replace(self, **changes)


def _each(kind: FieldKind, value, change: Map):
    def changed(x):
        return None if x is None else change(x)

    if kind is FieldKind.SCALES:  # fixed limits are a tuple as well
        return tuple(changed(x) for x in value)
    return {key: changed(x) for key, x in value.items()} if isinstance(value, dict) else changed(value)


@dataclass
class OpPlan(OpPlacement):
    """The plan of one operation: its quantizer placement and the transform chains of its weights.

    Quantizer placement fills it, a session's wrapper layer saves it field by field, and the forward pass,
    `treated_call.run`, follows it.

    Args:
        path: Unique path of the operation in its model.
        op: The layer or operation itself.
        index: Position in the model's list of operation plans; names the operation in the exported graph.
        chains: Weight path to chain.
        captures: Whether the output is kept for a loss between features.
        features: The kept output by thread; each replica of a distribution strategy traces in a thread of its own.
    """

    path: str = plan_field(FieldKind.FACT)
    op: Any = plan_field(FieldKind.LIVE)
    index: int = plan_field(FieldKind.LIVE, default=0)
    chains: dict[str, WeightChain] = plan_field(FieldKind.CHAINS, default_factory=dict)
    captures: bool = False
    features: dict[int, object] = plan_field(FieldKind.LIVE, default_factory=dict)

    @classmethod
    def of(cls, path: str, op: object, index: int, placement: OpPlacement | None = None) -> "OpPlan":
        """Returns a plan with the placement of the operation, and no chains yet."""
        found = {f.name: getattr(placement, f.name) for f in fields(OpPlacement)} if placement is not None else {}
        return cls(path, op, index, **found)

    def does_something(self) -> bool:
        """Whether the plan changes the operation in any way."""
        values = (getattr(self, f.name) for f in fields(self) if kind_of_field(f) not in _INERT)
        return any(value not in (None, False, "") and value != {} for value in values)

    def bake(self) -> None:
        """Writes the lasting part of every chain into its weight."""
        for chain in self.chains.values():
            value = apply_constraint(chain, chain.value(lasting=True))
            for transform in chain.transforms:
                transform.settle(chain.plain())
            chain.variable.assign(value)
            if chain.adapter is not None:
                chain.adapter.clear()
