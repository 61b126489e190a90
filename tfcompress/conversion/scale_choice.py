"""Chooses one scale for each clustered kernel instead of one per channel, where that makes the zipped file smaller."""

import copy
from collections.abc import Callable

from tfcompress.conversion.conversion import Conversion, Ranges
from tfcompress.conversion.ranges import planned
from tfcompress.export.post_training import clustered, is_shared
from tfcompress.graph.keras_private import full_precision
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.fidelity import FLOAT_MODEL, Fidelity

_TOLERATED = 1.1  # times the error that a smaller download may cost where no class changes


def choose_scales(conversion: Conversion, by_channel: Artifact, prove: Callable[[Conversion], Artifact]) -> Artifact:
    """Returns the file with one scale for each clustered kernel, if it zips smaller and is no less accurate.

    With one scale, k shared values are k codes; with one scale per channel they are many more, which zip worse.

    Args:
        conversion: The conversion; only where calibration set its ranges and it left the scales open.
        by_channel: Its file, one scale per channel.
        prove: Writes, checks and measures the file of a conversion.

    Returns:
        The better of the two files.
    """
    c = conversion
    if c.ranges is not Ranges.CALIBRATED or c.scales != "auto":
        return by_channel
    if not any(is_shared(full_precision(chain.variable)) for chain in c.state.chains()):
        return by_channel
    other = copy.copy(c)  # shares the outputs of the float model
    other.state, other.notes = _one_scale(c), []
    by_tensor = prove(other)
    if by_tensor.gzip_size < by_channel.gzip_size and not is_worse(by_tensor, by_channel):
        saved = by_channel.gzip_size - by_tensor.gzip_size
        c.notes.append(
            f"clustered kernels have one scale each: {saved:,} bytes less zipped, same agreement with float "
            f"on calibration data"
        )
        c.state = other.state
        return by_tensor
    c.notes.append("one scale per channel: one scale per tensor cost agreement or saved nothing")
    return by_channel


def _one_scale(c: Conversion):
    """Returns operation plans with one scale for each clustered kernel, and the ranges that calibration found."""
    state = planned(c, clustered)
    for mine, theirs in zip(state.ranges, c.state.ranges, strict=True):
        mine.low.assign(theirs.low)
        mine.high.assign(theirs.high)
        mine.seen.assign(theirs.seen)
    return state


def is_worse(a: Artifact, b: Artifact) -> bool:
    """Returns whether any output of file `a` is further from the float model than that of file `b`.

    Args:
        a: A measured file.
        b: Another one of the same model.
    """
    rows = [[r for r in Fidelity.of(x.metadata["fidelity"]).outputs if r.reference == FLOAT_MODEL] for x in (a, b)]
    for mine, theirs in zip(*rows, strict=True):
        if mine.agreement is not None and mine.agreement < theirs.agreement:
            return True
        if mine.agreement is None and (mine.error or 0.0) > _TOLERATED * (theirs.error or 0.0):
            return True
    return False
