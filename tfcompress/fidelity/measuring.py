"""Compares every output of a file with its references, with XNNPACK and without."""

from collections.abc import Mapping

import numpy as np

from tfcompress.export.verify import run_file
from tfcompress.fidelity.answers import kind_of
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import Fidelity, compare_output
from tfcompress.tflite.tensor_spec import TensorSpec

Outputs = dict[str, np.ndarray]


def answers(artifact: Artifact, x: Mapping[str, np.ndarray]) -> dict[bool, Outputs]:
    """Runs a file with XNNPACK and with plain kernels.

    Args:
        artifact: The file.
        x: Inputs by name, `(samples, ...)`.

    Returns:
        The dequantized outputs by name, with XNNPACK under True and with plain kernels under False.
    """
    found = {}
    for xnnpack in (True, False):
        got = run_file(artifact, dict(x), xnnpack)
        found[xnnpack] = got if isinstance(got, dict) else {artifact.outputs[0].name: got}
    return found


def fidelity(
    artifact: Artifact,
    got: Mapping[bool, Outputs],
    references: Mapping[str, Outputs],
    losses: Mapping[str, str],
    weight_bytes: int | None,
) -> Fidelity:
    """Compares the outputs of a file with those of its references.

    Args:
        artifact: The file.
        got: Its answers, as `answers` gives them.
        references: Outputs by name of each reference, by the reference's name.
        losses: Name of the loss by output, where known.
        weight_bytes: Bytes of the model's weights in float32; None if unknown.

    Returns:
        The measurement.
    """
    rows = []
    for reference, wanted in references.items():
        for xnnpack, values in got.items():
            for spec in artifact.outputs:
                rows.append(
                    compare_output(
                        spec.name,
                        values[spec.name],
                        wanted[spec.name],
                        kind_of(artifact, spec, losses.get(spec.name, "")),
                        reference=reference,
                        xnnpack=xnnpack,
                        scale=spec.scale,
                        limits=_limits(spec),
                    )
                )
    return Fidelity(tuple(rows), weight_bytes / artifact.size if weight_bytes else None)


def _limits(spec: TensorSpec) -> tuple[float, float] | None:
    if not spec.is_quantized:
        return None
    info = np.iinfo(spec.dtype)
    low, high = spec.dequantize(np.array([info.min, info.max], spec.dtype))
    return float(low), float(high)
