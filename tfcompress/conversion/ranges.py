"""Finds a file's activation ranges: from training, calibration of the simulation, or TensorFlow's calibrator."""

from tfcompress.conversion.conversion import Conversion, Ranges
from tfcompress.conversion.int16_ranges import attention_plans, observe_largest_values
from tfcompress.conversion.recurrent_layers import LOOP, UNROLLED, by_step, looped_layers
from tfcompress.export.export import float_inputs
from tfcompress.export.finite import check_ranges
from tfcompress.export.float_fallback import matches_any
from tfcompress.export.post_training import channels, quantized_state, tensors
from tfcompress.export.simulate import observe
from tfcompress.export.unconvertible import NotConvertible
from tfcompress.fake_quant.range_floors import widen_narrow_ranges
from tfcompress.fake_quant.state import CompressionState
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.file_formats import ALWAYS
from tfcompress.graph.keras_private import input_triples


def find_ranges(conversion: Conversion) -> None:
    """Finds the activation ranges of the file, and notes where they come from.

    Args:
        conversion: The conversion; its `ranges`, `state` and `seen` are set.

    Raises:
        ValueError: If the ranges that were trained do not fit the file, or data are missing.
    """
    c = conversion
    if not c.file_format.is_integer:
        return
    if c.file_format.calibration == ALWAYS:
        _check_calibrator(c)
    trained = None if c.source is not None else CompressionState.of(c.model)
    if trained is not None and trained.ranges and all(r.is_set for r in trained.ranges):
        _take_trained(c, trained)
    elif c.file_format.reads_ranges and c.source is not None and c.source.has_ranges:
        c.ranges = Ranges.IN_SAVED_MODEL
        c.notes.append("activation ranges stand in the SavedModel (quantization-aware training)")
    else:
        _calibrate(c)


def _check_calibrator(c: Conversion) -> None:
    """Refuses what TensorFlow's calibrator can't do: it needs data and float inputs, as it records ranges of floats."""
    if c.samples is None:
        raise ValueError(f"convert: mode {c.mode!r} needs calibration data. Pass calibration=x[:200].")
    triples = input_triples(c.model) if c.source is None else c.source.triples
    known = float_inputs(c.model) if c.source is None else set()
    whole = [f"{name!r} ({dtype})" for name, _, dtype in triples if not dtype.startswith("float") and name not in known]
    if whole:
        raise NotConvertible(
            f"convert: a file of mode {c.mode!r} takes float inputs only, and this model takes {', '.join(whole)}. Use "
            "mode='int8' or mode='dynamic', or build the model from the layer behind these inputs on"
        )


def _take_trained(c: Conversion, trained: CompressionState) -> None:
    _check_codes(c, trained)
    if c.percentile is not None:
        raise ValueError(
            "convert: percentile sets ranges from calibration, but those of this model were trained. Train with "
            "tfc.Quantize('int8', ranges='percentile') instead."
        )
    c.ranges, c.state = Ranges.TRAINED, trained
    check_state(c)
    if c.file_format.reads_ranges:
        _keep_loops(c)
        c.notes.append("activation ranges were trained (quantization-aware training)")
        return
    c.seen = observe_largest_values(c.model, trained, c.samples)
    bits = c.file_format.activations.bits
    c.notes.append(f"activation ranges were trained for {bits} bits (quantization-aware training)")


def _check_codes(c: Conversion, trained: CompressionState) -> None:
    """Refuses weights and activations that were trained for other integer codes than those of the file."""
    weights, activations = c.file_format.weights, c.file_format.activations
    wrong = [f"{t.path}/{w.path} ({q.bits} bits)" for t, w, q in trained.find(QuantizeWeight) if q.codes != weights]
    wrong += [
        f"activations of {r.title} ({r.bits} bits)"
        for r in trained.ranges
        if r.bits != activations.bits or activations.symmetric and not r.symmetric
    ]
    if not wrong:
        return
    symmetric = "symmetric " if activations.symmetric else ""
    raise ValueError(
        f"convert: a file of mode {c.mode!r} holds symmetric {weights.bits}-bit weights and {symmetric}"
        f"{activations.bits}-bit activations; trained were {wrong[:5]}{' and more' if len(wrong) > 5 else ''}. Other "
        f"schemes have a mode of their own or exist in simulation only for now: train with tfc.Quantize({c.mode!r}), "
        "convert with the mode it was trained for (mode='int8' for tfc.Quantize('int8')), or with mode='float32'."
    )


def _calibrate(c: Conversion) -> None:
    c.notes.append("activation ranges come from calibration (post-training quantization)")
    if c.samples is None:
        raise ValueError(
            f"convert: mode {c.mode!r} needs calibration data for a model whose activation ranges were not trained. "
            f"Pass calibration=x[:200], or train with tfc.Compression([tfc.Quantize({c.mode!r})])."
        )
    c.ranges = Ranges.BY_CONVERTER
    if c.source is not None:
        return
    if not c.file_format.reads_ranges:
        c.state = attention_plans(c.model, c.file_format, c.samples)
        return
    try:
        state = planned(c, tensors if c.scales == "tensor" else channels)
    except ValueError as error:
        if c.leave_float or c.percentile is not None:
            raise
        c.notes.append(f"ranges by TensorFlow's calibrator, no simulation: {error}")
        return
    c.ranges, c.state = Ranges.CALIBRATED, state
    observe(c.model, state, c.samples)
    check_state(c)
    _keep_loops(c)


def _keep_loops(c: Conversion) -> None:
    c.loops = looped_layers(c.state) if c.recurrent == LOOP else frozenset()


def planned(c: Conversion, one_scale) -> CompressionState:
    """Returns the operation plans of a model that was not trained for int8.

    Args:
        c: The conversion.
        one_scale: Rule of `quantized_state` for the scales of kernels.
    """
    state = quantized_state(c.model, left_out(c), one_scale, c.percentile, c.file_format)
    return by_step(state) if c.recurrent == UNROLLED else state


def left_out(c: Conversion):
    """Returns a function that says whether the user keeps an operation float."""
    return lambda op: matches_any(op, c.leave_float)


def check_state(c: Conversion) -> None:
    """Checks that ranges are finite, and widens those that are too narrow for the operations before them."""
    check_ranges(c.state)
    if dead := widen_narrow_ranges(c.model, c.state):
        shown = ", ".join(map(repr, dead[:4])) + (" and more" if len(dead) > 4 else "")
        c.notes.append(f"only zeros were seen at {shown}: its range was set by the ranges before it")
