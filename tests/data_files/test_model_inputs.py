"""Inputs are those of the model: of Keras, of a SavedModel, of a file with real or integer inputs."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.data_files.model_inputs import class_count, inputs_of, packed


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


@pytest.mark.parametrize(
    "shape, count",
    [((3,), 3), ((1,), None), ((4, 3), None)],
)
def test_classes_are_those_of_the_one_output(shape, count):
    x = keras.Input((5,))
    flat = keras.layers.Dense(int(np.prod(shape)))(x)
    model = keras.Model(x, keras.layers.Reshape(shape)(flat) if len(shape) > 1 else flat)
    assert class_count(model) == class_count(tfc.convert(model, mode="float32")) == count
    assert class_count(keras.Model(x, [flat, flat])) is None


@pytest.mark.parametrize("form", [list, dict])
def test_inputs_are_packed_as_the_model_calls_them(form):
    inputs = {name: keras.Input((2,), name=name) for name in ("b", "a")}
    taken = inputs if form is dict else list(inputs.values())
    model = keras.Model(taken, keras.layers.Subtract()(list(inputs.values())))
    x = {"a": np.ones((4, 2), "float32"), "b": np.full((4, 2), 3.0, "float32")}
    assert isinstance(packed(model, x), form)
    np.testing.assert_array_equal(model.predict(packed(model, x), verbose=0), x["b"] - x["a"])


def test_one_input_by_name_is_packed_too():
    x = keras.Input((2,), name="a")
    model = keras.Model({"a": x}, keras.layers.ReLU()(x))
    np.testing.assert_array_equal(packed(model, np.ones((4, 2)))["a"], np.ones((4, 2)))


def test_a_subclassed_model_has_inputs_and_says_no_classes():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(np.ones((2, 4), "float32"))
    assert inputs_of(model)[0][1:] == ((4,), "float32") and class_count(model) is None
