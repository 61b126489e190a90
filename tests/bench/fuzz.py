"""Damages files by seed and counts what readers make of them: `.tflite`, `.h5`, `.keras`, manifests, reports, sidecars.

Each file is read in a worker process with a time limit. Right is one ValueError, or a file that answers, and whose
slimmer copy answers the same. A worker that dies or hangs, another error, or another answer is a fault; the seed of
each is printed, and `--only KIND:NUMBER` does that one again.

    python tests/bench/fuzz.py [--files 20000] [--workers 2] [--seconds 60] [--corpus FOLDER] [--minutes 0]

Seen with 20,000 files (10 minutes, one worker, `--seconds 20`): no fault; 10 files that LiteRT does not survive, each
ended in a process of its own ("contained"). The next numbers (`--first 20000`) over a wider corpus, 15,547 files in 9
minutes: no fault either, and 10 contained.
"""

import argparse
import collections
import json
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]

# Kinds of damage and their share of the files.
SHARES = {"tflite_bytes": 8, "tflite_fields": 8, "h5": 1, "keras": 1, "manifest": 1, "report": 0.5, "sidecar": 0.5}
GOOD = ("refused", "answers", "does not run here", "left out")


def corpus(folder: str | None) -> list[bytes]:
    """Files of this repository, of a folder, and drawn integer graphs with dead channels."""
    import importlib.util

    places = sorted(ROOT.glob("models/*/*.tflite")) + (sorted(pathlib.Path(folder).rglob("*.tflite")) if folder else [])
    found = [path.read_bytes() for path in places if path.stat().st_size < 400_000]
    spec = importlib.util.spec_from_file_location("drawings", ROOT / "tests" / "tflite" / "optimizer" / "conftest.py")
    drawings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawings)
    return found + [drawings.drawn(seed).content for seed in range(20)]


class Jobs:
    """What a worker does: makes a damaged file of a kind and number, and reads it."""

    def __init__(self, folder: str | None, careful: bool):
        import fuzzing

        self.fuzzing, self.careful = fuzzing, careful
        self.files = corpus(folder)
        self.place = pathlib.Path(tempfile.mkdtemp())
        self._whole: dict[str, bytes] = {}

    def run(self, kind: str, number: int) -> str:
        rng = np.random.default_rng([sorted(SHARES).index(kind), number])
        try:
            with self.fuzzing.no_warnings():
                return getattr(self, kind)(rng)
        except ValueError as error:
            return "refused" if str(error).strip() else "an error without a word"
        except Exception as error:  # the fault this program looks for
            import traceback

            last = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__} in {pathlib.Path(last.filename).name}:{last.lineno}: {str(error)[:200]}"

    def tflite_bytes(self, rng) -> str:
        return self.tflite(self.fuzzing.damaged(self.files[rng.integers(len(self.files))], rng))

    def tflite_fields(self, rng) -> str:
        return self.tflite(self.fuzzing.damaged_model(self.files[rng.integers(len(self.files))], rng))

    def tflite(self, content: bytes) -> str:
        from tfcompress.tflite.optimizer import slim as module

        artifact = self.fuzzing.read_everything(content)
        inputs = self.fuzzing.drawn_inputs(artifact)
        try:
            expected = self.answers(content, inputs)
        except ValueError as error:
            expected = error
        run_apart, module.run_apart = module.run_apart, self.run_apart
        try:
            smaller = module.slim(content)
        except RuntimeError as error:
            return f"slim: {error}"
        finally:
            module.run_apart = run_apart
        self.fuzzing.read_everything(smaller.content)
        if isinstance(expected, ValueError):
            return "does not run here"
        found = self.answers(smaller.content, inputs)
        same = all(a.tobytes() == b.tobytes() for a, b in zip(expected, found, strict=True))
        return "answers" if same else "the slimmer file answers otherwise"

    def answers(self, content: bytes, inputs) -> list[np.ndarray]:
        if inputs is None:
            raise ValueError("nothing can be drawn for its inputs")
        ((trial,),) = self.run_apart([content], inputs, [False])
        if trial.outputs is None:
            raise ValueError(trial.reason)
        return trial.outputs

    def run_apart(self, files, inputs, ways, threads=1):
        """In a process of its own where this one may not survive the file, else here, which is faster."""
        from tfcompress.tflite import trial_run

        if self.careful:
            return trial_run.run_apart(files, inputs, ways, threads, seconds=10)
        found = []
        for content in files:
            found.append([])
            for way in ways:
                try:
                    found[-1].append(trial_run.Trial(trial_run._run(content, inputs, way, threads)))
                except (ValueError, RuntimeError, MemoryError) as error:
                    found[-1].append(trial_run.Trial(None, str(error)))
        return found

    def whole(self, kind: str) -> bytes:
        if not self._whole:
            self._whole = _keras_files(self.place)
        return self._whole[kind]

    def h5(self, rng) -> str:
        return self.model("h5", self.fuzzing.damaged_hdf5, rng)

    def keras(self, rng) -> str:
        return self.model("keras", self.fuzzing.damaged_archive, rng)

    def model(self, kind: str, damage, rng) -> str:
        from tfcompress.export.loading import load_model

        name = ("old." if rng.random() < 0.7 else "new.") + kind
        content = (damage if rng.random() < 0.6 else self.fuzzing.damaged)(self.whole(name), rng)
        path = self.place / f"damaged.{kind}"
        path.write_bytes(content)
        model = load_model(path)
        model.predict(np.zeros((1, *(size or 1 for size in model.inputs[0].shape[1:])), "f4"), verbose=0)
        return "answers"

    def manifest(self, rng) -> str:
        from tfcompress.android.manifest import check_document

        text = (ROOT / "android_demo/app/src/main/assets/models/manifest.json").read_text(encoding="utf-8")
        check_document(self.fuzzing.damaged_json(text, rng))
        return "answers"

    def report(self, rng) -> str:
        from tfcompress.benchmarking.bench_report import BenchReport, bench_table

        path = self.place / "report.json"
        path.write_bytes(self.fuzzing.damaged_json(_report(), rng))
        report = BenchReport.load(path)
        shown = report.text() + report.markdown() + bench_table([report])
        return "an escape is printed" if "\x1b" in shown else "answers"

    def sidecar(self, rng) -> str:
        from tfcompress.tflite.artifact import Artifact

        source = ROOT / "models" / "mnist" / "int8_qat.tflite"
        path = self.place / "model.tflite"
        path.write_bytes(source.read_bytes())
        text = pathlib.Path(f"{source}.json").read_text(encoding="utf-8")
        pathlib.Path(f"{path}.json").write_bytes(self.fuzzing.damaged_json(text, rng))
        artifact = self.fuzzing.read_everything(path.read_bytes())
        artifact = Artifact.load(path)
        _ = artifact.summary(), artifact.ops_table(), repr(artifact)
        return "answers" if artifact.metadata else "left out"


