"""Reports on a compression: in `logs`, in a line at the end of training, in the metadata of a file."""

import json
from typing import Any

import numpy as np

from tfcompress.fake_quant.state import CompressionState
from tfcompress.fake_quant.transforms.quantize import QuantizeWeight

_FLOAT_BYTES = 4
BRIEF, FULL = "brief", "full"
LOGS = (BRIEF, FULL)


class Followed:
    """Follows a training from epoch to epoch, for `logs`."""

    def __init__(self) -> None:
        self._limits: dict[int, tuple[float, float]] = {}  # by `id(range)`, after the last epoch
        self._held_out: list[dict[str, float]] = []  # figures of the validation, by epoch

    def facts(self, state: CompressionState, prefix: str = "", logs: str = BRIEF) -> dict[str, float]:
        """Returns sparsity and activation ranges after an epoch, so that TensorBoard and CSVLogger show them.

        Args:
            state: The state.
            prefix: Prefix of every key, where several networks are compressed in one training.
            logs: "brief" or "full".

        Returns:
            `sparsity`, the fraction of masked weights among those under a mask; `range_change`, the largest move of a
            bound since the last epoch as a share of its range, which is 1 for new ranges; and, in full,
            `range/<name>/low` and `range/<name>/high` of every activation range.
        """
        found = {}
        masked, under = count_masked(state)
        if under:
            found[f"{prefix}sparsity"] = masked / under
        now = {id(span): span.limits() for span in state.ranges}
        if now:
            found[f"{prefix}range_change"] = max(_moved(self._limits.get(key), now[key]) for key in now)
        for span in state.ranges if logs == FULL else ():
            key = f"{prefix}range/{span.title}"
            found[f"{key}/low"], found[f"{key}/high"] = now[id(span)]
        self._limits = now
        return found

    def validated(self, logs: dict[str, Any]) -> None:
        """Notes the figures of an epoch's validation, which ran with the techniques as they are in the file."""
        found = {key: float(value) for key, value in logs.items() if key.startswith("val_") and np.ndim(value) == 0}
        self._held_out += [found] if found else []

    def outcome(self) -> str:
        """Returns, once, what the validation of the last epoch found and that of the first; "" without validation."""
        found, self._held_out = self._held_out, []
        if not found:
            return ""
        first, last = found[0], found[-1]
        key = next((key for key in last if key != "val_loss"), "val_loss")
        before = f", {first[key]:.4g} after the first" if len(found) > 1 and key in first else ""
        return f"{key} {last[key]:.4g} after the last epoch{before}" if key in last else ""


def _moved(before: tuple[float, float] | None, now: tuple[float, float]) -> float:
    """Returns the larger move of a bound as a share of the range, at most 1."""
    if before is None:
        return 1.0
    return min(1.0, max(abs(a - b) for a, b in zip(before, now, strict=True)) / (now[1] - now[0]))


def count_masked(state: CompressionState) -> tuple[int, int]:
    """Returns how many weights are masked to zero, and how many have a mask at all."""
    masks = [mask for transform in state.transforms if (mask := transform.masked()) is not None]
    return sum(int(np.count_nonzero(mask)) for mask in masks), sum(mask.size for mask in masks)


def summary(state: CompressionState) -> str:
    """Returns a sentence: how many weights have transforms, and the sparsity of those with a mask."""
    treated = sum(int(np.prod(chain.variable.shape)) for chain in state.chains())
    masked, under = count_masked(state)
    if not under:
        return f"{treated:,} weights compressed"
    share = masked / under
    return f"{treated:,} weights compressed; {masked:,} of the {under:,} under a mask are zero (sparsity {share:.4g})"


def stored_bytes(state: CompressionState) -> str:
    """Returns how many bytes the weights on an integer grid had and have then; "" without any."""
    before = after = 0
    for chain in state.chains():
        if (grid := chain.find(QuantizeWeight)) is not None:
            count = int(np.prod(chain.variable.shape))
            before, after = before + _FLOAT_BYTES * count, after + -(-grid.bits // 8) * count
    return f"{before:,} bytes of float weights become {after:,} ({before / after:.1f} times smaller)" if after else ""


def verdict(state: CompressionState, followed: Followed) -> str:
    """Returns what is known at the end of a training, without a file: zeros, bytes, and what the validation found."""
    return "; ".join(filter(None, [summary(state), stored_bytes(state), followed.outcome()]))


def described(run, kind: str) -> str:
    """Returns what `repr` shows of a run: its techniques, its model and how far training is."""
    names = ", ".join(t.name for t in run.recipe) or "nothing"
    if run.plan is None:
        return f"<{kind} {names}: no model yet>"
    return f"<{kind} {names} of {run.network.name!r}: {_progress(run)}>"


def report(run) -> str:
    """Returns the plan of a run by kind, how far training is, and what was reached."""
    run.need_model()
    return f"{run.plan.brief()}\n{_progress(run)}: {summary(run.state)}"


def _progress(run) -> str:
    return f"{100 * (run.laps.progress if run.laps else 0.0):.0f} % of the schedule"


def recipe_facts(recipe) -> list:
    """Returns the techniques as JSON values, or as text where something in them is code."""
    try:
        return json.loads(recipe.to_json())
    except ValueError:
        return [repr(t) for t in recipe]
