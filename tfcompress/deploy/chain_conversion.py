"""The parts of a model to `.tflite` files whose integer codes fit together.

Calibration data run through the float parts. A part's input takes the very scale and zero point with which the file
before gives the tensor, so that codes pass on as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from tfcompress.deploy.chained import ChainedPart
from tfcompress.deploy.convert import convert
from tfcompress.deploy.export import named_outputs
from tfcompress.deploy.post_training import quantized_state
from tfcompress.deploy.simulate import observe
from tfcompress.deploy.tensorspec import TensorSpec
from tfcompress.mechanics.chain import Treatment
from tfcompress.mechanics.copying import copied
from tfcompress.mechanics.graph import float32

_BATCH = 32  # samples at a time


@dataclass(frozen=True)
class Link:
    """A part to convert.

    Args:
        model: A Functional model with inputs and outputs in lists, or plain where there is one.
        takes: Tensor name of each input.
        gives: Tensor name of each output.
        macs: MACs of one sample; None where nobody knows.
        exit: Tensor with the answer of an early exit; None without one.
    """

    model: keras.Model
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    macs: int | None = None
    exit: str | None = None


def convert_links(
    links: Sequence[Link],
    values: Mapping[str, np.ndarray] | None,
    mode: str = "int8",
    trained: Mapping[str, Treatment] | None = None,
    options: Mapping[str, object] | None = None,
) -> list[ChainedPart]:
    """Converts parts in their order.

    Args:
        links: The parts.
        values: Calibration data of the model's inputs by tensor name, arrays `(n, ...)`; None for none.
        mode: As for `tfc.convert`.
        trained: Layer name in the parts -> treatment of quantization-aware training, whose ranges are taken.
        options: Further arguments of `tfc.convert`.

    Returns:
        The converted parts.

    Raises:
        NotFullyInteger: If an int8 file would keep a float operation.
        ValueError: If calibration data are needed and missing.
    """
    if values is None and mode in ("int8", "int16x8"):
        raise ValueError(
            f"convert: mode {mode!r} needs calibration data for the tensors between the parts, also where ranges "
            "were trained. Pass calibration=x[:200]."
        )
    held, made, parts = dict(values or {}), {}, []
    for link in links:
        given = {name: held[name] for name in link.takes} if values is not None else None
        model = copied(link.model)[0]  # what conversion hangs on it goes with it
        notes = _prepare(model, link, given, made, trained or {}) if mode == "int8" else None
        limit = {"limit": len(next(iter(given.values())))} if given is not None else {}
        artifact = convert(model, mode, given, **limit, **(options or {}))
        if notes is not None:
            artifact.metadata["notes"] = [notes, *artifact.metadata["notes"][1:]]
        names = list(named_outputs(link.model, list(link.gives)).items())
        parts.append(
            ChainedPart(artifact, dict(zip(link.takes, link.takes, strict=True)), dict(names), link.macs, link.exit)
        )
        specs = {s.name: s for s in artifact.outputs}
        made.update({tensor: specs[own] for own, tensor in names})
        if given is not None:
            held.update(zip(link.gives, outputs_of(link.model, [given[n] for n in link.takes]), strict=True))
    return parts


def outputs_of(model: keras.Model, arrays: list[np.ndarray], batch_size: int = _BATCH) -> list[np.ndarray]:
    """Runs a part operation by operation, as a plain call of the model does.

    Args:
        model: The part.
        arrays: One array `(n, ...)` for each input.
        batch_size: Samples at a time.

    Returns:
        One array for each output.
    """
    batches = []
    for start in range(0, len(arrays[0]), batch_size):
        given = [keras.ops.convert_to_tensor(a[start : start + batch_size]) for a in arrays]
        outputs = model(given if len(given) > 1 else given[0], training=False)
        batches.append([np.asarray(y) for y in keras.tree.flatten(outputs)])
    return [np.concatenate(ys) for ys in zip(*batches, strict=True)]


def _prepare(model, link: Link, given, made: dict[str, TensorSpec], trained) -> str | None:
    """Hangs ranges on a part; returns what to say of them, or None where its graph can't be followed."""
    try:
        state = quantized_state(model, lambda op: False)
    except ValueError:
        return None
    names = list(link.takes)
    samples = [{n: given[n][k : k + 1] for n in names} for k in range(len(given[names[0]]))]
    with float32(model):
        observe(model, state, samples)
    if not all(r.is_set for r in state.ranges):
        return None
    taken = sum(_take(t, trained[t.path]) for t in state.treatments if t.path in trained)
    for name, span in zip(names, state.inputs, strict=True):
        spec = made.get(name)
        if span is not None and spec is not None and spec.dtype == "int8":
            span.low.assign((-128 - spec.zero_point) * spec.scale)
            span.high.assign((127 - spec.zero_point) * spec.scale)
    state.hang(model)
    how = "were trained, those between parts come from calibration" if taken else "come from calibration"
    return f"activation ranges {how}; inputs have the scales of the outputs before them"


def _take(mine: Treatment, theirs: Treatment) -> int:
    """Takes over trained ranges that lie at the same places; returns how many."""
    pairs = [(mine.outputs.get(k), span) for k, span in theirs.outputs.items()]
    pairs += [(mine.inside.get(k), span) for k, span in theirs.inside.items()]
    pairs += [(mine.before, theirs.before)]
    count = 0
    for own, other in pairs:
        if own is not None and other is not None and other.is_set:
            low, high = other.limits()
            own.low.assign(low)
            own.high.assign(high)
            count += 1
    return count
