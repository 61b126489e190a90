"""Propagates channel labels through what layers of one's own are made of: weights, products of two activations."""

import numpy as np

from tfcompress.channels.labels import KEPT, Signal, signal
from tfcompress.channels.rules import ACROSS, MEETS, MOVED, STILL, LabelCall, flow, new_labels, noted


@flow("weight")
def weight(call: LabelCall) -> list[Signal]:
    """Gives a weight that a graph yields labels along its last axis, which are those of what it is added to."""
    (shape,) = call.shapes
    size = call.op.shape[-1] if call.op.shape else 1
    use = call.use()
    if use.output is None:
        is_float = "float" in call.op.weight.dtype
        vector = call.labels.fresh(size) if size > 1 and shape and is_float else np.full(size, KEPT)
        use.output = signal(vector, shape)
        call.note("weight", [*[None] * (len(call.op.shape) - 1), vector] if call.op.shape else [])
    return [Signal(use.output.labels, shape)]


@flow("constant")
def constant(call: LabelCall) -> list[Signal]:
    """Returns the labels of a constant, of which nothing is removed; its input is not read."""
    return [signal(np.array([KEPT]), shape) for shape in call.shapes]


@flow("first")
def first(call: LabelCall) -> list[Signal]:
    """Passes on the channels of the first tensor; of the others only the size of the batch is read."""
    (shape,) = call.shapes
    given = call.inputs[0]
    return [noted(call, Signal(given.labels, shape))] if len(given.shape) == len(shape) else call.kept(STILL)


@flow("matmul")
def matmul(call: LabelCall) -> list[Signal]:
    """Labels a product of two activations: heads in front are joined, columns of the second pass."""
    (shape,) = call.shapes
    factors = _factors(call)
    if len(factors) != 2 or any(len(x.shape) < 2 for x in factors):
        return call.kept(STILL)
    letters = "abcdefghijklmnopqrstuvw"
    rank = max(len(x.shape) for x in factors)
    front = letters[: rank - 2]
    a, b = factors
    terms = [front[rank - len(a.shape) :] + "xy", front[rank - len(b.shape) :] + "yz"]
    return _product(call, factors, terms, front + "xz", shape)


@flow("einsum")
def einsum(call: LabelCall) -> list[Signal]:
    """Labels an einsum of two activations: an axis that both share and that is kept joins their channels."""
    (shape,) = call.shapes
    equation = getattr(call.op, "subscripts", "").replace(" ", "")
    if len(call.inputs) != 2 or "." in equation or equation.count(",") != 1 or "->" not in equation:
        return call.kept(STILL)
    given, result = equation.split("->")
    terms = given.split(",")
    batch = terms[0][:1]
    if not all(term[:1] == batch for term in (*terms, result)):
        return call.kept(STILL)
    if any(len(set(term)) < len(term) for term in (*terms, result)):
        return call.kept(STILL)
    return _product(call, call.inputs, [term[1:] for term in terms], result[1:], shape)


def _factors(call: LabelCall) -> list[Signal]:
    """Returns the labels of both factors of a matrix product; of a constant nothing can be removed."""
    found = []
    for x in (*call.args, *call.kwargs.values()):
        if isinstance(x, Signal):
            found.append(x)
        elif np.ndim(x) >= 2:
            sizes = np.shape(x)
            found.append(Signal(np.full((1,) * len(sizes), KEPT), sizes))
    return found


def _product(
    call: LabelCall, factors: list[Signal], terms: list[str], result: str, shape: tuple[int | None, ...]
) -> list[Signal]:
    """Joins the channels of both factors along axes that are kept; a sum over channels needs all of them."""
    found: dict[str, np.ndarray] = {}
    for x, term in zip(factors, terms, strict=True):
        if not _varies(x):
            vector, letter = x.labels.reshape(-1), None
        else:
            vector, letter = x.vector(), term[x.axis]
        if letter is None:
            if (vector != KEPT).any():
                call.keep(vector, ACROSS)
            continue
        if letter not in result:
            call.keep(vector, ACROSS)
            continue
        if letter in found:
            call.labels.join(found[letter], vector, call.path, MEETS)
        found.setdefault(letter, vector)
    for x, term in zip(factors, terms, strict=True):
        for letter, vector in found.items():
            if letter in term and not (_varies(x) and term[x.axis] == letter):
                call.keep(vector, MEETS)  # the other factor has all of them
    if len(found) > 1:
        for vector in found.values():
            call.keep(vector, MOVED)
        found = {}
    if not found:
        return [noted(call, signal(np.array([KEPT]), shape))]
    ((letter, vector),) = found.items()
    return [noted(call, signal(vector, shape, result.index(letter) - len(result)))]


def _varies(x: Signal) -> bool:
    return x.labels.size > 1


@flow("project")
def project(call: LabelCall) -> list[Signal]:
    """Labels an EinsumDense that makes heads, or reads them: whole heads are removed."""
    (given,), (shape,), op = call.inputs, call.shapes, call.op
    terms, out = op.equation.replace(" ", "").split("->")
    data, kernel = terms.split(",")
    new = [k for k in out if k in kernel and k not in data]
    known = "." not in op.equation and data[0] == out[0] and len(data) == len(given.shape) + 1
    if not known or not new or any(k in data and k in out for k in kernel):
        return call.kept(STILL)
    read = {}
    if _varies(given):
        letter = data[given.axis]
        if letter not in kernel:  # it passes on, beside the heads
            call.keep(given.labels, MOVED)
        read = {letter: given.vector()} if letter in kernel else {}
    else:
        call.keep(given.labels, ACROSS)
    use, axis = call.use(), out.index(new[0]) - len(out)
    if use.output is None:
        use.output = signal(new_labels(call, shape[axis]), shape, axis)
    made = {new[0]: use.output.vector()} | read
    call.note("kernel", [made.get(k) for k in kernel])
    if op.bias is not None:
        first_axis = len(out) - len(op.bias.shape)
        sizes = zip(out[first_axis:], op.bias.shape, strict=True)
        call.note("bias", [made.get(k) if n > 1 else None for k, n in sizes])
    return [Signal(use.output.labels, shape)]
