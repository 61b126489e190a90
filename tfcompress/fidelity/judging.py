"""Warns of a loss of fidelity with its layer and a way out, or refuses the file."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

import keras
import numpy as np

from tfcompress.calibration.image_folder import evenly
from tfcompress.export.export import named_outputs
from tfcompress.export.simulate import float_outputs
from tfcompress.fidelity.diagnosis import SAMPLES, Culprit, find_culprit
from tfcompress.fidelity.file_noise import file_noise
from tfcompress.fidelity.remedies import Loss, Remedy, try_remedies
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import Fidelity, FidelityWarning, NotFaithful, OutputFidelity, compare_output

_TRAIN = "train on with tfc.Compression([tfc.Quantize('int8')]), which lets the weights follow the rounding"
_LONGER = "train longer, with tfc.Quantize(..., ranges='learned'), or leave layers float by its `overrides`"
SHOWN = 2  # remedies in a warning; all of them stand in the metadata


def judge_fidelity(
    artifact: Artifact, job, require: Mapping[str, float] | None, diagnose: bool, again: Callable[..., Artifact]
) -> None:
    """Warns of a loss of fidelity, or refuses a file that misses what was required.

    Args:
        artifact: The measured file; what is found out is added to its metadata.
        job: The conversion, a `Conversion`.
        require: Requirements of the user, or None.
        diagnose: Whether to look for the layer and for ways out.
        again: Converts again with other options and measures.

    Raises:
        NotFaithful: If a requirement is missed.
    """
    fidelity = Fidelity.of(artifact.metadata["fidelity"])
    missed = fidelity.missed(require) if require else []
    lost = fidelity.lost()
    if not lost and not missed:
        return
    row = lost[0] if lost else _worst(fidelity)
    place = remedies = None
    if diagnose and not _mixes_samples(job, row):
        place = _place(job, row) if job.source is None else _place_in_file(artifact, job, again)

        def measured(**changes) -> Fidelity:
            return Fidelity.of(again(**changes).metadata["fidelity"])

        remedies = try_remedies(_loss(job, row, place), measured)
        fidelity = replace(fidelity, lost_at=_facts(place), remedies=tuple(asdict(r) for r in remedies))
        artifact.metadata["fidelity"] = fidelity.facts()
    told = _warning_text(job, row, place, remedies)
    if diagnose and remedies is None:
        told += (
            " The model mixes the samples of a batch (an operation goes over the first axis), and a file takes one "
            "sample at a time: its answers are those of batches of one. Let the operation go over other axes."
        )
    if missed:
        listed = "\n".join(f"  {m}" for m in missed)
        raise NotFaithful(f"convert: the file is not as faithful as required:\n{listed}\n{told}", fidelity)
    warnings.warn(f"fidelity: {told}", FidelityWarning, stacklevel=_LEVEL)


_LEVEL = 3  # the caller of convert


def _worst(fidelity: Fidelity) -> OutputFidelity:
    return max(fidelity.outputs, key=lambda r: (1.0 - (1.0 if r.agreement is None else r.agreement), r.error or 0.0))


def _place(job, row: OutputFidelity) -> Culprit | None:
    if job.state is None or not job.state.ranges or row.error is None:
        return None
    names = list(job.float_outputs)
    chosen = evenly(len(job.samples), SAMPLES)
    x = keras.tree.map_structure(lambda a: np.asarray(a)[chosen], job.packed)
    wanted = job.float_outputs[row.output][chosen]

    def error_of(outputs) -> float:
        got = compare_output(row.output, named_outputs(job.model, outputs)[row.output], wanted, row.kind)
        return got.channel_error if row.has_lost_channel else got.error

    return find_culprit(job.model, job.state, x, error_of, names.index(row.output))


def _place_in_file(artifact: Artifact, job, again: Callable[..., Artifact]) -> Culprit | None:
    """Returns the layer of a SavedModel that adds the most noise; leaving it in float can't be tried."""
    if not job.file_format.is_integer:
        return None
    chosen = evenly(len(job.samples), SAMPLES)
    try:
        noise = file_noise(again(mode="float32"), artifact, [x[chosen] for x in job.inputs.values()])
    except (ValueError, RuntimeError):  # no float file; the loss is reported without its layer
        return None
    most = max(noise, key=lambda n: n.grown, default=None)
    return None if most is None else Culprit(most.path, None, None, most)


def _loss(job, row: OutputFidelity, place: Culprit | None) -> Loss:
    return Loss(
        model=job.model if job.source is None else None,
        row=row,
        op=None if place is None else place.op,
        is_input=place is not None and place.is_input,
        trained=job.is_trained,
        file_format=job.file_format,
        inputs=job.inputs,
        outputs=tuple(job.float_outputs),
    )


def _facts(place: Culprit | None) -> dict:
    if place is None:
        return {}
    noise = {} if place.noise is None else {"decibel": round(place.noise.decibel, 1), "fed": round(place.noise.fed, 4)}
    without = {} if place.error is None else {"error_without": round(place.error, 5)}
    return {"layer": place.path, **without, **noise}


def _warning_text(job, row: OutputFidelity, place: Culprit | None, remedies: list[Remedy] | None) -> str:
    lines = [_what(job, row)]
    if place is not None:
        lines.append(_where(job, row, place))
    if remedies:
        lines.append("What helps: " + "; ".join(r.sentence() for r in remedies[:SHOWN]) + ".")
    elif remedies is not None and job.file_format.is_integer:
        way = _LONGER if job.is_trained else _TRAIN
        lines.append(f"None of the ways tried brought much; {way}, or convert with mode='float16'.")
    return " ".join(lines)


def _mixes_samples(job, row: OutputFidelity) -> bool:
    """Returns whether an output depends on the other samples of a batch; a file takes one sample at a time."""
    if job.source is not None or len(job.samples) < 2:
        return False
    few = keras.tree.map_structure(lambda a: np.asarray(a)[:2], job.packed)
    alone = named_outputs(job.model, float_outputs(job.model, few, batch_size=1))[row.output]
    together = job.float_outputs[row.output][:2]
    return not np.allclose(alone, together, rtol=1e-3, atol=1e-3 * float(np.abs(together).max(initial=0.0)))


def _what(job, row: OutputFidelity) -> str:
    kernels = "" if row.xnnpack else " with plain kernels"
    parts = []
    if row.agreement is not None:
        parts.append(f"names the same class as the {row.reference} on {row.same:,} of {row.positions:,}")
    if row.error is not None:
        parts.append(f"its error is {100 * row.error:.3g} % of the output's spread")
    if row.has_lost_channel:
        axis = "" if row.worst_axis == -1 else f" of axis {row.worst_axis}"
        parts.append(
            f"channel {row.worst_channel}{axis} is left with {row.channel_codes} distinct values "
            f"(error {100 * row.channel_error:.3g} % of its spread)"
        )
    return f"output {row.output!r} of the {job.mode} file{kernels}: {', '.join(parts)}."


def _where(job, row: OutputFidelity, place: Culprit) -> str:
    what = "channel error" if row.has_lost_channel else "error"
    name = place.path
    if place.is_input:
        names = list(job.inputs)
        name = f"input {names[int(place.path.split()[-1])]!r}, whose values share one scale"
        return f"It arises at {name}: with that in float the {what} is {100 * place.error:.2g} %."
    noise = f" (signal-to-noise {place.noise.decibel:.0f} dB)"
    if place.error is None:
        return f"It arises at layer {name!r}{noise}, which adds more noise than any other."
    return f"It arises at layer {name!r}{noise}: with that layer in float the {what} is {100 * place.error:.2g} %."
