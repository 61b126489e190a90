"""Propagates channel labels through operations that pick, join and part values by their places."""

import numpy as np

from tfcompress.channels.labels import KEPT, Signal, signal
from tfcompress.channels.rules import MEETS, MOVED, PART, STILL, LabelCall, flow, moved, noted


@flow("place")
def place(call: LabelCall) -> list[Signal]:
    """Passes channels on where an operation picks values by number along other axes (take, roll, slice)."""
    given, (shape,) = call.inputs[0], call.shapes
    if len(call.inputs) != 1 or None in given.shape or None in shape:
        return call.kept(STILL)
    made = moved(call, given, shape)
    if made is None:
        return call.kept(STILL)
    result = Signal(made, tuple(shape))
    is_same = result.axis == given.axis and np.array_equal(made.reshape(-1), given.labels.reshape(-1))
    return [noted(call, result)] if is_same else call.kept(PART)


@flow("pad")
def pad(call: LabelCall) -> list[Signal]:
    """Passes channels on where other axes are padded."""
    given, (shape,) = call.inputs[0], call.shapes
    width = np.broadcast_to(np.asarray(call.op.pad_width), (len(shape) + 1, 2))
    if len(call.inputs) != 1 or width[given.axis].any():
        return call.kept(STILL)
    return [noted(call, Signal(given.labels, tuple(shape)))]


@flow("stack")
def stack(call: LabelCall) -> list[Signal]:
    """Joins the channels of tensors that are stacked along a new axis."""
    (shape,) = call.shapes
    rank = len(shape) + 1
    new = call.op.axis % rank
    axes = {x.axis for x in call.inputs if x.labels.size > 1}
    if len(axes) > 1:
        return call.kept(MOVED)
    axis = axes.pop() if axes else -1
    vector = _joined(call, axis)
    place = axis + rank - 1  # among the axes before, that of the batch included
    return [noted(call, signal(vector, shape, axis if new <= place else axis - 1))]


def _joined(call: LabelCall, axis: int) -> np.ndarray:
    """Joins the labels of all inputs along an axis; returns those of the first that has some."""
    size = call.inputs[0].shape[axis]
    vectors = [x.vector() if x.labels.size > 1 else np.full(size, x.labels.reshape(-1)[0]) for x in call.inputs]
    for other in vectors[1:]:
        call.labels.join(vectors[0], other, call.path, MEETS)
    return next((v for v in vectors if (v != KEPT).any()), vectors[0])


@flow("split")
def split(call: LabelCall) -> list[Signal]:
    """Splits channels into equal parts, which lose the same ones; parts along another axis have all of them."""
    given = call.inputs[0]
    axis = call.op.axis
    axis = axis - len(given.shape) - 1 if axis >= 0 else axis
    if given.labels.size == 1 or given.axis != axis:
        found = [Signal(given.labels, tuple(shape)) for shape in call.shapes]
    elif not isinstance(call.op.indices_or_sections, int):
        return call.kept(PART)
    else:
        parts = np.split(given.vector(), len(call.shapes))
        for other in parts[1:]:
            call.labels.join(parts[0], other, call.path, MEETS)
        found = [signal(part, tuple(shape), axis) for part, shape in zip(parts, call.shapes, strict=True)]
    call.use().output = call.use().output or found[0]
    return found
