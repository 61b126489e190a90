"""Runs the demo: MNIST, from a float teacher to an integer file that is compared with the trained model.

Teacher -> student distilled in float -> the same student pruned, clustered, quantized and distilled
with one callback -> `.tflite` files, parity, benchmark, report. All of it in about two minutes, the first result after
half a minute.
"""

import os
import pathlib
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfcompress as tfc
from tfcompress.benchmarking.benchmark import benchmark
from tfcompress.datasets.mnist import Digits, load_mnist
from tfcompress.demo import networks
from tfcompress.demo.reference_models import save_models
from tfcompress.demo.report import demo_report
from tfcompress.demo.training import TrainingStage, train
from tfcompress.evaluate.compare import Comparison, compare
from tfcompress.system.atomic import whole_file, write_files
from tfcompress.text.log import tell
from tfcompress.tflite.artifact import Artifact
from tfcompress.validation import checks

TEACHER_FILE = "teacher float32"
FINAL = "student int8, all four"
VARIANTS = {
    "student float32": "float32",
    "student float16": "float16",
    "student dynamic": "dynamic",
    "student int8, post-training": "int8_ptq",
    "student int8, quantized in training": "int8_qat",
    FINAL: "int8_compressed",
}
"""Files of the reference models, without their ending."""
HELD_OUT = 30  # the last 1/30 of the training images (2,000 of MNIST) are for the validation loss
CALIBRATION = 500  # images
TEACHER = TrainingStage(epochs=3, batch=128, rate=2e-3)
STUDENT = TrainingStage(epochs=4, batch=256, rate=1e-2)
QAT = TrainingStage(epochs=1, batch=256, rate=2e-3)
COMPRESS = TrainingStage(epochs=5, batch=256, rate=1e-2)


@dataclass
class DemoResult:
    """Files and measurements of the demo.

    Attributes:
        folder: Where everything was written.
        digits: The images that were used.
        artifacts: All files by name, the compressed student last.
        comparison: Accuracy, bytes, zeros, latency of all of them, the teacher as the original.
        same_class: Number of test images on which the file and the simulation name the same class.
        largest_gap: Largest difference of their outputs, in steps of the output's scale.
        outputs: The file's logits of the test images, (m, 10).
        plan: What the callback did to each weight and activation.
        history: Loss by epoch of each training: {stage: {"loss": [...], "val_loss": [...]}}.
        seconds: Time of each stage.
        peak_bytes: Largest resident memory of the process, bytes.
        seed: The seed.
    """

    folder: pathlib.Path
    digits: Digits
    seed: int
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    comparison: Comparison | None = None
    same_class: int = 0
    largest_gap: float = 0.0
    outputs: np.ndarray | None = None
    plan: str = ""
    history: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0

    @property
    def recipe(self) -> tfc.Recipe:
        """Recipe of the compressed student, with the teacher by the name of its file."""
        return recipe("teacher.keras")

    @property
    def artifact(self) -> Artifact:
        """The compressed student as an integer file."""
        return self.artifacts[FINAL]

    def text(self) -> str:
        """Returns the results in a few lines, with the path of the report."""
        row = self.comparison[FINAL]
        return "\n".join(
            [
                self.comparison.text(),
                "",
                f"data: {self.digits.label}",
                f"{FINAL}: accuracy {row['accuracy']:.4f}, {row['bytes']:,} B "
                f"({row['gzip_bytes']:,} B gzipped), {row['sparsity']:.1%} zeros",
                f"same class as the trained model on {self.same_class:,} of "
                f"{len(self.digits.x_test):,} images, largest gap {self.largest_gap:.2f} steps",
                f"{sum(self.seconds.values()):.0f} s, peak memory {self.peak_bytes / 1e9:.2f} GB",
                f"report: {self.folder / 'report.html'}",
            ]
        )


