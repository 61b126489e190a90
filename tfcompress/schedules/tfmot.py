"""Converts pruning schedules of tfmot (TensorFlow Model Optimization), without importing tfmot.

tfmot reads its schedule every `frequency` steps between `begin_step` and `end_step`. Before that
the sparsity is 0; between two reads and afterwards the last value read holds. `Gated` applies that
rule to a schedule of this package; `Called` calls any object with tfmot's protocol.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from tfcompress.schedules.base import MOST_STEPS, Schedule, store
from tfcompress.schedules.shapes import Constant, Polynomial
from tfcompress.text.printable import shown
from tfcompress.validation import checks
from tfcompress.validation.restoring import restored


@keras.saving.register_keras_serializable("tfcompress")
@dataclasses.dataclass(frozen=True)
class Gated(Schedule):
    """A schedule that reads another one only every `frequency` steps between two steps.

    Before `begin` the value is 0; between two reads and after `end` the last value read holds. This
    is the meaning of begin_step, end_step and frequency in tfmot's pruning schedules.

    Args:
        inner: The schedule to read; one in fractions must be a `Constant`.
        begin: First step at which it is read.
        end: Last such step; None for never ending.
        frequency: Steps between two reads, >= 1.

    Example:
        >>> from tfcompress.schedules.shapes import Linear
        >>> gated = Gated(Linear(0.0, 1.0, 0, 100, unit="steps"), begin=0, frequency=10)
        >>> gated.value(step=57)
        0.5
    """

    inner: Schedule
    begin: int = 0
    end: int | None = None
    frequency: int = 1
    unit = "steps"

    def __post_init__(self) -> None:
        """Validates."""
        if not isinstance(self.inner, Schedule):
            raise TypeError(f"Gated: inner must be a schedule. Received: inner={shown(self.inner)}.")
        if self.inner.unit != "steps" and not isinstance(self.inner, Constant):
            raise ValueError(f'Gated: inner must have unit="steps". Received: {self.inner!r}.')
        for name, least in (("begin", 0), ("end", 0), ("frequency", 1)):
            value = getattr(self, name)
            if value is not None or name != "end":
                store(self, name, checks.whole("Gated", name, value, least, MOST_STEPS))
        if self.end is not None and self.end < self.begin:
            raise ValueError(f"Gated: begin <= end must hold. Received: begin={self.begin}, end={self.end}.")

    def due(self, step: int) -> bool:
        """Whether the inner schedule is read at this step."""
        inside = self.begin <= step and (self.end is None or step <= self.end)
        return inside and (step - self.begin) % self.frequency == 0

    def at(self, position: float) -> float:
        """Returns the value last read at or before the position; 0 before the first read."""
        if position < self.begin:
            return 0.0
        last = position if self.end is None else min(position, self.end)
        looks = (int(last) - self.begin) // self.frequency
        return self.inner.at(self.begin + looks * self.frequency)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Bounds of the inner schedule, with 0 included unless it is read from step 0 on."""
        inner = self.inner.bounds
        if inner is None or self.begin == 0:
            return inner
        return min(0.0, inner[0]), max(0.0, inner[1])

    @property
    def final(self) -> float | None:
        """The last value read; without an end, the final value of the inner schedule."""
        return self.inner.final if self.end is None else self.at(self.end)

    def get_config(self) -> dict[str, Any]:
        """Returns the fields, the inner schedule in Keras' serialized form."""
        config = super().get_config()
        return config | {"inner": keras.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Gated:
        """Inverse of `get_config`."""
        return cls(**restored(config))


@dataclasses.dataclass(frozen=True)
class Called(Schedule):
    """A schedule that calls an object with tfmot's protocol, `source(step) -> (should_prune, sparsity)`.

    The value at a step is the sparsity at the last step, up to this one, for which `should_prune`
    was true; 0 before the first. It can't be written to JSON, since its class is foreign.
    """

    source: Any

    def __post_init__(self) -> None:
        """Validates."""
        is_class = isinstance(self.source, type)
        if is_class or not callable(self.source) or not callable(getattr(self.source, "get_config", None)):
            raise TypeError(
                "Called: source must be an object with source(step) and source.get_config(). "
                f"Received: source={shown(self.source)} of type {type(self.source).__name__}."
            )

    # The result of the last search, so that the next one goes back no further than to its step.
    _found: dict[str, Any] = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)
    unit = "steps"

    def due(self, step: int) -> bool:
        """Returns `should_prune` of the source for a step."""
        return _answer(self.source, step)[0]

    def at(self, position: float) -> float:
        """Returns the sparsity at the source's last pruning step at or before the position."""
        step = int(position)
        known = self._found.get("until", -1)
        first, held = (known + 1, self._found["value"]) if 0 <= known <= step else (0, 0.0)
        for candidate in self._candidates(first, step):
            should, sparsity = _answer(self.source, candidate)
            if should:
                held = sparsity
                break
        self._found.update(until=step, value=held)
        return held

    @property
    def bounds(self) -> None:
        """Not known in advance; every value is checked to be in [0, 1) when it is read."""
        return None

    @property
    def final(self) -> float | None:
        """Sparsity after the source's `end_step`; None where it has none."""
        end = self._fields().get("end_step", -1)
        return self.at(end) if end >= 0 else None

    def get_config(self) -> dict[str, Any]:
        """Never returns: see Raises.

        Raises:
            ValueError: Always; the message names the class and the way out.
        """
        raise ValueError(
            f"{type(self.source).__name__}: a pruning schedule of a foreign class can't be written "
            "to JSON. Write it as one of tfcompress.schedules, for example Steps."
        )

    def _fields(self) -> dict[str, Any]:
        """Fields of the source; tfmot puts them under "config", beside the class name."""
        config = self.source.get_config()
        return config.get("config", config)

    def _candidates(self, first: int, step: int) -> Iterable[int]:
        """Returns the steps to search, latest first; only pruning steps, if the source has begin and frequency."""
        fields = self._fields()
        begin, frequency = fields.get("begin_step"), fields.get("frequency")
        if begin is None or not frequency:
            return range(step, first - 1, -1)
        end = fields.get("end_step", -1)
        last = step if end < 0 else min(step, end)
        # A subclass may prune less often than its fields say, so go on backwards by frequency.
        turn = begin + (last - begin) // frequency * frequency
        return range(turn, max(first, begin) - 1, -frequency)


