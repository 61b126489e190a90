"""convert: a final model and representative data in, a proven `.tflite` artifact out."""

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version

import keras
import numpy as np
import tensorflow as tf

from tfcompress.deploy import measuring
from tfcompress.deploy.answers import losses
from tfcompress.deploy.artifact import Artifact
from tfcompress.deploy.biases import mistaken_biases
from tfcompress.deploy.calibration import samples as calibration_samples
from tfcompress.deploy.export import (
    DEFAULT_SIGNATURE,
    check_static,
    exported,
    named_outputs,
    run_converter,
)
from tfcompress.deploy.export_check import check_exportable
from tfcompress.deploy.fidelity import FLOAT_MODEL, SIMULATION, Fidelity, check_requirement
from tfcompress.deploy.finite import check_outputs, check_ranges, check_weights
from tfcompress.deploy.judging import judged
from tfcompress.deploy.loading import load_model
from tfcompress.deploy.naming import tensor_names
from tfcompress.deploy.plausibility import scaling_doubt
from tfcompress.deploy.post_training import channels, clustered, is_shared, quantized_state, tensors
from tfcompress.deploy.rewriting import ends_in_order, rewritten
from tfcompress.deploy.saved_model import Signature, check_no_layers, signature_of, without_layers
from tfcompress.deploy.simulate import float_outputs, observe, simulate
from tfcompress.deploy.sixteen import check_sixteen, masks_only, observed, with_trained
from tfcompress.deploy.staying_float import (
    allowed_names,
    left_layers,
    matches_any,
    table_says,
    with_left,
)
from tfcompress.deploy.verify import (
    NotFullyInteger,
    check_loads,
    float_operations,
    layer_names,
    parity,
    predicted_float_ops,
)
from tfcompress.facts import checks
from tfcompress.facts.select import Where
from tfcompress.mechanics.copying import copied
from tfcompress.mechanics.draws import Draws
from tfcompress.mechanics.floors import lift
from tfcompress.mechanics.graph import full_precision, input_specs, input_triples, leaves
from tfcompress.mechanics.plain_layers import is_quantized_by_keras
from tfcompress.mechanics.state import CompressionState
from tfcompress.mechanics.transforms.quantize import QuantizeWeight
from tfcompress.mechanics.wrapping import counted, finished, is_wrapped

MODES = ("float32", "float16", "dynamic", "int8", "int16x8")
MOST_SAMPLES = 10**6  # each is held in memory while ranges are found
_IO = {"int8": tf.int8, "uint8": tf.uint8, "float32": tf.float32, "int16": tf.int16}


# On a busy machine TensorFlow 2.21's calibrator now and then gives one SPLIT of an unrolled LSTM no range, with the
# same data and graph; the next conversion has it.
CALIBRATIONS = 3


@dataclass
class _Job:
    """One conversion on its way."""

    model: keras.Model
    mode: str
    io: str
    signature: str
    allow_float: tuple
    leave_float: tuple
    samples: list | None
    percentile: float | None = None
    state: CompressionState | None = None
    notes: list[str] = field(default_factory=list)
    source: Signature | None = None

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """The samples as one array for each input."""
        return {name: np.concatenate([s[name] for s in self.samples]) for name in self.samples[0]}

    @cached_property
    def packed(self):
        """The same in the structure that the model takes."""
        specs = input_specs(self.model)
        return keras.tree.pack_sequence_as(specs, [self.inputs[s.name] for s in keras.tree.flatten(specs)])

    @cached_property
    def float_outputs(self) -> dict[str, np.ndarray]:
        """What the model answers as it was given."""
        if self.source is not None:
            return self.source.run(self.inputs)
        return named_outputs(self.model, float_outputs(self.model, self.packed))

    def simulated(self, state) -> dict[str, np.ndarray]:
        """What the simulation of a state answers."""
        return named_outputs(self.model, simulate(self.model, state, self.packed))


