"""The result of `split`: parts of a network as Keras models that run one after the other and become files."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from tfcompress.calibration.samples import MOST_USED, samples
from tfcompress.conversion.arguments import MOST_SAMPLES
from tfcompress.export.export import named_outputs
from tfcompress.fake_quant.op_plan import OpPlan
from tfcompress.file_formats import MODES
from tfcompress.graph.keras_private import input_triples
from tfcompress.partition.subgraph import StepGraph, StepTensor
from tfcompress.pipeline.chain_conversion import PartToConvert, convert_links, outputs_of
from tfcompress.pipeline.chained import ChainedArtifact
from tfcompress.pipeline.routing import LOGITS, Run, Stage, checked_thresholds, lowest_threshold, run_stages
from tfcompress.text.log import tell
from tfcompress.tflite.runner import check_inputs
from tfcompress.tflite.tensor_spec import TensorSpec
from tfcompress.validation import checks

LARGEST_BATCH = 2**31


class Parts:
    """A network in several models; `tfc.split` makes it.

    Args:
        course: The steps of the network.
        links: The parts in order of execution.
        crossing: Tensors that must be kept after each part for those that follow.
        exits: Model of the early exits to fit; None without any.
        threshold: Confidence above which a sample leaves at an early exit; one, or one for each.
        kind: Outputs of the exits: "logits" or "probabilities".
        trained: Layer name -> operation plan of quantization-aware training.

    Attributes:
        models: The parts as Functional models. The inputs of a part have the names of the tensors they take: the
            network's inputs or outputs of earlier parts.
        exits: Model from the network's inputs to the outputs of all early exits, to compile and fit; its layers are
            those of `models`. None without exits.
        kind: Outputs of the exits: "logits" or "probabilities", as those of the network.

    Example:
        >>> import keras, numpy as np, tfcompress as tfc
        >>> layers = [keras.layers.Dense(8, activation="relu", name="a"), keras.layers.Dense(3, name="b")]
        >>> model = keras.Sequential([keras.Input((4,)), *layers])
        >>> parts = tfc.split(model, "modular", at=["a"])
        >>> x = np.random.default_rng(0).random((5, 4), "float32")
        >>> float(np.abs(parts.predict(x) - np.asarray(model(x))).max())
        0.0
        >>> print(parts.text())
        part  operations  parameters  MACs  crosses behind it
        1     1           40          32    32 bytes: a_out
        2     1           27          24    -
        all   2           67          56
    """

    def __init__(
        self,
        course: StepGraph,
        links: Sequence[PartToConvert],
        crossing: Sequence[Sequence[StepTensor]],
        exits: keras.Model | None = None,
        threshold: float | Sequence[float] = (),
        kind: str = LOGITS,
        trained: Mapping[str, OpPlan] | None = None,
    ):
        self.exits = exits
        self._course, self._links, self._crossing = course, tuple(links), [tuple(c) for c in crossing]
        self.kind, self._trained = kind, dict(trained or {})
        self.threshold = threshold

    @property
    def models(self) -> list[keras.Model]:
        """The parts, in order of execution."""
        return [link.model for link in self._links]

    @property
    def threshold(self) -> tuple[float, ...]:
        """Confidence above which a sample leaves, one for each early exit."""
        return self._thresholds

    @threshold.setter
    def threshold(self, value: float | Sequence[float]):
        self._thresholds = checked_thresholds(value, sum(link.exit is not None for link in self._links))

    def predict(self, x, batch_size: int = 32, verbose: int = 0):
        """Runs the parts one after the other.

        Without exits the result is that of the network's plain call, `model(x, training=False)`, bit for bit.
        (`model.predict` lets TensorFlow fuse operations, which may move last bits.)

        Args:
            x: Inputs `(n, ...)`; a dict by input name, or a list, if there are several.
            batch_size: Samples at a time.
            verbose: 1 prints how many samples left early.

        Returns:
            Arrays `(n, ...)` in the structure of the network's outputs.

        Raises:
            ValueError: If the inputs do not fit.
        """
        found = self._run(x, batch_size, self._stages())
        tell(found.text(), verbose)
        return keras.tree.map_structure(lambda t: found.outputs[t.name], self._course.outputs)

    def run(self, x, batch_size: int = 32) -> Run:
        """Runs the parts like `predict`, and returns for each sample how many parts ran; outputs are by name.

        Args:
            x: Inputs, as for `predict`.
            batch_size: Samples at a time.
        """
        found = self._run(x, batch_size, self._stages())
        outputs = {name: found.outputs[tensor] for name, tensor in self._outputs().items()}
        return Run(outputs, found.parts_run, found.macs)

    def _run(self, x, batch_size, stages, wanted: Sequence[str] = ()) -> Run:
        batch_size = checks.whole("Parts", "batch_size", batch_size, 1, LARGEST_BATCH)
        given = [
            TensorSpec(t.name, tuple(-1 if s is None else s for s in t.shape), t.dtype) for t in self._course.inputs
        ]
        arrays = dict(zip([s.name for s in given], check_inputs(x, given), strict=True))
        wanted = wanted or list(dict.fromkeys(self._outputs().values()))
        return run_stages(stages, arrays, wanted, lambda name, value: value, self.threshold, self.kind, batch_size)

    def _stages(self, leave: bool = True) -> list[Stage]:
        def caller(link):
            def call(values):
                answers = outputs_of(link.model, [values[n] for n in link.takes], len(values[link.takes[0]]))
                return dict(zip(link.gives, answers, strict=True))

            return call

        return [Stage(caller(link), link.takes, link.macs, link.exit if leave else None) for link in self._links]

    def _outputs(self) -> dict[str, str]:
        named = named_outputs(self._course.model, self._course.outputs)
        return {name: tensor.name for name, tensor in named.items()}

    def choose_threshold(self, x, agreement: float = 0.99) -> float:
        """Sets the lowest threshold, one for all exits, with at least the wanted agreement with the whole network.

        Args:
            x: Held-out inputs, as for `predict`; not those that the exits were fitted on.
            agreement: Wanted fraction of samples that get the class the whole network gives, in [0, 1].

        Returns:
            The threshold, also set as `threshold`.

        Raises:
            ValueError: If there are no exits, or `agreement` is no fraction.
        """
        names = [link.exit for link in self._links if link.exit is not None]
        if not names:
            raise ValueError("choose_threshold: there are no early exits. Split with how='hierarchical'.")
        (final,) = self._outputs().values()
        found = self._run(x, 256, self._stages(leave=False), [*names, final]).outputs
        self.threshold = lowest_threshold([found[n] for n in names], found[final], self.kind, agreement)
        return self.threshold[0]

    def convert(
        self,
        calibration=None,
        *,
        mode: str = "int8",
        allow_float: Sequence[str] = (),
        value_range=None,
        limit: int = MOST_USED,
    ) -> ChainedArtifact:
        """Converts each part to a `.tflite` file.

        Calibration data run through the float parts. In int8, a part's input gets the scale and zero point that the
        tensor has as an output of the part before, so that codes are passed on without a change. Kernels have one
        scale for each channel.

        Args:
            calibration: Representative inputs of the network, as for `tfc.convert`; needed for "int8" and "int16x8".
            mode: "int8", "float32", "float16", "dynamic" or "int16x8".
            allow_float: Names of LiteRT operations or of layers that may stay float in an int8 file.
            value_range: `(low, high)` that the inputs must lie in; calibration data outside of it are an error.
            limit: Most samples to calibrate with.

        Returns:
            The files, with the thresholds as they are now.

        Raises:
            NotFullyInteger: If an int8 file would keep a float operation.
            ValueError: If the calibration data are missing or do not fit.
            RuntimeError: If TensorFlow's converter fails.
        """
        checks.choice("convert", "mode", mode, MODES)
        allow_float = checks.texts("convert", "allow_float", allow_float)
        limit = checks.whole("convert", "limit", limit, 1, MOST_SAMPLES)
        checks.data("convert", "calibration", calibration)
        triples, values = input_triples(self._course.model), None
        if calibration is not None:
            found = samples(calibration, triples, limit=limit, value_range=value_range)
            values = {name: np.concatenate([row[name] for row in found]) for name, _, _ in triples}
        parts = convert_links(self._links, values, mode, self._trained, {"allow_float": tuple(allow_float)})
        inputs = [t.name for t in self._course.inputs]
        return ChainedArtifact(parts, inputs, self._outputs(), self.threshold, self.kind, self._course.model.name)

    def text(self) -> str:
        """Returns a table of operations, parameters and MACs of each part, and of the bytes passed on behind it.

        Bytes are those of one sample in the Keras model; in an int8 file float tensors take a quarter of them.
        """
        head = ("part", "operations", "parameters", "MACs", "crosses behind it")
        rows = [
            (str(k), *self._figures(link), _crosses(crossing, link.exit))
            for k, (link, crossing) in enumerate(zip(self._links, self._crossing, strict=True), 1)
        ]
        sums = [
            sum(int(r[c].replace(",", "")) for r in rows) if all(r[c] != "?" for r in rows) else "?" for c in (1, 2, 3)
        ]
        table = [head, *rows, ("all", *(f"{s:,}" if s != "?" else s for s in sums), "")]
        wide = [max(len(row[c]) for row in table) for c in range(len(head))]
        lines = ["  ".join(t.ljust(w) for t, w in zip(row, wide, strict=True)).rstrip() for row in table]
        if self.threshold:
            lines.append(f"Samples leave early above a confidence of {', '.join(f'{t:.4g}' for t in self.threshold)}.")
        return "\n".join(lines)

    @staticmethod
    def _figures(link: PartToConvert) -> tuple[str, str, str]:
        operations = sum(not isinstance(op, keras.layers.InputLayer) for op in link.model.operations)
        macs = "?" if link.macs is None else f"{link.macs:,}"
        return f"{operations:,}", f"{link.model.count_params():,}", macs


def _crosses(tensors: Sequence[StepTensor], leaving: str | None) -> str:
    shown = ", ".join(t.name for t in tensors[:3]) + (f" and {len(tensors) - 3} more" if len(tensors) > 3 else "")
    text = f"{sum(t.bytes for t in tensors):,} bytes: {shown}" if tensors else "-"
    return f"{text}; exit" if leaving else text
