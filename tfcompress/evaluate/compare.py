"""Compares a model with its artifacts in one table: accuracy, agreement, bytes, sparsity, MACs, energy and latency."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tfcompress.benchmarking.bench_report import BenchReport, energy_notes, energy_uj
from tfcompress.benchmarking.benchmark import benchmark
from tfcompress.benchmarking.named_artifacts import ArtifactLike, Artifacts, lineup
from tfcompress.evaluate.energy import energy
from tfcompress.evaluate.energy_table import HOROWITZ_2014
from tfcompress.evaluate.macs import macs
from tfcompress.evaluate.per_class import Answers
from tfcompress.evaluate.scores import accuracy, classes, labels, macro_f1, mean_gap
from tfcompress.evaluate.sizes import count_sizes
from tfcompress.evaluate.verdict import verdict
from tfcompress.graph.keras_private import input_specs
from tfcompress.text.log import tell
from tfcompress.text.table import markdown_table, number, text_table
from tfcompress.tflite.artifact import Artifact, Samples
from tfcompress.validation import checks

SCHEMA_NAME = "tfcompress.compare/1"
# Column titles and decimals by key of a row; a column without any value is not shown.
COLUMNS: dict[str, tuple[str, int]] = {
    "accuracy": ("accuracy", 4),
    "macro_f1": ("macro F1", 4),
    "error": ("mean error", 5),
    "agreement": ("agreement", 4),
    "gap": ("mean gap", 5),
    "bytes": ("bytes", 0),
    "gzip_bytes": ("gzip bytes", 0),
    "sparsity": ("sparsity", 4),
    "macs": ("MACs", 0),
    "parameters": ("parameters", 0),
    "estimated_uj": ("estimated uJ", 4),
    "measured_uj": ("measured uJ", 1),
    "p50_us": ("p50 us", 1),
    "cpu_us": ("CPU us", 1),
    "peak_bytes": ("peak bytes", 0),
}


@dataclass(frozen=True)
class Comparison:
    """Result of `compare`: one row per model.

    Attributes:
        rows: One dictionary per model, the original first: `name` and the keys of `COLUMNS`.
            Fractions are 0..1; a value that does not apply is None.
        notes: Notes on the values, one sentence each.
        bench: The benchmark behind `p50_us`, `cpu_us`, `peak_bytes` and `measured_uj`, or None.
        answers: The classes that each model named, and the right ones; None of a regression.
    """

    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    bench: BenchReport | None = None
    answers: Answers | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, name: str) -> dict[str, Any]:
        """Returns the row of one model by name."""
        for row in self.rows:
            if row["name"] == name:
                return row
        raise KeyError(f"no row named {name!r}; there are {[row['name'] for row in self.rows]}")

    def __str__(self) -> str:
        """Returns the same as `text()`."""
        return self.text()

    def verdict(self, name: str | None = None) -> str:
        """Returns a sentence on what a file won and lost, or one line for each file.

        Args:
            name: Name of its row; None for all but the original.
        """
        rows = self.rows[1:] if name is None else [self[name]]
        return "\n".join(verdict(row, self.rows[0]) for row in rows if row is not self.rows[0])

    def text(self) -> str:
        """Returns the verdict of each file, the rows as an aligned table, then the notes."""
        return "\n\n".join([*filter(None, [self.verdict()]), text_table(*self._cells()), *self.notes])

    def markdown(self) -> str:
        """Returns the verdict of each file, the rows as a Markdown table, then the notes."""
        told = [f"- {line}" for line in self.verdict().splitlines()]
        return "\n\n".join([*filter(None, ["\n".join(told)]), markdown_table(*self._cells()), *self.notes])

    def json(self) -> str:
        """Returns rows, notes and benchmark as JSON text, schema `tfcompress.compare/1`."""
        document = {
            "schema": SCHEMA_NAME,
            "rows": self.rows,
            "notes": self.notes,
            "bench": None if self.bench is None else self.bench.document,
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        shown = [key for key in COLUMNS if any(row[key] is not None for row in self.rows)]
        header = ["model", *(COLUMNS[key][0] for key in shown)]
        cells = [[row["name"], *(number(row[key], COLUMNS[key][1]) for key in shown)] for row in self.rows]
        return header, cells


def compare(
    original: keras.Model | ArtifactLike,
    artifacts: Artifacts,
    data: Any,
    latency: bool | BenchReport = True,
    threads: int = 1,
    output: str | None = None,
    threshold: float = 0.5,
    verbose: int = 1,
) -> Comparison:
    """Compares artifacts with the model they came from, on data.

    Args:
        original: A built Keras model, or an artifact (path and bytes too). Its row is named
            "original"; bytes of a Keras model are those of its weights.
        artifacts: An artifact, path or bytes; a list of them; or a dictionary by name.
        data: `(x, y)` or `x` alone, x in real values of shape (n, ...), a dictionary by input name,
            or a list in the order of the inputs; or a batched `tf.data.Dataset` of these. y holds
            class numbers or one-hot rows; other values are taken as targets of a regression.
        latency: Whether to measure latency, processor time, energy and peak memory (about two and a
            half seconds per artifact); or a `BenchReport` in which the artifacts have the same names.
        threads: Threads of the interpreter.
        output: Name of the output to judge; needed where there are several.
        threshold: Where a single score becomes class 1; 0.5 for probabilities, 0 for logits.
        verbose: 0 for silence, 1 for progress on stderr.

    Returns:
        A row per model: accuracy and macro F1 (regression: mean absolute error), agreement of the
        class with the original (regression: None), mean absolute gap to the original's outputs,
        bytes, gzip bytes, sparsity of the kernels, MACs, parameters; of files also the energy of one
        inference as `tfc.energy` estimates it and as the processor's counters tell it, median
        latency, processor time and peak memory.

    Raises:
        TypeError: If `original` or an artifact is of another kind.
        ValueError: If `data` does not fit, or an output has to be chosen.

    Example:
        ```python
        import keras, numpy as np, tensorflow as tf
        from tfcompress.evaluate.compare import compare

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        x, y = np.random.default_rng(0).random((20, 4), "float32"), np.arange(20) % 3
        print(compare(model, {"float32": content}, (x, y), latency=False).text())
        ```
    """
    threads = checks.threads("compare", threads)
    threshold = checks.number("compare", "threshold", threshold)
    verbose = checks.verbosity("compare", verbose)
    _check(data, latency, output)
    models = _lined_up(original, artifacts)
    x, y = _samples(data)
    x = _by_name(models["original"], x)
    rows, notes, reference, answers = [], [], None, []
    for name, model in models.items():
        tell(f"compare: running {name}", verbose)
        outputs = _outputs(name, model, x, output, threads)
        reference = outputs if reference is None else reference
        scores = _scores(name, outputs, reference, y, threshold)
        answers += [] if scores["agreement"] is None else [classes(outputs, threshold)]
        rows.append({"name": name, **scores, **_sizes(name, model, notes)})
    bench = _latency(latency, models, x, threads, verbose)
    for row in rows:
        row.update(_measured(bench, row["name"]))
    if any(row["estimated_uj"] is not None for row in rows):
        notes.append(HOROWITZ_2014.note)
    notes += [] if bench is None else energy_notes(bench.document)
    if isinstance(models["original"], keras.Model):
        notes.append("Bytes of the original are those of its weights, without the graph.")
    return Comparison(rows, notes, bench, _answers(answers, reference, y, x))


def _check(data: Any, latency: bool | BenchReport, output: str | None) -> None:
    if not isinstance(latency, BenchReport):
        checks.flag("compare", "latency", latency)
    if output is not None:
        checks.text("compare", "output", output)
    if data is None:
        checks.refuse(ValueError, "compare", "data", "(x, y) or x", data)
    checks.data("compare", "data", data)


def _lined_up(original: keras.Model | ArtifactLike, artifacts: Artifacts) -> dict[str, keras.Model | Artifact]:
    """Returns the original and the artifacts by name."""
    entrants = lineup(artifacts)
    if "original" in entrants:
        raise ValueError("compare: the name 'original' is taken by the original. Rename it.")
    if not isinstance(original, keras.Model):
        original = next(iter(lineup([original]).values()))
    return {"original": original, **entrants}


def _samples(data: Any) -> tuple[Any, np.ndarray | None]:
    """Splits data into x and y; batches of a dataset are put together."""
    if hasattr(data, "as_numpy_iterator"):
        batches = list(data.as_numpy_iterator())
        if not batches:
            raise ValueError("compare: the dataset in data is empty.")
        # A batch is x, (x,) or (x, y) or (x, y, sample weights), as for keras.Model.evaluate.
        parts = [batch if isinstance(batch, tuple) else (batch,) for batch in batches]
        joined = [
            keras.tree.map_structure(lambda *rows: np.concatenate(rows), *column) for column in zip(*parts, strict=True)
        ]
        return joined[0], joined[1] if len(joined) > 1 else None
    if isinstance(data, tuple):
        if len(data) != 2:
            raise ValueError(f"compare: data must be (x, y) or x. Received: {len(data)} parts.")
        return data[0], None if data[1] is None else np.asarray(data[1])
    return data, None


def _by_name(original: keras.Model | Artifact, x: Samples) -> Samples:
    """Turns a list of inputs into a dictionary, since a file may list its inputs in another order."""
    if not isinstance(x, (list, tuple)):
        return x if isinstance(x, Mapping) else np.asarray(x)
    if len(x) == 1:
        return np.asarray(x[0])
    if isinstance(original, Artifact):
        names = [spec.name for spec in original.inputs]
    else:
        names = [spec.name for spec in keras.tree.flatten(input_specs(original))]
    if len(names) != len(x):
        raise ValueError(
            f"compare: the inputs of the original are {names}. Received: a list of {len(x)} "
            "arrays. Give x as one array, or as a dictionary by input name."
        )
    return {name: np.asarray(values) for name, values in zip(names, x, strict=True)}


def _outputs(name: str, model: keras.Model | Artifact, x: Samples, output: str | None, threads: int) -> np.ndarray:
    try:
        if isinstance(model, Artifact):
            result: Any = model.predict(x, threads=threads)
        else:
            result = model.predict(_in_order(model, x), verbose=0)
    except ValueError as error:
        raise ValueError(f"compare: {name}: {error}") from error
    if isinstance(result, Sequence):
        names = getattr(model, "output_names", None) or [f"output_{i}" for i in range(len(result))]
        result = dict(zip(names, result, strict=True))
    if not isinstance(result, Mapping):
        return np.asarray(result)
    if output not in result:
        raise ValueError(
            f"compare: {name} has several outputs; choose one of {sorted(result)} with output=. "
            f"Received: output={output!r}."
        )
    return np.asarray(result[output])


def _in_order(model: keras.Model, x: Samples) -> Samples:
    """Brings inputs into the form the model takes: a dictionary, a list, or a single array."""
    specs = input_specs(model)
    if not isinstance(x, Mapping) or isinstance(specs, Mapping):
        return x
    names = [spec.name for spec in keras.tree.flatten(specs)]
    if set(names) != set(x):
        raise ValueError(f"the inputs are {names}. Received: {sorted(x)}.")
    return [x[name] for name in names] if len(names) > 1 else x[names[0]]


def _scores(
    name: str,
    outputs: np.ndarray,
    reference: np.ndarray,
    y: np.ndarray | None,
    threshold: float,
) -> dict[str, float | None]:
    if outputs.shape != reference.shape:
        raise ValueError(
            f"compare: {name} has outputs of shape {outputs.shape}, the original "
            f"{reference.shape}; they are not the same task."
        )
    scores: dict[str, float | None] = dict.fromkeys(("accuracy", "macro_f1", "error", "agreement"))
    scores["gap"] = mean_gap(outputs, reference)
    true = None if y is None else labels(y, outputs)
    if y is not None and true is None:
        scores["error"] = mean_gap(outputs, y.reshape(outputs.shape))
        return scores
    predicted = classes(outputs, threshold)
    scores["agreement"] = accuracy(classes(reference, threshold), predicted)
    if true is not None:
        scores["accuracy"] = accuracy(true, predicted)
        scores["macro_f1"] = macro_f1(true, predicted)
    return scores


def _answers(predicted: list[np.ndarray], reference: np.ndarray, y: np.ndarray | None, x: Samples) -> Answers | None:
    if not predicted:
        return None
    true = None if y is None else labels(y, reference)
    return Answers(tuple(predicted), true, max(reference.shape[-1], 2), x)


def _sizes(name: str, model: keras.Model | Artifact, notes: list[str]) -> dict[str, Any]:
    held, count, estimate = count_sizes(model), None, None
    try:
        count = macs(model)
        estimate = energy(model).uj if isinstance(model, Artifact) else None
    except ValueError as error:
        # A loop, a custom layer or an open dimension: the other columns still hold.
        notes.append(f"{name}: {error}")
    return {
        "bytes": held.size,
        "gzip_bytes": held.gzip_size,
        "sparsity": held.sparsity,
        "macs": count,
        "parameters": held.parameters,
        "estimated_uj": estimate,
    }


def _measured(bench: BenchReport | None, name: str) -> dict[str, float | None]:
    """Returns the figures of a model in a benchmark; None each where it is not in there."""
    if bench is None or name not in bench:
        return dict.fromkeys(("measured_uj", "p50_us", "cpu_us", "peak_bytes"))
    result = bench[name]
    return {
        "measured_uj": energy_uj(result),
        "p50_us": result["latency"]["p50_us"],
        "cpu_us": result.get("cpu_us"),
        "peak_bytes": result["memory"]["peak_bytes"],
    }


def _latency(
    latency: bool | BenchReport,
    models: dict[str, keras.Model | Artifact],
    x: Samples,
    threads: int,
    verbose: int,
) -> BenchReport | None:
    if isinstance(latency, BenchReport):
        return latency
    if not latency:
        return None
    timed = {name: model for name, model in models.items() if isinstance(model, Artifact)}
    return benchmark(timed, data=x, threads=threads, verbose=verbose)