def from_tfmot(source: Any) -> Schedule:
    """Makes a schedule of a tfmot `PruningSchedule`, without importing tfmot.

    Args:
        source: Any object with tfmot's protocol: `source(step)` returns `(should_prune,
            sparsity)`, `get_config()` its fields. Steps count from 0; a negative `end_step` means
            without end.

    Returns:
        A schedule in steps. tfmot's own ConstantSparsity and PolynomialDecay become `Gated`
        schedules, which can be written to JSON; any other class is called.

    Raises:
        TypeError: If the object does not have that protocol.

    Example:
        ```python
        import tensorflow_model_optimization as tfmot
        decay = tfmot.sparsity.keras.PolynomialDecay(0.0, 0.8, begin_step=0, end_step=1000)
        schedule = tfcompress.schedules.from_tfmot(decay)
        ```
    """
    if isinstance(source, type) or not callable(source) or not callable(getattr(source, "get_config", None)):
        raise TypeError(
            "from_tfmot: source must be an object with source(step) and source.get_config(). "
            f"Received: source={shown(source)} of type {type(source).__name__}."
        )
    _answer(source, 0)
    # Only tfmot's own classes are translated: a subclass may return anything.
    if type(source).__module__.split(".")[0] == "tensorflow_model_optimization":
        if type(source).__name__ == "ConstantSparsity":
            return _gated(Constant(source.target_sparsity), source)
        if type(source).__name__ == "PolynomialDecay":
            fields = source.get_config()["config"]
            ramp = Polynomial(
                start=fields["initial_sparsity"],
                end=fields["final_sparsity"],
                begin=fields["begin_step"],
                stop=fields["end_step"],
                power=fields["power"],
                unit="steps",
            )
            return _gated(ramp, source)
    return Called(source)


def _gated(inner: Schedule, source: Any) -> Gated:
    end = source.end_step if source.end_step >= 0 else None
    return Gated(inner, source.begin_step, end, source.frequency)


def _answer(source: Any, step: int) -> tuple[bool, float]:
    """Calls a tfmot schedule for one step and returns its checked answer as Python values."""
    answer = source(step)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise TypeError(
            f"{type(source).__name__}: a pruning schedule returns (should_prune, sparsity) for a "
            f"step. Received: {answer!r}."
        )
    # The shortest decimal of the float32, so that 0.8 does not become 0.800000011920929.
    sparsity = float(str(np.float32(answer[1])))
    if not 0.0 <= sparsity < 1.0:
        raise ValueError(f"{type(source).__name__}: sparsity must be in [0, 1). Received: {sparsity} at step {step}.")
    return bool(answer[0]), sparsity
