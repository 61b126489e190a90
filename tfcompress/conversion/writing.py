"""Writes the file of a conversion: runs TensorFlow's converter as the file format asks for, and edits its result."""

import functools
from collections.abc import Callable

import tensorflow as tf

from tfcompress.conversion.conversion import Conversion, Ranges
from tfcompress.conversion.packers import PACKERS
from tfcompress.export.export import Export, export_model, makers_of_outputs, run_converter
from tfcompress.export.float_fallback import add_leave_float_remedy, table_float_ops
from tfcompress.export.saved_model import add_keras_model_remedy
from tfcompress.export.verify import NotFullyInteger, float_operations, layer_names, predicted_float_ops
from tfcompress.graph.random_ops import Draws
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.biases import mistaken_biases
from tfcompress.tflite.edits import find_ends, rewrite_file
from tfcompress.tflite.kernels.widths import check_widths
from tfcompress.tflite.loops.grids import check_variables
from tfcompress.tflite.tensor_names import tensor_names


def write(conversion: Conversion) -> Artifact:
    """Writes the file of a conversion.

    If inner values of layers lack ranges and there are samples, TensorFlow's calibrator finds them in a second run.

    Args:
        conversion: The conversion, its ranges found.

    Returns:
        The file, with the layer of each operation, and with names and order of inputs and outputs as in the model.

    Raises:
        NotFullyInteger: If an operation that must be integer would stay float, whatever the calibration data.
        RuntimeError: If TensorFlow's converter fails.
    """
    c, exported = conversion, functools.cache(functools.partial(_exported, conversion))
    if c.ranges is Ranges.BY_CONVERTER:
        return _convert_once(c, exported, calibrates=True)
    if not c.file_format.only_integer:
        return _convert_once(c, exported, calibrates=c.ranges is not Ranges.NONE)
    artifact = _first_try(c, exported)
    lost = float_operations(artifact, c.allowed(), drags=c.samples is None)
    if not lost or c.samples is None or c.left() or c.loops:  # its calibrator crashes on loops
        return artifact
    return _with_calibrator(c, exported, lost)


def _first_try(c: Conversion, exported: Callable) -> Artifact:
    """Writes the file without the calibrator; if the converter fails, names the cause by the layer table."""
    try:
        return _convert_once(c, exported, calibrates=False)
    except RuntimeError as error:
        refused = predicted_float_ops(table_float_ops(c.model)) if c.source is None else []
        if not refused:
            raise
        raise NotFullyInteger(refused) from error


def _with_calibrator(c: Conversion, exported: Callable, lost: list) -> Artifact:
    """Writes the file again, with ranges of the calibrator for the operations that stayed float without."""
    known = table_float_ops(c.model) if c.source is None else {}
    hopeless = [f for f in lost if f.op in known.get(f.layer, ())]
    if len(hopeless) == len(lost):
        raise NotFullyInteger(lost)
    try:
        artifact = _convert_once(c, exported, calibrates=True)
    except RuntimeError:  # the converter fails at its own float operations; the first file names them
        raise NotFullyInteger(hopeless or lost) from None
    c.notes.append("inner values of some layers have ranges from TensorFlow's calibrator")
    return artifact


def check_integer(conversion: Conversion, artifact: Artifact) -> None:
    """Raises if an operation that must be integer stayed float.

    Args:
        conversion: The conversion; a format that allows float operations is not checked.
        artifact: Its file.

    Raises:
        NotFullyInteger: In that case.
    """
    c = conversion
    if not c.file_format.only_integer:
        return
    lost = float_operations(artifact, c.allowed(), c.samples is not None)
    if lost:
        raise NotFullyInteger(
            add_keras_model_remedy(lost) if c.source is not None else add_leave_float_remedy(lost, c.left())
        )


def _convert_once(c: Conversion, exported: Callable, calibrates: bool) -> Artifact:
    def setup(converter):
        _set_up(converter, c, calibrates)

    data = c.samples if calibrates else None
    if c.source is not None:
        export, found = c.source.converted(setup, data, c.mode)
    else:
        export, draws = exported()
        found = Artifact(run_converter(export, setup, data), {})
        outputs = [at for _, at in find_ends(found.model, c.signature, export.inputs, export.outputs).outputs]
        makers = {at: n for at, n in zip(outputs, makers_of_outputs(export), strict=True) if n is not None}
        found.metadata["layers"] = layer_names(found, export.paths, makers)
        c.notes.extend(note for note in draws.notes(export.paths) if note not in c.notes)
    if c.mode in PACKERS:
        found = Artifact(PACKERS[c.mode](found.content, c, found.metadata["layers"]), found.metadata)
    ends = find_ends(found.model, c.signature, export.inputs, export.outputs)
    content = rewrite_file(found.content, tensor_names(found, ends.names()), mistaken_biases(found.model), ends)
    made = Artifact(content, found.metadata)
    check_variables(made.model)
    if c.file_format.may_abort:
        made.distrust()
    check_widths(made.model)
    return made


def _exported(c: Conversion) -> tuple[Export, Draws]:
    """Traces the model for the converter."""
    draws = Draws.of(c.mode, c.allow_float)
    return export_model(c.model, c.state, draws, c.loops), draws


def _set_up(converter, c: Conversion, calibrates: bool) -> None:
    """Sets the options of TensorFlow's converter that the row of the format asks for."""
    row, target = c.file_format, converter.target_spec
    if row.optimizations:
        converter.optimizations = [getattr(tf.lite.Optimize, name) for name in row.optimizations]
    if row.float_types:
        target.supported_types = [tf.as_dtype(name) for name in row.float_types]
    if ops := row.ops or (row.calibrated_ops if calibrates else ()):
        target.supported_ops = [getattr(tf.lite.OpsSet, name) for name in ops]
    if row.is_integer:
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(c.io)
    if row.reads_ranges:  # of weights, where the converter chooses scales
        one_scale = c.scales == "tensor" and c.source is not None and c.ranges is Ranges.BY_CONVERTER
        converter._experimental_disable_per_channel = one_scale
