"""convert: a final model and representative data in, a proven `.tflite` artifact out."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version

import keras
import numpy as np
import tensorflow as tf

from tfcompress.deploy.artifact import Artifact
from tfcompress.deploy.biases import mistaken_biases
from tfcompress.deploy.calibration import samples as calibration_samples
from tfcompress.deploy.diet.sharing import shared
from tfcompress.deploy.export import (
    DEFAULT_SIGNATURE,
    complete,
    named_outputs,
    run_converter,
    saved_model,
)
from tfcompress.deploy.finite import check_answers, check_outputs, check_ranges, check_weights
from tfcompress.deploy.loading import load_model
from tfcompress.deploy.naming import tensor_names
from tfcompress.deploy.post_training import channels, clustered, is_shared, quantized_state, tensors
from tfcompress.deploy.rewriting import rewritten
from tfcompress.deploy.simulate import observe, simulate
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
from tfcompress.mechanics.floors import lift
from tfcompress.mechanics.graph import full_precision, input_specs, input_triples
from tfcompress.mechanics.state import CompressionState
from tfcompress.mechanics.transforms.quantize import QuantizeWeight
from tfcompress.mechanics.wrapping import counted, finished, is_wrapped

MODES = ("float32", "float16", "dynamic", "int8", "int16x8")
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
    state: CompressionState | None = None
    notes: list[str] = field(default_factory=list)


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
    facts: dict | None = None,
) -> Artifact:
    """Converts a model to a `.tflite` file and proves it.

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
            well.
        scales: Weight scales of a model that was not quantized in training: "channel"; "tensor", one for each kernel
            (not where a BatchNormalization is folded in); or "auto": per channel, but one for
            each clustered kernel where that costs no agreement and zips smaller.
        signature: Name of the signature in the file.
        value_range: `(low, high)` the inputs must lie in; calibration outside is an error.
        limit: Most samples to calibrate with.
        facts: Further facts for the artifact's metadata.

    Returns:
        The artifact; not yet saved.

    Raises:
        NotFullyInteger: If an int8 file would keep a float operation.
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
    model = load_model(model)
    notes = []
    if is_wrapped(model):
        notes = [_session_note(model)]
        model = finished(model)
    found = None
    if calibration is not None:
        found = calibration_samples(calibration, input_triples(model), limit=limit, value_range=value_range)
    check_weights(model)
    left = tuple(leave_float)
    job = _Job(
        model,
        mode,
        io or ("int16" if mode == "int16x8" else "int8"),
        signature,
        tuple(allow_float),
        left,
        found,
        notes=notes,
    )
    if found is not None and (mode != "int8" or CompressionState.of(model) is not None):
        check_answers(model, found)  # without trained ranges calibration looks at the same answers
    if mode == "int8":
        artifact = _int8(job, scales)
    else:
        artifact = _other(job)
    _describe(artifact, job, facts, time.perf_counter() - began)
    return artifact


def _session_note(model) -> str:
    clock = counted(model)
    at = f" at {clock['progress']:.0%} of its schedule" if clock is not None else ""
    return f"a session's model{at}, converted as its layers are now"


def _check(mode, io, scales):
    if mode not in MODES:
        raise ValueError(f"convert: mode must be one of {MODES}. Received: mode={mode!r}.")
    accepted = {"int8": ("int8", "uint8", "float32"), "int16x8": ("int16", "float32")}.get(mode, ("float32",))
    if io is not None and io not in accepted:
        raise ValueError(f"convert: io of mode {mode!r} must be one of {accepted}. Received: io={io!r}.")
    if scales not in ("auto", "channel", "tensor"):
        raise ValueError(f"convert: scales must be 'auto', 'channel' or 'tensor'. Received: scales={scales!r}.")


# int8


def _int8(job: _Job, scales: str) -> Artifact:
    trained = CompressionState.of(job.model)
    if trained is not None and trained.ranges and all(r.is_set for r in trained.ranges):
        _check_bits(trained)
        job.state = trained
        _check_state(job)
        job.notes.append("activation ranges were trained (quantization-aware training)")
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

    try:
        job.state = quantized_state(job.model, left_out, tensors if scales == "tensor" else channels)
    except ValueError as error:
        if job.leave_float:
            raise
        check_answers(job.model, job.samples)
        job.notes.append(f"ranges by TensorFlow's calibrator, no simulation: {error}")
        return _checked(job, _attempt(job, filled=True))
    check_outputs(job.model, observe(job.model, job.state, job.samples), job.samples)
    _check_state(job)
    artifact = _proven(job)
    if scales == "auto" and any(is_shared(full_precision(c.variable)) for c in job.state.chains()):
        return _better_scales(job, artifact, left_out)
    return artifact


