"""Scales and shifts the input or output channels of a linear layer by changing its kernel and bias.

With W a kernel, b its bias: f (W x + b) + s = (f W) x + (f b + s), and W (f x + s) + b = (W f) x + (b + W s). The
second holds only where every output sums over the whole kernel, so not at the border of padded convolutions.
"""

import math
from collections.abc import Callable

import numpy as np

from tfcompress.layer_table.lookup import FOLD
from tfcompress.rewrites.editable_graph import Draft, Node

_LINEAR = (None, "linear")
_PROBE = 2.0**20  # so large that a layer's shift does not disturb the measured factor


def is_linear(node: Node) -> bool:
    """Returns whether a node is a linear layer that can have a bias, such as Dense or a convolution.

    An activation may follow in the layer.
    """
    spec = node.spec
    if not (node.is_single and node.is_complete and spec.kernels and "bias" in spec.axes):
        return False
    # `v`: words, no numbers; more than one `o`: channels on several axes
    return (
        spec.flow in ("mix", "grouped", "pass")
        and not (spec.step or spec.inner or not all(spec.axes[path].is_plain for path in spec.kernels))
        and spec.axes[spec.kernels[-1]].has_one_output_axis
        and ("kernel" in node.weights or "depthwise_kernel" in node.weights)
    )


def is_open(node: Node) -> bool:
    """Returns whether a layer has no activation behind its kernel."""
    return node.config.get("activation") in _LINEAR


def outputs_of(node: Node) -> int:
    """Returns the number of a linear layer's output channels."""
    path = node.spec.kernels[-1]
    return node.spec.axes[path].number_of_outputs(node.weights[path].shape)


def input_kernels(node: Node) -> tuple[str, ...]:
    """Returns the paths of the kernels by which alone a layer reads its inputs; none where that is not known.

    These are the first kernel of a linear layer, the projections of attention, the input kernels of recurrent layers.
    """
    if is_linear(node):
        return node.spec.kernels[:1]
    found = node.spec.input_kernels
    return found if node.is_single and all(path in node.weights for path in found) else ()


def inputs_of(node: Node, path: str | None = None) -> int:
    """Returns the number of a layer's input channels, as its first kernel or the one at a path has them."""
    path = path or node.spec.kernels[0]
    return node.spec.axes[path].number_of_inputs(node.weights[path].shape) * node.config.get("groups", 1)


def scale_outputs(node: Node, factor: np.ndarray, shift: np.ndarray | float = 0.0) -> None:
    """Scales and shifts the outputs y of a linear layer to `factor * y + shift`, before its activation.

    Args:
        node: The layer.
        factor: `(channels,)`.
        shift: `(channels,)`, or 0.
    """
    path = node.spec.kernels[-1]
    kernel = node.weights[path]
    node.change(**{path: kernel * np.reshape(factor, node.spec.axes[path].shape_of_outputs(kernel.shape))})
    if "bias" in node.weights:
        node.change(bias=node.weights["bias"] * factor)
    add_bias(node, shift)


def scale_inputs(node: Node, factor: np.ndarray) -> None:
    """Scales the inputs of a layer that reads them by kernels alone, from `W x` to `W (factor * x)`.

    Args:
        node: The layer.
        factor: `(channels,)`; repeated where the layer reads the channels several times (behind Flatten).
    """
    for path in input_kernels(node):
        node.change(**{path: node.weights[path] * along_inputs(node, factor, path)})