def _keras_files(folder: pathlib.Path) -> dict[str, bytes]:
    """Small models as Keras 3 and as Keras 2 write them; the latter are made from the former."""
    import io
    import zipfile

    import h5py
    import keras

    keras.utils.set_random_seed(0)
    L = keras.layers
    model = keras.Sequential([keras.Input((6, 6, 2)), L.Conv2D(3, 3, name="conv"), L.Flatten(name="flat"), L.Dense(4)])
    for suffix in ("h5", "keras"):
        model.save(folder / f"new.{suffix}")
    found = {f"new.{suffix}": (folder / f"new.{suffix}").read_bytes() for suffix in ("h5", "keras")}
    stream = io.BytesIO(found["new.h5"])
    with h5py.File(stream, "r+") as file:
        for owner in (file, file["model_weights"]):
            owner.attrs["keras_version"] = "2.9.0"
    found["old.h5"] = stream.getvalue()
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "dtype": "float32", "name": "i"}},
        {"class_name": "Dense", "config": {"name": "d", "units": 4, "activation": "linear", "use_bias": True}},
    ]}}  # fmt: skip
    weights, stream = io.BytesIO(), io.BytesIO()
    with h5py.File(weights, "w") as file:
        place = file.create_group("layers/dense/vars")
        place["0"], place["1"] = np.ones((3, 4), "f4"), np.zeros(4, "f4")
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return found | {"old.keras": stream.getvalue()}


def _report() -> str:
    digest, time_us = "0" * 64, dict.fromkeys(("mean_us", "std_us", "min_us", "max_us"), 2.0)
    time_us |= dict.fromkeys(("p50_us", "p90_us", "p95_us", "p99_us"), 2.5)
    result = {"name": "int8", "sha256": digest, "bytes": 9, "threads": 1, "xnnpack": True, "init_us": 1, "first_us": 2}
    result["accelerator"] = {"requested": "gpu", "actual": "cpu", "reason": "none"}
    result["memory"] = {"peak_bytes": None, "process_bytes": None, "native_heap_bytes": None, "reason": "not asked for"}
    result |= {"warmup": {"n": 1, "mean_us": 1.0}, "latency": {"n": 50, **time_us}}
    protocol = {"mode": "quick", "runs": 50, "min_seconds": 1, "max_seconds": 9, "warmup_runs": 1, "warmup_seconds": 0}
    protocol |= {"blocks": 1, "pause_seconds": 0, "input": "seeded"}
    device = {"name": "Phone", "system": "Android 16", "machine": "arm64-v8a", "cores": 8}
    named = {"name": "x", "version": "1"}
    head = {"schema": "tfcompress.bench/1", "created": "2026-01-01T00:00:00Z", "generator": named, "runtime": named}
    return json.dumps({**head, "device": device, "protocol": protocol, "order": ["int8"], "results": [result]})


