"""The int8 file: trained ranges, or ranges that calibration sets; every operation integer, or an error."""

import copy

import tensorflow as tf

from tfcompress.conversion.job import Job, check_state, converted, measure
from tfcompress.export.float_fallback import matches_any, table_says, with_left
from tfcompress.export.post_training import channels, clustered, is_shared, quantized_state, tensors
from tfcompress.export.saved_model import without_layers
from tfcompress.export.simulate import observe
from tfcompress.export.verify import NotFullyInteger, check_loads, float_operations, predicted_float_ops
from tfcompress.fake_quant.state import CompressionState
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight
from tfcompress.graph.keras_private import full_precision
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import FLOAT_MODEL, Fidelity

IO = {"int8": tf.int8, "uint8": tf.uint8, "float32": tf.float32, "int16": tf.int16}


def int8(job: Job) -> Artifact:
    """Makes an integer file, or raises.

    Args:
        job: The conversion.

    Returns:
        The file, checked and measured.

    Raises:
        NotFullyInteger: If an operation would stay float that may not.
        ValueError: If ranges or data are missing.
    """
    trained = CompressionState.of(job.model)
    if trained is not None and trained.ranges and all(r.is_set for r in trained.ranges):
        _check_bits(trained)
        if job.percentile is not None:
            raise ValueError(
                "convert: percentile sets ranges from calibration, but those of this model were trained. Train with "
                "tfc.Quantize('int8', ranges='percentile') instead."
            )
        job.state = trained
        check_state(job)
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
    return _post_training(job)


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


def _post_training(job: Job) -> Artifact:
    def left_out(op):
        return matches_any(op, job.leave_float)

    if job.source is not None:
        return _checked(job, _attempt(job, filled=True, one_scale=job.scales == "tensor"))
    try:
        rule = tensors if job.scales == "tensor" else channels
        job.state = quantized_state(job.model, left_out, rule, job.percentile)
    except ValueError as error:
        if job.leave_float or job.percentile is not None:
            raise
        job.notes.append(f"ranges by TensorFlow's calibrator, no simulation: {error}")
        return _checked(job, _attempt(job, filled=True))
    observe(job.model, job.state, job.samples)
    check_state(job)
    artifact = _proven(job)
    if job.scales == "auto" and any(is_shared(full_precision(c.variable)) for c in job.state.chains()):
        return _better_scales(job, artifact, left_out)
    return artifact


def _better_scales(job: Job, by_channel: Artifact, left_out) -> Artifact:
    """One scale per tensor leaves k shared values k codes, which zip better; taken where no answer gets worse."""
    tensor = quantized_state(job.model, left_out, clustered, job.percentile)
    for mine, theirs in zip(tensor.ranges, job.state.ranges, strict=True):
        mine.low.assign(theirs.low)
        mine.high.assign(theirs.high)
        mine.seen.assign(theirs.seen)
    other = copy.copy(job)  # with what the float model answered
    other.state, other.notes = tensor, []
    by_tensor = _proven(other)
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


def _proven(job: Job) -> Artifact:
    """Converts with the ranges there are; where inner values lack them and data are at hand, once more with data."""
    artifact = _attempt(job, filled=False)
    lost = float_operations(artifact, job.allowed(), drags=job.samples is None)
    if not lost or job.samples is None or job.left():
        return _checked(job, artifact)
    known = table_says(job.model) if job.source is None else {}
    if all(f.op in known.get(f.layer, ()) for f in lost):
        raise NotFullyInteger(lost)
    try:
        artifact = _attempt(job, filled=True)
    except RuntimeError:  # the converter trips over its own float operations; the first file names them
        raise NotFullyInteger([f for f in lost if f.op in known.get(f.layer, ())] or lost) from None
    job.notes.append("inner values of some layers have ranges from TensorFlow's calibrator")
    return _checked(job, artifact)


def _checked(job: Job, artifact: Artifact) -> Artifact:
    lost = float_operations(artifact, job.allowed(), job.samples is not None)
    if lost and job.source is not None:
        raise NotFullyInteger(without_layers(lost))
    if lost:
        raise NotFullyInteger(with_left(lost, job.left()))
    check_loads(artifact, job.samples)
    measure(artifact, job)
    return artifact


def _attempt(job: Job, filled: bool, one_scale: bool = False) -> Artifact:
    try:
        return converted(job, _integer_setup(job, filled, one_scale), job.samples if filled else None)
    except RuntimeError as error:
        refused = predicted_float_ops(table_says(job.model)) if not filled and job.source is None else []
        if not refused:
            raise
        raise NotFullyInteger(refused) from error


def _integer_setup(job: Job, filled: bool, one_scale: bool = False):
    def setup(converter):
        converter._experimental_disable_per_channel = one_scale  # of weights, where the converter chooses scales
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = IO[job.io]
        if filled:
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
                tf.lite.OpsSet.TFLITE_BUILTINS,
            ]

    return setup
