"""Propagates channel labels through operations that pick, join and part values by their places."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfcompress.channels.labels import KEPT, Signal, signal
from tfcompress.channels.rules import MEETS, MOVED, PART, STILL, LabelCall, flow, noted


@flow("move")
def move(call: LabelCall) -> list[Signal]:
    """Applies an operation that only rearranges values (reshape, transpose, slice) to the labels."""
    (given,) = call.inputs[:1]
    (shape,) = call.shapes
    if len(call.inputs) != 1 or None in given.shape or None in shape:
        return call.kept(STILL)
    made = moved(call, given, shape)
    if made is None:
        return call.kept(STILL)
    # a slice of some channels by number would select others once channels are removed
    known = set(np.unique(given.labels).tolist()) == set(np.unique(made).tolist())
    longer = [k for k, n in enumerate(made.shape) if n > 1]
    if len(longer) > 1 and call.spec.resize is not None:
        made = _one_axis(call, made, longer)
        longer = [k for k, n in enumerate(made.shape) if n > 1]
    if len(longer) > 1 or not known:
        return call.kept(MOVED if known else PART)
    return [noted(call, Signal(made, tuple(shape)))]


def moved(call: LabelCall, given: Signal, shape: tuple[int, ...]) -> np.ndarray | None:
    """Returns the labels after an operation; an axis along which they do not change has size 1."""
    size, after = int(np.prod(given.shape)), int(np.prod(shape))
    batch = after // math.gcd(size, after)  # parts of a sample may become samples (windows), and the other way round
    rows = np.broadcast_to(given.labels, (batch, *given.shape))
    full = tf.constant(rows.astype("int32"))
    args = keras.tree.map_structure(lambda x: full if isinstance(x, Signal) else x, call.args)
    kwargs = keras.tree.map_structure(lambda x: full if isinstance(x, Signal) else x, call.kwargs)
    try:
        made = np.asarray(call.op.call(*args, **kwargs))
    except (ValueError, tf.errors.InvalidArgumentError):
        return None
    if made.shape[1:] != tuple(shape) or not (made == made[:1]).all():
        return None
    made = made[0]
    for axis in range(made.ndim):
        one = np.take(made, [0], axis)
        made = one if (made == one).all() else made
    return made


def _one_axis(call: LabelCall, made: np.ndarray, longer: list[int]) -> np.ndarray:
    """Joins channels that were split over several axes, such as heads and their entries, so that whole heads remain."""
    for axis in longer:
        if axis != longer[-2]:
            one = np.take(made, [0], axis)
            call.labels.join(one, made, call.path, MEETS)
            made = one
    return made


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