def demo(
    data: str | os.PathLike | None = None,
    out: str | os.PathLike = "out",
    seed: int = 0,
    effort: float = 1.0,
    models: str | os.PathLike | None = None,
    verbose: int = 1,
) -> DemoResult:
    """Runs the demo on MNIST.

    Args:
        data: As for `load_mnist`: a file, a folder, or None to search.
        out: Folder to write to; made if it does not exist.
        seed: Seed of everything random.
        effort: Factor on the length of all trainings and timings; 1 for good results, 0.1 for a
            quick look.
        models: Folder for the student in every format with recipe and model card; None writes none.
        verbose: 0 for silence, 1 for progress on stderr.

    Returns:
        The files and measurements, which are also in `out`.

    Raises:
        FileNotFoundError: If `data` names nothing.
        ValueError: If data are damaged or `effort` is not positive.

    Example:
        ```python
        from tfcompress.demo.main import demo

        print(demo("mnist.npz", "out").text())
        ```
    """
    effort, seed = checks.number("demo", "effort", effort, above=0), checks.seed("demo", seed)
    digits = load_mnist(data, seed=seed)
    folder = pathlib.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    job = _Job(DemoResult(folder, digits, seed), effort, verbose)
    keras.utils.set_random_seed(seed)
    teacher = job.timed("teacher", job.train_teacher)
    student = job.timed("student", lambda: job.train_student(teacher))
    job.timed("convert", lambda: job.convert_student(student, teacher))
    job.timed("qat", lambda: job.train_qat(student))
    compression = job.timed("compress", lambda: job.compress(student, teacher))
    job.timed("prove", lambda: job.prove(compression))
    job.timed("compare", lambda: job.compare(teacher))
    job.finish()
    if models is not None:
        save_models(job.result, VARIANTS, models)
    return job.result


