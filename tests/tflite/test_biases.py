"""Biases the converter left at a scale the runtime does not use are found and made right."""

import keras
import numpy as np
import tensorflow as tf

import tfcompress as tfc
from tfcompress.conversion.recurrent_layers import by_step
from tfcompress.export.export import export_model, run_converter
from tfcompress.export.post_training import quantized_state
from tfcompress.export.simulate import observe
from tfcompress.graph.random_ops import Draws
from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.biases import mistaken_biases
from tfcompress.tflite.edits import rewrite_file


def recurrent():
    """An RNN whose biases matter."""
    model = keras.Sequential([keras.Input((6, 4), name="x"), keras.layers.Dense(4), keras.layers.SimpleRNN(4)])
    model.layers[1].cell.bias.assign([-0.2, 0.1, 0.4, 0.3])
    return model


def raw_file(model, x):
    """What TensorFlow's converter makes of it by itself."""
    samples = [{"x": row[None]} for row in x]
    state = by_step(quantized_state(model, lambda op: False))
    observe(model, state, samples)

    def setup(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        ops = tf.lite.OpsSet
        converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS_INT8, ops.TFLITE_BUILTINS]

    return run_converter(export_model(model, state, Draws()), setup, samples)


def test_biases_of_unrolled_steps_are_mended():
    model = recurrent()
    x = np.random.default_rng(0).normal(size=(64, 6, 4)).astype("float32")
    raw = raw_file(model, x)
    found = mistaken_biases(Artifact(raw).model)
    assert found, "TensorFlow's converter has been mended: tflite/biases.py can go"
    fixed = Artifact(rewrite_file(raw, {}, found))
    assert mistaken_biases(fixed.model) == {}
    plain = model.predict(x, verbose=0)
    before, after = (np.abs(a.predict(x) - plain).mean() for a in (Artifact(raw), fixed))
    assert after < 2 / 128 < before


def test_codes_keep_the_value_they_stand_for():
    model = recurrent()
    x = np.random.default_rng(0).normal(size=(64, 6, 4)).astype("float32")
    file = Artifact(raw_file(model, x)).model
    for (_, op, place), (codes, scales) in mistaken_biases(file).items():
        old = file.graphs[0].tensors[file.graphs[0].ops[op].inputs[place]]
        assert np.abs(codes * scales - old.data * old.scale).max() <= scales.max()


def test_a_layer_called_twice_has_two_biases_with_16_bits():
    first, second = keras.Input((6,), name="first"), keras.Input((6,), name="second")
    dense = keras.layers.Dense(8)
    model = keras.Model([first, second], [dense(first), dense(second)])
    dense.bias.assign(np.linspace(-1, 1, 8))
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(40, 6)).astype("float32"), 3 * rng.normal(size=(40, 6)).astype("float32")]
    artifact = tfc.convert(model, "int16x8", calibration=x)
    for found, wanted in zip(artifact.predict(x).values(), model.predict(x, verbose=0), strict=True):
        assert np.abs(found - wanted).max() < 0.02 * wanted.std()


def test_a_right_file_is_left_alone():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5), keras.layers.Dense(3)])
    x = np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
    artifact = tfc.convert(model, calibration=x)
    assert mistaken_biases(artifact.model) == {}


def test_rewriting_changes_names_and_nothing_else():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(5)])
    x = np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
    artifact = tfc.convert(model, calibration=x)
    other = Artifact(rewrite_file(artifact.content, {(0, artifact.outputs[0].index): "answer"}, {}))
    assert np.array_equal(other.predict(x), artifact.predict(x))
    names = [t.name for t in other.model.graphs[0].tensors]
    assert "answer" in names and other.inputs[0].name == artifact.inputs[0].name
