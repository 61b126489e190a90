"""Batches, shapes and refusals of the interpreter loop."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.tflite.artifact import Artifact


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64])
def test_a_dynamic_batch_gives_what_single_samples_give(tiny_files, images, count):
    dynamic = Artifact(tiny_files["int8_dynamic"]).predict(images[:count])
    single = Artifact(tiny_files["int8"]).predict(images[:count])
    np.testing.assert_array_equal(dynamic, single)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((8, 8, 1), r"add a batch axis: x\[None\]"),
        ((5, 8, 8), r"channel axis is missing: x\[\.\.\., None\]"),
        ((5, 8, 9, 1), r"Received: \(5, 8, 9, 1\)"),
        ((0, 8, 8, 1), "with n >= 1"),
    ],
)
def test_wrong_shapes_are_refused_with_the_way_out(tiny_files, shape, hint):
    with pytest.raises(ValueError, match=hint):
        Artifact(tiny_files["int8"]).predict(np.zeros(shape, "float32"))


def test_wrong_names_and_numbers_of_inputs_are_refused(tiny_files, pairs):
    artifact = Artifact(tiny_files["two_int8"])
    with pytest.raises(ValueError, match=r"Received: \['left', 'top'\]"):
        artifact.predict({"left": pairs["left"], "top": pairs["right"]})
    with pytest.raises(ValueError, match="dict by name or as a list of 2"):
        artifact.predict(pairs["left"])
    with pytest.raises(ValueError, match="same number of samples"):
        artifact.predict({"left": pairs["left"], "right": pairs["right"][:3]})


@pytest.mark.needs_tensorflow("2.20")  # before, the runtime finds TensorFlow's own operations in the process
@pytest.mark.parametrize(("xnnpack", "how"), [(True, "with"), (False, "without")])
def test_a_file_the_runtime_cannot_load_names_its_ops(tiny_files, xnnpack, how):
    with pytest.raises(ValueError, match=rf"cannot load this file {how} XNNPACK.*FlexSinh"):
        Artifact(tiny_files["flex"]).predict(np.zeros((1, 6), "float32"), xnnpack=xnnpack)


def test_one_interpreter_serves_all_calls(tiny_files, images):
    artifact = Artifact(tiny_files["int8"])
    first = artifact.predict(images)
    artifact.predict(images[::-1])
    np.testing.assert_array_equal(artifact.predict(images), first)
    assert len(artifact._runners) == 1


def test_several_inputs_of_open_batch_are_resized_together():
    inputs = [keras.Input((3,), name=name) for name in ("first", "second")]
    model = keras.Model(inputs, keras.layers.Add(name="sum")(inputs))
    signature = [tf.TensorSpec((None, 3), tf.float32, name=name) for name in ("first", "second")]
    function = tf.function(lambda a, b: model([a, b])).get_concrete_function(*signature)
    content = tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert()
    artifact = Artifact(content)
    x = np.arange(15, dtype="float32").reshape(5, 3)
    names = [spec.name for spec in artifact.inputs]
    np.testing.assert_array_equal(artifact.predict(dict(zip(names, (x, 2 * x), strict=True))), 3 * x)


@pytest.mark.parametrize("name", ["int8", "int8_dynamic"])
def test_several_threads_get_their_own_answers(tiny_files, images, name):
    artifact, found = Artifact(tiny_files[name]), []
    sets = [images[k:] * (1 - k / 8) for k in range(4)]
    want = [Artifact(tiny_files[name]).predict(x) for x in sets]

    def work(k):
        for _ in range(20):
            found.append(np.array_equal(artifact.predict(sets[k]), want[k]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"threads": 0}, ValueError),
        ({"threads": 10**9}, ValueError),
        ({"threads": 1.5}, TypeError),
        ({"threads": True}, TypeError),
        ({"xnnpack": "no"}, TypeError),
    ],
)
def test_options_are_checked(tiny_files, images, options, error):
    with pytest.raises(error, match=f"predict: {next(iter(options))} must be"):
        Artifact(tiny_files["int8"]).predict(images, **options)


def test_a_file_without_inputs_runs_once(tiny_files, edited):
    def change(model, graph):
        kernel = next(op.inputs[1] for op in graph.operators if len(op.inputs) == 3)
        graph.operators, graph.inputs, graph.outputs, model.signatureDefs = [], [], [kernel], None

    artifact = Artifact(edited(tiny_files["float32"], change))
    expected = artifact.model.graphs[0].tensors[artifact.outputs[0].index].data
    for nothing in ([], {}):
        np.testing.assert_array_equal(artifact.predict(nothing).reshape(expected.shape), expected)
