"""Finds the layers of a model that can be factorized: a `Factoring` for each, or the reason why there is none."""

import math

import keras
import numpy as np

from tfcompress.graph.activation_probe import show_activations
from tfcompress.graph.clone import flat_name
from tfcompress.graph.keras_private import full_precision
from tfcompress.layer_table.axes import Axes
from tfcompress.layer_table.lookup import is_of_keras, spec_of
from tfcompress.low_rank.factoring import PARTS, Factoring
from tfcompress.low_rank.kernels import Products, Spatial, Tucker
from tfcompress.low_rank.matrices import Matrix, Principal
from tfcompress.rewrites.editable_graph import Draft, Node

MATRIX = ("svd", "pca")
CONVOLUTION = {"spatial": Spatial, "tucker": Tucker, "cp": Products}
_OPEN = 64  # replaces an open spatial size


def factorings(
    model: keras.Model,
    chosen: set[int],
    matrix: str,
    convolution: str,
    x: list[np.ndarray] | None = None,
    seed: int = 0,
) -> dict[str, Factoring | str]:
    """Finds a factorization for each layer of a model.

    Args:
        model: A flat model.
        chosen: Ids of the operations to factorize.
        matrix: "svd" or "pca", for Dense layers and layers like them.
        convolution: "spatial", "tucker" or "cp".
        x: Data for "pca", one array per input.
        seed: Seed of random numbers.

    Returns:
        By path of each layer with kernels the factoring, or why there is none.
    """
    calls: dict[int, list[Node]] = {}
    draft = Draft(model)
    for node in draft.nodes:
        if id(node.op) in chosen and node.spec.kernels:
            calls.setdefault(id(node.op), []).append(node)
    found: dict[str, Factoring | str] = {}
    for nodes in calls.values():
        node = nodes[0]
        why = _unfit(node, convolution)
        found[node.path] = why or _factoring(draft, nodes, convolution, seed)
    if matrix == "pca":
        _look(model, found, x)
    return found


def _unfit(node: Node, convolution: str) -> str | None:
    op, axes = node.op, node.spec.axes.get("kernel", Axes())
    is_einsum = hasattr(op, "equation")
    if not (node.spec.is_linear and is_of_keras(op) and (axes.is_convolution or axes.is_matrix or is_einsum)):
        return f"{type(op).__name__} has no low-rank form here"
    if op.kernel_constraint is not None:
        return "its constraint holds for the kernel, not for factors of it"
    if not node.is_complete:
        return "it has weights besides kernel and bias"
    if not axes.is_convolution:
        is_plain = axes.is_matrix and node.spec.flow == "mix"
        return None if is_plain else f"its equation {op.equation!r} is not that of a Dense layer"
    if op.groups > 1 or op.data_format != "channels_last":
        return "it has groups" if op.groups > 1 else "its channels are not on the last axis"
    if math.prod(op.kernel_size) == 1:
        return None
    if len(axes.space) > 2 and convolution != "tucker":
        return f'{convolution!r} takes convolutions over one or two axes; "tucker" takes three'
    if convolution == "cp" and op.padding == "causal":
        return "there is no depthwise convolution with causal padding"
    if convolution == "cp" and len(set(op.strides)) > 1:
        return "there is no depthwise convolution with two different strides"
    return None


def _factoring(draft, nodes, convolution, seed) -> Factoring:
    op = nodes[0].op
    name, kernel = flat_name(nodes[0].path), nodes[0].weights["kernel"]
    sizes = [_sizes(op, draft.shapes[n.inputs[0]], n.shapes[0]) for n in nodes]
    is_matrix = not nodes[0].spec.axes["kernel"].space or math.prod(op.kernel_size) == 1
    kind = Matrix if is_matrix else CONVOLUTION[convolution]
    taken, stem = {node.op.name for node in draft.nodes}, name
    while any(f"{stem}_{part}" in taken for part in PARTS):
        stem += "_"
    return kind(op, name, kernel, sizes, seed, stem)


def _sizes(op, before, after) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if None in before[1:]:
        before = (1, *(n or _OPEN for n in before[1:]))
        after = op.compute_output_shape(before)
    return tuple(before[1:-1]), tuple(after[1:-1])


def _look(model, found, x) -> None:
    """Replaces the factorizations of Dense layers by those from principal components of their outputs on data."""
    matrices = {path: f for path, f in found.items() if isinstance(f, Matrix)}
    dense = {id(f.op): path for path, f in matrices.items() if spec_of(f.op).axes["kernel"].is_matrix}
    sums: dict[str, list] = {path: [0, 0.0, 0.0] for path in dense.values()}

    def look(op, given, _):
        made = given.reshape(-1, given.shape[-1]).astype("float64") @ np.asarray(full_precision(op.kernel), "float64")
        total = sums[dense[id(op)]]
        for k, more in enumerate((len(made), made.sum(axis=0), made.T @ made)):
            total[k] = total[k] + more

    if not dense:
        return
    show_activations(model, [f.op for f in found.values() if not isinstance(f, str) and id(f.op) in dense], x, look)
    for path, (count, total, squares) in sums.items():
        f = found[path]
        found[path] = Principal(
            f.op, f.name, f.kernel, f.calls, f.seed, f.stem, mean=total / count, moments=squares / count
        )
