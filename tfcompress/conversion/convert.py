"""convert: a final model and representative data in, a proven `.tflite` artifact out."""

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from tfcompress.calibration.plausibility import scaling_doubt
from tfcompress.calibration.samples import samples as calibration_samples
from tfcompress.conversion.int8 import int8
from tfcompress.conversion.job import Job
from tfcompress.conversion.other_modes import other
from tfcompress.export.check import check_exportable
from tfcompress.export.export import DEFAULT_SIGNATURE, check_batched, check_static
from tfcompress.export.finite import check_outputs, check_weights
from tfcompress.export.float_fallback import check_names
from tfcompress.export.loading import load_model
from tfcompress.export.saved_model import check_no_layers, signature_of
from tfcompress.fidelity.judging import judged
from tfcompress.graph.clone import copied
from tfcompress.graph.keras_private import input_triples
from tfcompress.graph.plain_layers import is_quantized_by_keras
from tfcompress.graph.tree import leaves
from tfcompress.selection import Where
from tfcompress.session_layers.wrapping import counted, finished, is_wrapped
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import Fidelity, check_requirement
from tfcompress.validation import checks

MODES = ("float32", "float16", "dynamic", "int8", "int16x8")
MOST_SAMPLES = 10**6  # each is held in memory while ranges are found


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
    limit: int = 256,
    scale: float | Mapping[str, float] | None = None,
    offset: float | Mapping[str, float] | None = None,
    percentile: float | None = None,
    require: Mapping[str, float] | None = None,
    diagnose: bool = True,
    facts: dict | None = None,
) -> Artifact:
    """Converts a model to a `.tflite` file and proves it.

    With calibration data the file is compared with the model as it was given, for every output, with XNNPACK and
    without: `artifact.fidelity`.

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
        leave_float: Layers to keep float, by name pattern or type; only where everything behind them is left out as
            well. A SavedModel has no layers to name.
        scales: Weight scales of a model that was not quantized in training: "channel"; "tensor", one for each kernel
            (not where a BatchNormalization is folded in); or "auto": per channel, but one for
            each clustered kernel where that costs no agreement and zips smaller.
        signature: Name of the signature in the file.
        value_range: `(low, high)` the inputs must lie in; calibration outside is an error.
        limit: Most samples to calibrate with.
        scale: Factor on the calibration data of float inputs, such as 1 / 255 for pixels; by input name if they differ;
            1 says that raw pixels are what the model was trained on.
        offset: Added after `scale`: `scale=1 / 127.5, offset=-1` for a model trained on -1..1.
        percentile: Per cent of an activation's values inside its range, such as 99.9; outliers are cut off. None
            takes the lowest and the highest value. For int8 ranges that calibration sets.
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
    _check(mode, io, scales)
    _check_measures(mode, percentile, require, calibration)
    allow_float = checks.texts("convert", "allow_float", allow_float)
    leave_float = checks.within("convert", "leave_float", lambda: Where(layers=leave_float).layers)
    _check_rest(calibration, signature, value_range, limit, facts)
    diagnose = checks.flag("convert", "diagnose", diagnose)
    model = load_model(model)
    notes = []
    if is_wrapped(model):
        notes = [_session_note(model)]
        model = finished(model)
    if any(is_quantized_by_keras(op) for _, op in leaves(model)):
        notes.append("weights that Keras quantized were read back, and are quantized by the rules of this file")
        model = copied(model)[0]
    left = tuple(leave_float)
    source = signature_of(model)
    if source is not None:
        check_no_layers(left)
        _check_no_percentile(percentile)
    else:
        check_static(model)
        check_batched(model)
        check_exportable(model)
    check_names(model, allow_float, left, layers=source is None)
    found = None
    if calibration is not None:
        triples = input_triples(model) if source is None else source.triples
        scaling: dict[str, Any] = {
            "scale": 1.0 if scale is None else scale,
            "offset": 0.0 if offset is None else offset,
        }
        found = calibration_samples(calibration, triples, limit=limit, value_range=value_range, **scaling)
    check_weights(model)
    job = Job(
        model,
        mode,
        io or ("int16" if mode == "int16x8" else "int8"),
        signature,
        tuple(allow_float),
        left,
        scales,
        found,
        percentile,
        notes=notes,
        source=source,
    )
    if found is not None and source is None:
        check_outputs(model, list(job.float_outputs.values()), found)
    artifact = _made(job)
    for note in job.notes:
        if "holds one draw" in note:
            warnings.warn(f"convert: {note}", stacklevel=2)
    if "fidelity" in artifact.metadata:
        _warn_of_scaling(job, artifact, is_told=scale is not None or offset is not None)
        judged(artifact, job, require, diagnose, lambda **changes: _again(job, changes))
    _describe(artifact, job, facts, time.perf_counter() - began)
    return artifact


def _warn_of_scaling(job: Job, artifact: Artifact, is_told: bool) -> None:
    row = Fidelity.of(artifact.metadata["fidelity"]).against()[0]
    model = job.model if job.source is None else None
    doubt = scaling_doubt(model, job.inputs, job.float_outputs[row.output], row.kind, is_told)
    if doubt:
        warnings.warn(doubt, stacklevel=3)
        job.notes.append(doubt)


def _made(job: Job) -> Artifact:
    return int8(job) if job.mode == "int8" else other(job)


def _again(job: Job, changes: dict) -> Artifact:
    """Converts once more with other options, for what it brings."""
    if "inputs" in changes:
        rows = changes.pop("inputs")
        changes["samples"] = [{n: x[k : k + 1] for n, x in rows.items()} for k in range(len(job.samples))]
    if changes.get("mode") == "int16x8":
        changes["io"] = "int16"
    changed = replace(job, notes=[], state=None, **changes)
    return _made(changed)


def _check_measures(mode: Any, percentile: Any, require: Any, calibration: Any) -> None:
    check_requirement(require)
    if require and calibration is None:
        raise ValueError("convert: require compares the file with the model on samples. Pass calibration=x[:200].")
    if percentile is None:
        return
    number = isinstance(percentile, int | float) and not isinstance(percentile, bool)
    if not number or not 50 < percentile <= 100 or mode != "int8":
        raise ValueError(
            f"convert: percentile must be above 50 and at most 100, in mode 'int8'. Received: "
            f"percentile={percentile!r}, mode={mode!r}."
        )


def _check_no_percentile(percentile: Any) -> None:
    if percentile is not None:
        raise ValueError(
            f"convert: TensorFlow's calibrator sets the ranges of a SavedModel, and knows no percentiles. Received: "
            f"percentile={percentile}. Convert the Keras model it was exported from."
        )


def _session_note(model: Any) -> str:
    clock = counted(model)
    at = f" at {clock['progress']:.0%} of its schedule" if clock is not None else ""
    return f"a session's model{at}, converted as its layers are now"


def _check(mode: Any, io: Any, scales: Any) -> None:
    checks.choice("convert", "mode", mode, MODES)
    accepted = {"int8": ("int8", "uint8", "float32"), "int16x8": ("int16", "float32")}.get(mode, ("float32",))
    if io is not None:
        checks.choice(f"convert, mode {mode!r}", "io", io, accepted)
    checks.choice("convert", "scales", scales, ("auto", "channel", "tensor"))


def _check_rest(calibration: Any, signature: Any, value_range: Any, limit: Any, facts: Any) -> None:
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


def _describe(artifact: Artifact, job: Job, facts: dict | None, seconds: float) -> None:
    packages = ("tensorflow", "keras", "ai-edge-litert")
    artifact.metadata |= {
        **(facts or {}),
        "mode": job.mode,
        "model": job.model.name,
        "seconds": round(seconds, 3),
        "calibration_samples": len(job.samples or ()),
        "versions": {p: version(p) for p in packages},
    }
    artifact.metadata["notes"] = [*(facts or {}).get("notes", []), *job.notes]
