"""Bias correction: corrects biases for the shift of each channel's mean that rounded weights cause.

Empirical bias correction (Nagel et al., 2019, section 4.2): layer by layer, the mean output with rounded weights is
brought to that with float weights, on data; later layers get the corrected outputs of earlier ones.
"""

import keras
import numpy as np

from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.graph.activation_probe import show_activations
from tfcompress.graph.clone import New, copy_with_changes
from tfcompress.rewrites.channel_scaling import add_bias, is_linear, is_open
from tfcompress.rewrites.editable_graph import Draft, Node

_SAMPLES = 128  # run as one batch: each layer is corrected before the next one runs


def correct(model: keras.Model, chosen, x: list[np.ndarray], bits: int, per_channel: bool) -> tuple[keras.Model, dict]:
    """Corrects the biases of a model for rounded weights.

    Args:
        model: A flat model; it is not changed.
        chosen: Function `operation -> bool`: layers to correct.
        x: Data, one array per input.
        bits: Bits of a weight.
        per_channel: Whether each output channel has a scale of its own.

    Returns:
        The model with its float weights and corrected biases; and by path the largest correction of a layer.
    """
    draft = Draft(model)
    nodes = {node.path: node for node in draft.nodes if is_linear(node)}
    x = [a[:_SAMPLES] for a in x]
    floats, rounded = (_opened(model, nodes, how) for how in (None, (bits, per_channel)))
    means: dict[str, np.ndarray] = {}
    off: dict[str, np.ndarray] = {}

    def note(op, _, made):
        means[op.name] = _mean(made)

    def make_good(op, _, made):
        if not chosen(nodes[op.name].op):
            return None
        off[op.name] = _mean(made) - means[op.name]
        return made - off[op.name].astype(made.dtype)

    for copy, look in ((floats, note), (rounded, make_good)):
        show_activations(copy, [copy.get_layer(name) for name in nodes], x, look, batch=_SAMPLES)
    for name, gap in off.items():
        add_bias(nodes[name], -gap)
    return draft.built(), {name: float(np.abs(gap).max()) for name, gap in off.items()}


def _mean(made) -> np.ndarray:
    return made.reshape(-1, made.shape[-1]).astype("float64").mean(axis=0)


def _opened(model, nodes: dict[str, Node], rounding) -> keras.Model:
    """Returns a copy whose linear layers are split from their activations, with rounded or float weights."""

    def change(path, op):
        node = nodes.get(path)
        if node is None or rounding is None and is_open(node):
            return None
        layer = node.kind.from_config({**node.config, "activation": "linear"})
        values = {**node.weights, **({} if rounding is None else _rounded(node, *rounding))}
        made = New(layer, [values[p] for p in node.spec.axes if p in values])
        behind = (
            []
            if is_open(node)
            else [New(keras.layers.Activation(node.config["activation"], name=f"{node.config['name']}_opened"))]
        )
        return [made, *behind]

    return copy_with_changes(model, change)[0]


def _rounded(node, bits, per_channel) -> dict[str, np.ndarray]:
    found = {}
    for path in node.spec.kernels:
        grid = QuantizeWeight(bits, channel_axes=node.spec.channel_axes(path) if per_channel else ())
        grid.build(node.weights[path].shape)
        found[path] = np.asarray(grid(keras.ops.convert_to_tensor(node.weights[path].astype("float32"))))
    return found
