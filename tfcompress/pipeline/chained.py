"""Runs, saves and loads a chain: several `.tflite` files that compute together what one model computes.

Needs ai-edge-litert and NumPy alone. Codes are passed from file to file as they are where both sides have the same
scale and zero point; otherwise they are requantized.
"""

import hashlib
import json
import math
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress.pipeline.chain_folder import write_chain
from tfcompress.pipeline.routing import LOGITS, PROBABILITIES, Arrays, Run, Stage, checked_thresholds, run_stages
from tfcompress.text.log import tell
from tfcompress.tflite.artifact import Artifact, Samples
from tfcompress.tflite.runner import Runner, check_inputs
from tfcompress.tflite.schema.element_types import bytes_of
from tfcompress.tflite.sidecar import parse_sidecar, usable_metadata
from tfcompress.tflite.tensor_spec import TensorSpec

FORMAT = "tfcompress.chain/1"
INDEX = "chain.json"


@dataclass(frozen=True)
class ChainedPart:
    """One file of a chain.

    Args:
        artifact: The file.
        takes: Name of each of the file's inputs -> name of the chain's tensor that is given to it.
        gives: Name of each of its outputs -> name of the chain's tensor that it makes.
        macs: MACs of one sample; None where unknown.
        exit: Tensor with the output of an early exit; None without one.
    """

    artifact: Artifact
    takes: dict[str, str]
    gives: dict[str, str]
    macs: int | None = None
    exit: str | None = None