class _Job:
    """The stages of the demo, and the data they share."""

    def __init__(self, result: DemoResult, effort: float, verbose: int):
        self.result, self.effort, self.verbose = result, effort, verbose
        digits = result.digits
        held_out = max(1, len(digits.x_train) // HELD_OUT)
        self.x, self.y = digits.x_train[:-held_out], digits.y_train[:-held_out]
        self.images, self.labels = tf.constant(self.x), tf.constant(self.y)  # one copy for all
        self.validation = digits.x_train[-held_out:], digits.y_train[-held_out:]
        self.say(f"data: {digits.label}, {len(self.x):,} training images")

    def say(self, line: str) -> None:
        tell(f"demo: {line}", self.verbose)

    def timed(self, name: str, stage):
        self.say(f"{name} ...")
        began = time.perf_counter()
        value = stage()
        self.result.seconds[name] = time.perf_counter() - began
        self.say(f"{name} took {self.result.seconds[name]:.0f} s")
        return value

    def fit(self, name: str, model: keras.Model, stage: TrainingStage, callbacks=()) -> None:
        self.result.history[name] = train(
            name,
            model,
            stage.scaled(self.effort, len(self.x)),
            (self.images, self.labels),
            self.validation,
            callbacks,
            seed=self.result.seed,
            say=self.say if self.verbose else None,
        )

    def train_teacher(self) -> keras.Model:
        teacher = networks.mnist_teacher()
        self.fit("teacher", teacher, TEACHER)
        teacher.trainable = False
        return teacher

    def train_student(self, teacher: keras.Model) -> keras.Model:
        student = networks.mnist_student()
        distil = tfc.Compression(tfc.Distill(teacher, temperature=3.0), verbose=0)
        self.fit("student", student, STUDENT, [distil])
        distil.finish()
        return student

    def convert_student(self, student: keras.Model, teacher: keras.Model) -> None:
        made = self.result.artifacts
        images = self.calibration()
        made["student float32"] = tfc.convert(student, mode="float32")
        made["student float16"] = tfc.convert(student, mode="float16")
        made["student dynamic"] = tfc.convert(student, mode="dynamic")
        made["student int8, post-training"] = tfc.convert(student, calibration=images)
        self.say_result(teacher, student)

    def say_result(self, teacher: keras.Model, student: keras.Model) -> None:
        """Tells what the first file has won, measured on the images held out; the rest of the job improves on it."""
        x, y = self.validation
        file = self.result.artifacts["student int8, post-training"]
        whole, small, integer = (
            float(np.mean(np.argmax(np.asarray(outputs), -1) == y))
            for outputs in (teacher.predict(x, verbose=0), student.predict(x, verbose=0), file.predict(x))
        )
        times = 4 * teacher.count_params() / file.size
        self.say(
            f"first result: student int8, post-training: {file.size:,} bytes, {times:.1f} times smaller than the "
            f"teacher's weights; {integer:.2%} right of the images held out (student in float {small:.2%}, "
            f"teacher {whole:.2%})"
        )

    def train_qat(self, student: keras.Model) -> None:
        copy = _copy(student)
        compression = tfc.Compression(
            tfc.Quantize("int8"), calibration=self.calibration(), seed=self.result.seed, verbose=0
        )
        self.fit("student, quantized", copy, QAT, [compression])
        name = "student int8, quantized in training"
        self.result.artifacts[name] = compression.convert(calibration=self.calibration())

    def compress(self, student: keras.Model, teacher: keras.Model) -> tfc.Compression:
        compression = tfc.Compression(recipe(teacher), calibration=self.calibration(), seed=self.result.seed, verbose=0)
        self.fit("student, compressed", student, COMPRESS, [compression])
        self.result.plan = compression.plan.text()
        self.say("what was done:\n" + self.result.plan)
        folder = self.result.folder
        self.result.artifacts[FINAL] = compression.convert(calibration=self.calibration())
        for name, model in (("student", student), ("teacher", teacher)):
            with whole_file(folder / f"{name}.keras", ".keras") as temporary:
                model.save(temporary)
        compression.save(folder / "student.tfc")
        return compression

    def calibration(self) -> np.ndarray:
        return self.x[:CALIBRATION]

    def prove(self, compression: tfc.Compression) -> None:
        """Compares the file with the trained model under simulated quantization, on all test images."""
        x = self.result.digits.x_test
        simulated = np.asarray(compression.predict(x))
        outputs: Any = self.result.artifact.predict(x)
        self.result.outputs = outputs
        self.result.same_class = int(np.sum(simulated.argmax(-1) == outputs.argmax(-1)))
        step = self.result.artifact.outputs[0].scale
        self.result.largest_gap = float(np.abs(simulated - outputs).max() / step)

    def compare(self, teacher: keras.Model) -> None:
        digits, files = self.result.digits, self.result.artifacts
        original = tfc.convert(teacher, mode="float32")
        bench = benchmark(
            {"original": original, **files},
            min_seconds=min(0.5, self.effort),
            warmup_seconds=0.2,
            data=digits.x_test[:1],
            seed=self.result.seed,
            verbose=0,
        )
        data = digits.x_test, digits.y_test
        comparison = compare(original, files, data, latency=bench, verbose=0)
        comparison.rows[0]["name"] = TEACHER_FILE  # what `compare` calls the original
        bench["original"]["name"] = TEACHER_FILE
        bench.order[:] = [TEACHER_FILE if name == "original" else name for name in bench.order]
        bench.save(self.result.folder / "bench.json")
        self.result.comparison = comparison
        self.result.artifacts = {TEACHER_FILE: original, **files}

    def finish(self) -> None:
        """Writes the files and the report."""
        folder = self.result.folder
        for name, artifact in self.result.artifacts.items():
            artifact.save(folder / f"{_file_name(name)}.tflite")
        # ru_maxrss is in KiB on Linux, in bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        self.result.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        self.result.recipe.save(folder / "recipe.json")
        write_files({folder / "compare.json": self.result.comparison.json().encode()})
        demo_report(self.result).save(folder)


def recipe(teacher: keras.Model | str) -> tfc.Recipe:
    """Returns the recipe of the demo.

    Args:
        teacher: Model to distil from, or its file.

    Returns:
        Half of the weights zero, the others on 32 values per kernel, all int8, distilled from `teacher`.
    """
    return tfc.Recipe(
        [
            tfc.Prune(0.5),
            tfc.Cluster(32),
            tfc.Quantize("int8"),
            tfc.Distill(teacher, temperature=3.0),
        ]
    )


def _copy(model: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _file_name(name: str) -> str:
    return name.replace(",", "").replace(" ", "_").replace("-", "_")
