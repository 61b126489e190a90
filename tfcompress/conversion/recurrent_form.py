"""Chooses whether recurrent layers become loops in the file, or one step after the other.

A loop has as many operations and bytes for 200 steps as for 6, and one range for each inner value of all steps.
Unrolled layers of a model that was not trained for int8 have ranges for each step, which TensorFlow's calibrator finds.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

from tfcompress.conversion.conversion import Conversion, Ranges
from tfcompress.conversion.recurrent_layers import LOOP, UNROLLED, has_form
from tfcompress.conversion.scale_choice import is_worse
from tfcompress.export.verify import NotFullyInteger
from tfcompress.graph.inside.opened import operations
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import Fidelity
from tfcompress.tflite.loops.trips import trips

_AGREES = 0.99  # share of the same class from which on a file is taken without looking for a better one
_FEW = 2  # steps up to which a file without loop is smaller


def choose_form(conversion: Conversion, make: Callable[[Conversion], Artifact]) -> Artifact:
    """Returns the file with recurrent layers as the conversion asks for; "auto" keeps loops that are proven.

    Args:
        conversion: The conversion; its `recurrent` becomes "loop" or "unrolled".
        make: Finds the ranges, and writes, checks and measures the file of a conversion.

    Returns:
        The file.

    Raises:
        NotFullyInteger: If a file with loops was asked for, and would keep a float operation.
    """
    c = conversion
    asked = c.recurrent
    if asked == UNROLLED or not _has_forms(c):
        c.recurrent = UNROLLED
        return make(c)
    c.recurrent = LOOP
    try:
        looped = make(c)
    except (NotFullyInteger, RuntimeError) as error:
        if asked == LOOP:
            raise _with_way_out(error) from error
        return _unrolled_after_all(c, make, str(error).splitlines()[0])
    if asked == LOOP or not c.loops:
        return looped
    if _is_short(looped):
        return _unrolled_after_all(c, make, "a loop of so few steps is no smaller")
    if c.ranges is not Ranges.CALIBRATED or _is_proven(looped):
        return looped
    return _better(c, looped, make)


def _unrolled_after_all(c: Conversion, make: Callable[[Conversion], Artifact], reason: str) -> Artifact:
    c.recurrent, c.ranges, c.state = UNROLLED, Ranges.NONE, None
    c.notes.append(f"recurrent layers are unrolled: {reason}")
    return make(c)


def _better(c: Conversion, looped: Artifact, make: Callable[[Conversion], Artifact]) -> Artifact:
    """Returns the file with loops or the unrolled one, whichever is nearer to the float model."""
    other = copy.copy(c)  # shares the outputs of the float model
    other.recurrent, other.ranges, other.state, other.notes = UNROLLED, Ranges.NONE, None, []
    try:
        unrolled = make(other)
    except (NotFullyInteger, RuntimeError):
        return looped
    if not is_worse(looped, unrolled):
        c.notes.append("recurrent layers are loops: one range for each step brought no better agreement")
        return looped
    c.recurrent, c.ranges, c.state = UNROLLED, other.ranges, other.state
    c.notes[:] = [
        *other.notes,
        f"recurrent layers are unrolled, {unrolled.size:,} bytes: as loops ({looped.size:,} bytes) they agree less "
        "with the float model; training with tfc.Quantize('int8') closes that gap",
    ]
    return unrolled


def _is_short(artifact: Artifact) -> bool:
    """Whether all loops of a file run so few times that the file is smaller without."""
    model = artifact.model
    counts = [trips(model, graph, op) for graph in model.graphs for op in graph.ops if op.name == "WHILE"]
    return all(count is not None and count <= _FEW for count in counts)


def _is_proven(artifact: Artifact) -> bool:
    """Whether a file agrees so well with the float model that the unrolled file need not be made beside it."""
    if "fidelity" not in artifact.metadata:
        return True
    found = Fidelity.of(artifact.metadata["fidelity"])
    return not found.lost() and all(r.agreement is None or r.agreement >= _AGREES for r in found.against())


def _with_way_out(error: Exception) -> Exception:
    if not isinstance(error, NotFullyInteger):
        return error
    way = "; recurrent='unrolled' lets TensorFlow's calibrator measure what lacks a range"
    return NotFullyInteger([replace(f, remedy=f"{f.remedy}{way}") for f in error.float_ops])


def _has_forms(c: Conversion) -> bool:
    is_integer = c.source is None and c.file_format.reads_ranges and c.file_format.only_integer
    return is_integer and any(has_form(op) for _, op in operations(c.model))
