"""Channel criteria: score every channel group; groups of low score are removed first.

A criterion gives, for some operations, one figure per channel of an axis; figures of the same group are averaged. Some
criteria look at the weights that compute a channel (its producers'), others at the weights that read it (its
consumers').
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfcompress.channels.dependency import Channels
from tfcompress.graph.keras_private import full_precision, override_attributes
from tfcompress.layer_table.lookup import spec_of, weight
from tfcompress.text.printable import shown
from tfcompress.validation import checks

BATCH = 64  # samples per gradient


@dataclass(frozen=True)
class Scene:
    """The model, its channel groups and data that a channel criterion gets.

    Args:
        model: The model, flat.
        channels: Its channel groups.
        x: Samples in the form that the model's call takes, or None.
        y: Labels, or None.
        loss: Function `(y_true, y_pred)`, or None.
        rng: Generator for random numbers.

    `producers()` yields, for every weight that makes channels, their groups and the weight as `(channels, values)`.
    """

    model: keras.Model
    channels: Channels
    x: object
    y: np.ndarray | None
    loss: Callable | None
    rng: np.random.Generator

    def producers(self) -> "Iterator[Part]":
        """Yields, for every weight that makes channels, their groups and the weight as `(channels, values)`."""
        return producers(self)


Part = tuple[np.ndarray, np.ndarray]
"""Groups along an axis, and one figure for each entry."""


@dataclass(frozen=True)
class ChannelCriterion:
    """A criterion's function, with the data that it needs.

    Args:
        parts: Function `scene -> iterator of (groups, figures)`.
        data: Whether it looks at samples.
        labels: Whether it looks at labels and the loss.
        absolute: Whether figures of different layers can be compared as they are, as effects on the loss can, and
            divided by the cost of a channel; otherwise each layer's are divided by their mean before all layers are
            ranked together.
    """

    parts: Callable[[Scene], Iterator[Part]]
    data: bool = False
    labels: bool = False
    absolute: bool = False


_table: dict[str, ChannelCriterion] = {}


def channel_criterion(name: str, data: bool = False, labels: bool = False, absolute: bool = False) -> Callable:
    """Registers a criterion under a name, for `PruneChannels(criterion=name)`.

    Args:
        name: The name.
        data: Whether it looks at samples.
        labels: Whether it looks at labels and the loss.
        absolute: Whether figures of different layers can be compared as they are, as effects on the loss can; under a
            budget of MACs or parameters they are divided by the cost of the channel.

    Returns:
        A decorator for a function `scene -> iterator of (groups, figures)`, both arrays `(channels,)`.

    Example:
        >>> import numpy as np, tfcompress as tfc
        >>> @tfc.channel_criterion("largest")
        ... def largest(scene):
        ...     for groups, values in scene.producers():
        ...         yield groups, np.abs(values).max(1)
    """
    checks.text("channel_criterion", "name", name)
    for each, value in (("data", data), ("labels", labels), ("absolute", absolute)):
        checks.flag("channel_criterion", each, value)

    def register(function: Any) -> Any:
        checks.function("channel_criterion", "function", function)
        _table[name] = ChannelCriterion(function, data, labels, absolute)
        return function

    return register


def find(name: str) -> ChannelCriterion:
    """Returns a registered criterion.

    Raises:
        ValueError: If the name is not registered; the message lists the names that are.
    """
    return _table[checks.choice("PruneChannels", "criterion", name, sorted(_table))]


def names() -> list[str]:
    """Returns the names of all criteria."""
    return sorted(_table)


def scores(name: str, scene: Scene, compare: bool = True) -> dict[int, float]:
    """Returns the score of every removable group for which the criterion gives figures.

    Args:
        name: A criterion.
        scene: The model and data that it gets.
        compare: Whether groups of different layers are ranked together.

    Returns:
        Group number to score.

    Raises:
        ValueError: If it needs data, labels or a loss that were not given.
    """
    criterion = find(name)
    _check(name, criterion, scene)
    size = len(scene.channels.roots)
    total, count = np.zeros(size), np.zeros(size)
    for made, figures in _parts(name, criterion, scene):
        if compare and not criterion.absolute:
            figures = figures / max(figures.mean(), 1e-12)
        np.add.at(total, made, figures)
        np.add.at(count, made, 1)
    groups = scene.channels.groups
    groups = groups[count[groups] > 0]
    # effects on the loss add up over a group, sizes are averaged
    each = total[groups] if criterion.absolute else total[groups] / count[groups]
    return dict(zip(groups.tolist(), each.tolist(), strict=True))


def _parts(name: str, criterion: ChannelCriterion, scene: Scene) -> Iterator[Part]:
    """Yields what a criterion yields, in float64; refuses another form, since the criterion may be the user's own."""
    form = f"PruneChannels: criterion {name!r} must yield pairs (groups, figures), one figure for each group"
    parts = criterion.parts(scene)
    if not isinstance(parts, Iterable):
        raise TypeError(f"{form}. Received: {shown(parts)} in place of an iterator; write `yield`.")
    for part in parts:
        if not isinstance(part, tuple | list) or len(part) != 2:
            raise TypeError(f"{form}. Received: {shown(part)}.")
        made, figures = np.asarray(part[0]), np.asarray(part[1], "float64")
        if figures.shape != made.shape:
            raise ValueError(f"{form}. Received: figures of shape {figures.shape} for {made.shape} groups.")
        if np.isnan(figures).any():
            raise ValueError(f"{form}. Received: {np.isnan(figures).sum()} of {figures.size} are not numbers (NaN).")
        yield made, figures


