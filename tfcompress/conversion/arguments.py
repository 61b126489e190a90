"""Checks the arguments of `convert` before a model is loaded."""

from collections.abc import Mapping
from typing import Any

from tfcompress.conversion.recurrent_layers import FORMS, LOOP
from tfcompress.file_formats import FORMATS, MODES, FileFormat
from tfcompress.selection import Where
from tfcompress.tflite.fidelity import check_requirement
from tfcompress.validation import checks

MOST_SAMPLES = 10**6  # each is held in memory while ranges are found


def check_options(mode, io, scales, signature, percentile, recurrent, allow_float, leave_float) -> dict[str, Any]:
    """Checks the arguments that say what the file shall be like.

    Args:
        mode: As for `convert`, like all that follow.
        io: Type of inputs and outputs.
        scales: Weight scales.
        signature: Name of the signature.
        percentile: Per cent of the values inside a range.
        recurrent: What recurrent layers become.
        allow_float: Names of what may stay float.
        leave_float: Patterns and types of the layers to keep float.

    Returns:
        The fields of `Conversion` that follow from them.
    """
    row, io = _format(mode, io)
    checks.choice("convert", "scales", scales, ("auto", "channel", "tensor"))
    _check_percentile(row, percentile)
    checks.choice("convert", "recurrent", recurrent, FORMS)
    if recurrent == LOOP and not (row.only_integer and row.reads_ranges):
        raise ValueError(
            f"convert: recurrent='loop' is for mode 'int8'. Received: mode={row.mode!r}. Files of this mode hold "
            "recurrent layers one step after the other: use recurrent='auto'."
        )
    return {
        "file_format": row,
        "io": io,
        "scales": scales,
        "signature": checks.text("convert", "signature", signature),
        "percentile": percentile,
        "recurrent": recurrent,
        "allow_float": tuple(checks.texts("convert", "allow_float", allow_float)),
        "leave_float": tuple(checks.within("convert", "leave_float", lambda: Where(layers=leave_float).layers)),
    }


def _format(mode, io) -> tuple[FileFormat, str]:
    checks.choice("convert", "mode", mode, MODES)
    row = FORMATS[mode]
    if io is not None:
        checks.choice(f"convert, mode {mode!r}", "io", io, row.io)
    return row, io or row.io[0]


def _check_percentile(row: FileFormat, percentile) -> None:
    if percentile is None:
        return
    number = isinstance(percentile, int | float) and not isinstance(percentile, bool)
    if not number or not 50 < percentile <= 100 or not row.reads_ranges:
        raise ValueError(
            f"convert: percentile must be above 50 and at most 100, in mode 'int8'. Received: "
            f"percentile={percentile!r}, mode={row.mode!r}."
        )


def check_data(calibration, value_range, limit, require, facts) -> None:
    """Checks the arguments about calibration data, and the requirements that the file must meet on them.

    Args:
        calibration: As for `convert`, like all that follow.
        value_range: Values that the inputs must lie in.
        limit: Most samples.
        require: What the file must keep.
        facts: Further facts for the metadata.
    """
    check_requirement(require)
    if require and calibration is None:
        raise ValueError("convert: require compares the file with the model on samples. Pass calibration=x[:200].")
    checks.data("convert", "calibration", calibration)
    checks.whole("convert", "limit", limit, 1, MOST_SAMPLES)
    for each in value_range.values() if isinstance(value_range, Mapping) else (value_range,):
        if each is not None:
            low, high = checks.pair("convert", "value_range", each, "(low, high)")
            low, high = (checks.number("convert", "value_range", value) for value in (low, high))
            if not low < high:
                checks.refuse(ValueError, "convert", "value_range", "(low, high) with low < high", each)
    if facts is not None and not isinstance(facts, dict):
        checks.refuse(TypeError, "convert", "facts", "a dict or None", facts)
