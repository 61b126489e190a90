"""Tiny real `.tflite` files, converted once for all tests of this folder."""

import warnings

import flatbuffers
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tfcompress.deploy import flatbuffer


def image_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.DepthwiseConv2D(3, name="depthwise"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax", name="digit"),
        ]
    )


def two_input_model():
    keras.utils.set_random_seed(1)
    left = keras.Input((4,), name="left")
    right = keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    outputs = {
        "total": keras.layers.Dense(1, name="dense_total")(joined),
        "parts": keras.layers.Dense(5, name="dense_parts")(joined),
    }
    return keras.Model({"left": left, "right": right}, outputs)


def shared_model():
    keras.utils.set_random_seed(3)
    first, second = keras.Input((6,), name="first"), keras.Input((6,), name="second")
    dense = keras.layers.Dense(4, name="dense")
    return keras.Model({"first": first, "second": second}, {"one": dense(first), "other": dense(second)})


def elu_model():
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((6,), name="x"),
            keras.layers.Dense(8, activation="elu", name="hidden"),
            keras.layers.Dense(2, name="answer"),
        ]
    )


class Sinh(keras.layers.Layer):
    """An op that only the Flex delegate has."""

    def call(self, inputs):
        return tf.math.sinh(inputs)


def flex_model():
    return keras.Sequential([keras.Input((6,), name="x"), Sinh()])


def fixed_batch(model):
    """The signature of one sample. Without it, Keras exports a batch of any size."""
    specs = {
        each.name: keras.InputSpec(shape=(1, *each.shape[1:]), dtype=each.dtype, name=each.name)
        for each in model.inputs
    }
    return [specs if len(specs) > 1 else next(iter(specs.values()))]


def converted(folder, mode, io=None, samples=None):
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    ops = tf.lite.OpsSet
    supported = {
        "int8": [ops.TFLITE_BUILTINS_INT8],
        "int16x8": [ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8],
        "flex": [ops.TFLITE_BUILTINS, ops.SELECT_TF_OPS],
    }
    if mode not in ("float32", "flex"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode in supported:
        converter.target_spec.supported_ops = supported[mode]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if samples is not None:
        converter.representative_dataset = lambda: samples
    if io is not None:
        converter.inference_input_type = converter.inference_output_type = io
    with warnings.catch_warnings():
        # The int16x8 calibration of TensorFlow says that its own interpreter will go.
        warnings.simplefilter("ignore")
        return converter.convert()


@pytest.fixture(scope="session")
def edited():
    """Function `(content, change) -> content` of a file after `change(model, main graph)` of its schema objects."""

    def edit(content, change):
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        change(model, model.subgraphs[0])
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), flatbuffer.IDENTIFIER)
        return bytes(builder.Output())

    return edit


@pytest.fixture
def rng():
    """The same numbers in every test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).random((64, 8, 8, 1), np.float32)


@pytest.fixture(scope="session")
def pairs():
    rng = np.random.default_rng(1)
    return {
        "left": rng.normal(size=(20, 4)).astype("float32"),
        "right": rng.normal(size=(20, 3)).astype("float32"),
    }


@pytest.fixture(scope="session")
def source_model():
    """The Keras model that the `image` files come from."""
    return image_model()


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory, images, pairs, source_model):
    """Bytes of small files by name."""
    folder = tmp_path_factory.mktemp("saved_models")
    models = {
        "image": source_model,
        "two": two_input_model(),
        "shared": shared_model(),
        "elu": elu_model(),
        "flex": flex_model(),
    }
    for name, model in models.items():
        model.export(folder / name, verbose=False, input_signature=fixed_batch(model))
    source_model.export(folder / "dynamic", verbose=False)
    image = [[each[None]] for each in images]
    two = [{name: values[i : i + 1] for name, values in pairs.items()} for i in range(20)]
    vectors = [[each] for each in np.random.default_rng(2).normal(size=(20, 1, 6)).astype("f4")]
    recipes = {
        "float32": ("image", "float32", None, None),
        "float16": ("image", "float16", None, None),
        "int8": ("image", "int8", tf.int8, image),
        "uint8": ("image", "int8", tf.uint8, image),
        "int8_float_io": ("image", "int8", None, image),
        "int16x8": ("image", "int16x8", tf.int16, image),
        "int16x8_float_io": ("image", "int16x8", None, image),
        "float32_dynamic": ("dynamic", "float32", None, None),
        "int8_dynamic": ("dynamic", "int8", tf.int8, image),
        "two_float32": ("two", "float32", None, None),
        "two_int8": ("two", "int8", tf.int8, two),
        "shared_float32": ("shared", "float32", None, None),
        "elu_int8": ("elu", "int8", tf.int8, vectors),
        "flex": ("flex", "flex", None, None),
    }
    return {name: converted(folder / model, mode, io, samples) for name, (model, mode, io, samples) in recipes.items()}
