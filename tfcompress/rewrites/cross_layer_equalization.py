"""Cross-layer equalization: scales channels so that consecutive linear layers have equal ranges and the same output.

Where f(s x) = s f(x) for s > 0, W2 f(W1 x + b) = (W2 s) f((W1 x + b) / s): with s = sqrt(r1 / r2) both ranges of a
channel become sqrt(r1 r2) (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
2019).
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.graph.clone import New, flat_name
from tfcompress.layer_table.lookup import activation_spec
from tfcompress.rewrites.channel_scaling import (
    input_kernels,
    is_linear,
    outputs_of,
    readers,
    scale_inputs,
    scale_outputs,
)
from tfcompress.rewrites.editable_graph import Draft, Node

_RELU6 = 6.0
_ROUNDS = 100
_SETTLED = 1e-3  # rounds end when the largest |log s| is below this
_POWER = 256.0  # a power of two, so that scaling does not round
_OPEN = 32  # replaces an open size


@dataclass(eq=False)
class EqualizationLink:
    """A linear layer and the layers that read it through functions f with f(s x) = s f(x).

    Args:
        first: The layer before.
        seconds: The layers behind.
        clipped: ReLU6 between them, which are to become ReLU.
    """

    first: Node
    seconds: list[Node]
    clipped: list[Node]


def link(draft: Draft, first: Node, takes_relu6: bool = False) -> EqualizationLink | str:
    """Finds the layers whose inputs can be scaled with the outputs of a linear layer.

    Args:
        draft: The model.
        first: A linear layer.
        takes_relu6: Whether ReLU6 is accepted, because it will become ReLU.

    Returns:
        The link, or why there is none.
    """
    clipped: list[Node] = []

    def passes(node: Node) -> bool:
        if takes_relu6 and node.spec.relu_cap == _RELU6:
            clipped.append(node)
            return True
        return is_homogeneous(draft, node)

    function = keras.activations.get(first.config.get("activation"))
    if takes_relu6 and activation_spec(function).relu_cap == _RELU6:
        clipped.append(first)
    elif not _scales(lambda x: np.asarray(function(keras.ops.convert_to_tensor(x))), (1, 4096)):
        return f"its activation {function.__name__} does not scale with its input"
    seconds = readers(draft, first.outputs[0], passes)
    if isinstance(seconds, str):
        return f"its channels can't be scaled behind it: {seconds}"
    return EqualizationLink(first, seconds, clipped)


def equalize(links: list[EqualizationLink]) -> int:
    """Scales the channels of all links, round after round, until the ranges no longer change.

    Returns:
        The number of rounds that changed something.
    """
    for done in range(_ROUNDS):
        if max((_scaled(each) for each in links), default=0.0) <= _SETTLED:
            return done
    return _ROUNDS


def replace_relu6(links: list[EqualizationLink]) -> list[Node]:
    """Replaces ReLU6 in links by ReLU and returns the changed nodes."""
    found = list(dict.fromkeys(node for each in links for node in each.clipped))
    for node in found:
        if "max_value" in node.config:
            node.configure(max_value=None)
        elif "activation" in node.config:
            node.configure(activation="relu")
        else:  # a node of keras.ops
            node.instead = [New(keras.layers.ReLU(name=flat_name(node.path)))]
    return found


def ranges(node: Node) -> np.ndarray:
    """Returns the largest absolute weight of each output channel of a linear layer: `(channels,)`."""
    path = node.spec.kernels[-1]
    return np.abs(node.weights[path]).max(axis=node.spec.axes[path].inputs).reshape(-1)


def input_ranges(node: Node, channels: int) -> np.ndarray:
    """Returns the largest absolute weight that reads each input channel: `(channels,)`.

    It is taken over all positions at which Flatten repeats a channel.
    """
    return np.max([_input_ranges(node, path, channels) for path in input_kernels(node)], axis=0)


def _input_ranges(node: Node, path: str, channels: int) -> np.ndarray:
    axes, kernel = node.spec.axes[path], np.abs(node.weights[path])
    if axes.is_grouped:
        each = kernel.reshape(-1, *kernel.shape[-2:]).max(axis=0)  # (j, o)
        found = each.reshape(len(each), node.config["groups"], -1).max(axis=-1).T.reshape(-1)
    else:
        found = kernel.max(axis=axes.beside_inputs)
    return found.reshape(-1, channels).max(axis=0)


def _scaled(each: EqualizationLink) -> float:
    """Equalizes the ranges of one link and returns the largest |log s|."""
    before = ranges(each.first)
    behind = np.max([input_ranges(node, outputs_of(each.first)) for node in each.seconds], axis=0)
    whole = (before > 0) & (behind > 0)  # a channel of zero weights has no range
    factor = np.sqrt(np.where(whole, before, 1.0) / np.where(whole, behind, 1.0))
    scale_outputs(each.first, 1 / factor)
    for node in each.seconds:
        scale_inputs(node, factor)
    return float(np.abs(np.log(factor)).max())


def is_homogeneous(draft: Draft, node: Node) -> bool:
    """Returns whether an operation computes each channel by itself, by a function with f(s x) = s f(x)."""
    if node.spec.repeats_channels:
        return True
    if node.spec.flow != "pass" or node.spec.kernels or len(node.inputs) != 1 or is_linear(node):
        return False
    shape = draft.shapes[node.inputs[0]]
    return _scales(lambda x: draft.run_node(node, x), (1, *(n or _OPEN for n in shape[1:])))


def _scales(function: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> bool:
    """Tests whether f(256 x) = 256 f(x), on numbers of both signs from 0.001 to 1000."""
    rng = np.random.default_rng(0)
    x = (10 ** rng.uniform(-3, 3, shape) * rng.choice([-1.0, 1.0], shape)).astype("float32")
    small, large = function(x), function(x * np.float32(_POWER))
    return bool(np.allclose(large, small * _POWER, rtol=1e-6, atol=0) and np.isfinite(large).all())