def _check(name: str, criterion: Any, scene: Any) -> None:
    if criterion.data and scene.x is None:
        raise ValueError(f"PruneChannels: criterion {name!r} looks at data. Give representative samples: data=x.")
    if criterion.labels and (scene.y is None or scene.loss is None):
        raise ValueError(
            f"PruneChannels: criterion {name!r} looks at the loss. Give labels=y of the samples in data, and compile "
            "the model with its loss first, or give loss=."
        )


def producers(scene: Scene) -> Iterator[Part]:
    """Yields, for every weight that makes channels, their groups and the weight as `(channels, values)`."""
    for use in scene.channels.uses.values():
        spec = spec_of(use.op)
        for path, vectors in use.weights.items():
            new = spec.axes[path].filled(len(vectors)).new
            axes = [k for k in new if vectors[k] is not None]
            if axes and path in spec.kernels:
                value = np.asarray(full_precision(weight(use.op, path)))
                yield (
                    scene.channels.roots[vectors[axes[0]]],
                    np.moveaxis(value, axes[0], 0).reshape(value.shape[axes[0]], -1),
                )


@channel_criterion("l1")
def l1(scene: Scene) -> Iterator[Part]:
    """Scores by the sum of |w| of the filter (Li et al., "Pruning Filters for Efficient ConvNets", 2017)."""
    for made, values in producers(scene):
        yield made, np.abs(values).sum(1)


@channel_criterion("l2")
def l2(scene: Scene) -> Iterator[Part]:
    """Scores by the Euclidean norm of the filter."""
    for made, values in producers(scene):
        yield made, np.sqrt(np.square(values).sum(1))


@channel_criterion("fpgm")
def fpgm(scene: Scene) -> Iterator[Part]:
    """Scores by the distance to all filters of the layer (He et al., "Filter Pruning via Geometric Median", 2019)."""
    for made, values in producers(scene):
        square = np.square(values).sum(1)
        yield made, np.sqrt(np.maximum(square[:, None] + square[None] - 2 * values @ values.T, 0)).sum(1)


@channel_criterion("random")
def random(scene: Scene) -> Iterator[Part]:
    """Scores at random: the baseline that every other criterion has to beat."""
    groups = scene.channels.groups
    yield groups, scene.rng.random(len(groups))


@channel_criterion("bn_scale")
def bn_scale(scene: Scene) -> Iterator[Part]:
    """Scores by |gamma| of the BatchNormalization behind the layer (Liu et al., "Network Slimming", 2017)."""
    for use in scene.channels.uses.values():
        for path, vectors in use.weights.items():
            if path.rsplit("/", 1)[-1] == "gamma" and vectors[-1] is not None:
                made = scene.channels.roots[vectors[-1]]
                yield made, np.abs(np.asarray(full_precision(weight(use.op, path)))).reshape(len(made))


@channel_criterion("taylor", data=True, labels=True, absolute=True)
def taylor(scene: Scene) -> Iterator[Part]:
    """Scores by the squared gradient of a gate on the channel.

    After Molchanov et al., "Importance Estimation for Neural Network Pruning", 2019. The gate g multiplies the channel
    where it is read: dL/dg is the sum of w dL/dw over the consumers' weights.
    """
    return _by_gradient(scene, lambda w, g, axes: np.square((w * g).sum(axes)))


