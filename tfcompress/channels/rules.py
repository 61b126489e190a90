"""Propagates channel labels through operations: one rule for each `flow` in the layer table.

A rule gets the labels of the inputs and returns those of the outputs; on the way it notes which labels lie along which
axis of which weight, and joins labels or marks them as not removable. In doubt it marks them: the result is then
larger than needed, but never wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tfcompress.channels.labels import KEPT, Labels, Signal, signal
from tfcompress.layer_table.axes import Axes
from tfcompress.layer_table.lookup import LayerSpec, activation, activation_spec, has_weight, is_elementwise, weight

ACROSS = "a value depends on all channels"
BROADCAST = "one channel serves all of the other input's"
CONSTANT = "meets a constant of a fixed size"
INPUT = "is an input of the model"
MOVED = "moves channels to more than one axis"
PART = "takes some of the channels by number"
MEETS = "joins channels that are kept"
NOT_LAST = "channels do not lie on the last axis"
OUTPUT = "is an output of the model"
YOURS = "has an activation function that is not described (tfc.elementwise declares one that works value by value)"
STILL = "no rule for cutting it"
STATES = "takes or returns states of a fixed size"
UNDESCRIBED = "has weights that its row in the layer table does not describe"
WIDTH = "has no argument for its number of channels"


@dataclass
class ChannelUse:
    """How one operation uses channels: the labels along the axes of its weights and output.

    Args:
        path: Path of the operation in the model.
        op: The operation.
        weights: Weight path to one entry per axis: the labels along it, or None for an axis without channels.
        inner: Labels of units or heads inside; None if there are none.
        output: Labels and shape of its output.
        groups: Labels of the groups of a grouped convolution, one each; None for others.
    """

    path: str
    op: Any
    weights: dict[str, list[np.ndarray | None]] = field(default_factory=dict)
    inner: np.ndarray | None = None
    output: Signal | None = None
    groups: np.ndarray | None = None


@dataclass(frozen=True)
class LabelCall:
    """One call of an operation, with channel labels in place of tensors."""

    path: str
    op: Any
    spec: LayerSpec
    args: tuple
    kwargs: dict
    shapes: list[tuple[int | None, ...]]
    labels: Labels
    uses: dict[int, ChannelUse]

    @property
    def inputs(self) -> list[Signal]:
        """Labels of all input tensors."""
        return [x for x in keras.tree.flatten((self.args, self.kwargs)) if isinstance(x, Signal)]

    def use(self) -> ChannelUse:
        """Returns the notes on how the operation uses channels, made at its first call."""
        return self.uses.setdefault(id(self.op), ChannelUse(self.path, self.op))

    def keep(self, labels: np.ndarray, why: str) -> None:
        """Marks labels as not removable because of this operation."""
        self.labels.keep(labels, self.path, why)

    def kept(self, why: str) -> list[Signal]:
        """Marks the channels of all inputs as not removable, and returns outputs that aren't either."""
        for given in self.inputs:
            self.keep(given.labels, why)
        return [_whole(shape) for shape in self.shapes]

    def note(self, path: str, vectors: list[np.ndarray | None]) -> None:
        """Notes the labels along the axes of a weight; those of an earlier call are joined with these."""
        weights = self.use().weights
        for before, now in zip(weights.get(path, vectors), vectors, strict=True):
            if now is not None and before is not now:
                self.labels.join(before, now, self.path, MEETS)
        weights.setdefault(path, vectors)


Rule = Callable[[LabelCall], list[Signal]]
_rules: dict[str, Rule] = {}


def rule_of(flow: str) -> Rule:
    """Returns the rule of a flow."""
    return _rules[flow]


def flow(*names: str) -> Callable[[Rule], Rule]:
    """Registers the rule of a flow."""

    def register(rule):
        _rules.update(dict.fromkeys(names, rule))
        return rule

    return register


def _whole(shape) -> Signal:
    return Signal(np.full((1,) * len(shape), KEPT), tuple(shape))


def last_labels(call: LabelCall, given: Signal) -> np.ndarray | None:
    """Returns the labels along the last axis.

    If channels lie on another axis they can't be removed, and all labels of the last axis are 0 (None if it is open).
    """
    if given.axis == -1 and given.shape and given.shape[-1] is not None:
        return given.vector()
    call.keep(given.labels, NOT_LAST)
    return None if not given.shape or given.shape[-1] is None else np.full(given.shape[-1], KEPT)


@flow("still")
def still(call: LabelCall) -> list[Signal]:
    """Marks all channels as not removable."""
    return call.kept(STILL)


