"""Converts a final model to a `.tflite` artifact, and compares the file with the model on representative data."""

import functools
import time
import warnings
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import keras

from tfcompress.calibration.plausibility import scaling_doubt
from tfcompress.calibration.samples import MOST_USED
from tfcompress.calibration.samples import samples as calibration_samples
from tfcompress.conversion import arguments
from tfcompress.conversion.conversion import Conversion
from tfcompress.conversion.measuring import measure, note_uncompressed
from tfcompress.conversion.ranges import find_ranges
from tfcompress.conversion.recurrent_form import choose_form
from tfcompress.conversion.recurrent_layers import LOOP, check_recurrent
from tfcompress.conversion.scale_choice import choose_scales
from tfcompress.conversion.writing import check_integer, write
from tfcompress.export.check import check_exportable
from tfcompress.export.export import DEFAULT_SIGNATURE, check_batched, check_static
from tfcompress.export.finite import check_outputs, check_weights
from tfcompress.export.float_fallback import check_names
from tfcompress.export.loading import load_model
from tfcompress.export.saved_model import Signature, check_no_layers, signature_of
from tfcompress.export.verify import check_loads
from tfcompress.fidelity.judging import judge_fidelity
from tfcompress.graph.clone import copied
from tfcompress.graph.keras_private import input_triples
from tfcompress.graph.plain_layers import is_quantized_by_keras
from tfcompress.graph.trace import kept_traces
from tfcompress.graph.tree import leaves
from tfcompress.session_layers.wrapping import finish_model, is_wrapped, read_counters
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import Fidelity
from tfcompress.validation import checks


def convert(
    model: Any,
    mode: str = "int8",
    calibration: Any = None,
    *,
    io: str | None = None,
    allow_float: Iterable[str] = (),
    leave_float: Iterable[Any] = (),
    scales: str = "auto",
    signature: str = DEFAULT_SIGNATURE,
    value_range: Any = None,
    limit: int = MOST_USED,
    scale: float | Mapping[str, float] | None = None,
    offset: float | Mapping[str, float] | None = None,
    percentile: float | None = None,
    recurrent: str = "auto",
    require: Mapping[str, float] | None = None,
    diagnose: bool = True,
    facts: dict | None = None,
) -> Artifact:
    """Converts a model to a `.tflite` file and compares the file's outputs with those of the model.

    The arguments are checked and the model is loaded; the activation ranges come from training or from calibration;
    the file is written, checked for operations that stayed float, run once, and compared with the model as it was
    given: for every output, with XNNPACK and without, where there are calibration data (`artifact.fidelity`). Where
    that comparison shows a loss, `convert` finds the layer that causes it and tries ways to avoid it.

    Args:
        model: A Keras model (also one that `tfc.Compression` trained: its ranges are used; also a session's, as its
            layers are now), or the path of a `.keras`, `.h5` or SavedModel.
        mode: "int8" (every operation integer, or an error), "float32", "float16" (weights), "dynamic" (int8 weights,
            float activations) or "int16x8".
        calibration: Representative data: array `(n, ...)`, dict by input name, `tf.data`, generator or folder of
            images. Needed for "int16x8" and for "int8" unless the ranges were trained.
        io: Type of inputs and outputs of an integer file: "int8" (default), "uint8" or "float32"; "int16" or
            "float32" for int16x8.
        allow_float: Names of LiteRT operations or of layers that may stay float in an int8 file.
        leave_float: Layers to keep float, by name pattern or type; every layer that computes with their outputs must
            be left out as well. A SavedModel has no layers to name.
        scales: Weight scales of a model that was not quantized in training: "channel"; "tensor", one for each kernel
            (not where a BatchNormalization is folded in); or "auto": per channel, but one for
            each clustered kernel where the file then zips smaller and agrees with the model as often.
        signature: Name of the signature in the file.
        value_range: `(low, high)` that the inputs must lie in; calibration data outside of it are an error.
        limit: Most samples to calibrate with.
        scale: Factor on the calibration data of float inputs, such as 1 / 255 for pixels; by input name if they differ;
            1 says that raw pixels are what the model was trained on.
        offset: Added after `scale`: `scale=1 / 127.5, offset=-1` for a model trained on -1..1.
        percentile: Per cent of an activation's values inside its range, such as 99.9; outliers are cut off. None
            takes the lowest and the highest value. For int8 ranges that calibration sets.
        recurrent: What LSTM, GRU and SimpleRNN become in an int8 file, also in Bidirectional: "loop" (as many
            operations and bytes for 200 steps as for 6; one range for each inner value of all steps, which training
            with `tfc.Quantize` trains), "unrolled" (the operations of every step; ranges for each step without
            training) or "auto" (a loop unless only the unrolled file agrees with the model).
        require: What the file must keep, such as `{"agreement": 0.99, "error": 0.05}`: the lowest share of the same
            class, the largest error as a share of the output's spread; also "channel_error", "largest_error",
            "saturated". Needs calibration data.
        diagnose: Whether a loss is traced to its layer and ways out are tried; takes a few conversions, and only
            where a warning is due.
        facts: Further facts for the artifact's metadata.

    Returns:
        The artifact; not yet saved.

    Raises:
        NotFullyInteger: If an int8 file would keep a float operation.
        NotFaithful: If the file misses what `require` asks.
        ValueError: If an argument or the calibration data do not fit.
        RuntimeError: If TensorFlow's converter fails.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(2)]
        >>> model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
        >>> x = np.random.default_rng(0).random((32, 8, 8, 1), "float32")
        >>> artifact = tfc.convert(model, calibration=x)
        >>> artifact.is_integer, artifact.predict(x).shape
        (True, (32, 2))
    """
    began = time.perf_counter()
    asked = arguments.check_options(mode, io, scales, signature, percentile, recurrent, allow_float, leave_float)
    arguments.check_data(calibration, value_range, limit, require, facts)
    diagnose = checks.flag("convert", "diagnose", diagnose)
    model, notes = _final_model(model)
    source = _checked_source(model, asked["leave_float"], percentile, recurrent)
    check_names(model, asked["allow_float"], asked["leave_float"], layers=source is None)
    scaling = {"scale": 1.0 if scale is None else scale, "offset": 0.0 if offset is None else offset}
    samples = _samples(model, source, calibration, limit=limit, value_range=value_range, **scaling)
    check_weights(model)
    conversion = Conversion(model=model, source=source, samples=samples, notes=notes, **asked)
    with kept_traces():
        _check_answers(conversion)
        artifact = _made(conversion)
        _warn_of_draws(conversion)
        if "fidelity" in artifact.metadata:
            _warn_of_scaling(conversion, artifact, is_told=scale is not None or offset is not None)
            judge_fidelity(artifact, conversion, require, diagnose, functools.partial(_made_again, conversion))
    _describe(artifact, conversion, facts, time.perf_counter() - began)
    return artifact


