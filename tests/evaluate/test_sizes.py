"""Counts of bytes, parameters and zeros, in the model and in the file."""

import gzip
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.evaluate.sizes import count_sizes
from tfcompress.tflite.artifact import Artifact


@pytest.fixture(scope="module")
def sparse():
    """A net with 30 zeros in the 80 weights of its first kernel, and its files by mode."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(4)])
    kernel = np.random.default_rng(0).uniform(0.5, 1.0, (20, 4)).astype("float32")
    kernel.ravel()[np.random.default_rng(1).permutation(80)[:30]] = 0.0
    model.layers[0].kernel.assign(kernel)
    model.layers[1].kernel.assign(np.full((4, 4), 0.5, "float32"))
    # The converter leaves a bias of zeros out and merges equal ones.
    model.layers[0].bias.assign([0.1, 0.2, 0.3, 0.4])
    model.layers[1].bias.assign([0.5, 0.6, 0.7, 0.8])
    samples = np.random.default_rng(2).random((50, 1, 20), np.float32)
    files = {}
    for mode in ("float32", "float16", "int8"):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if mode != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if mode == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if mode == "int8":
            converter.representative_dataset = lambda: ([x] for x in samples)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        with warnings.catch_warnings():
            # The converter notes that input statistics come from the samples, as is meant.
            warnings.simplefilter("ignore", UserWarning)
            files[mode] = Artifact(converter.convert())
    return model, files


def test_zeros_and_parameters_agree_between_model_and_files(sparse):
    model, files = sparse
    expected = count_sizes(model)
    assert (expected.kernel_weights, expected.zeros) == (96, 30)
    assert expected.parameters == model.count_params() == 104
    assert expected.sparsity == 30 / 96
    for mode, artifact in files.items():
        held = count_sizes(artifact)
        assert (held.kernel_weights, held.zeros) == (96, 30), mode
        assert held.parameters == 104, mode
        assert held.size == len(artifact.content)
        assert held.gzip_size == len(gzip.compress(artifact.content, 9, mtime=0))


def test_bytes_of_a_model_are_those_of_its_weights(sparse):
    model, _ = sparse
    content = b"".join(value.tobytes() for value in model.get_weights())
    held = count_sizes(model)
    assert held.size == len(content) == 4 * 104
    assert held.gzip_size == len(gzip.compress(content, 9, mtime=0))


def test_a_model_without_kernels_has_no_sparsity():
    model = keras.Sequential([keras.Input((4,)), keras.layers.LayerNormalization()])
    held = count_sizes(model)
    assert held.sparsity is None and held.parameters == 8
