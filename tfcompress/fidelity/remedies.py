"""Tries ways out of a loss of fidelity: each is measured on the file that it gives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.calibration.image_folder import evenly
from tfcompress.file_formats import FileFormat
from tfcompress.graph.clone import flat_name
from tfcompress.graph.flat.flatten import flat
from tfcompress.graph.keras_private import input_triples
from tfcompress.graph.trace import trace
from tfcompress.graph.tree import leaves
from tfcompress.layer_table.lookup import JOIN, spec_of
from tfcompress.rewrites.editable_graph import Draft
from tfcompress.rewrites.equalization import equalized
from tfcompress.rewrites.smoothing import SmoothingLink, activation_ranges, is_scaled, smoothing_link
from tfcompress.tflite.fidelity import FLOAT_MODEL, Fidelity, OutputFidelity

PERCENTILES = (99.9, 99.0)
UNEVEN = 8.0  # ratio of the spreads of features from which on one scale for all of them may be the cause of a loss
SMOOTH = 0.5  # where activations and weights share an outlier evenly
SAMPLES = 64


@dataclass(frozen=True)
class Loss:
    """A loss of fidelity and where it arises.

    Attributes:
        model: The model as it was given.
        row: The comparison that shows the loss.
        op: The layer where it arises; None for an input or where it is not known.
        is_input: Whether it arises in an input's own range.
        trained: Whether the activation ranges were trained.
        file_format: How the file stores numbers.
        inputs: Calibration samples by input name, `(samples, ...)`.
        outputs: Names of the model's outputs, in its order.
    """

    model: keras.Model | None
    row: OutputFidelity
    op: Any
    is_input: bool
    trained: bool
    file_format: FileFormat
    inputs: dict
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Remedy:
    """A way out of a loss that was tried, with its figures.

    Attributes:
        what: What to do, as a sentence that can be followed.
        error: Error of the output that was lost, with it.
        agreement: Agreement of that output, with it; None without classes.
        channel_error: Error of its worst channel, with it.
        same: Positions of the same class.
        positions: Positions that have a class.
        is_enough: Whether no warning would be due any more.
    """

    what: str
    error: float
    agreement: float | None
    channel_error: float
    same: int | None
    positions: int | None
    is_enough: bool

    @classmethod
    def of(cls, what: str, row: OutputFidelity) -> "Remedy":
        """Makes a remedy with the figures of a comparison."""
        figures = (row.error or 0.0, row.agreement, row.channel_error or 0.0, row.same, row.positions)
        return cls(what, *figures, not row.is_lost)

    @property
    def score(self) -> tuple:
        """Key that sorts remedies, the best first."""
        return (-(self.agreement if self.agreement is not None else 1.0), self.error + self.channel_error)

    def sentence(self) -> str:
        """Returns what to do and the figures it gave, for a warning."""
        parts = [] if self.agreement is None else [f"same class on {self.same:,} of {self.positions:,}"]
        return f"{self.what} (tried: {', '.join([*parts, f'error {100 * self.error:.2g} %'])})"


Again = Callable[..., Fidelity]
"""Converts again with other options and measures: `(**options) -> Fidelity`; raises ValueError or RuntimeError."""


def try_remedies(loss: Loss, again: Again) -> list[Remedy]:
    """Tries the remedies that fit a loss, those that keep 8 bits first, until one is enough.

    Args:
        loss: What was lost.
        again: Converts again.

    Returns:
        Those that helped, the best first.
    """
    found = []
    for fits, tries in _REMEDIES:
        if fits(loss):
            found += tries(loss, again)
        if any(r.is_enough for r in found):
            break  # each costs a conversion
    return sorted((r for r in found if _is_worth_it(r, Remedy.of("", loss.row))), key=lambda r: r.score)


def _is_worth_it(tried: Remedy, before: Remedy) -> bool:
    """Returns whether a remedy makes the loss smaller by a tenth."""
    if tried.is_enough:
        return True
    wrong = [1.0 - (r.agreement if r.agreement is not None else 1.0) for r in (tried, before)]
    errors = [r.error + r.channel_error for r in (tried, before)]
    return wrong[0] < 0.9 * wrong[1] or wrong[0] <= wrong[1] and errors[0] < 0.9 * errors[1]


def _measured(loss: Loss, again: Again, what: str, **options) -> list[Remedy]:
    try:
        fidelity = again(**options)
    except (ValueError, RuntimeError):
        return []  # this way is closed for this model
    rows = [r for r in fidelity.outputs if r.reference == FLOAT_MODEL]
    names = list(dict.fromkeys(r.output for r in rows))
    # another model may name the output otherwise
    name = names[loss.outputs.index(loss.row.output)] if len(names) == len(loss.outputs) else loss.row.output
    rows = [r for r in rows if r.output == name]
    return [Remedy.of(what, max(rows, key=lambda r: r.error or 0.0))] if rows else []


def _smoothed(loss: Loss, again: Again) -> list[Remedy]:
    """Tries the model without outliers behind normalizations, if there are some at or before the layer of the loss."""
    assert loss.model is not None
    x = [np.asarray(loss.inputs[name]) for name, _, _ in input_triples(loss.model)]
    try:
        model = flat(loss.model).model
        if not _has_outliers_before(model, loss, x):
            return []
        model, _ = equalized(model, alpha=SMOOTH, x=x)
    except (ValueError, RuntimeError):
        return []
    what = f"move outliers of activations into kernels, tfc.Equalize(smooth={SMOOTH:g}).apply(model, x)"
    return _measured(loss, again, what, model=model)


def _has_outliers_before(model: keras.Model, loss: Loss, x: list[np.ndarray]) -> bool:
    """Returns whether a few channels set the range of a normalization's output in front of the layer of the loss.

    Where that layer is not one of the flat model's, the whole model counts.
    """
    draft = Draft(model)
    found = (smoothing_link(draft, node) for node in draft.nodes if is_scaled(draft, node))
    links = [each for each in found if isinstance(each, SmoothingLink)]
    name = next((flat_name(path) for path, op in leaves(loss.model) if op is loss.op), None)
    ends = [t for node in draft.nodes if node.path == name for t in node.outputs]
    if ends:
        links = [each for each in links if any(draft.depends(t, each.node.outputs[0]) for t in ends)]
    some = evenly(len(x[0]), SAMPLES)
    seen = activation_ranges(draft, links, [a[some] for a in x])
    return any(ranges.max() > UNEVEN * np.median(ranges) for ranges in seen)


def _percentile(loss: Loss, again: Again) -> list[Remedy]:
    tried = []
    for p in PERCENTILES:
        what = f"leave outliers out of the ranges, convert(..., percentile={p:g})"
        tried += _measured(loss, again, what, percentile=p)
        if tried and (tried[-1].is_enough or tried[-1].score >= Remedy.of("", loss.row).score):
            break
    return sorted(tried, key=lambda r: r.score)[:1]


def _sixteen(loss: Loss, again: Again) -> list[Remedy]:
    return _measured(loss, again, "16-bit activations, convert(..., mode='int16x8')", mode="int16x8")


def _tail(loss: Loss, again: Again) -> list[Remedy]:
    name = loss.op.name
    what = f"leave the layer float, convert(..., leave_float=[{name!r}])"
    return _measured(loss, again, what, leave_float=(name,))


def _is_tail(loss: Loss) -> bool:
    """Returns whether no layer with a kernel follows the layer, so that it can stay float."""
    if loss.op is None or not loss.file_format.only_integer or loss.trained:
        return False
    calls = trace(loss.model, opens=True).calls
    behind: set[int] = set()
    for call in calls:
        if call.op is loss.op or behind & set(call.inputs):
            behind |= set(call.outputs)
            if call.op is not loss.op and spec_of(call.op).kernels:
                return False
    return isinstance(loss.op, keras.layers.Layer)


def _joins(loss: Loss) -> bool:
    return loss.op is not None and spec_of(loss.op).grid == JOIN and not loss.trained


def _separate(loss: Loss, again: Again) -> list[Remedy]:
    """Tries the inputs of a Concatenate as separate outputs, each with its own scale."""
    parts = _parts(loss)
    if parts is None:
        return []
    try:
        model = keras.Model(loss.model.input, parts)
        fidelity = again(model=model)
    except (ValueError, RuntimeError):
        return []
    rows = [r for r in fidelity.outputs if r.reference == FLOAT_MODEL]
    worst = max(rows, key=lambda r: (r.channel_error or 0.0, r.error or 0.0))
    what = f"give the inputs of {loss.op.name!r} as {len(parts)} separate outputs, each has its own scale then"
    return [Remedy.of(what, worst)]


def _parts(loss: Loss) -> list | None:
    try:
        made = loss.op.output
        given = keras.tree.flatten(loss.op.input)
    except (AttributeError, ValueError):
        return None
    is_output = any(made is x for x in keras.tree.flatten(loss.model.outputs))
    return given if is_output and len(given) > 1 else None


def _is_uneven(loss: Loss) -> bool:
    if not loss.is_input or loss.model is None or len(loss.inputs) != 1:
        return False
    (x,) = loss.inputs.values()
    spreads = np.asarray(x, np.float64).reshape(-1, x.shape[-1]).std(axis=0)
    spreads = spreads[spreads > 0]
    return spreads.size > 1 and bool(spreads.max() > UNEVEN * spreads.min()) and _first_dense(loss.model) is not None


def _first_dense(model) -> keras.layers.Layer | None:
    """Returns the Dense layer that alone reads the model's input, if there is one."""
    graph = trace(model, opens=True).graph
    readers = graph.readers(graph.inputs[0])
    if len(readers) == 1 and spec_of(readers[0].op).is_dense and graph.times(readers[0].op) == 1:
        return readers[0].op
    return None


