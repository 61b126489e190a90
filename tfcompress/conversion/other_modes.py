"""Files of floats, of 8-bit weights with float activations, and of 8-bit weights with 16-bit activations."""

import numpy as np
import tensorflow as tf

from tfcompress.conversion.int8 import IO
from tfcompress.conversion.job import Job, check_state, converted, measure
from tfcompress.conversion.sixteen import check_sixteen, masks_only, observed
from tfcompress.export.export import float_inputs
from tfcompress.export.unconvertible import NotConvertible
from tfcompress.export.verify import check_loads
from tfcompress.fake_quant.state import CompressionState
from tfcompress.graph.keras_private import input_triples
from tfcompress.tflite.artifact import Artifact


def other(job: Job) -> Artifact:
    """Makes a file of another mode than int8.

    Args:
        job: The conversion.

    Returns:
        The file, run once and measured.

    Raises:
        ValueError: If calibration data are missing.
    """
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
            converter.inference_input_type = converter.inference_output_type = IO[job.io]

    if job.mode == "int16x8":
        return _sixteen(job, setup)
    artifact = converted(job, setup, None)
    check_loads(artifact, job.samples)
    if job.mode == "dynamic" and not any(k.dtype == np.int8 for k in artifact.kernels().values()):
        job.notes.append(
            "nothing was compressed: TensorFlow stores kernels in 8 bits in mode 'dynamic' only from 1,024 weights on"
        )
    measure(artifact, job)
    return artifact


def _check_inputs(job: Job):
    """TensorFlow's 16-bit quantizer records ranges of floats only, and lacks CAST."""
    triples = input_triples(job.model) if job.source is None else job.source.triples
    known = float_inputs(job.model) if job.source is None else set()
    whole = [f"{name!r} ({dtype})" for name, _, dtype in triples if not dtype.startswith("float") and name not in known]
    if whole:
        raise NotConvertible(
            f"convert: a file of mode 'int16x8' takes float inputs only, and this model takes {', '.join(whole)}. Use "
            "mode='int8' or mode='dynamic', or build the model from the layer behind these inputs on"
        )


def _sixteen(job: Job, setup) -> Artifact:
    """Trained ranges where there are any; else calibration, with the values inside attention as in int8."""
    _check_inputs(job)
    trained, seen = None if job.source is not None else CompressionState.of(job.model), {}
    if trained is not None and trained.ranges and all(r.is_set for r in trained.ranges):
        check_sixteen(trained)
        job.state = trained
        check_state(job)
        seen = observed(job.model, trained, job.samples)
        job.notes.append("activation ranges were trained for 16 bits (quantization-aware training)")
    else:
        job.state = masks_only(job.model, job.samples) if job.source is None else None
        job.notes.append("activation ranges come from calibration (post-training quantization)")
    artifact = converted(job, setup, job.samples, seen)
    check_loads(artifact, job.samples)
    measure(artifact, job, is_simulated=bool(seen))
    return artifact