@channel_criterion("gradient", data=True, labels=True, absolute=True)
def gradient(scene: Scene) -> Iterator[Part]:
    """Scores by the mean of |dL/dw| over the weights that read the channel."""
    return _by_gradient(scene, lambda w, g, axes: np.abs(g).mean(axes))


def _by_gradient(scene: Scene, figure: Any) -> Iterator[Part]:
    reads = [
        (weight(use.op, path), axis, made)
        for use in scene.channels.uses.values()
        for path, axis, made in scene.channels.reads(use)
    ]
    variables = list({id(v): v for v, _, _ in reads}.values())
    found = [np.zeros(len(made)) for _, _, made in reads]
    inputs, steps = keras.tree.flatten(scene.x), range(0, len(scene.y), BATCH)
    for first in steps:
        part = [x[first : first + BATCH] for x in inputs]
        with tf.GradientTape() as tape:
            out = scene.model(keras.tree.pack_sequence_as(scene.x, part), training=False)
            loss = tf.reduce_mean(scene.loss(scene.y[first : first + BATCH], out))
        slopes = tape.gradient(loss, [v.value for v in variables], unconnected_gradients="zero")
        by = {id(v): np.asarray(tf.convert_to_tensor(g)) for v, g in zip(variables, slopes, strict=True)}
        for k, (v, axis, _) in enumerate(reads):
            w = np.asarray(full_precision(v))
            axes = tuple(a for a in range(w.ndim) if a != axis)
            found[k] += figure(w, by[id(v)], axes) / len(steps)
    for (_, _, made), figures in zip(reads, found, strict=True):
        yield made, figures


@channel_criterion("activation", data=True)
def activation(scene: Scene) -> Iterator[Part]:
    """Scores by the share of values that are not zero.

    After Hu et al., "Network Trimming", 2016, whose APoZ is the share that is zero.
    """
    for made, seen, _ in _read(scene):
        yield made, np.asarray(seen.others / seen.count)


@channel_criterion("deviation", data=True)
def deviation(scene: Scene) -> Iterator[Part]:
    """Scores by the standard deviation of the channel times the norm of the weights that read it."""
    for made, seen, norms in _read(scene):
        mean = seen.total / seen.count
        yield made, np.sqrt(np.maximum(seen.squares / seen.count - mean * mean, 0)) * norms


@dataclass
class _Seen:
    """Statistics of the channels that an operation reads, summed over the data."""

    count: int = 0
    others: np.ndarray | float = 0.0  # values that are not zero
    total: np.ndarray | float = 0.0
    squares: np.ndarray | float = 0.0

    def add(self, x: np.ndarray) -> None:
        values = x.reshape(-1, x.shape[-1]).astype("float64")
        self.count += len(values)
        self.others = self.others + (values != 0).sum(0)
        self.total = self.total + values.sum(0)
        self.squares = self.squares + np.square(values).sum(0)


def _read(scene: Scene) -> Iterator[tuple[np.ndarray, _Seen, np.ndarray]]:
    """Yields channel groups, their statistics on data, and norms of the weights, for every input that a layer reads."""
    wanted = {}
    for use in scene.channels.uses.values():
        for path, axis, made in scene.channels.reads(use):
            axes = spec_of(use.op).axes[path].filled(len(use.weights[path]))
            if axes.input_channel == axis and (made != 0).any():
                wanted.setdefault(id(use.op), (use, path, axis, made))
    seen = {key: _Seen() for key in wanted}
    inputs = keras.tree.flatten(scene.x)
    with override_attributes([(use.op, "call", _looking(use.op, seen)) for use, _, _, _ in wanted.values()]):
        for first in range(0, len(inputs[0]), BATCH):
            part = [x[first : first + BATCH] for x in inputs]
            scene.model(keras.tree.pack_sequence_as(scene.x, part), training=False)
    for key, (use, path, axis, made) in wanted.items():
        if np.shape(seen[key].total) == made.shape:
            w = np.moveaxis(np.asarray(full_precision(weight(use.op, path))), axis, 0)
            yield made, seen[key], np.sqrt(np.square(w.reshape(len(made), -1)).sum(1))


def _looking(op: Any, seen: Any) -> Any:
    call = op.call

    def looked(*args: Any, **kwargs: Any) -> Any:
        seen[id(op)].add(np.asarray(keras.tree.flatten(args)[0]))
        return call(*args, **kwargs)

    return looked
