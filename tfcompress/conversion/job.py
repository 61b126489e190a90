"""One conversion on its way: what was asked, the file it gives, and how that file is measured."""

from dataclasses import dataclass, field
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from tfcompress.conversion.sixteen import with_trained
from tfcompress.export.export import exported, named_outputs, run_converter
from tfcompress.export.finite import check_ranges
from tfcompress.export.float_fallback import allowed_names, left_layers
from tfcompress.export.saved_model import Signature
from tfcompress.export.simulate import float_outputs, simulate
from tfcompress.export.verify import layer_names, parity
from tfcompress.fake_quant.range_floors import lift
from tfcompress.fake_quant.state import CompressionState
from tfcompress.fidelity import measuring
from tfcompress.fidelity.answers import losses
from tfcompress.graph.keras_private import input_specs
from tfcompress.graph.random_ops import Draws
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.biases import mistaken_biases
from tfcompress.tflite.edits import ends_in_order, rewritten
from tfcompress.tflite.fidelity import FLOAT_MODEL, SIMULATION
from tfcompress.tflite.tensor_names import tensor_names


@dataclass
class Job:
    """One conversion on its way.

    Attributes:
        model: The model as it was given.
        mode: "int8", "float32", "float16", "dynamic" or "int16x8".
        io: Type of inputs and outputs of an integer file.
        signature: Name of the signature in the file.
        allow_float: Names of operations or layers that may stay float.
        leave_float: Patterns and types of the layers to keep float.
        scales: "auto", "channel" or "tensor".
        samples: Calibration samples by input name, each `(1, ...)`; None without.
        percentile: Per cent of the values inside a range that calibration sets; None for all.
        state: The operation plans the file is made under; None until they are made, and for a SavedModel.
        notes: What the user should know.
        source: The signature that is converted, for a SavedModel.
    """

    model: keras.Model
    mode: str
    io: str
    signature: str
    allow_float: tuple
    leave_float: tuple
    scales: str
    samples: list | None
    percentile: float | None = None
    state: CompressionState | None = None
    notes: list[str] = field(default_factory=list)
    source: Signature | None = None

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        """The samples as one array for each input."""
        return {name: np.concatenate([s[name] for s in self.samples]) for name in self.samples[0]}

    @cached_property
    def packed(self):
        """The same in the structure that the model takes."""
        specs = input_specs(self.model)
        return keras.tree.pack_sequence_as(specs, [self.inputs[s.name] for s in keras.tree.flatten(specs)])

    @cached_property
    def float_outputs(self) -> dict[str, np.ndarray]:
        """What the model answers as it was given."""
        if self.source is not None:
            return self.source.run(self.inputs)
        try:
            return named_outputs(self.model, float_outputs(self.model, self.packed))
        except tf.errors.InvalidArgumentError as error:
            said = next((t.strip() for t in error.message.splitlines() if "=" in t or "must" in t), error.message[:200])
            raise ValueError(
                f"convert: the model {self.model.name!r} itself fails on the calibration samples: {said} Give samples "
                "as it was trained on (an Embedding takes 0 up to its input_dim - 1)."
            ) from error

    @property
    def is_trained(self) -> bool:
        """Whether the ranges of the file were trained, so that the simulation is what was trained."""
        if self.source is not None:
            return self.source.has_ranges
        return self.state is not None and CompressionState.of(self.model) is self.state

    def simulated(self, state) -> dict[str, np.ndarray]:
        """What the simulation of a state answers."""
        return named_outputs(self.model, simulate(self.model, state, self.packed))

    def allowed(self) -> set[str]:
        """Names of operations and layers that may be float."""
        return allowed_names(self.model, self.allow_float, self.leave_float)

    def left(self) -> set[str]:
        """Paths of the layers that were left out of int8."""
        return left_layers(self.model, self.state, self.leave_float)


def converted(job: Job, setup, data, seen=None) -> Artifact:
    """Makes the file of a job.

    Args:
        job: The conversion.
        setup: Function that sets options on TensorFlow's converter.
        data: Representative samples for its calibrator; None for none.
        seen: What `sixteen.observed` returned, where 16-bit ranges were trained.

    Returns:
        The file, its operations led back to layers, named and in the model's order.
    """
    if job.source is not None:
        export, found = job.source.converted(setup, data, job.mode)
    else:
        draws = Draws.of(job.mode, job.allow_float)
        export = exported(job.model, job.state, draws)
        found = Artifact(run_converter(export, setup, data), {})
        found.metadata["layers"] = layer_names(found, export.paths)
        job.notes.extend(note for note in draws.notes(export.paths) if note not in job.notes)
    if seen:
        content = with_trained(found.content, job.state, seen, found.metadata["layers"])
        found = Artifact(content, found.metadata)
    ends = ends_in_order(found.model, job.signature, export.inputs, export.outputs)
    content = rewritten(found.content, tensor_names(found, ends.names()), mistaken_biases(found.model), ends)
    made = Artifact(content, found.metadata)
    if job.mode == "int16x8":
        made.distrust()
    return made


def measure(artifact: Artifact, job: Job, is_simulated: bool = True) -> None:
    """Compares a file with the float model, and with the simulation where there is one; the metadata get the figures.

    Args:
        artifact: The file.
        job: The conversion it comes from; nothing is measured without samples.
        is_simulated: Whether the job's state simulates the file.
    """
    if job.samples is None:
        return
    if {"RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"} & set(artifact.op_versions):
        job.notes.append("not compared with the float model: both draw random numbers anew at each call")
        return
    got = measuring.answers(artifact, job.inputs)
    references = {FLOAT_MODEL: job.float_outputs}
    found_losses = losses(job.model, list(job.float_outputs))
    if job.state is not None and is_simulated:
        simulated = job.simulated(job.state)
        artifact.metadata["parity"] = [parity(artifact, simulated, got[x], x).facts() for x in (True, False)]
        if job.is_trained:
            references = {SIMULATION: simulated, **references}
    weights = 4 * (job.model.count_params() if job.source is None else job.source.parameters)
    artifact.metadata["fidelity"] = measuring.fidelity(artifact, got, references, found_losses, weights).facts()


def check_state(job: Job):
    """Makes sure that ranges are finite, and wide enough for the kernels that will fill them."""
    check_ranges(job.state)
    if dead := lift(job.model, job.state):
        shown = ", ".join(map(repr, dead[:4])) + (" and more" if len(dead) > 4 else "")
        job.notes.append(f"only zeros were seen at {shown}: its range was set by the ranges before it")