def convert(
    model,
    mode: str = "int8",
    calibration=None,
    *,
    io: str | None = None,
    allow_float: Iterable[str] = (),
    leave_float: Iterable[object] = (),
    scales: str = "auto",
    signature: str = DEFAULT_SIGNATURE,
    value_range=None,
    limit: int = 256,
    scale: float | Mapping[str, float] = 1.0,
    offset: float | Mapping[str, float] = 0.0,
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
        scale: Factor on the calibration data of float inputs, such as 1 / 255 for pixels; by input name if they differ.
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
        check_exportable(model)
    found = None
    if calibration is not None:
        triples = input_triples(model) if source is None else source.triples
        found = calibration_samples(
            calibration, triples, limit=limit, value_range=value_range, scale=scale, offset=offset
        )
    check_weights(model)
    job = _Job(
        model,
        mode,
        io or ("int16" if mode == "int16x8" else "int8"),
        signature,
        tuple(allow_float),
        left,
        found,
        percentile,
        notes=notes,
        source=source,
    )
    if found is not None and source is None:
        check_outputs(model, list(job.float_outputs.values()), found)
    artifact = _made(job, scales)
    for note in job.notes:
        if "holds one draw" in note:
            warnings.warn(f"convert: {note}", stacklevel=2)
    if "fidelity" in artifact.metadata:
        _warn_of_scaling(job, artifact)
        judged(artifact, job, require, diagnose, lambda **changes: _again(job, scales, changes))
    _describe(artifact, job, facts, time.perf_counter() - began)
    return artifact


def _warn_of_scaling(job: _Job, artifact: Artifact):
    row = Fidelity.of(artifact.metadata["fidelity"]).against()[0]
    model = job.model if job.source is None else None
    doubt = scaling_doubt(model, job.inputs, job.float_outputs[row.output], row.kind)
    if doubt:
        warnings.warn(doubt, stacklevel=3)
        job.notes.append(doubt)


def _made(job: _Job, scales: str) -> Artifact:
    return _int8(job, scales) if job.mode == "int8" else _other(job)


def _again(job: _Job, scales: str, changes: dict) -> Fidelity:
    """Converts once more with other options, for what it brings."""
    if "inputs" in changes:
        rows = changes.pop("inputs")
        changes["samples"] = [{n: x[k : k + 1] for n, x in rows.items()} for k in range(len(job.samples))]
    if changes.get("mode") == "int16x8":
        changes["io"] = "int16"
    other = replace(job, notes=[], state=None, **changes)
    return Fidelity.of(_made(other, scales).metadata["fidelity"])


def _check_measures(mode, percentile, require, calibration):
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


def _check_no_percentile(percentile):
    if percentile is not None:
        raise ValueError(
            f"convert: TensorFlow's calibrator sets the ranges of a SavedModel, and knows no percentiles. Received: "
            f"percentile={percentile}. Convert the Keras model it was exported from."
        )


def _session_note(model) -> str:
    clock = counted(model)
    at = f" at {clock['progress']:.0%} of its schedule" if clock is not None else ""
    return f"a session's model{at}, converted as its layers are now"


def _check(mode, io, scales):
    checks.choice("convert", "mode", mode, MODES)
    accepted = {"int8": ("int8", "uint8", "float32"), "int16x8": ("int16", "float32")}.get(mode, ("float32",))
    if io is not None:
        checks.choice(f"convert, mode {mode!r}", "io", io, accepted)
    checks.choice("convert", "scales", scales, ("auto", "channel", "tensor"))


def _check_rest(calibration, signature, value_range, limit, facts):
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


# int8


def _int8(job: _Job, scales: str) -> Artifact:
    trained = CompressionState.of(job.model)
    if trained is not None and trained.ranges and all(r.is_set for r in trained.ranges):
        _check_bits(trained)
        if job.percentile is not None:
            raise ValueError(
                "convert: percentile sets ranges from calibration, but those of this model were trained. Train with "
                "tfc.Quantize('int8', ranges='percentile') instead."
            )
        job.state = trained
        _check_state(job)
        job.notes.append("activation ranges were trained (quantization-aware training)")
        return _proven(job)
    if job.source is not None and job.source.has_ranges:
        job.notes.append("activation ranges stand in the SavedModel (quantization-aware training)")
        return _proven(job)
    job.notes.append("activation ranges come from calibration (post-training quantization)")
    if job.samples is None:
        raise ValueError(
            "convert: mode 'int8' needs calibration data for a model whose activation ranges were not trained. "
            "Pass calibration=x[:200], or train with tfc.Compression([tfc.Quantize('int8')])."
        )
    return _post_training(job, scales)


def _check_state(job: _Job):
    """Ranges are finite, and wide enough for the kernels that will fill them."""
    check_ranges(job.state)
    if dead := lift(job.model, job.state):
        shown = ", ".join(map(repr, dead[:4])) + (" and more" if len(dead) > 4 else "")
        job.notes.append(f"only zeros were seen at {shown}: its range was set by the ranges before it")


def _check_bits(state: CompressionState):
    """LiteRT files of this converter hold 8 bits; other widths exist in simulation only."""
    wrong = [
        f"{t.path}/{c.path} ({q.bits} bits)" for t, c, q in state.find(QuantizeWeight) if q.bits != 8 or not q.symmetric
    ]
    wrong += [f"activations of {r.title} ({r.bits} bits)" for r in state.ranges if r.bits != 8]
    if wrong:
        raise ValueError(
            f"convert: a file holds symmetric 8-bit weights and 8-bit activations; trained were {wrong[:5]}"
            f"{' and more' if len(wrong) > 5 else ''}. Other schemes exist in simulation only for now: train "
            f"with tfc.Quantize('int8'), "
            "or convert with mode='float32'."
        )


def _post_training(job: _Job, scales: str) -> Artifact:
    def left_out(op):
        return matches_any(op, job.leave_float)

    if job.source is not None:
        return _checked(job, _attempt(job, filled=True, one_scale=scales == "tensor"))
    try:
        rule = tensors if scales == "tensor" else channels
        job.state = quantized_state(job.model, left_out, rule, job.percentile)
    except ValueError as error:
        if job.leave_float or job.percentile is not None:
            raise
        job.notes.append(f"ranges by TensorFlow's calibrator, no simulation: {error}")
        return _checked(job, _attempt(job, filled=True))
    observe(job.model, job.state, job.samples)
    _check_state(job)
    artifact = _proven(job)
    if scales == "auto" and any(is_shared(full_precision(c.variable)) for c in job.state.chains()):
        return _better_scales(job, artifact, left_out)
    return artifact


def _better_scales(job: _Job, by_channel: Artifact, left_out) -> Artifact:
    """One scale per tensor leaves k shared values k codes, which zip better; taken where no answer gets worse."""
    tensor = quantized_state(job.model, left_out, clustered, job.percentile)
    for mine, theirs in zip(tensor.ranges, job.state.ranges, strict=True):
        mine.low.assign(theirs.low)
        mine.high.assign(theirs.high)
        mine.seen.assign(theirs.seen)
    by_tensor = _proven(replace(job, state=tensor, notes=[]))
    if by_tensor.gzip_size < by_channel.gzip_size and not _is_worse(by_tensor, by_channel):
        saved = by_channel.gzip_size - by_tensor.gzip_size
        job.notes.append(
            f"clustered kernels have one scale each: {saved:,} bytes less zipped, same agreement with float "
            f"on calibration data"
        )
        job.state = tensor
        return by_tensor
    job.notes.append("one scale per channel: one scale per tensor cost agreement or saved nothing")
    return by_channel


_TOLERATED = 1.1  # times the error that a smaller download may cost where no class changes


def _is_worse(a: Artifact, b: Artifact) -> bool:
    """Whether any output of a file is further from the float model than that of another."""
    rows = [[r for r in Fidelity.of(x.metadata["fidelity"]).outputs if r.reference == FLOAT_MODEL] for x in (a, b)]
    for mine, theirs in zip(*rows, strict=True):
        if mine.agreement is not None and mine.agreement < theirs.agreement:
            return True
        if mine.agreement is None and (mine.error or 0.0) > _TOLERATED * (theirs.error or 0.0):
            return True
    return False


def _proven(job: _Job) -> Artifact:
    """Converts with the ranges there are; where inner values lack them and data are at hand, once more with data."""
    artifact = _attempt(job, filled=False)
    lost = float_operations(artifact, _allowed(job))
    if not lost or job.samples is None or _left(job):
        return _checked(job, artifact)
    known = table_says(job.model) if job.source is None else {}
    if all(f.op in known.get(f.layer, ()) for f in lost):
        raise NotFullyInteger(lost)
    for _ in range(CALIBRATIONS):
        try:
            artifact = _attempt(job, filled=True)
        except RuntimeError:  # the converter trips over its own float operations; the first file names them
            raise NotFullyInteger([f for f in lost if f.op in known.get(f.layer, ())] or lost) from None
        if not float_operations(artifact, _allowed(job)):
            break
    job.notes.append("inner values of some layers have ranges from TensorFlow's calibrator")
    return _checked(job, artifact)


def _checked(job: _Job, artifact: Artifact) -> Artifact:
    lost = float_operations(artifact, _allowed(job), job.samples is not None)
    if lost and job.source is not None:
        raise NotFullyInteger(without_layers(lost))
    if lost:
        raise NotFullyInteger(with_left(lost, _left(job)))
    check_loads(artifact, job.samples)
    _measure(artifact, job)
    return artifact


def _measure(artifact: Artifact, job: _Job, is_simulated: bool = True) -> None:
    """Compares the file with the float model, and with the simulation where there is one."""
    if job.samples is None:
        return
    if {"RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"} & set(artifact.op_versions):
        job.notes.append("not compared with the float model: both draw random numbers anew at each call")
        return
    got = measuring.answers(artifact, job.inputs)
    references = {FLOAT_MODEL: job.float_outputs}
    found_losses = losses(job.model, list(job.float_outputs))
    if job.state is not None and is_simulated:
        simulated = job.simulated(job.state)
        artifact.metadata["parity"] = [parity(artifact, simulated, got[x], x).facts() for x in (True, False)]
        if CompressionState.of(job.model) is job.state:  # the simulation is what was trained
            references = {SIMULATION: simulated, **references}
    weights = 4 * (job.model.count_params() if job.source is None else job.source.parameters)
    artifact.metadata["fidelity"] = measuring.fidelity(artifact, got, references, found_losses, weights).facts()


def _allowed(job: _Job) -> set[str]:
    return allowed_names(job.model, job.allow_float, job.leave_float)


def _left(job: _Job) -> set[str]:
    return left_layers(job.model, job.state, job.leave_float)


def _attempt(job: _Job, filled: bool, one_scale: bool = False) -> Artifact:
    try:
        return _converted(job, _integer_setup(job, filled, one_scale), job.samples if filled else None)
    except RuntimeError as error:
        refused = predicted_float_ops(table_says(job.model)) if not filled and job.source is None else []
        if not refused:
            raise
        raise NotFullyInteger(refused) from error


def _integer_setup(job: _Job, filled: bool, one_scale: bool = False):
    def setup(converter):
        converter._experimental_disable_per_channel = one_scale  # of weights, where the converter chooses scales
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = _IO[job.io]
        if filled:
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
                tf.lite.OpsSet.TFLITE_BUILTINS,
            ]

    return setup


