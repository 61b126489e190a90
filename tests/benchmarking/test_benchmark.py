"""The benchmark end to end on real files: fields, loop rule, order, inputs, bad arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.benchmarking.bench_report import BenchReport
from tfcompress.benchmarking.bench_schema import validate
from tfcompress.benchmarking.benchmark import MODES, benchmark
from tfcompress.benchmarking.timing import Stopwatch
from tfcompress.tflite.artifact import Artifact

pytestmark = pytest.mark.sampled(3)

FAST = {"runs": 20, "min_seconds": 0.0, "warmup_runs": 3, "warmup_seconds": 0.0}
FAST |= {"pause_seconds": 0.0, "verbose": 0}


def test_report_holds_every_measured_field(net_files):
    plain, int8 = net_files
    report = benchmark({"float32": plain, "int8": int8}, **FAST, blocks=4)
    validate(report.document)
    assert BenchReport.from_json(report.to_json()).document == report.document
    for name, content in (("float32", plain), ("int8", int8)):
        result = report[name]
        assert (result["bytes"], result["sha256"]) == (len(content), Artifact(content).sha256)
        assert result["latency"]["n"] == 20 and result["warmup"]["n"] == 3
        latency = result["latency"]
        ordered = [latency[key] for key in ("min_us", "p50_us", "p90_us", "p95_us", "p99_us", "max_us")]
        assert ordered == sorted(ordered) and ordered[0] > 0
        assert latency["min_us"] <= latency["mean_us"] <= latency["max_us"]
        assert result["init_us"] > 0 and result["first_us"] > 0 and result["cpu_us"] > 0
        assert result["memory"]["peak_bytes"] > 0 and result["memory"]["reason"] is None
        assert result["accelerator"] == {"requested": "cpu", "actual": "cpu", "reason": None}
    assert report.document["protocol"]["mode"] == "custom"
    assert report.line("int8").startswith("Inference timings in us: Init: ")


def test_energy_of_the_processor_packages_is_counted_in_the_timed_blocks(net_files, tmp_path, monkeypatch):
    counter = tmp_path / "intel-rapl:0" / "energy_uj"
    counter.parent.mkdir()
    for file, value in (("name", "package-0"), ("energy_uj", "0"), ("max_energy_range_uj", "1000000")):
        (counter.parent / file).write_text(value)
    monkeypatch.setattr("tfcompress.benchmarking.rapl.ROOT", tmp_path)
    loop = Stopwatch.loop

    def spend(watch, rule):  # each loop takes 0.3 J, the warm-up too; the counter begins again at 1 J
        counter.write_text(str((int(counter.read_text()) + 300_000) % 1_000_000))
        loop(watch, rule)

    monkeypatch.setattr(Stopwatch, "loop", spend)
    report = benchmark({"a": net_files[0], "b": net_files[1]}, **FAST, blocks=4, memory=False)
    validate(report.document)
    for result in report.results:
        assert result["energy"] == {"joules": pytest.approx(4 * 0.3 / 20), "source": "rapl", "reason": None}
    assert "uJ" in report.text().splitlines()[2] and "60,000.0" in report.text()
    assert "processor packages, idle power included" in report.text()


def test_no_energy_counters_are_told_with_the_reason(net_files, tmp_path, monkeypatch):
    monkeypatch.setattr("tfcompress.benchmarking.rapl.ROOT", tmp_path)
    report = benchmark(list(net_files), **FAST, memory=False)
    assert report.results[0]["energy"]["joules"] is None and report.results[0]["energy"]["source"] is None
    assert report.text().count(f"not available here: {tmp_path} has no intel-rapl package") == 1
    assert "uJ" not in report.text()


def test_models_are_interleaved_and_the_order_is_recorded(net_files):
    plain, int8 = net_files
    report = benchmark([plain, int8, plain], **FAST, blocks=4, memory=False, seed=3)
    names = ["artifact", "artifact-2", "artifact-3"]
    rounds = [report.order[i : i + 3] for i in range(0, 12, 3)]
    assert len(report.order) == 12 and all(sorted(each) == names for each in rounds)
    assert len({each[0] for each in rounds}) == 3
    again = benchmark([plain, int8, plain], **FAST, blocks=4, memory=False, seed=3)
    assert again.order == report.order


def test_min_seconds_fills_the_time_of_each_model(net_files):
    report = benchmark(
        list(net_files),
        **FAST | {"runs": 1, "min_seconds": 0.2, "warmup_seconds": 0.1},
        memory=False,
    )
    for result in report.results:
        own = result["latency"]["mean_us"] + result["copy_in_us"]
        assert 0.1e6 < own * result["latency"]["n"] < 0.3e6
        assert result["warmup"]["n"] > 100


def test_max_seconds_wins_over_runs(net_files):
    report = benchmark(
        net_files[0],
        **FAST | {"runs": 10**7, "min_seconds": 0.0},
        max_seconds=0.05,
        memory=False,
        blocks=1,
    )
    assert 10 < report.results[0]["latency"]["n"] < 10**6
    assert "stopped by max_seconds" in report.text()
    assert report.results[0]["memory"]["reason"] == "not asked for"


def test_modes_are_named_in_the_report(net_files):
    arguments = FAST | MODES["quick"] | {"max_seconds": 0.02}
    document = benchmark(net_files[0], **arguments, memory=False).document
    assert document["protocol"]["mode"] == "quick"
    assert MODES["standard"] == {"runs": 128, "min_seconds": 10.0}
    assert MODES["thorough"] == {"runs": 1024, "min_seconds": 60.0}


def test_xnnpack_and_threads_are_used_and_told(net_files):
    report = benchmark(net_files[0], **FAST, memory=False, xnnpack=False, threads=2)
    assert report.results[0]["xnnpack"] is False and report.results[0]["threads"] == 2
    assert "2 thread(s), XNNPACK off" in report.text()


def test_given_data_reach_the_model():
    # Of this model, the time depends on the input alone: it loops as often as the value says.
    class Repeat(keras.layers.Layer):
        def call(self, x):
            count = tf.cast(x[0, 0], tf.int32)
            step = lambda i, y: (i + 1, tf.sin(y))  # noqa: E731
            return tf.while_loop(lambda i, y: i < count, step, (0, x))[1]

    model = keras.Sequential([keras.Input(batch_shape=(1, 64)), Repeat()])
    artifact = Artifact(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    times = {}
    for count in (1, 2000):
        data = np.full((3, 64), count, np.float32)
        report = benchmark(artifact, **FAST, data=data, memory=False)
        times[count] = report.results[0]["latency"]["p50_us"]
        assert report.document["protocol"]["input"] == "given"
    assert times[2000] > 20 * times[1]


def test_token_inputs_and_dynamic_batches_run():
    model = keras.Sequential([keras.Input((5,), dtype="int32"), keras.layers.Embedding(7, 3), keras.layers.Flatten()])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    assert Artifact(content).inputs[0].shape[0] == -1
    assert benchmark(content, **FAST, memory=False).results[0]["latency"]["n"] == 20
    tokens = np.array([[1, 2, 3, 4, 6]])
    assert benchmark(content, **FAST, data=tokens, memory=False).results[0]["latency"]["n"] == 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"runs": 0}, "runs=0"),
        ({"runs": 2.5}, "runs=2.5"),
        ({"warmup_runs": 0}, "warmup_runs=0"),
        ({"threads": 0}, "threads=0"),
        ({"blocks": 0}, "blocks=0"),
        ({"min_seconds": -1.0}, "min_seconds=-1.0"),
        ({"max_seconds": float("inf")}, "max_seconds=inf"),
        ({"pause_seconds": -0.5}, "pause_seconds=-0.5"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_arguments_out_of_range_are_named(net_files, arguments, said):
    with pytest.raises(ValueError, match=said):
        benchmark(net_files[0], **FAST | arguments)


def test_data_of_another_shape_name_the_model(net_files):
    with pytest.raises(ValueError, match="benchmark: small: .*image"):
        benchmark({"small": net_files[0]}, **FAST, data=np.zeros((1, 9, 9, 1), np.float32))


def test_progress_goes_to_stderr_and_verbose_0_is_silent(net_files, capfd, monkeypatch):
    benchmark(net_files[0], **FAST, memory=False)
    quiet = capfd.readouterr()
    assert quiet.out == "" and "benchmark" not in quiet.err
    benchmark(net_files[0], **FAST | {"verbose": 1}, memory=False, blocks=2)
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("benchmark")]
    assert told == ["benchmark: loading artifact"]  # the next line only after ten seconds
    monkeypatch.setattr("tfcompress.text.log.PAUSE", 0.0)
    benchmark(net_files[0], **FAST | {"verbose": 1}, memory=False, blocks=2)
    assert "benchmark: timing, block 2 of 2, " in capfd.readouterr().err


@pytest.mark.needs_tensorflow("2.20")  # before, the runtime finds TensorFlow's own operations in the process
def test_a_file_the_runtime_refuses_is_named_with_the_op(net_files, flex_file):
    with pytest.raises(ValueError, match="benchmark: flex: .*FlexSinh"):
        benchmark({"plain": net_files[0], "flex": flex_file}, **FAST, memory=False)
    with pytest.raises(ValueError, match="benchmark: flex: .*FlexSinh"):
        benchmark({"flex": flex_file}, **FAST, memory=False)
