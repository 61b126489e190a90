"""Files that end the process they run in, or never come to an end, don't end the caller's."""

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tfcompress.tflite.artifact import Artifact
from tfcompress.tflite.runner import Runner
from tfcompress.tflite.trial_run import run_apart


@pytest.fixture(scope="module")
def endless():
    """A loop that counts to three by steps of zero."""

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="x")])
    def triple(x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 7, y * 1.5 + x), [tf.constant(0), x])[1]

    content = tf.lite.TFLiteConverter.from_concrete_functions([triple.get_concrete_function()], triple).convert()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    seven = np.int32(7).tobytes()
    steps = [each for each in model.buffers if each.data is not None and bytes(each.data) == seven]
    assert steps
    for each in steps:
        each.data = np.zeros(4, np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return content, bytes(builder.Output())


def test_answers_are_those_of_the_runtime_here(tiny_files, images):
    artifact = Artifact(tiny_files["int8"])
    codes = [artifact.inputs[0].quantize(images[:3])]
    for way, trial in zip((True, False), run_apart([artifact.content], codes, (True, False))[0], strict=True):
        runner = Runner(artifact.content, artifact.model, artifact.inputs, artifact.outputs, xnnpack=way)
        assert [each.tobytes() for each in trial.outputs] == [each.tobytes() for each in runner.run(codes)]
        assert not trial.has_crashed and not trial.reason


def test_a_file_that_does_not_run_says_why_and_the_others_run(tiny_files, images):
    x = [np.ones((1, 6), np.float32)]
    (flex,), (elu,) = run_apart([tiny_files["flex"], tiny_files["elu_int8"]], [x[0].astype(np.int8)], [False])
    assert flex.outputs is None and "FlexSinh" in flex.reason and not flex.has_crashed
    assert elu.outputs[0].shape == (1, 2)


@pytest.mark.slow
def test_a_file_without_end_is_ended_and_the_others_run(endless):
    good, bad = endless
    x = [np.ones((1, 4), np.float32)]
    (first, second), (third, _) = run_apart([bad, good], x, (True, False), seconds=3)
    assert first.has_crashed and second.has_crashed and "did not end in 3 s" in first.reason
    np.testing.assert_allclose(third.outputs[0], Artifact(good).predict(x[0]))


@pytest.mark.slow
def test_a_foreign_file_is_tried_before_it_runs_here(endless, tmp_path, monkeypatch):
    good, bad = endless
    monkeypatch.setattr("tfcompress.tflite.trial_run.LONGEST_SECONDS", 3)
    (tmp_path / "bad.tflite").write_bytes(bad)
    for artifact in (Artifact.load(tmp_path / "bad.tflite"), Artifact.foreign(bad)):
        with pytest.raises(ValueError, match="The runtime does not survive this file: it did not end in 3 s"):
            artifact.predict(np.ones((1, 4), np.float32))
    (tmp_path / "good.tflite").write_bytes(good)
    assert Artifact.load(tmp_path / "good.tflite").predict(np.ones((1, 4), np.float32)).shape == (1, 4)