@flow("unknown")
def unknown(call: LabelCall) -> list[Signal]:
    """Marks all channels as not removable, because the operation is not in the layer table."""
    return call.kept(f"{type(call.op).__name__} is not in the table of layers (tfc.describe adds it)")


@flow("whole")
def whole(call: LabelCall) -> list[Signal]:
    """Marks all channels as not removable, because each value depends on all of them.

    Channels on an axis that the operation does not work along pass on, such as the heads of a softmax of scores.
    """
    return rule_of("along")(call)


@flow("along")
def along(call: LabelCall) -> list[Signal]:
    """Passes on the channels of an operation that works along other axes, each place by itself."""
    axes = getattr(call.op, "axis", None)
    axes = [axes] if isinstance(axes, int) else list(axes or [])
    if len(call.inputs) != 1 or not axes or hasattr(call.op, "groups"):
        return call.kept(ACROSS)
    (given,), (shape,) = call.inputs, call.shapes
    axes = [k if k < 0 else k - len(given.shape) - 1 for k in axes]
    if given.axis in axes or given.shape != tuple(shape) or given.labels.size == 1:
        return call.kept(ACROSS)
    return [noted(call, Signal(given.labels, shape))]


@flow("mix")
def mix(call: LabelCall) -> list[Signal]:
    """Makes new channels as weighted sums over all input channels (Dense, convolution)."""
    old = last_labels(call, call.inputs[0])
    if call.spec.is_table:
        call.keep(call.inputs[0].labels, ACROSS)  # numbers of entries, no channels
    use, shape = call.use(), call.shapes[0]
    if use.output is None:
        use.output = signal(new_labels(call, shape[-1]), shape)
        use.inner = use.output.vector() if call.spec.step else None
    new = use.output.vector()
    if len(call.inputs) > 1:  # initial states
        for state in call.inputs[1:]:
            call.keep(state.labels, STATES)
        call.keep(new, STATES)
    note_weights(call, call.spec, "", old, new, use.inner)
    return [signal(new, shape) for shape in call.shapes]


def new_labels(call: LabelCall, count: int) -> np.ndarray:
    """Returns new labels, marked as not removable if the layer can't be made narrower."""
    new = call.labels.fresh(count)
    function = activation(call.op)
    if function is not None and not is_elementwise(function):
        call.keep(new, ACROSS if activation_spec(function).across else YOURS)
    if call.spec.width is None and call.spec.resize is None:
        call.keep(new, WIDTH)
    return new


