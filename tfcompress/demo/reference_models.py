"""Writes the demo's models to one folder: every variant, the recipe and a model card.

`tfcompress demo --data FILE --models models/mnist` writes it; the Android demo and the notebooks read it.
"""

import json
import os
import pathlib
from typing import TYPE_CHECKING

import keras

from tfcompress.system.atomic import whole_file, write_files
from tfcompress.text.table import markdown_table

if TYPE_CHECKING:
    from tfcompress.demo.main import DemoResult

_COLUMNS = (
    ("file", "file"),
    ("what", "name"),
    ("accuracy", "accuracy"),
    ("macro F1", "macro_f1"),
    ("bytes", "bytes"),
    ("zipped", "gzip_bytes"),
    ("zeros", "sparsity"),
)


def save_models(result: "DemoResult", files: dict[str, str], folder: str | os.PathLike) -> list[pathlib.Path]:
    """Writes the variants of the student with recipe and model card.

    Args:
        result: Result of `demo`.
        files: Name of a variant in `result.artifacts` to the name of its file, without ending.
        folder: Folder to write to; made if it does not exist.

    Returns:
        The paths written.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, file in files.items():
        result.artifacts[name].save(folder / f"{file}.tflite")
        written.append(folder / f"{file}.tflite")
    # without the state of the optimizer, which is most of the file that the demo keeps
    with whole_file(folder / "student.keras", ".keras") as temporary:
        keras.models.load_model(result.folder / "student.keras", compile=False).save(temporary)
    written.append(folder / "student.keras")
    texts = {
        folder / "README.md": _card(result, files),
        folder / "recipe.json": result.recipe.to_json() + "\n",
        folder / "figures.json": json.dumps(_figures(result, files), indent=1) + "\n",
    }
    write_files({path: text.encode() for path, text in texts.items()})
    return [*written, *texts]


def _figures(result, files) -> list[dict]:
    rows = {row["name"]: row for row in result.comparison.rows}
    return [{"file": f"{file}.tflite", **rows[name]} for name, file in files.items()]


def _card(result, files) -> str:
    cells = []
    for row in _figures(result, files):
        shown = {key: row[key] for _, key in _COLUMNS}
        shown |= {key: f"{row[key]:.2%}" for key in ("accuracy", "macro_f1")}
        shown |= {key: f"{row[key]:,}" for key in ("bytes", "gzip_bytes")}
        shown["sparsity"] = f"{row['sparsity']:.1%}"
        cells.append(list(shown.values()))
    table = markdown_table([title for title, _ in _COLUMNS], cells)
    count, tested = result.comparison.rows[-1]["parameters"], f"{len(result.digits.x_test):,}"
    same = f"{result.same_class:,}"
    return f"""# Reference models: digits

A convolutional student of {count:,} parameters in every form that tfcompress writes. Input: one 28 x 28 grey image,
bright digit on dark ground, 0..1, batch 1; output: ten logits.

Trained and measured on: {result.digits.label}; accuracy on {tested} test images no training has seen.

{table}

* `student.keras` is the compressed student as a Keras model, `recipe.json` its recipe; the teacher the recipe names is
  `teacher.keras` of the same job.
* On {same} of {tested} test images the last file names the class that the trained model names with quantization
  simulated; the largest difference is {result.largest_gap:.2f} output steps.
* Each file has a `.json` beside it: mode, layer of every operation, parity, versions.
* `figures.json` holds the table with all its columns.

Intended for: demonstrations, tests, benchmarks. Not for: reading cheques or post codes; MNIST is clean, centred
handwriting of one time and place.

Rebuilt by `tfcompress demo --data mnist.npz --models models/mnist --seed {result.seed}`. Apache-2.0, as the project;
MNIST is by Y. LeCun, C. Cortes and C. Burges (CC BY-SA 3.0).
"""
