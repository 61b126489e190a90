"""Where values are rounded: file and simulation are equal where XNNPACK runs the file.

What is joined is rounded once, on the joint scale; a normalization behind a kernel is part of it, with groups too.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcompress as tfc
from tfcompress.system.silence import quiet
from tfcompress.tflite.artifact import Artifact

L = keras.layers


def test_inputs_and_tables_lie_on_the_joint_scale():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    a, b = keras.Input((6,), name="numbers"), keras.Input((3,), dtype="int32", name="words")
    h = L.Dense(16, activation="relu")(L.Concatenate()([a, L.Flatten()(L.Embedding(10, 4)(b))]))
    model = keras.Model({"numbers": a, "words": b}, {"small": L.Dense(1)(h), "big": L.Dense(5)(h)})
    x = {"numbers": rng.normal(size=(128, 6)).astype("float32"), "words": rng.integers(0, 10, (128, 3)).astype("int32")}
    model.compile("adam", {"small": "mse", "big": "mse"}, jit_compile=False)
    compression = tfc.Compression([tfc.Quantize("int8")], calibration=x, verbose=0)
    y = {"small": x["numbers"][:, :1], "big": rng.normal(size=(128, 5))}
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    assert "QUANTIZE" not in {op.name for op in artifact.model.graphs[0].ops}
    simulated, found = compression.predict(x), artifact.predict(x)
    for out in artifact.outputs:
        assert np.abs(simulated[out.name] - found[out.name]).max() < 0.01 * out.scale


def grouped(groups):
    """A convolution in groups with a normalization and a ReLU behind it, and statistics far from the first ones."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    norm = L.BatchNormalization()
    convolution = L.Conv2D(8, 3, padding="same", groups=groups, use_bias=False)
    model = keras.Sequential([keras.Input((8, 8, 8)), convolution, norm, L.ReLU()])
    norm.set_weights([rng.uniform(0.5, 8.0, 8), rng.normal(size=8), rng.normal(size=8), rng.uniform(0.1, 2.0, 8)])
    return model, rng.normal(size=(64, 8, 8, 8)).astype("float32")


def kinds(artifact):
    """Names of the operations of a file, without the casts at its ends."""
    return [op.name for op in artifact.model.graphs[0].ops if op.name not in ("QUANTIZE", "DEQUANTIZE")]


def stock(model, x):
    """TensorFlow's own int8 file."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[k : k + 1]] for k in range(len(x)))
    with quiet():
        return Artifact(converter.convert())


@pytest.mark.parametrize("groups", [2, 8])
def test_a_normalization_behind_a_grouped_convolution_is_part_of_it(groups):
    model, x = grouped(groups)
    artifact, other, wanted = tfc.convert(model, calibration=x), stock(model, x), model.predict(x, verbose=0)
    assert kinds(artifact) == kinds(other) == ["CONV_2D"]
    errors = [np.sqrt(np.mean((file.predict(x) - wanted) ** 2)) for file in (artifact, other)]
    assert errors[0] < 1.05 * errors[1]


def test_training_rounds_a_grouped_convolution_as_the_file_does():
    model, x = grouped(4)
    model.compile("sgd", "mse", jit_compile=False)
    compression = tfc.Compression([tfc.Quantize("int8")], calibration=x, verbose=0)
    model.fit(x, model.predict(x, verbose=0), epochs=1, verbose=0, callbacks=[compression])
    artifact = compression.convert(calibration=x)
    assert kinds(artifact) == ["CONV_2D"]
    gap = np.abs(compression.predict(x) - artifact.predict(x)) / artifact.outputs[0].scale
    assert gap.max() < 1.01 and np.mean(gap > 0.01) < 1e-3  # one code where a sum ends in a half
