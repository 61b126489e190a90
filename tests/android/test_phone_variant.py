"""What an app cannot run is refused with the variant's name; versions are compared as numbers."""

import json
import pathlib
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.android.phone_variant import check_name, phone_variant, runs_in, semantic_of
from tfcompress.tflite.artifact import Artifact

ROOT = pathlib.Path(__file__).parents[2]
VERSIONS = json.loads((ROOT / "tests/android/vectors/versions.json").read_text("utf-8"))["cases"]


def convert(*layers, io=None, batch=None):
    """A tiny file for pictures of 28 x 28: float32, or quantized with inputs and outputs of type `io`."""
    model = keras.Sequential([keras.Input((28, 28, 1), batch_size=batch), keras.layers.Flatten(), *layers])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if io:
        rng = np.random.default_rng(0)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([rng.random((1, 28, 28, 1), np.float32)] for _ in range(10))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = io
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of statistics that come from the samples
        return Artifact(converter.convert())


def check(artifact, name="mine", classes=10):
    return phone_variant(name, artifact, 28, classes, {})


@pytest.mark.parametrize("path", sorted((ROOT / "models" / "mnist").glob("*.tflite")), ids=lambda path: path.stem)
def test_the_reference_models_fit(path):
    variant = check(Artifact.load(path), path.stem)
    assert variant.semantic == "logits" and variant.input.dtype == ("int8" if "int8" in path.stem else "float32")


def test_a_softmax_at_the_end_is_seen_behind_a_dequantization():
    dense = keras.layers.Dense(10, activation="softmax")
    assert semantic_of(convert(dense, batch=1)) == "probabilities"
    assert semantic_of(convert(dense, batch=1, io=tf.float32)) == "probabilities"
    assert semantic_of(convert(keras.layers.Dense(10), batch=1)) == "logits"


def test_refusals_name_the_variant():
    dense = keras.layers.Dense(10)
    with pytest.raises(ValueError, match="mine: .* static batch 1. Received: a dynamic batch"):
        check(convert(dense))
    with pytest.raises(ValueError, match="mine: .* static batch 1"):
        check(convert(dense, batch=4))
    with pytest.raises(ValueError, match="mine: .* int8 with a scale, or float32. Received: uint8"):
        check(convert(dense, batch=1, io=tf.uint8))
    with pytest.raises(ValueError, match=r"mine: the output .* shape \(1, 7\). Received: \(1, 10\)"):
        check(convert(dense, batch=1), classes=7)


def test_two_outputs_are_refused():
    x = keras.Input((28, 28, 1), batch_size=1)
    flat = keras.layers.Flatten()(x)
    model = keras.Model(x, [keras.layers.Dense(10)(flat), keras.layers.Dense(10)(flat)])
    with pytest.raises(ValueError, match="mine: the app runs files with one output"):
        check(Artifact(tf.lite.TFLiteConverter.from_keras_model(model).convert()))


@pytest.mark.parametrize("name", ["", "A", "a-b", "a b", "../a", "a.b", "_a", "a" * 65, "é"])
def test_names(name):
    with pytest.raises(ValueError, match="lower-case letters"):
        check_name(name)
    check_name("int8_ptq")


@pytest.mark.parametrize("case", VERSIONS, ids=lambda case: f"{case['needs']} in {case['has']}")
def test_versions(case):
    assert runs_in(case["needs"], case["has"]) is case["runs"]


@pytest.mark.parametrize("version", ["two", "2.", "2.16.1.0.0", "2.x", " 2.16", "9" * 12])
def test_no_version(version):
    with pytest.raises(ValueError, match="looks like 2.16.1"):
        runs_in("1.0", version)