def _made(conversion: Conversion) -> Artifact:
    """Makes the file with its recurrent layers as loops or unrolled."""
    return choose_form(conversion, _made_in_form)


def _made_in_form(conversion: Conversion) -> Artifact:
    """Finds the ranges, writes and measures the file, and chooses its weight scales."""
    find_ranges(conversion)
    return choose_scales(conversion, _write_and_measure(conversion), _write_and_measure)


def _made_again(conversion: Conversion, **changes: Any) -> Artifact:
    """Makes the file with other options."""
    return _made(conversion.changed(**changes))


def _write_and_measure(conversion: Conversion) -> Artifact:
    """Writes the file from ranges that were found, checks it for float operations, runs and measures it."""
    artifact = write(conversion)
    check_integer(conversion, artifact)
    check_loads(artifact, conversion.samples)
    note_uncompressed(conversion, artifact)
    measure(conversion, artifact)
    return artifact


def _final_model(model: Any) -> tuple[keras.Model, list[str]]:
    """Returns the model as it will run, loaded and without session layers, and notes on what was done for that."""
    model, notes = load_model(model), []
    if is_wrapped(model):
        notes = [_session_note(model)]
        model = finish_model(model)
    if any(is_quantized_by_keras(op) for _, op in leaves(model)):
        notes.append("weights that Keras quantized were read back, and are quantized by the rules of this file")
        model = copied(model)[0]
    return model, notes


def _session_note(model: Any) -> str:
    clock = read_counters(model)
    at = f" at {clock['progress']:.0%} of its schedule" if clock is not None else ""
    return f"a session's model{at}, converted as its layers are now"


def _checked_source(
    model: keras.Model, leave_float: tuple[Any, ...], percentile: float | None, recurrent: str
) -> Signature | None:
    """Returns the signature of a SavedModel, None for a Keras model; refuses what a file can't hold."""
    source = signature_of(model)
    if source is None:
        check_static(model)
        check_batched(model)
        check_exportable(model)
        check_recurrent(model, recurrent)
        return None
    check_no_layers(leave_float)
    if percentile is not None:
        raise ValueError(
            f"convert: TensorFlow's calibrator sets the ranges of a SavedModel, and has no percentiles. Received: "
            f"percentile={percentile}. Convert the Keras model it was exported from."
        )
    if recurrent == LOOP:
        raise ValueError(
            "convert: recurrent='loop' needs the layers of a Keras model, and a SavedModel has none. Convert the Keras "
            "model it was exported from, or use recurrent='auto'."
        )
    return source


def _samples(model: keras.Model, source: Signature | None, calibration: Any, **options: Any) -> list[Any] | None:
    """Returns the calibration data, sample by sample, as the model takes them; None without data."""
    if calibration is None:
        return None
    triples = input_triples(model) if source is None else source.triples
    return calibration_samples(calibration, triples, **options)


def _check_answers(conversion: Conversion) -> None:
    if conversion.samples is not None and conversion.source is None:
        check_outputs(conversion.model, list(conversion.float_outputs.values()), conversion.samples)


def _warn_of_draws(conversion: Conversion) -> None:
    for note in conversion.notes:
        if "holds one draw" in note:
            warnings.warn(f"convert: {note}", stacklevel=3)


def _warn_of_scaling(conversion: Conversion, artifact: Artifact, is_told: bool) -> None:
    row = Fidelity.of(artifact.metadata["fidelity"]).against()[0]
    model = conversion.model if conversion.source is None else None
    doubt = scaling_doubt(model, conversion.inputs, conversion.float_outputs[row.output], row.kind, is_told)
    if doubt:
        warnings.warn(doubt, stacklevel=3)
        conversion.notes.append(doubt)


def _describe(artifact: Artifact, conversion: Conversion, facts: dict[str, Any] | None, seconds: float) -> None:
    """Writes into the metadata how the file came about."""
    packages = ("tensorflow", "keras", "ai-edge-litert")
    artifact.metadata |= {
        **(facts or {}),
        "mode": conversion.mode,
        "model": conversion.model.name,
        "seconds": round(seconds, 3),
        "calibration_samples": len(conversion.samples or ()),
        "versions": {p: version(p) for p in packages},
    }
    artifact.metadata["notes"] = [*(facts or {}).get("notes", []), *conversion.notes]
