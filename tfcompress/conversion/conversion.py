"""Holds the options of one conversion, its intermediate results and the outputs of the model."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field, replace
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from tfcompress.export.export import named_outputs
from tfcompress.export.float_fallback import allowed_names, left_layers
from tfcompress.export.saved_model import Signature
from tfcompress.export.simulate import float_outputs, simulate
from tfcompress.fake_quant.state import CompressionState
from tfcompress.file_formats import FORMATS, FileFormat
from tfcompress.graph.keras_private import input_specs

_PLACE = re.compile(r"\x1b\[[0-9;]*m|\{\{.*?\}\}|\[Op:.*")
_TELLING = ("=", "must", "requires")


class Ranges(enum.Enum):
    """Names the source of a file's activation ranges."""

    NONE = "activations are float"
    TRAINED = "training, in a Keras model"
    IN_SAVED_MODEL = "training, in a SavedModel"
    CALIBRATED = "calibration of the simulation"
    BY_CONVERTER = "the converter's own calibrator"


@dataclass(kw_only=True)
class Conversion:
    """Holds the options and intermediate results of one conversion.

    Attributes:
        model: The model as it was given.
        file_format: How the file stores numbers.
        io: Type of inputs and outputs of an integer file.
        signature: Name of the signature in the file.
        allow_float: Names of operations or layers that may stay float.
        leave_float: Patterns and types of the layers to keep float.
        scales: "auto", "channel" or "tensor".
        samples: Calibration samples by input name, each `(1, ...)`; None without.
        percentile: Per cent of the values inside a range that calibration sets; None for all.
        recurrent: What recurrent layers become: "loop", "unrolled" or "auto".
        source: The signature that is converted, for a SavedModel.
        ranges: Where the ranges come from; `ranges.find_ranges` sets it, and the next two.
        state: The operation plans that the file is exported with; None for a float file and for a SavedModel.
        loops: Ids of the recurrent layers that stay loops; `ranges.find_ranges` sets it.
        seen: Largest absolute value that the samples show at each trained range, by `id(range)`, for packers.
        notes: What the user should know.
    """

    model: keras.Model
    file_format: FileFormat
    io: str
    signature: str
    allow_float: tuple
    leave_float: tuple
    scales: str
    samples: list | None
    percentile: float | None = None
    recurrent: str = "auto"
    source: Signature | None = None
    ranges: Ranges = Ranges.NONE
    state: CompressionState | None = None
    loops: frozenset[int] = frozenset()
    seen: dict[int, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def mode(self) -> str:
        """Name of the file's format."""
        return self.file_format.mode

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """The samples as one array for each input."""
        return {name: np.concatenate([s[name] for s in self.samples]) for name in self.samples[0]}

    @cached_property
    def packed(self):
        """The samples as one array for each input, in the structure that the model takes."""
        specs = input_specs(self.model)
        return keras.tree.pack_sequence_as(specs, [self.inputs[s.name] for s in keras.tree.flatten(specs)])

    @cached_property
    def float_outputs(self) -> dict[str, np.ndarray]:
        """The outputs of the model as it was given, by name, on the samples."""
        if self.source is not None:
            return self.source.run(self.inputs)
        try:
            return named_outputs(self.model, float_outputs(self.model, self.packed))
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(
                f"convert: the model {self.model.name!r} itself fails on the calibration samples: "
                f"{_said(error.message)} Give samples "
                "as it was trained on (an Embedding takes 0 up to its input_dim - 1)."
            ) from error

    @property
    def is_trained(self) -> bool:
        """Whether the ranges of the file were trained, so that the simulation is the model as it was trained."""
        return self.ranges is Ranges.TRAINED or self.source is not None and self.source.has_ranges

    @property
    def is_simulated(self) -> bool:
        """Whether the state simulates what the file computes."""
        return self.state is not None and self.ranges is not Ranges.BY_CONVERTER

    def simulated_outputs(self) -> dict[str, np.ndarray]:
        """Returns the outputs of the simulation by name, on the samples."""
        return named_outputs(self.model, simulate(self.model, self.state, self.packed))

    def allowed(self) -> set[str]:
        """Returns the names of operations and layers that may stay float."""
        return allowed_names(self.model, self.allow_float, self.leave_float)

    def left(self) -> set[str]:
        """Returns the paths of the layers that were left out of int8."""
        return left_layers(self.model, self.state, self.leave_float)

    def changed(self, **changes) -> Conversion:
        """Returns a conversion with other options, whose ranges are still to be found.

        Args:
            **changes: Fields; also `mode` for another format, with the type of its inputs, and `inputs` for other
                samples, one array for each input.
        """
        if "inputs" in changes:
            rows = changes.pop("inputs")
            changes["samples"] = [{n: x[k : k + 1] for n, x in rows.items()} for k in range(len(self.samples))]
        if "mode" in changes:
            changes["file_format"] = FORMATS[changes.pop("mode")]
            changes["io"] = changes["file_format"].io[0]
        return replace(
            self, **{"ranges": Ranges.NONE, "state": None, "loops": frozenset(), "seen": {}, "notes": [], **changes}
        )


def _said(message: str) -> str:
    """Returns the sentence of an error of TensorFlow that says what is wrong, without the place in its own code."""
    lines = [_PLACE.sub("", line).strip() for line in message.splitlines()]
    known = (line for line in lines if not line.startswith("\u2022") and any(word in line for word in _TELLING))
    return next(known, " ".join(lines)[:200])