# ---------------------------------------------------------------- processes


def work(folder: str | None, careful: bool) -> None:
    """A worker: reads `KIND NUMBER` lines, answers each with a line."""
    import resource

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    jobs = Jobs(folder, careful)
    for line in sys.stdin:
        kind, number = line.split()
        print(json.dumps(jobs.run(kind, int(number))), file=answers, flush=True)


class Worker:
    """A worker process, started anew when it dies or has to be ended."""

    def __init__(self, options: argparse.Namespace, careful: bool = False):
        self.options, self.careful = options, careful
        self.child = None
        self.knows_keras, self.limit = False, 0.0
        self.job, self.since = None, 0.0

    def give(self, job: tuple[str, int]) -> None:
        if self.child is None or self.child.poll() is not None:
            command = [sys.executable, __file__, "--work", "careful" if self.careful else "fast"]
            command += ["--corpus", self.options.corpus] if self.options.corpus else []
            self.knows_keras = False
            self.child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        needs_keras = job[0] in ("h5", "keras")
        # the first of these imports TensorFlow, which is no fault of the file
        self.limit = self.options.seconds + (120 if needs_keras and not self.knows_keras else 60 if needs_keras else 0)
        self.knows_keras |= needs_keras
        self.job, self.since = job, time.monotonic()
        try:
            self.child.stdin.write(f"{job[0]} {job[1]}\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass  # it died; `result` says so

    def result(self) -> str | None:
        """What became of the job; None while it runs."""
        ready, _, _ = select.select([self.child.stdout], [], [], 0)
        if ready:
            line = self.child.stdout.readline()
            return json.loads(line) if line else f"crash ({self.child.wait()})"
        if time.monotonic() - self.since > self.limit:
            self.end()
            return "hang"
        return None

    def end(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None


def run_all(jobs, options: argparse.Namespace, careful: bool) -> dict[tuple[str, int], str]:
    """Runs jobs on the workers; those that are not done when time is over are left out."""
    queue, found = collections.deque(jobs), {}
    end = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    workers = [Worker(options, careful) for _ in range(options.workers)]
    busy: list[Worker] = []
    while (queue and time.monotonic() < end) or busy:
        for worker in workers:
            if worker not in busy and queue and time.monotonic() < end:
                worker.give(queue.popleft())
                busy.append(worker)
        files = [worker.child.stdout for worker in busy if worker.child]
        select.select(files, [], [], 1.0)
        for worker in list(busy):
            result = worker.result()
            if result is not None:
                busy.remove(worker)
                found[worker.job] = result
                if result not in GOOD:
                    print(f"{worker.job[0]}:{worker.job[1]}: {result}", file=sys.stderr, flush=True)
                if len(found) % 500 == 0:
                    print(f"{len(found):,} of {len(jobs):,}", file=sys.stderr, flush=True)
    for worker in workers:
        worker.end()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file of each kind")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float, default=0, help="stops then; 0 for never")
    parser.add_argument("--corpus", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--work", default="")
    options = parser.parse_args()
    if options.work:
        work(options.corpus, options.work == "careful")
        return 0
    total = sum(SHARES.values())
    kinds = {kind: max(1, round(options.files * share / total)) for kind, share in SHARES.items()}
    jobs = [(kind, options.first + number) for kind, count in kinds.items() for number in range(count)]
    np.random.default_rng(0).shuffle(jobs)
    jobs = [(str(kind), int(number)) for kind, number in jobs]
    if options.only:
        kind, number = options.only.split(":")
        jobs = [(kind, int(number))]
    start = time.monotonic()
    found = run_all(jobs, options, careful=False)
    # what the runtime does not survive is run in a process of its own by the package: again, as it does
    again = [job for job, result in found.items() if result.startswith(("crash", "hang"))]
    options.minutes = 0
    contained = run_all(again, options, careful=True)
    for job, result in contained.items():
        found[job] = result if result.startswith(("crash", "hang")) or result not in GOOD else "contained"
    _print(found, time.monotonic() - start)
    return 0 if all(result in (*GOOD, "contained") for result in found.values()) else 1


def _print(found: dict[tuple[str, int], str], seconds: float) -> None:
    columns = [*GOOD, "contained", "fault"]
    print("kind".ljust(16) + "".join(column.rjust(19) for column in ("files", *columns)))
    for kind in (*SHARES, "all"):
        results = [result for job, result in found.items() if kind in (job[0], "all")]
        counts = collections.Counter(result if result in columns else "fault" for result in results)
        print(kind.ljust(16) + "".join(f"{n:>19,}" for n in (len(results), *(counts[c] for c in columns))))
    for job, result in sorted(found.items()):
        if result not in columns:
            print(f"{job[0]}:{job[1]}: {result}")
    print(f"{len(found):,} files in {seconds / 60:.1f} minutes")


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    sys.exit(main())
