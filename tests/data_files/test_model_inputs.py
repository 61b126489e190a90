"""Inputs are those of the model: of Keras, of a SavedModel, of a file with real or integer inputs."""

import keras
import numpy as np

import tfcompress as tfc
from tfcompress.data_files.model_inputs import inputs_of


def test_a_model_and_its_files_take_the_same(tmp_path):
    ids, image = keras.Input((3,), name="ids", dtype="int32"), keras.Input((4, 4, 1), name="image")
    both = keras.layers.Concatenate()(
        [keras.layers.Flatten()(keras.layers.Embedding(5, 2)(ids)), keras.layers.Flatten()(image)]
    )
    model = keras.Model([image, ids], keras.layers.Dense(2)(both))
    expected = [("image", (4, 4, 1), "float32"), ("ids", (3,), "int32")]
    assert inputs_of(model) == expected
    rng = np.random.default_rng(0)
    x = {"image": rng.random((16, 4, 4, 1), "float32"), "ids": rng.integers(0, 5, (16, 3), "int32")}
    artifact = tfc.convert(model, calibration=x)
    assert artifact.inputs[0].dtype == "int8" and inputs_of(artifact) == expected
    model.export(tmp_path / "saved", verbose=False)
    assert sorted(inputs_of(tfc.load_model(tmp_path / "saved"))) == sorted(expected)