def _better_scales(job: _Job, by_channel: Artifact, left_out) -> Artifact:
    """One scale per tensor leaves k shared values k codes, which zip better; taken where no answer gets worse."""
    tensor = quantized_state(job.model, left_out, clustered)
    for mine, theirs in zip(tensor.ranges, job.state.ranges, strict=True):
        mine.low.assign(theirs.low)
        mine.high.assign(theirs.high)
        mine.seen.assign(theirs.seen)
    other = _Job(
        job.model,
        job.mode,
        job.io,
        job.signature,
        job.allow_float,
        job.leave_float,
        job.samples,
        tensor,
        list(job.notes),
    )
    by_tensor = _proven(other)
    wanted = _float_answers(job)
    scores = [np.mean(_answers(a, job) == wanted) for a in (by_channel, by_tensor)]
    if scores[1] >= scores[0] and by_tensor.gzip_size < by_channel.gzip_size:
        saved = by_channel.gzip_size - by_tensor.gzip_size
        job.notes.append(
            f"clustered kernels have one scale each: {saved:,} bytes less zipped, same agreement with float "
            f"on calibration data"
        )
        job.state = tensor
        return by_tensor
    job.notes.append("one scale per channel: one scale per tensor cost agreement or saved nothing")
    return by_channel


def _float_answers(job):
    first = _simulated(job, None)
    return next(iter(first.values())).reshape(len(job.samples), -1).argmax(axis=1)


def _answers(artifact, job):
    got = artifact.predict(_inputs(job))
    first = got[artifact.outputs[0].name] if isinstance(got, dict) else got
    return first.reshape(len(first), -1).argmax(axis=1)


def _proven(job: _Job) -> Artifact:
    """Converts with the ranges there are; where inner values lack them and data are at hand, once more with data."""
    artifact = _attempt(job, filled=False)
    lost = float_operations(artifact, _allowed(job))
    if not lost or job.samples is None or _left(job):
        return _checked(job, artifact)
    known = table_says(job.model)
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
    lost = float_operations(artifact, _allowed(job))
    if lost:
        raise NotFullyInteger(with_left(lost, _left(job)))
    check_loads(artifact)
    if job.state is not None and job.samples is not None:
        artifact.metadata["parity"] = _parities(job, artifact)
    return artifact


def _allowed(job: _Job) -> set[str]:
    return allowed_names(job.model, job.allow_float, job.leave_float)


def _left(job: _Job) -> set[str]:
    return left_layers(job.model, job.state, job.leave_float)


def _attempt(job: _Job, filled: bool) -> Artifact:
    try:
        return _converted(job, _integer_setup(job, filled), job.samples if filled else None)
    except RuntimeError as error:
        refused = predicted_float_ops(table_says(job.model)) if not filled else []
        if not refused:
            raise
        raise NotFullyInteger(refused) from error


def _integer_setup(job: _Job, filled: bool):
    def setup(converter):
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
    check_loads(artifact)
    return artifact


def _sixteen(job: _Job, setup) -> Artifact:
    """Trained ranges where there are any; else calibration, with the values inside attention as in int8."""
    trained, seen = CompressionState.of(job.model), {}
    if trained is not None and trained.ranges and all(r.is_set for r in trained.ranges):
        check_sixteen(trained)
        job.state = trained
        _check_state(job)
        seen = observed(job.model, trained, job.samples)
        job.notes.append("activation ranges were trained for 16 bits (quantization-aware training)")
    else:
        job.state = masks_only(job.model, job.samples)
        job.notes.append("activation ranges come from calibration (post-training quantization)")
    artifact = _converted(job, setup, job.samples, seen)
    check_loads(artifact)
    if seen:
        artifact.metadata["parity"] = _parities(job, artifact)
    return artifact


def _parities(job: _Job, artifact: Artifact) -> list[dict]:
    simulated = _simulated(job, job.state)
    return [parity(artifact, simulated, _inputs(job), xnnpack=x).facts() for x in (True, False)]


def _converted(job: _Job, setup, data, seen=None) -> Artifact:
    with saved_model(job.model, job.state, job.signature) as folder:
        content = run_converter(folder, job.signature, setup, data)
    paths = {t.index: t.path for t in complete(job.model, job.state).treatments}
    found = Artifact(content, {})
    found.metadata["layers"] = layer_names(found, paths)
    if seen:
        content = with_trained(content, job.state, seen, found.metadata["layers"])
        found = Artifact(content, found.metadata)
    content = rewritten(content, tensor_names(found), mistaken_biases(found.model))
    # tables and buffers that are alike lie there once, and constants where the runtime wants them
    return Artifact(shared(content), found.metadata)


# facts


def _inputs(job: _Job):
    return {name: np.concatenate([s[name] for s in job.samples]) for name in job.samples[0]}


def _simulated(job: _Job, state) -> dict[str, np.ndarray]:
    state = state if state is not None else complete(job.model, None)
    specs = input_specs(job.model)
    arrays = _inputs(job)
    x = keras.tree.pack_sequence_as(specs, [arrays[s.name] for s in keras.tree.flatten(specs)])
    return named_outputs(job.model, simulate(job.model, state, x))


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
