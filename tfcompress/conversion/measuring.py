"""Measures how far the outputs of a file are from those of the float model and of the simulation."""

import numpy as np

from tfcompress.conversion.conversion import Conversion
from tfcompress.export.verify import parity
from tfcompress.fidelity import measuring
from tfcompress.fidelity.answers import losses
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import FLOAT_MODEL, SIMULATION


def measure(conversion: Conversion, artifact: Artifact) -> None:
    """Compares a file with the float model and the simulation, and writes the figures into its metadata.

    Args:
        conversion: The conversion; nothing is measured without samples.
        artifact: Its file.
    """
    c = conversion
    if c.samples is None:
        return
    if {"RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"} & set(artifact.op_versions):
        c.notes.append("not compared with the float model: both draw new random numbers at each call")
        return
    got = measuring.answers(artifact, c.inputs)
    references = {FLOAT_MODEL: c.float_outputs}
    found_losses = losses(c.model, list(c.float_outputs))
    if c.is_simulated:
        simulated = c.simulated_outputs()
        artifact.metadata["parity"] = [parity(artifact, simulated, got[x], x).facts() for x in (True, False)]
        if c.is_trained:
            references = {SIMULATION: simulated, **references}
    weights = 4 * (c.model.count_params() if c.source is None else c.source.parameters)
    artifact.metadata["fidelity"] = measuring.fidelity(artifact, got, references, found_losses, weights).facts()


def note_uncompressed(conversion: Conversion, artifact: Artifact) -> None:
    """Adds a note to a file of integer weights and float activations whose kernels all stayed float."""
    row = conversion.file_format
    if row.weights is None or row.is_integer:
        return
    if not any(k.dtype == np.dtype(f"int{row.weights.bits}") for k in artifact.kernels().values()):
        conversion.notes.append(
            f"nothing was compressed: TensorFlow stores kernels in {row.weights.bits} bits in mode {row.mode!r} only "
            "from 1,024 weights on"
        )
