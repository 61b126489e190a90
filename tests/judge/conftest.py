"""Small files to measure: one tiny net converted to float32 and to full int8."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.deploy.artifact import Artifact


@pytest.fixture(scope="session")
def small_net() -> keras.Model:
    """Conv-ReLU-Pool-Dense-Softmax, 3 classes, images (8, 8, 1), fixed weights."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    for layer in ("conv", "classes"):  # The converter leaves a bias of zeros out.
        bias = model.get_layer(layer).bias
        bias.assign(np.linspace(-0.1, 0.1, bias.shape[0]))
    return model


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """64 images (64, 8, 8, 1) in [0, 1)."""
    return np.random.default_rng(1).random((64, 8, 8, 1), np.float32)


@pytest.fixture(scope="session")
def to_file(tmp_path_factory):
    """A function that converts a model of any kind to a float32 file with batch 1."""

    def convert(model: keras.Model) -> Artifact:
        folder = tmp_path_factory.mktemp("export")
        specs = [tf.TensorSpec((1, *x.shape[1:]), x.dtype, name=x.name) for x in model.inputs]
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint(
            "serve",
            lambda *x: model(list(x) if len(x) > 1 else x[0], training=False),
            input_signature=specs,
        )
        archive.write_out(folder, verbose=False)
        return Artifact(tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert())

    return convert


@pytest.fixture(scope="session")
def tiny_files(small_net, images) -> tuple[bytes, bytes]:
    """The net as a float32 file and as an int8 file with int8 input and output."""
    plain = tf.lite.TFLiteConverter.from_keras_model(small_net).convert()
    converter = tf.lite.TFLiteConverter.from_keras_model(small_net)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None]] for x in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        # The converter notes that input statistics come from the samples, which is what is meant.
        warnings.simplefilter("ignore", UserWarning)
        return plain, converter.convert()


@pytest.fixture(scope="session")
def flex_file(tmp_path_factory) -> bytes:
    """A file with an op that only the Flex delegate has, so the plain runtime refuses it."""
    folder = str(tmp_path_factory.mktemp("flex"))
    module = tf.Module()
    module.call = tf.function(tf.sinh, input_signature=[tf.TensorSpec((1, 6))])
    tf.saved_model.save(module, folder, signatures=module.call)
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    sets = tf.lite.OpsSet
    converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS, sets.SELECT_TF_OPS]
    return converter.convert()


@pytest.fixture
def phone_report() -> dict:
    """A report as the Android app would write it, each optional field filled; its own copy."""
    latency = {"n": 128, "mean_us": 61.5, "std_us": 3.25, "min_us": 55, "max_us": 90}
    latency |= {"p50_us": 60.0, "p90_us": 66.0, "p95_us": 70.0, "p99_us": 88.0}
    return {
        "schema": "tfcompress.bench/1",
        "created": "2026-05-04T03:02:01.250Z",
        "generator": {"name": "android_demo", "version": "1.0", "manifest_sha256": "0" * 64},
        "device": {
            "name": "Phone 9",
            "soc": "SoC 1",
            "system": "Android 16",
            "sdk": 36,
            "machine": "arm64-v8a",
            "cores": 8,
        },
        "runtime": {"name": "litert", "version": "2.3.0"},
        "protocol": {
            "mode": "standard",
            "runs": 128,
            "min_seconds": 10,
            "max_seconds": 150,
            "warmup_runs": 10,
            "warmup_seconds": 0.5,
            "blocks": 4,
            "pause_seconds": 1,
            "input": "golden",
            "seed": None,
        },
        "order": ["int8"],
        "conditions": {
            "thermal_before": "none",
            "thermal_after": "light",
            "battery_saver_before": False,
            "battery_saver_after": False,
        },
        "results": [
            {
                "name": "int8",
                "sha256": "ab" * 32,
                "bytes": 25056,
                "accelerator": {"requested": "gpu", "actual": "cpu", "reason": "no delegate"},
                "threads": 1,
                "xnnpack": True,
                "init_us": 4100.0,
                "first_us": 210.5,
                "warmup": {"n": 900, "mean_us": 70.0},
                "latency": latency,
                "copy_in_us": 1.5,
                "cpu_us": None,
                "top1": 0.875,
                "agreement": 1.0,
                "samples": 24,
                "memory": {
                    "peak_bytes": None,
                    "process_bytes": None,
                    "native_heap_bytes": 81920,
                    "reason": "not available on Android",
                },
            }
        ],
    }


@pytest.fixture
def monitor_log() -> dict:
    """A monitoring log as the Android app would export it: two days, two variants, 3 classes, 2 bins; its own copy."""

    def variant(name, classes, confidence, latency, failures=0):
        counts = {"classes": classes, "confidence": confidence, "latency_us": latency}
        return {"name": name, "sha256": "ab" * 32, "count": sum(classes), **counts, "failures": failures}

    return {
        "schema": "tfcompress.monitor/1",
        "created": "2026-05-05T03:02:01Z",
        "generator": {"name": "tfcompress-android", "version": "0.1.0", "manifest_sha256": "0" * 64},
        "device": {"name": "Phone 9", "system": "Android 16", "sdk": 36},
        "runtime": {"name": "litert", "version": "2.3.0"},
        "confidence_edges": [0.0, 0.5, 1.0],
        "latency_edges_us": [0, 100],
        "days": [
            {"day": "2026-05-04", "variants": [variant("int8", [100, 90, 110], [30, 270], [299, 1])]},
            {
                "day": "2026-05-05",
                "variants": [
                    variant("int8", [100, 110, 90], [30, 270], [300, 0], failures=2),
                    variant("float32", [2, 1, 1], [1, 3], [0, 4]),
                ],
            },
        ],
    }