# other modes


def _other(job: _Job) -> Artifact:
    if job.mode == "int16x8" and job.samples is None:
        raise ValueError("convert: mode 'int16x8' needs calibration data. Pass calibration=x[:200].")

    def setup(converter):
        if job.mode != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if job.mode == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if job.mode == "int16x8":
            ops = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [ops]
            converter.inference_input_type = converter.inference_output_type = _IO[job.io]

    if job.mode == "int16x8":
        return _sixteen(job, setup)
    artifact = _converted(job, setup, None)
    check_loads(artifact, job.samples)
    if job.mode == "dynamic" and not any(k.dtype == np.int8 for k in artifact.kernels().values()):
        job.notes.append(
            "nothing was compressed: TensorFlow stores kernels in 8 bits in mode 'dynamic' only from 1,024 weights on"
        )
    _measure(artifact, job)
    return artifact


def _sixteen(job: _Job, setup) -> Artifact:
    """Trained ranges where there are any; else calibration, with the values inside attention as in int8."""
    trained, seen = None if job.source is not None else CompressionState.of(job.model), {}
    if trained is not None and trained.ranges and all(r.is_set for r in trained.ranges):
        check_sixteen(trained)
        job.state = trained
        _check_state(job)
        seen = observed(job.model, trained, job.samples)
        job.notes.append("activation ranges were trained for 16 bits (quantization-aware training)")
    else:
        job.state = masks_only(job.model, job.samples) if job.source is None else None
        job.notes.append("activation ranges come from calibration (post-training quantization)")
    artifact = _converted(job, setup, job.samples, seen)
    check_loads(artifact, job.samples)
    _measure(artifact, job, is_simulated=bool(seen))
    return artifact


