"""Compares channels by weights: follows each channel through the graph, from the weights that make it to its readers.

Channels with equal features differ at each reader only by the ratio of their sizes there.
"""

from dataclasses import dataclass, field

import keras
import numpy as np

from tfcompress.channels.dependency import Channels
from tfcompress.channels.rules import attention_inputs
from tfcompress.graph.keras_private import check_graph, float32, takes_training
from tfcompress.graph.rebuild import walk
from tfcompress.layer_table.lookup import activation, has_weight, is_of_keras, spec_of
from tfcompress.similarity.linear_forms import (
    ChannelReader,
    Feature,
    Stream,
    StreamCall,
    along,
    plain,
    scales,
    split_direction,
    taps,
    value_of,
)

_PROBE = 2.0**20  # so large that a layer's shift does not disturb the measured factor


@dataclass
class SimilarityFeatures:
    """The features that channels are compared by, and the weights that read them; made by `collect_features`."""

    features: list[Feature] = field(default_factory=list)
    reads: list[ChannelReader] = field(default_factory=list)


def collect_features(model: keras.Model, channels: Channels) -> SimilarityFeatures:
    """Collects the features that channels are compared by.

    Args:
        model: A built Functional or Sequential model.
        channels: Result of `groups(model)`.

    Returns:
        The features, and the readers of the channels.

    Example:
        >>> import keras
        >>> from tfcompress.channels.dependency import groups
        >>> layers = [keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((3,)), *layers])
        >>> found = collect_features(model, groups(model))
        >>> [f.rows.shape for f in found.features], [r.roots.shape for r in found.reads]
        ([(4, 4)], [(3,), (4,)])
    """
    follower = _Follower(channels)
    with float32(model):
        walk(model, [plain(tuple(x.shape[1:])) for x in check_graph(model).inputs], follower.visit)
    features, reads = follower.features, []
    for use in channels.uses.values():
        for path, axis, roots in channels.reads(use):
            sizes = follower.sizes.get((id(use.op), path, axis), [np.ones(len(roots))])
            if len(sizes) > 1:  # called several times: the factor must be the same in each
                features.append(
                    Feature(use.path, use.weights[path][axis], split_direction(np.stack(sizes, 1))[0], False)
                )
            reads.append(ChannelReader(use, path, axis, roots, np.linalg.norm(sizes, axis=0)))
    return SimilarityFeatures(features, reads)