def _normalized(loss: Loss, again: Again) -> list[Remedy]:
    """Tries features that are normalized before the file; the first kernel takes the factors."""
    (name, x), dense = next(iter(loss.inputs.items())), _first_dense(loss.model)
    rows = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    mean, spread = rows.mean(axis=0), np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1.0)
    try:
        model = keras.models.clone_model(loss.model)
    except (TypeError, ValueError):
        return []
    model.set_weights(loss.model.get_weights())
    first = dict(leaves(model))[next(path for path, op in leaves(loss.model) if op is dense)]
    kernel = np.asarray(first.kernel, np.float64)
    first.kernel.assign(kernel * spread[:, None])
    if first.bias is None:
        return []
    first.bias.assign(np.asarray(first.bias) + mean @ kernel)
    what = (
        f"normalize input {name!r} before the file, (x - mean) / deviation of each feature, and train on that "
        "(or put the factors into the first kernel)"
    )
    scaled = ((np.asarray(x) - mean) / spread).astype("float32")
    return _measured(loss, again, what, model=model, inputs={name: scaled})


def _has_own_ranges(loss: Loss) -> bool:
    return loss.file_format.only_integer and not loss.trained and loss.model is not None


_REMEDIES = (
    (_joins, _separate),
    (_is_uneven, _normalized),
    (_has_own_ranges, _smoothed),
    (_has_own_ranges, _percentile),
    (_is_tail, _tail),
    (lambda loss: loss.file_format.only_integer and not loss.trained, _sixteen),
)