@flow("grouped")
def grouped(call: LabelCall) -> list[Signal]:
    """Joins the input and output channels of each group of a grouped convolution."""
    old = last_labels(call, call.inputs[0])
    (made,) = mix(call)
    use, groups = call.use(), call.op.groups
    if use.groups is None:
        use.groups = call.labels.fresh(groups)
    for channels in (old, made.vector()):
        call.labels.join(np.repeat(use.groups, len(channels) // groups), channels, call.path, MEETS)
    return [made]


@flow("pass")
def passed(call: LabelCall) -> list[Signal]:
    """Passes each channel on by itself; a depthwise kernel may make several out of one."""
    shape = call.shapes[0]
    if not shape or len(call.inputs) != 1 or len(call.shapes) != 1:
        return call.kept(STILL)
    function = activation(call.op)
    if function is not None and not is_elementwise(function):
        return call.kept(ACROSS if activation_spec(function).across else YOURS)
    old = last_labels(call, call.inputs[0])
    if old is None or shape[-1] is None or shape[-1] % len(old):
        return call.kept(NOT_LAST)
    new = np.repeat(old, shape[-1] // len(old))
    note_weights(call, call.spec, "", old, new, None)
    use = call.use()
    use.output = use.output or signal(new, shape)
    return [signal(new, shape)]


def note_weights(call: LabelCall, spec: LayerSpec, prefix: str, old, new, inner) -> None:
    """Notes the labels along the axes of all weights of a layer, by the meaning of the axes."""
    for path, axes in spec.axes.items():
        if not has_weight(call.op, prefix + path):
            continue
        note_weight(call, prefix + path, axes, old, new, inner)


def note_weight(call: LabelCall, path: str, axes: Axes, old, new, inner) -> None:
    """Notes the labels along the axes of one weight: input channels, output channels, units or heads inside."""
    sizes = weight(call.op, path).shape
    axes = axes.filled(len(sizes))  # PReLU: a slope for every place and channel
    call.note(path, [_along(axes, k, size, old, new, inner) for k, size in enumerate(sizes)])


def _along(axes: Axes, k: int, size: int, old, new, inner) -> np.ndarray | None:
    """Returns the labels along one axis of a weight; input channels are repeated where the axis is a multiple."""
    if k == axes.input_channel:
        return old if len(old) == size else np.repeat(old, size // len(old))
    if k == axes.kept_channel:
        found = old if len(old) == size else new
        return found if len(found) == size else None  # shared by all channels
    if k == axes.output_channel:
        return new
    if k in axes.inner:
        return inner
    return np.tile(inner, size // len(inner)) if k in axes.gates else None


def attention_inputs(args: tuple, kwargs: dict) -> tuple:
    """Returns query, value and key from the arguments of a call of attention; without a key, the value is the key."""
    given = (*args, None, None, None)[:3]
    query, value, key = (kwargs.get(name, x) for name, x in zip(("query", "value", "key"), given, strict=True))
    return query, value, value if key is None else key


@flow("merge", "choose")
def merge(call: LabelCall) -> list[Signal]:
    """Joins the channels of all inputs of an operation that works value by value, with broadcasting."""
    (shape,) = call.shapes
    given = call.inputs
    constants = [
        x
        for x in keras.tree.flatten((call.args, call.kwargs))
        if not isinstance(x, (Signal, bool, str)) and x is not None
    ]
    axes = {x.axis for x in given if (x.labels != x.labels.reshape(-1)[0]).any()}
    if len(axes) > 1:
        return call.kept(MOVED)
    axis = axes.pop() if axes else -1
    if any(_is_long(np.shape(x), axis) for x in constants):
        return call.kept(CONSTANT)
    result = None
    for x in given:
        if shape and (len(x.shape) < -axis or x.shape[axis] != shape[axis]):
            call.keep(x.labels, BROADCAST)
            continue
        vector = x.vector() if x.axis == axis else np.full(shape[axis], x.labels.reshape(-1)[0])
        if result is not None:
            call.labels.join(result, vector, call.path, MEETS)
            result = np.where(result == KEPT, vector, result)
        else:
            result = vector
    if result is None:
        return call.kept(STILL)
    return [noted(call, signal(result, shape, axis))]


def _is_long(shape: tuple[int, ...], axis: int) -> bool:
    """Whether an array has more than one entry along an axis."""
    return len(shape) >= -axis and shape[axis] > 1


def noted(call: LabelCall, made: Signal) -> Signal:
    """Notes the output of an operation, whose labels are joined with those of an earlier call; returns it."""
    use = call.use()
    if made.shape and made.shape[made.axis] is None:
        return made
    if use.output is not None:
        # a shared operation has one set of sizes, so the outputs of both calls must have the same
        if use.output.shape != made.shape or use.output.axis != made.axis:
            call.keep(use.output.labels, MOVED)
            call.keep(made.labels, MOVED)
        else:
            call.labels.join(use.output.vector(), made.vector(), call.path, MEETS)
    use.output = use.output or made
    return made


@flow("concat")
def concat(call: LabelCall) -> list[Signal]:
    """Concatenates the labels of the inputs."""
    (shape,) = call.shapes
    axis = call.op.axis
    axis = axis - len(shape) - 1 if axis >= 0 else axis
    given = call.inputs
    if any(None in (x.shape[axis],) for x in given) or any(
        x.axis != axis and (x.labels != x.labels.reshape(-1)[0]).any() for x in given
    ):
        return _along_another(call, shape, axis)
    vector = np.concatenate([np.broadcast_to(x.labels.reshape(-1), (x.shape[axis],)) for x in given])
    return [noted(call, signal(vector, shape, axis))]


def _along_another(call: LabelCall, shape, axis) -> list[Signal]:
    """Joins the channels of inputs that are concatenated along another axis than that of channels."""
    axes = {x.axis for x in call.inputs}
    if len(axes) > 1 or axis in axes:
        return call.kept(MOVED)
    vectors = [x.vector() for x in call.inputs]
    for other in vectors[1:]:
        call.labels.join(vectors[0], other, call.path, MEETS)
    return [noted(call, signal(vectors[0], shape, axes.pop()))]


@flow("reduce")
def reduced(call: LabelCall) -> list[Signal]:
    """Removes reduced axes from the labels; if the channel axis is reduced, no channel can be removed."""
    given, shape = call.inputs[0], call.shapes[0]
    rank = len(given.shape) + 1
    axes = getattr(call.op, "axis", getattr(call.op, "axes", None))
    axes = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    gone = {k % rank - rank for k in axes}
    if given.axis in gone or -rank in gone or not shape or len(call.inputs) != 1:
        return call.kept(ACROSS)
    axis = given.axis if call.op.keepdims else given.axis + sum(k > given.axis for k in gone)
    made = signal(given.vector(), shape, axis)
    noted(call, made)
    return [made for _ in call.shapes]