class _Follower:
    """Follows linear forms of channels through a model; `visit` is called for each operation."""

    def __init__(self, channels: Channels):
        self.channels = channels
        self.features: list[Feature] = []
        self.sizes: dict[tuple[int, str, int], list[np.ndarray]] = {}
        self._rules = {
            "mix": self._mixed, "each step": self._mixed, "grouped": self._grouped, "both": self._gated,
            "attention": self._attended, "pass": self._passed, "merge": self._merged, "concat": self._joined,
            "move": self._moved, "reduce": self._reduced,
        }  # fmt: skip

    def visit(self, path, op, args, kwargs, outputs):
        """Returns the streams that an operation makes of those it is given."""
        shapes = [tuple(x.shape[1:]) for x in outputs]
        call = StreamCall(path, op, spec_of(op), self.channels.uses[id(op)], args, kwargs, shapes)
        rule = self._rules.get(call.spec.flow) if call.given else None
        if rule is None or self._splits(call):
            self._keep_apart(call)
            return [plain(shape) for shape in shapes]
        made = rule(call) if call.use.output is not None else None
        return [made or plain(shape) for shape in shapes]

    def _splits(self, call: StreamCall) -> bool:
        """Whether an operation splits the axis of channels, as into heads and their entries."""
        stream, out = call.given[0], call.use.output
        return (
            call.spec.flow == "move"
            and stream.labels is not None
            and out is not None
            and out.labels.size < len(stream.labels)
        )

    def _keep_apart(self, call: StreamCall) -> None:
        """Adds features by which no two channels are alike, where they are not followed any further."""
        for stream in call.given:
            if stream.labels is not None:
                self.features.append(Feature(call.path, stream.labels, np.eye(len(stream.labels)), True))

    def _directed(self, call: StreamCall, stream: Stream) -> Stream:
        """Adds a feature that compares channels by direction; the stream continues with their sizes."""
        rows = stream.rows
        directions, size = split_direction(rows)
        tells = (rows[:, 1:] != 0).any() or not (rows[:, 0] > 0).all()
        if stream.labels is not None and tells:
            self.features.append(Feature(call.path, stream.labels, directions, False))
        stream.restart(size)
        return stream

    def _exactly(self, call: StreamCall) -> Stream:
        """Adds features that compare channels exactly: those of the inputs, and all weights that make channels."""
        for stream in call.given:
            if stream.labels is not None:
                self.features.append(Feature(call.path, stream.labels, stream.rows, True))
            stream.restart(np.ones(len(stream.linear)))
        self._exact_weights(call)
        return self._made(call)

    def _exact_weights(self, call: StreamCall, only_heads: bool = False) -> None:
        for path, vectors in call.use.weights.items():
            axes = call.spec.axes[path].filled(len(vectors))
            for axis, vector in enumerate(vectors):
                if vector is not None and axis not in axes.reads and (axis in axes.heads or not only_heads):
                    self.features.append(Feature(call.path, vector, along(value_of(call.op, path), axis), True))

    def _made(self, call: StreamCall, linear=None, constant=None) -> Stream:
        """Returns the stream that an operation outputs; by default all its channels have size 1."""
        out = call.use.output
        if out.labels.size == 1:
            return plain(call.shapes[0])
        labels = out.vector()
        linear = np.ones((len(labels), 1)) if linear is None else linear
        constant = np.zeros(len(labels)) if constant is None else constant
        return Stream(out.axis, labels, linear, constant, call.shapes[0])

    def _activated(self, call: StreamCall, op, stream: Stream) -> Stream:
        function = activation(op)
        if stream.labels is None or function is None:
            return stream
        if scales(function, (64,)):
            return self._directed(call, stream)
        self.features.append(Feature(call.path, stream.labels, stream.rows, True))
        stream.restart(np.ones(len(stream.linear)))
        return stream

    def _read(self, call: StreamCall, stream: Stream, prefix: str = "") -> None:
        """Notes the sizes of the channels that weights read."""
        self._directed(call, stream)
        for path, vectors in call.use.weights.items():
            axis = call.spec.axes[path].input_channel
            if not path.startswith(prefix) or axis is None or vectors[axis] is None:
                continue
            places = len(vectors[axis])
            depthwise = path[: path.rfind("/") + 1] + "depthwise_kernel"
            if has_weight(call.op, depthwise):
                rows = taps(value_of(call.op, depthwise))
                size = stream.sizes(value_of(call.op, depthwise).shape[-2])
                rows = rows * np.repeat(size, len(rows) // len(size))[:, None]
                inner = Stream(-1, vectors[axis], rows, np.zeros(len(rows)), ())
                size = self._directed(call, inner).sizes(places)
            else:
                size = stream.sizes(places if stream.labels is None else len(stream.labels))
            self.sizes.setdefault((id(call.op), path, axis), []).append(np.repeat(size, places // len(size)))

    def _mixed(self, call: StreamCall) -> Stream:
        op, prefix = (call.op.layer, "layer/") if call.spec.flow == "each step" else (call.op, "")
        spec = spec_of(op)
        if spec.flow == "pass":  # a depthwise kernel, at every step
            return self._exactly(call)
        self._read(call, call.given[0], prefix)
        if not spec.is_linear:
            self._exact_weights(call)
            return self._made(call)
        path = spec.kernels[-1]
        rows = along(value_of(op, path), spec.axes[path].output_channel)
        bias = value_of(op, "bias") if has_weight(op, "bias") else None
        return self._activated(call, op, self._made(call, rows, bias))

    def _grouped(self, call: StreamCall) -> Stream:
        (stream,), kernel, groups = call.given, value_of(call.op, "kernel"), call.op.groups
        each = kernel.shape[-2]
        size = self._directed(call, stream).sizes(each * groups).reshape(groups, each)
        kernel = kernel * np.repeat(size, kernel.shape[-1] // groups, axis=0).T
        bias = value_of(call.op, "bias") if has_weight(call.op, "bias") else None
        return self._activated(call, call.op, self._made(call, along(kernel, -1), bias))

    def _gated(self, call: StreamCall) -> Stream:
        self._read(call, call.given[0])
        self._exact_weights(call)
        return self._made(call)

    def _attended(self, call: StreamCall) -> Stream:
        query, value, key = attention_inputs(call.args, call.kwargs)
        for name, stream in (("query", query), ("key", key), ("value", value)):
            self._read(call, stream, f"{name}_dense/")
        self._exact_weights(call, only_heads=True)
        kernel, bias = "output_dense/kernel", "output_dense/bias"
        rows = along(value_of(call.op, kernel), -1)
        return self._made(call, rows, value_of(call.op, bias) if has_weight(call.op, bias) else None)

    def _passed(self, call: StreamCall) -> Stream:
        (stream,) = call.given
        if stream.labels is None:
            return self._made(call)
        if call.spec.affine:
            factor, shift = _affine(call, stream)
            return self._made(call, stream.linear * factor[:, None], stream.constant * factor + shift)
        if call.spec.is_linear:
            return self._depthwise(call, stream)
        if call.spec.is_homogeneous:
            self._exact_weights(call)
        elif call.use.weights or not (is_of_keras(call.op) and _scales_each(call, stream)):
            return self._exactly(call)
        return self._made(call, self._directed(call, stream).linear)

    def _depthwise(self, call: StreamCall, stream: Stream) -> Stream:
        rows = taps(value_of(call.op, "kernel"))
        size = self._directed(call, stream).sizes(len(stream.labels))
        rows = rows * np.repeat(size, len(rows) // len(size))[:, None]
        bias = value_of(call.op, "bias") if has_weight(call.op, "bias") else None
        return self._activated(call, call.op, self._made(call, rows, bias))

    def _merged(self, call: StreamCall) -> Stream:
        made, spec = self._made(call), call.spec
        if made.labels is None:
            return made
        count = len(made.labels)
        full = [s for s in call.given if s.labels is not None and len(s.labels) == count]
        if not full:
            return made
        others = len(full) < len(call.given) or bool(call.numbers)
        # a number divided by the channels is not proportional to them
        is_factor = spec.product or spec.is_quotient and len(call.given) == 1 and isinstance(call.args[0], Stream)
        if not (spec.is_homogeneous or is_factor):
            return self._exactly(call)
        sizes = [self._directed(call, s).sizes(count) for s in full]
        if is_factor:  # a factor common to all channels makes no difference
            return self._made(call, np.prod(sizes, axis=0)[:, None])
        return self._made(call, np.stack([*sizes, *([np.ones(count)] if others else [])], axis=1))

    def _joined(self, call: StreamCall) -> Stream:
        made, rank = self._made(call), len(call.shapes[0])
        if made.labels is None:
            return made
        axis = call.op.axis - rank - 1 if call.op.axis >= 0 else call.op.axis
        parts = [self._directed(call, s).sizes(s.shape[made.axis]) for s in call.given]
        if axis == made.axis:
            return self._made(call, np.concatenate(parts)[:, None])
        return self._made(call, np.stack(parts, axis=1))

    def _moved(self, call: StreamCall) -> Stream:
        made, stream = self._made(call), call.given[0]
        if made.labels is None or stream.labels is None:
            return made
        size = self._directed(call, stream).sizes(len(stream.labels))
        form = [1] * len(stream.shape)
        form[stream.axis] = len(size)
        numbers = np.broadcast_to(np.arange(len(size), dtype="int32").reshape(form), stream.shape)[None]
        args, kwargs = call.filled(keras.ops.convert_to_tensor(numbers))
        moved = np.moveaxis(np.asarray(call.op.call(*args, **kwargs))[0], made.axis, -1)
        return self._made(call, size[moved.reshape(-1, moved.shape[-1])[0]][:, None])

    def _reduced(self, call: StreamCall) -> Stream:
        made, stream = self._made(call), call.given[0]
        if made.labels is None or stream.labels is None:
            return made
        return self._made(call, self._directed(call, stream).linear)


def _affine(call: StreamCall, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    shape = (1,) * len(stream.shape) + (len(stream.labels),)
    training = {"training": False} if takes_training(call.op) else {}

    def probe(number):
        return np.asarray(call.op(np.full(shape, number, "float32"), **training), "float64").reshape(-1)

    shift = probe(0.0)
    return (probe(_PROBE) - shift) / _PROBE, shift


def _scales_each(call: StreamCall, stream: Stream) -> bool:
    shape = [2] * (len(stream.shape) + 1)
    shape[stream.axis] = len(stream.labels)

    def function(tensor):
        args, kwargs = call.filled(tensor)
        return call.op.call(*args, **kwargs)

    return scales(function, tuple(shape))