def _converted(job: _Job, setup, data, seen=None) -> Artifact:
    if job.source is not None:
        export, found = job.source.converted(setup, data, job.mode)
    else:
        draws = Draws.of(job.mode, job.allow_float)
        export = exported(job.model, job.state, draws)
        found = Artifact(run_converter(export, setup, data), {})
        found.metadata["layers"] = layer_names(found, export.paths)
        job.notes.extend(note for note in draws.notes(export.paths) if note not in job.notes)
    if seen:
        content = with_trained(found.content, job.state, seen, found.metadata["layers"])
        found = Artifact(content, found.metadata)
    ends = ends_in_order(found.model, job.signature, export.inputs, export.outputs)
    content = rewritten(found.content, tensor_names(found, ends.names()), mistaken_biases(found.model), ends)
    return Artifact(content, found.metadata)


# facts


def _describe(artifact: Artifact, job: _Job, facts: dict | None, seconds: float):
    packages = ("tensorflow", "keras", "ai-edge-litert")
    artifact.metadata |= {
        "mode": job.mode,
        "model": job.model.name,
        "seconds": round(seconds, 3),
        "calibration_samples": len(job.samples or ()),
        "versions": {p: version(p) for p in packages},
        **(facts or {}),
    }
    artifact.metadata["notes"] = [*(facts or {}).get("notes", []), *job.notes]
