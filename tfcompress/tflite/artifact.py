"""An artifact: the bytes of a `.tflite` file with metadata about them, the result of a conversion.

An artifact runs, describes and stores itself with ai-edge-litert and NumPy alone; TensorFlow is
not needed.
"""

import gzip
import hashlib
import json
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tfcompress.system.file_pairs import read_pair, write_pair
from tfcompress.tflite import float_ops, weight_tensors
from tfcompress.tflite.description import summary
from tfcompress.tflite.fidelity import Fidelity
from tfcompress.tflite.kernels.widths import needed_runtime, version_numbers
from tfcompress.tflite.runner import Runner, check_inputs
from tfcompress.tflite.schema import flatbuffer
from tfcompress.tflite.schema.flatbuffer import Model, Op
from tfcompress.tflite.sidecar import read_sidecar
from tfcompress.tflite.tensor_spec import TensorSpec, io_specs
from tfcompress.tflite.trial_run import run_apart
from tfcompress.validation import checks

_SIDECAR_FORMAT = "tfcompress.artifact/1"

Samples = np.ndarray | dict[str, np.ndarray] | Sequence[np.ndarray]


class Artifact:
    """A `.tflite` file in memory.

    Args:
        content: the bytes of the file.
        metadata: facts about it that can be written as JSON: mode, layers, parity, versions, ...
            `metadata["layers"]` maps an op's number (as text; `"graph:op"` outside of the main
            graph) to the name of the Keras layer it came from.

    Raises:
        TypeError: if `content` is not bytes or `metadata` is not a dict JSON can hold.
        ValueError: if the bytes are not a `.tflite` file.

    Example:
    ```python
    import keras, numpy as np, tensorflow as tf
    from tfcompress.tflite.artifact import Artifact

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    artifact = Artifact(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    print(artifact.summary())
    artifact.predict(np.ones((8, 4), "float32")).shape  # (8, 2)
    artifact.save("model.tflite")
    ```
    """

    def __init__(self, content: bytes, metadata: dict[str, Any] | None = None) -> None:
        if isinstance(content, bytearray | memoryview):
            content = bytes(content)
        self.content = content
        self.metadata = {} if metadata is None else metadata
        if not isinstance(self.metadata, dict):
            checks.refuse(TypeError, "Artifact", "metadata", "a dict", metadata)
        _json(self.metadata)
        # Only the first bytes are checked now; the whole file is read when that is needed.
        if not isinstance(content, bytes) or content[4:8] != flatbuffer.IDENTIFIER:
            flatbuffer.read(content)
        self._runners: dict[tuple[int, bool], Runner] = {}
        self._untried: set[bool] = set()  # runs with (True) and without XNNPACK that may end the process
        self._making = threading.Lock()

    @cached_property
    def model(self) -> Model:
        """The file as plain values: graphs, tensors, ops, signatures."""
        return flatbuffer.read(self.content)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.content)

    @cached_property
    def gzip_size(self) -> int:
        """Bytes after gzip at level 9 without a time stamp: what a download costs."""
        return len(gzip.compress(self.content, 9, mtime=0))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def _specs(self) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        return io_specs(self.model)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs with shape, type and quantization, in the order of the file."""
        return self._specs[0]

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs with shape, type and quantization, in the order of the file."""
        return self._specs[1]

    @property
    def fidelity(self) -> Fidelity | None:
        """How far the outputs of the file are from those of its model, on calibration samples; None if not compared.

        See `tfcompress.tflite.fidelity.Fidelity`: rows by output, reference and kernels, and `sentence()` as a summary.
        """
        facts = self.metadata.get("fidelity")
        try:
            return Fidelity.of(facts) if isinstance(facts, dict) else None
        except ValueError:
            return None  # figures of another release, or damaged; the file itself is not affected

    @property
    def min_runtime(self) -> str:
        """The oldest runtime version that computes the file right, as TensorFlow numbers them; `""` if not known.

        The later one of what the file says and of what the widths of its weights need.
        """
        return max(self.model.min_runtime, needed_runtime(self.model), key=version_numbers)

    @property
    def op_versions(self) -> dict[str, int]:
        """The highest version in use of each op, by op name."""
        return self.model.op_versions

    @property
    def is_integer(self) -> bool:
        """True if no op computes in float and none is custom.

        Float inputs and outputs with their own QUANTIZE and DEQUANTIZE are allowed.
        """
        return not self.float_ops()

    def float_ops(self) -> tuple[Op, ...]:
        """The ops that touch float activations or weights, and all Flex and custom ops."""
        return float_ops.float_ops(self.model)

    def layer_of(self, op: Op) -> str:
        """The Keras layer an op came from, `""` where the metadata does not say."""
        key = str(op.index) if op.subgraph == 0 else f"{op.subgraph}:{op.index}"
        return self.metadata.get("layers", {}).get(key, "")

    def ops_table(self) -> list[dict[str, Any]]:
        """One row per op, in order of execution.

        Returns:
            Dicts with `subgraph`, `index`, `op`, `version`, `layer`, `input_dtypes`,
            `input_shapes`, `output_dtype`, `output_shape` (of the first output; `""` and `()`
            without one) and `constant_bytes`.
        """
        rows = []
        for graph in self.model.graphs:
            for op in graph.ops:
                inputs = [graph.tensors[i] for i in op.inputs if i >= 0]
                first = graph.tensors[op.outputs[0]] if op.outputs else None
                rows.append(
                    {
                        "subgraph": op.subgraph,
                        "index": op.index,
                        "op": op.name,
                        "version": op.version,
                        "layer": self.layer_of(op),
                        "input_dtypes": tuple(tensor.dtype for tensor in inputs),
                        "input_shapes": tuple(tensor.shape for tensor in inputs),
                        "output_dtype": first.dtype if first else "",
                        "output_shape": first.shape if first else (),
                        "constant_bytes": sum(tensor.buffer_bytes for tensor in inputs),
                    }
                )
        return rows

    def kernels(self) -> dict[str, np.ndarray]:
        """The kernels as stored: integer codes or float values; no biases.

        Returns:
            Read-only arrays by tensor name, each once, in the file's layout (convolutions: output
            channel first, depthwise ones last). A name that occurs twice gets `#` and the
            tensor's number.
        """
        return {name: tensor.data for name, (_, tensor) in self._kernel_tensors().items()}

    def kernel_ops(self) -> dict[str, tuple[Op, ...]]:
        """The ops that use each kernel, by the same names as `kernels()`."""
        return {name: tuple(ops) for name, (ops, _) in self._kernel_tensors().items()}

    def _kernel_tensors(self) -> dict[str, tuple[list[Op], Any]]:
        named: dict[str, tuple[list[Op], Any]] = {}
        for op, tensor in weight_tensors.kernel_tensors(self.model):
            name = tensor.name
            if name in named and named[name][1] is not tensor:
                name = f"{name}#{tensor.index}"
            named.setdefault(name, ([], tensor))[0].append(op)
        return named

    def predict(self, x: Samples, threads: int = 1, xnnpack: bool = True) -> np.ndarray | dict[str, np.ndarray]:
        """Runs the file on samples; inputs and outputs are real values.

        Args:
            x: real values of shape (n, ...); a dict by input name, or a list in the order of
                `inputs`, if there are several. They are quantized to the input's type here;
                integers are taken as real values too, not as codes.
            threads: threads of the interpreter.
            xnnpack: False runs the plain kernels.

        Returns:
            float32 array (n, ...), dequantized; a dict by output name if there are several.

        Raises:
            ValueError: if shapes, names or values do not fit, or the runtime refuses the file.
            UnsupportedWidth: if the runtime would compute wrong numbers from weights that narrow.
        """
        codes = self._run(x, threads, xnnpack)
        return self._answer([spec.dequantize(code) for spec, code in zip(self.outputs, codes, strict=True)])

    def predict_codes(self, x: Samples, threads: int = 1, xnnpack: bool = True) -> np.ndarray | dict[str, np.ndarray]:
        """Runs the file like `predict`, but returns the output tensors as they are, integer codes included."""
        return self._answer(self._run(x, threads, xnnpack))

    def _run(self, x: Samples, threads: int, xnnpack: bool) -> list[np.ndarray]:
        key = checks.threads("predict", threads), checks.flag("predict", "xnnpack", xnnpack)
        arrays = check_inputs(x, self.inputs)
        codes = [spec.quantize(array) for spec, array in zip(self.inputs, arrays, strict=True)]
        if key not in self._runners:
            self.try_apart(codes, *key)
        with self._making:
            if key not in self._runners:
                self._runners[key] = Runner(self.content, self.model, self.inputs, self.outputs, *key)
        return self._runners[key].run(codes)

    def try_apart(self, codes: Sequence[np.ndarray], threads: int = 1, xnnpack: bool = True) -> None:
        """Runs a file from elsewhere once in a separate process, so that a crash does not end this one.

        Files that were made here, and those that `save` wrote, are known to run; for others see `distrust`.

        Args:
            codes: An array for each input, of the input's own type; the first sample is used.
            threads: threads of the interpreter.
            xnnpack: False runs the plain kernels.

        Raises:
            ValueError: if it ends the process or does not come to an end.
        """
        if bool(xnnpack) not in self._untried:
            return
        first = [code[: max(1, spec.shape[0])] for spec, code in zip(self.inputs, codes, strict=True) if spec.shape]
        ((trial,),) = run_apart([self.content], first, [bool(xnnpack)], threads)
        if trial.has_crashed:
            raise ValueError(
                f"The runtime does not survive this file: {trial.reason}. It is damaged, or the runtime has a fault; "
                "it is not run in this process."
            )
        self._untried.discard(bool(xnnpack))

    def _answer(self, values: list[np.ndarray]) -> np.ndarray | dict[str, np.ndarray]:
        if len(values) == 1:
            return values[0]
        return {spec.name: value for spec, value in zip(self.outputs, values, strict=True)}

    def save(self, path: str | os.PathLike) -> None:
        """Writes the file, and its metadata to `path + ".json"`; both whole or not at all.

        A reader finds metadata that fit the file at every moment. A symbolic link stays and its file is
        written; a device or FIFO gets the bytes of the file alone.

        Args:
            path: where to write, usually `*.tflite`. The folder must exist.
        """
        sidecar = {
            "format": _SIDECAR_FORMAT,
            "sha256": self.sha256,
            "bytes": self.size,
            "metadata": self.metadata,
        }
        write_pair(checks.path("Artifact.save", "path", path), self.content, sidecar, _json)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Artifact":
        """Reads a file, and its metadata where `path + ".json"` belongs to it.

        Args:
            path: a `.tflite` file, from here or from anywhere else.

        Returns:
            The artifact. If the metadata belong to other bytes, a warning says so and they are
            left out.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a `.tflite` file.
        """
        path = checks.path("Artifact.load", "path", path)
        content, name, facts = read_pair(path)
        try:
            artifact = cls(content)
            _ = artifact.model  # reads the file, so that an error names the path
        except ValueError as error:
            raise ValueError(f"{path!r}: {error}") from error
        artifact.metadata = read_sidecar(name, facts, artifact.sha256)
        if not artifact.metadata:  # no sidecar says that it was made here
            artifact.distrust()
        return artifact

    @classmethod
    def foreign(cls, content: bytes) -> "Artifact":
        """Makes an artifact of bytes from elsewhere, which are first run in a separate process."""
        artifact = cls(content)
        artifact.distrust()
        return artifact

    def distrust(self) -> None:
        """Makes the first run with XNNPACK, and the first without, try the file in a separate process before.

        For bytes from elsewhere, and for files at which the runtime may end the process: LiteRT 2.3 does so at a
        16-bit SUB of tf_keras' LayerNormalization.
        """
        self._untried = {True, False}

    def summary(self) -> str:
        """Returns a text with mode, sizes, inputs and outputs, and a table of the ops."""
        return summary(self)

    def verdict(self) -> str:
        """Returns a sentence: how much smaller the file is than the model, and how far its outputs are from it."""
        found = self.fidelity
        return found.sentence() if found is not None else "not compared with the model it was made of"

    def __repr__(self) -> str:
        mode = self.metadata.get("mode")
        return f"<Artifact {mode + ', ' if mode else ''}{self.size:,} bytes>"

    def __getstate__(self) -> dict[str, Any]:
        # Interpreters cannot be copied or pickled; the next predict makes a new one.
        return {"content": self.content, "metadata": self.metadata}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # as a subclass takes them


def _json(value: dict[str, Any]) -> str:
    try:
        return json.dumps(value, indent=2, allow_nan=False) + "\n"
    except Exception as error:  # whatever the values' own methods raise, and nesting that is too deep
        raise TypeError(
            f"Artifact: metadata must hold only what JSON can ({error}). Turn NumPy values into "
            "plain ones with .item() or .tolist()."
        ) from error