def along_inputs(node: Node, vector: np.ndarray, path: str | None = None) -> np.ndarray:
    """Returns one value per input channel in a shape that broadcasts against the first kernel, or the one at a path."""
    path = path or node.spec.kernels[0]
    kernel, axes = node.weights[path], node.spec.axes[path]
    whole = np.tile(vector, inputs_of(node, path) // len(vector))
    if axes.is_grouped:
        groups = node.config["groups"]
        each = np.repeat(whole.reshape(groups, -1).T, kernel.shape[-1] // groups, axis=1)  # (j, o)
        return each.reshape((1,) * (kernel.ndim - 2) + each.shape)
    return whole.reshape(axes.shape_of_inputs(kernel.shape))


def add_bias(node: Node, amount: np.ndarray | float) -> None:
    """Adds an amount to the bias of a linear layer, which gets a bias if it has none."""
    if not np.any(amount):
        return
    count = outputs_of(node)
    if "bias" not in node.weights:
        node.configure(**_with_bias(node))
    node.change(bias=node.weights.get("bias", np.zeros(count)) + amount)


def _with_bias(node):
    if "equation" in node.config:  # EinsumDense has no use_bias; it names the axes of its bias
        return {"bias_axes": node.config["equation"].replace(" ", "")[-1]}
    return {"use_bias": True}


def response(node: Node, vector: np.ndarray) -> np.ndarray:
    """Returns the output of a linear layer, without its bias, for the same input at every position: `(channels,)`."""
    whole = np.tile(vector, inputs_of(node) // len(vector))
    kernel = node.weights[node.spec.kernels[0]] * along_inputs(node, whole)
    y = _summed(kernel, node.spec.axes[node.spec.kernels[0]])
    for path in node.spec.kernels[1:]:  # the pointwise half of a separable convolution
        kernel = node.weights[path]
        y = _summed(kernel * y[:, None], node.spec.axes[path])
    return y


def _summed(kernel, axes):
    return kernel.sum(axis=axes.inputs).reshape(-1)


def uneven_reason(node: Node, shape: tuple[int | None, ...]) -> str | None:
    """Returns why a constant input would not give a constant output over all positions, or None if it would.

    Args:
        node: A linear layer.
        shape: Shape of its input, batch first.
    """
    axes = node.spec.axes[node.spec.kernels[0]]
    if axes.is_transposed:
        return f"{node.path} is a transposed convolution, whose outputs sum over different parts of the kernel"
    if node.config.get("padding", "valid") == "valid":
        return None
    kernel = node.weights[node.spec.kernels[0]].shape
    rates = [node.config[name] for name in ("strides", "dilation_rate")]
    strides, rates = ([r] * len(kernel) if isinstance(r, int) else r for r in rates)
    for k in axes.space:
        if kernel[k] == 1:
            continue
        size, reach = shape[1 + k], (kernel[k] - 1) * rates[k] + 1
        if size is None or node.config["padding"] == "causal" or _padded(size, strides[k], reach):
            return f"the padding of {node.path} puts zeros beside it"
    return None


def _padded(size, stride, reach):
    return max((math.ceil(size / stride) - 1) * stride + reach - size, 0) > 0


def is_affine(node: Node) -> bool:
    """Returns whether a node only scales and shifts the channels of the last axis, each by its own constants."""
    if not node.spec.affine or not node.is_single or len(node.inputs) != 1 or node.inputs[0] is None:
        return False
    axis = getattr(node.op, "axis", -1) if node.spec.grid == FOLD else -1
    return axis in (-1, len(node.shapes[0]) - 1)


def affine_constants(draft: Draft, node: Node) -> tuple[np.ndarray, np.ndarray]:
    """Returns factor and shift of an affine node, both `(channels,)`, measured on zeros and on a large number."""
    shape = (1,) * (len(node.shapes[0]) - 1) + (node.shapes[0][-1],)
    shift = draft.run_node(node, np.zeros(shape)).reshape(-1)
    factor = (draft.run_node(node, np.full(shape, _PROBE)).reshape(-1) - shift) / _PROBE
    return factor, shift


def fold_back(draft: Draft, node: Node) -> Node | str:
    """Folds an affine node into the linear layer before it, and removes the node.

    Args:
        draft: The model.
        node: An affine node.

    Returns:
        The layer it was folded into, or why it was not.
    """
    maker = draft.maker(node.inputs[0])
    if maker is None:
        return "it reads an input of the model"
    if not is_linear(maker):
        why = "is called more than once" if not maker.is_single else "has no kernel it could go into"
        return f"{maker.path} before it {why}"
    if not is_open(maker):
        return f"the activation of {maker.path} lies between"
    if draft.only_user(node.inputs[0]) is not node:
        return f"others read the output of {maker.path} as well"
    scale_outputs(maker, *affine_constants(draft, node))
    draft.remove(node)
    return maker


def fold_ahead(draft: Draft, node: Node) -> list[Node] | str:
    """Folds an affine node into all linear layers that read it, and removes the node.

    Args:
        draft: The model.
        node: An affine node.

    Returns:
        The layers it was folded into, or why it was not.
    """
    found = readers(draft, node.outputs[0], passes_affine)
    if isinstance(found, str):
        return found
    factor, shift = affine_constants(draft, node)
    if np.any(shift):
        why = next((w for n in found if (w := uneven_reason(n, draft.shapes[n.inputs[0]]))), None)
        if why:
            return f"its shift can't be folded into the layers behind it: {why}"
    for reader in found:
        add_bias(reader, response(reader, shift))
        scale_inputs(reader, factor)
    draft.remove(node)
    return found


def passes_affine(node: Node) -> bool:
    """Returns whether an operation commutes with scaling and shifting of channels (means, Flatten)."""
    return node.spec.affine_commutes


def readers(
    draft: Draft,
    tensor: int,
    passes: Callable[[Node], bool],
    takes: Callable[[Node], object] = is_linear,
) -> list[Node] | str:
    """Finds the linear layers that read a tensor, if nothing else reads it.

    Args:
        draft: The model.
        tensor: Number of the tensor.
        passes: Function `node -> bool`: operations that may lie between the tensor and the layers.
        takes: Function `node -> bool`: the layers that are looked for.

    Returns:
        The layers, or the reason why they can't be changed: something else reads the tensor.
    """
    if draft.is_output(tensor):
        return "the model returns it"
    found = []
    for user in draft.users(tensor):
        if user.outputs == [tensor]:  # returns its input; nodes behind it are users of the same tensor
            continue
        if takes(user):
            if set(user.inputs) != {tensor}:
                return f"{user.path} reads other values beside it"
            found.append(user)
            continue
        if not user.is_single or not passes(user) or "first" in str(getattr(user.op, "data_format", "")):
            why = f"{user.path} is called more than once" if not user.is_single else f"{user.path} reads it"
            return why
        behind = readers(draft, user.outputs[0], passes, takes)
        if isinstance(behind, str):
            return behind
        found += behind
    return found or "nothing reads it"