class ChainedArtifact:
    """Files that run one after the other; `tfc.split(...).convert(...)` makes them.

    Args:
        parts: In order of execution; a part takes the chain's inputs and outputs of the parts before it.
        inputs: Names of the chain's inputs.
        outputs: Name of each output -> tensor that holds it.
        threshold: Confidence above which a sample leaves at an early exit, in [0, 1]; one, or one for each exit.
        kind: Outputs of the exits: "logits" or "probabilities".
        name: Name of the model.

    Raises:
        ValueError: If the parts don't fit together.

    Example:
        >>> import tempfile
        >>> import keras, numpy as np, tfcompress as tfc
        >>> layers = [keras.layers.Dense(8, activation="relu", name="a"), keras.layers.Dense(3, name="b")]
        >>> x = np.random.default_rng(0).random((50, 4), "float32")
        >>> chain = tfc.split(keras.Sequential([keras.Input((4,)), *layers]), "modular", at=["a"]).convert(x)
        >>> folder = tempfile.mkdtemp()
        >>> chain.save(folder)
        >>> again = tfc.ChainedArtifact.load(folder)
        >>> len(again.parts), np.array_equal(again.predict(x), chain.predict(x))
        (2, True)
    """

    def __init__(
        self,
        parts: Sequence[ChainedPart],
        inputs: Sequence[str],
        outputs: dict[str, str],
        threshold: float | Sequence[float] = (),
        kind: str = LOGITS,
        name: str = "model",
    ) -> None:
        self.parts, self.inputs, self.outputs = tuple(parts), tuple(inputs), dict(outputs)
        self.kind, self.name = kind, name
        self._specs: dict[str, TensorSpec] = {}
        self._entries: dict[str, TensorSpec] = {}
        self._check()
        self.threshold = threshold
        self._runners: dict[tuple, Runner] = {}
        self._making = threading.Lock()

    @property
    def threshold(self) -> tuple[float, ...]:
        """Confidence above which a sample leaves, one for each early exit."""
        return self._thresholds

    @threshold.setter
    def threshold(self, value: float | Sequence[float]) -> None:
        self._thresholds = checked_thresholds(value, sum(p.exit is not None for p in self.parts))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(p.artifact.size for p in self.parts)

    @property
    def is_integer(self) -> bool:
        """Whether all files are integer files."""
        return all(p.artifact.is_integer for p in self.parts)

    def _check(self) -> None:
        known = set(self.inputs)
        if self.kind not in (LOGITS, PROBABILITIES):
            raise ValueError(f"ChainedArtifact: kind must be 'logits' or 'probabilities'. Received: {self.kind!r}.")
        for number, part in enumerate(self.parts, 1):
            specs = ({s.name: s for s in part.artifact.inputs}, {s.name: s for s in part.artifact.outputs})
            if set(specs[0]) != set(part.takes) or set(specs[1]) != set(part.gives):
                raise ValueError(
                    f"ChainedArtifact: part {number} has the inputs {sorted(specs[0])} and outputs {sorted(specs[1])}. "
                    f"Received: takes={part.takes}, gives={part.gives}."
                )
            missing = set(part.takes.values()) - known
            if missing:
                raise ValueError(f"ChainedArtifact: part {number} takes {sorted(missing)}, which no part before gives.")
            for own, tensor in part.takes.items():
                if tensor in self.inputs:
                    self._entries.setdefault(tensor, specs[0][own])
            self._specs |= {tensor: specs[1][own] for own, tensor in part.gives.items()}
            known |= set(part.gives.values())
        lost = (set(self.outputs.values()) | {p.exit for p in self.parts if p.exit is not None}) - known
        if lost or not self.parts:
            raise ValueError(f"ChainedArtifact: no part gives {sorted(lost)}; there are {len(self.parts)} parts.")

    def requantized(self) -> list[str]:
        """Returns the tensors that are requantized between two files; usually there are none."""
        found = []
        for part in self.parts:
            for spec in part.artifact.inputs:
                maker = self._specs.get(part.takes[spec.name])
                if maker is not None and not _same(maker, spec):
                    found.append(part.takes[spec.name])
        return list(dict.fromkeys(found))

    def predict(self, x: Samples, threads: int = 1, xnnpack: bool = True, verbose: int = 0) -> Any:
        """Runs the files on samples; inputs and outputs are real values.

        Args:
            x: Real values `(n, ...)`; a dict by input name, or a list in the order of `inputs`, if there are several.
            threads: Threads of the interpreters.
            xnnpack: False runs the plain kernels.
            verbose: 1 logs how many samples left early.

        Returns:
            float32 array `(n, ...)`; a dict by output name if there are several.

        Raises:
            ValueError: If shapes, names or values do not fit.
        """
        found = self.run(x, threads, xnnpack)
        tell(found.text(), verbose)
        return found.outputs if len(self.outputs) > 1 else next(iter(found.outputs.values()))

    def run(self, x: Samples, threads: int = 1, xnnpack: bool = True) -> Run:
        """Runs the files like `predict`, and returns for each sample how many parts ran."""
        specs = [_named(self._entries[name], name) for name in self.inputs]
        arrays = check_inputs(x, specs)
        stages = [self._stage(k, threads, xnnpack) for k in range(len(self.parts))]
        wanted = list(dict.fromkeys(self.outputs.values()))
        found = run_stages(
            stages,
            dict(zip(self.inputs, arrays, strict=True)),
            wanted,
            self._real,
            self.threshold,
            self.kind,
            batch_size=64,
        )
        outputs = {name: found.outputs[tensor] for name, tensor in self.outputs.items()}
        return Run(outputs, found.parts_run, found.macs)

    def _real(self, name: str, value: np.ndarray) -> np.ndarray:
        return self._specs[name].dequantize(value) if name in self._specs else value

    def _stage(self, number: int, threads: int, xnnpack: bool) -> Stage:
        part, key = self.parts[number], (number, threads, xnnpack)
        with self._making:
            if key not in self._runners:
                a = part.artifact
                self._runners[key] = Runner(a.content, a.model, a.inputs, a.outputs, threads, xnnpack)
        runner = self._runners[key]

        def call(values: Arrays) -> Arrays:
            codes = [self._codes(part.takes[s.name], s)(values[part.takes[s.name]]) for s in runner.inputs]
            return {part.gives[s.name]: y for s, y in zip(runner.outputs, runner.run(codes), strict=True)}

        return Stage(call, tuple(dict.fromkeys(part.takes.values())), part.macs, part.exit)

    def _codes(self, tensor: str, spec: TensorSpec) -> Callable[[np.ndarray], np.ndarray]:
        maker = self._specs.get(tensor)
        if maker is None:
            return spec.quantize
        if _same(maker, spec):
            return lambda codes: codes
        return lambda codes: spec.quantize(maker.dequantize(codes))

    def save(self, folder: str | os.PathLike) -> None:
        """Writes `part_1.tflite`, ... and `chain.json` into a folder, all of them or none.

        Args:
            folder: Made if it does not exist; its parent folder must exist.
        """
        folder = os.fspath(folder)
        made = not os.path.isdir(folder)
        if made:
            os.mkdir(folder)
        files = {f"part_{k}.tflite": part.artifact.content for k, part in enumerate(self.parts, 1)}

        def index(names: dict[str, str]) -> str:
            return json.dumps(self._index(list(names.values())), indent=2, allow_nan=False) + "\n"

        try:
            write_chain(folder, files, INDEX, index)
        except BaseException:
            if made and not os.listdir(folder):
                os.rmdir(folder)
            raise

    def _index(self, names: list[str]) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "model": self.name,
            "inputs": list(self.inputs),
            "outputs": self.outputs,
            "kind": self.kind,
            "threshold": list(self.threshold),
            "parts": [
                {
                    "file": name,
                    "sha256": part.artifact.sha256,
                    "bytes": part.artifact.size,
                    "macs": part.macs,
                    "takes": part.takes,
                    "gives": part.gives,
                    "exit": part.exit,
                    "metadata": part.artifact.metadata,
                }
                for name, part in zip(names, self.parts, strict=True)
            ],
        }

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "ChainedArtifact":
        """Reads a chain that `save` wrote.

        Args:
            folder: The folder.

        Returns:
            The chain.

        Raises:
            FileNotFoundError: If the index or a file is missing.
            ValueError: If the index is damaged, or a file is another one than it says.
        """
        folder = os.fspath(folder)
        path = os.path.join(folder, INDEX)
        while True:
            with open(path, "rb") as file:
                text = file.read()
            try:
                return cls._of_index(folder, path, text)
            except (ValueError, FileNotFoundError):
                with open(path, "rb") as file:
                    if file.read() == text:  # no writer was at work
                        raise

    @classmethod
    def _of_index(cls, folder: str, path: str, text: bytes) -> "ChainedArtifact":
        try:
            index = parse_sidecar(text)
            if index["format"] != FORMAT:
                raise ValueError(f"its format is {index['format']!r}, not {FORMAT!r}")
            rows = [(row, os.path.join(folder, os.path.basename(row["file"]))) for row in index["parts"]]
            parts = [_read_part(row, file) for row, file in rows]
            return cls(parts, index["inputs"], index["outputs"], index["threshold"], index["kind"], index["model"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path!r} is no index of a chain that can be used: {error!r}.") from error

    def summary(self) -> str:
        """Returns a text with a line for each file, and the tensors that pass between them."""
        lines = [f"{len(self.parts)} files, {self.size:,} bytes"]
        for k, part in enumerate(self.parts, 1):
            gives = ", ".join(f"{t} ({_bytes(self._specs[t]):,} B)" for t in part.gives.values())
            macs = "? MACs" if part.macs is None else f"{part.macs:,} MACs"
            mode = part.artifact.metadata.get("mode", "unknown mode")
            lines.append(f"part {k}: {mode}, {part.artifact.size:,} bytes, {macs}, gives {gives}")
        if self.threshold:
            lines.append(f"early exits above a confidence of {', '.join(f'{t:.4g}' for t in self.threshold)}")
        if self.requantized():
            lines.append(f"requantized between files: {', '.join(self.requantized())}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<ChainedArtifact {len(self.parts)} files, {self.size:,} bytes>"


def _read_part(row: dict[str, Any], path: str) -> ChainedPart:
    with open(path, "rb") as file:
        content = file.read()
    found = hashlib.sha256(content).hexdigest()
    if found != row["sha256"]:
        raise ValueError(f"{os.path.basename(path)} has the SHA-256 {found}, the index says {row['sha256']}")
    artifact = Artifact(content, usable_metadata(row["metadata"], path))
    return ChainedPart(artifact, row["takes"], row["gives"], row["macs"], row["exit"])


def _same(maker: TensorSpec, reader: TensorSpec) -> bool:
    """Returns whether codes mean the same on both sides; scales are float32, so their last bit may differ."""
    if maker.dtype != reader.dtype or maker.is_quantized != reader.is_quantized:
        return False
    if not maker.is_quantized:
        return True
    return maker.zero_point == reader.zero_point and math.isclose(maker.scale, reader.scale, rel_tol=1e-6)


def _named(spec: TensorSpec, name: str) -> TensorSpec:
    return TensorSpec(name, spec.shape, spec.dtype, spec.scale, spec.zero_point, spec.index)


def _bytes(spec: TensorSpec) -> int:
    return bytes_of([abs(size) for size in spec.shape[1:]], spec.dtype)
