"""Converts the parts of a model to `.tflite` files that pass integer codes on without requantization.

Calibration data run through part after part as they run through the whole model when it is calibrated, so that the
ranges are those of the whole. A part's input gets the scale and zero point that the tensor has as an output of the file
before, so that its codes can be used as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfcompress.conversion.convert import convert
from tfcompress.export.export import named_outputs
from tfcompress.export.post_training import quantized_state
from tfcompress.export.simulate import simulate
from tfcompress.fake_quant.forward_pass import Mode
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.fake_quant.patching import patched_calls
from tfcompress.fake_quant.state import CompressionState
from tfcompress.file_formats import FORMATS, INT8
from tfcompress.graph.clone import copied
from tfcompress.graph.keras_private import float32, input_specs
from tfcompress.graph.rebuild import walk
from tfcompress.pipeline.chained import ChainedPart
from tfcompress.tflite.tensor_spec import TensorSpec

_BATCH = 32  # samples at a time


@dataclass(frozen=True)
class PartToConvert:
    """A part to convert.

    Args:
        model: A Functional model with inputs and outputs in lists, or plain where there is one.
        takes: Tensor name of each input.
        gives: Tensor name of each output.
        macs: MACs of one sample; None where unknown.
        exit: Tensor with the output of an early exit; None without one.
    """

    model: keras.Model
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    macs: int | None = None
    exit: str | None = None


def convert_links(
    links: Sequence[PartToConvert],
    values: Mapping[str, np.ndarray] | None,
    mode: str = "int8",
    trained: Mapping[str, OpPlan] | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[ChainedPart]:
    """Converts the parts of a model to files, in their order.

    Args:
        links: The parts.
        values: Calibration data of the model's inputs by tensor name, arrays `(n, ...)`; None for none.
        mode: As for `tfc.convert`.
        trained: Layer name in the parts -> operation plan of quantization-aware training, whose ranges are taken.
        options: Further arguments of `tfc.convert`.

    Returns:
        The converted parts.

    Raises:
        NotFullyInteger: If an int8 file would keep a float operation.
        ValueError: If calibration data are needed and missing.
    """
    if values is None and FORMATS[mode].is_integer:
        raise ValueError(
            f"convert: mode {mode!r} needs calibration data for the tensors between the parts, also where ranges "
            "were trained. Pass calibration=x[:200]."
        )
    flow, parts = _Flow(dict(values or {}), dict(values or {}), {}), []
    for link in links:
        model = _in_float32(copied(link.model)[0])  # a copy, as conversion attaches state to it
        note, state = _ranges(model, link, flow, trained or {}) if mode == "int8" else (None, None)
        given = {name: flow.rounded[name] for name in link.takes} if values is not None else None
        limit: dict[str, Any] = {"limit": len(next(iter(given.values())))} if given is not None else {}
        artifact = convert(model, mode, given, **limit, **(options or {}))
        if note is not None:
            artifact.metadata["notes"] = [note, *artifact.metadata["notes"][1:]]
        gives = named_outputs(link.model, list(link.gives))
        parts.append(ChainedPart(artifact, {name: name for name in link.takes}, gives, link.macs, link.exit))
        specs = {s.name: s for s in artifact.outputs}
        flow.specs.update({tensor: specs[own] for own, tensor in gives.items()})
        if given is not None:
            _pass_on(link, model, state, flow)
    return parts


@dataclass
class _Flow:
    """Calibration data at the tensors between the parts, by tensor name.

    Args:
        plain: Values with quantized kernels and float activations, which ranges observe.
        rounded: Values as the files compute them.
        specs: Spec of each tensor as an output of the file that makes it.
    """

    plain: dict[str, np.ndarray]
    rounded: dict[str, np.ndarray]
    specs: dict[str, TensorSpec]


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


def _ranges(model, link: PartToConvert, flow: _Flow, trained) -> tuple[str | None, CompressionState | None]:
    """Attaches calibrated ranges to a part; returns a note about them, and the state.

    Both are None where the part's graph can't be followed: TensorFlow's calibrator then sets the ranges.
    """
    try:
        state = quantized_state(model, lambda op: False)
    except ValueError:
        return None, None
    with float32(model), patched_calls(model, state, Mode.OBSERVE):
        outputs = outputs_of(model, [flow.plain[name] for name in link.takes])
    flow.plain.update(zip(link.gives, outputs, strict=True))
    if not all(r.is_set for r in state.ranges):
        return None, None
    taken = sum(_take(t, trained[t.path]) for t in state.op_plans if t.path in trained)
    for name, span in zip(link.takes, state.inputs, strict=True):
        spec = flow.specs.get(name)
        if span is not None and spec is not None and spec.dtype == "int8":
            low, high = ((code - spec.zero_point) * spec.scale for code in INT8.activations.limits)
            span.low.assign(low)
            span.high.assign(high)
    state.attach_to(model)
    how = "were trained, those between parts come from calibration" if taken else "come from calibration"
    return f"activation ranges {how}; inputs have the scales of the outputs before them", state


def _in_float32(model: keras.Model) -> keras.Model:
    """Returns a model that takes float32 where mixed precision passes half floats from part to part."""
    half = ("float16", "bfloat16")
    if not any(x.dtype in half for x in model.inputs):
        return model
    inputs = [
        keras.Input(batch_shape=s.shape, dtype="float32" if s.dtype.name in half else s.dtype, name=s.name)
        for s in keras.tree.flatten(input_specs(model))
    ]
    outputs = walk(model, inputs, lambda path, op, args, kwargs, made: op(*args, **kwargs))
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=model.name)


def _pass_on(link: PartToConvert, model, state: CompressionState | None, flow: _Flow) -> None:
    """Runs the data through a part."""
    given = [flow.rounded[name] for name in link.takes]
    if state is None:
        outputs = outputs_of(link.model, given)
        missing = {n: y for n, y in zip(link.gives, outputs, strict=True) if n not in flow.plain}
        flow.plain.update(missing)
    else:
        outputs = keras.tree.flatten(simulate(model, state, given if len(given) > 1 else given[0]))
    flow.rounded.update({n: y.astype(flow.plain[n].dtype) for n, y in zip(link.gives, outputs, strict=True)})


def _take(mine: OpPlan, theirs: OpPlan) -> int:
    """Copies trained ranges to the same places of another plan; returns how many."""
    places, count = mine.ranges(), 0
    for place, other in theirs.ranges().items():
        own = places.get(place)
        if own is not None and other.is_set:
            low, high = other.limits()
            own.low.assign(low)
            own.high.assign(high)
            count += 1
    return count
