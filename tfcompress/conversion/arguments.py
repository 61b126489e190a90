"""What `convert` accepts, checked before anything is loaded."""

from collections.abc import Iterable, Mapping

from tfcompress.file_formats import FORMATS, MODES, FileFormat
from tfcompress.selection import Where
from tfcompress.tflite.fidelity import check_requirement
from tfcompress.validation import checks

MOST_SAMPLES = 10**6  # each is held in memory while ranges are found


def check_format(mode, io, scales) -> tuple[FileFormat, str]:
    """Returns the row of a mode and the type of the file's inputs and outputs."""
    checks.choice("convert", "mode", mode, MODES)
    row = FORMATS[mode]
    if io is not None:
        checks.choice(f"convert, mode {mode!r}", "io", io, row.io)
    checks.choice("convert", "scales", scales, ("auto", "channel", "tensor"))
    return row, io or row.io[0]


def check_measures(row: FileFormat, percentile, require, calibration) -> None:
    """Checks what the file must keep, and which values its ranges leave out."""
    check_requirement(require)
    if require and calibration is None:
        raise ValueError("convert: require compares the file with the model on samples. Pass calibration=x[:200].")
    if percentile is None:
        return
    number = isinstance(percentile, int | float) and not isinstance(percentile, bool)
    if not number or not 50 < percentile <= 100 or not row.reads_ranges:
        raise ValueError(
            f"convert: percentile must be above 50 and at most 100, in mode 'int8'. Received: "
            f"percentile={percentile!r}, mode={row.mode!r}."
        )


def float_exceptions(allow_float: Iterable[str], leave_float: Iterable[object]) -> tuple[tuple, tuple]:
    """Returns what may stay float, and what shall: names, and patterns and types of layers."""
    allowed = checks.texts("convert", "allow_float", allow_float)
    left = checks.within("convert", "leave_float", lambda: Where(layers=leave_float).layers)
    return tuple(allowed), tuple(left)


def check_data(calibration, signature, value_range, limit, facts) -> None:
    """Checks the type of what describes the calibration data and the file."""
    checks.data("convert", "calibration", calibration)
    checks.text("convert", "signature", signature)
    checks.whole("convert", "limit", limit, 1, MOST_SAMPLES)
    for each in value_range.values() if isinstance(value_range, Mapping) else (value_range,):
        if each is not None:
            low, high = checks.pair("convert", "value_range", each, "(low, high)")
            low, high = (checks.number("convert", "value_range", value) for value in (low, high))
            if not low < high:
                checks.refuse(ValueError, "convert", "value_range", "(low, high) with low < high", each)
    if facts is not None and not isinstance(facts, dict):
        checks.refuse(TypeError, "convert", "facts", "a dict or None", facts)
