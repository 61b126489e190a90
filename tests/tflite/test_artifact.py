"""Artifacts: run against Keras and the plain interpreter, described, saved and loaded."""

import copy
import gzip
import hashlib
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tfcompress.tflite.artifact import Artifact


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("name", ["float32", "float16", "float32_dynamic"])
def test_float_files_predict_what_keras_does(tiny_files, source_model, images, name, xnnpack):
    predicted = Artifact(tiny_files[name]).predict(images, xnnpack=xnnpack)
    expected = source_model.predict(images, verbose=0)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, expected, atol=2e-3 if name == "float16" else 1e-5)


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("name", ["int8", "uint8", "int8_dynamic"])
def test_integer_inputs_and_outputs_equal_the_runtimes_own_casts(tiny_files, images, name, xnnpack):
    # Grey levels k/255 lie near the middle between codes, where rounding rules differ.
    grey = np.random.default_rng(3).integers(0, 256, (32, 8, 8, 1)) / np.float32(255)
    x = np.concatenate([images, grey.astype("float32"), images * 3 - 1])
    by_runtime = Artifact(tiny_files["int8_float_io"]).predict(x, xnnpack=xnnpack)
    ours = Artifact(tiny_files[name]).predict(x, xnnpack=xnnpack)
    np.testing.assert_array_equal(ours, by_runtime)


def test_int16_inputs_and_outputs_equal_the_runtimes_own_casts(tiny_files, images):
    by_runtime = Artifact(tiny_files["int16x8_float_io"]).predict(images)
    ours = Artifact(tiny_files["int16x8"]).predict(images)
    np.testing.assert_array_equal(ours, by_runtime)


def test_codes_are_those_of_a_bare_interpreter(tiny_files, images):
    artifact = Artifact(tiny_files["int8"])
    interpreter = Interpreter(model_content=tiny_files["int8"])
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    expected = []
    for codes in artifact.inputs[0].quantize(images):
        interpreter.set_tensor(source["index"], codes[None])
        interpreter.invoke()
        expected.append(interpreter.get_tensor(target["index"])[0])
    codes = artifact.predict_codes(images)
    assert codes.dtype == np.int8
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(artifact.outputs[0].dequantize(codes), artifact.predict(images, threads=2))


def test_pixels_are_values_and_never_codes(tiny_files):
    pixels = np.random.default_rng(0).integers(0, 2, (4, 8, 8, 1))
    artifact = Artifact(tiny_files["uint8"])
    np.testing.assert_array_equal(artifact.predict(pixels.astype("uint8")), artifact.predict(pixels.astype("float32")))


def test_several_inputs_and_outputs_go_by_name(tiny_files, pairs):
    artifact = Artifact(tiny_files["two_float32"])
    by_name = artifact.predict(pairs)
    assert {name: value.shape for name, value in by_name.items()} == {
        "total": (20, 1),
        "parts": (20, 5),
    }
    in_order = artifact.predict([pairs[spec.name] for spec in artifact.inputs])
    for name in by_name:
        np.testing.assert_array_equal(by_name[name], in_order[name])
    integer = Artifact(tiny_files["two_int8"])
    steps = {spec.name: spec.scale for spec in integer.outputs}
    for name, value in integer.predict(pairs).items():
        assert np.abs(value - by_name[name]).max() < 8 * steps[name]


def test_inputs_and_outputs_are_described(tiny_files):
    artifact = Artifact(tiny_files["int8"])
    (source,), (target,) = artifact.inputs, artifact.outputs
    assert (source.name, source.shape, source.dtype) == ("image", (1, 8, 8, 1), "int8")
    assert (target.name, target.shape, target.dtype) == ("output_0", (1, 3), "int8")
    assert (target.scale, target.zero_point) == (1 / 256, -128)
    assert not Artifact(tiny_files["float32"]).inputs[0].is_quantized
    assert Artifact(tiny_files["int8_dynamic"]).inputs[0].shape == (-1, 8, 8, 1)


def test_sizes_and_digest(tiny_files):
    content = tiny_files["int8"]
    artifact = Artifact(content)
    assert artifact.size == len(content)
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    packed = gzip.compress(content, 9, mtime=0)
    assert artifact.gzip_size == len(packed) < len(content)


def test_ops_table_names_types_shapes_layers_and_bytes(tiny_files):
    artifact = Artifact(tiny_files["int8"], {"layers": {"0": "conv"}})
    rows = artifact.ops_table()
    assert [row["op"] for row in rows] == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]
    assert rows[0]["layer"] == "conv" and rows[1]["layer"] == ""
    assert rows[0]["input_dtypes"] == ("int8", "int8", "int32")
    assert rows[0]["output_shape"] == (1, 6, 6, 4) and rows[0]["output_dtype"] == "int8"
    assert rows[0]["constant_bytes"] == 4 * 9 + 4 * 4
    assert rows[3]["input_shapes"][1] == (3, 64)


def test_kernels_are_the_rounded_weights(tiny_files, source_model):
    artifact = Artifact(tiny_files["int8"])
    kernels, ops = artifact.kernels(), artifact.kernel_ops()
    by_op = {ops[name][0].name: values for name, values in kernels.items()}
    assert set(by_op) == {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    assert all(values.dtype == np.int8 for values in by_op.values())
    kernel = source_model.get_layer("conv").kernel.numpy().transpose(3, 0, 1, 2)
    step = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127
    assert np.abs(by_op["CONV_2D"] - kernel / step).max() <= 0.5 + 1e-4
    assert by_op["DEPTHWISE_CONV_2D"].shape == (1, 3, 3, 4)


def test_summary_and_repr_show_the_facts(tiny_files):
    artifact = Artifact(tiny_files["int8"], {"mode": "int8", "layers": {"3": "digit"}})
    lines = artifact.summary().splitlines()
    assert lines[0].startswith(f"int8, integer only, {artifact.size:,} bytes (gzip ")
    assert lines[1].startswith("input  image: int8 1x8x8x1, scale 0.0039")
    (dense,) = [line for line in lines if "FULLY_CONNECTED" in line]
    assert dense.endswith("digit")
    assert repr(artifact) == f"<Artifact int8, {artifact.size:,} bytes>"
    assert "float ops" in Artifact(tiny_files["elu_int8"]).summary()


def test_save_and_load_keep_bytes_and_metadata(tiny_files, tmp_path):
    metadata = {"mode": "int8", "layers": {"0": "conv"}, "parity": [{"lsb": 1}]}
    path = tmp_path / "model.tflite"
    Artifact(tiny_files["int8"], metadata).save(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "model.tflite",
        "model.tflite.json",
    ]
    assert path.read_bytes() == tiny_files["int8"]
    loaded = Artifact.load(path)
    assert loaded.content == tiny_files["int8"] and loaded.metadata == metadata
    sidecar = json.loads((tmp_path / "model.tflite.json").read_text())
    assert sidecar["sha256"] == loaded.sha256 and sidecar["bytes"] == loaded.size


def test_a_file_without_metadata_loads(tiny_files, tmp_path):
    path = tmp_path / "plain.tflite"
    path.write_bytes(tiny_files["int8"])
    assert Artifact.load(str(path)).metadata == {}


def test_metadata_of_other_bytes_are_left_out_with_a_warning(tiny_files, tmp_path):
    path = tmp_path / "model.tflite"
    Artifact(tiny_files["int8"], {"mode": "int8"}).save(path)
    path.write_bytes(tiny_files["float32"])
    with pytest.warns(UserWarning, match="describes other bytes"):
        assert Artifact.load(path).metadata == {}
    (tmp_path / "model.tflite.json").write_text("{broken")
    with pytest.warns(UserWarning, match="no artifact metadata"):
        assert Artifact.load(path).metadata == {}


def test_a_failed_save_changes_nothing(tiny_files, tmp_path):
    artifact = Artifact(tiny_files["int8"])
    with pytest.raises(FileNotFoundError, match="does not exist"):
        artifact.save(tmp_path / "missing" / "model.tflite")
    path = tmp_path / "model.tflite"
    artifact.save(path)
    artifact.metadata["array"] = np.zeros(3)
    with pytest.raises(TypeError, match="only what JSON can"):
        artifact.save(path)
    assert Artifact.load(path).metadata == {}
    assert len(list(tmp_path.iterdir())) == 2


def test_bad_content_and_metadata_are_refused(tiny_files, tmp_path):
    with pytest.raises(ValueError, match="not a .tflite file"):
        Artifact(b"hello, this is text")
    with pytest.raises(TypeError, match="Received: str"):
        Artifact("model.tflite")
    with pytest.raises(TypeError, match="must be a dict"):
        Artifact(tiny_files["int8"], ["mode"])
    with pytest.raises(TypeError, match="only what JSON can"):
        Artifact(tiny_files["int8"], {"scale": np.float32(1)})
    with pytest.raises(FileNotFoundError):
        Artifact.load(tmp_path / "missing.tflite")
    path = tmp_path / "text.tflite"
    path.write_text("hello")
    with pytest.raises(ValueError, match=r"text\.tflite.*not a .tflite file"):
        Artifact.load(path)


def test_a_nan_input_is_refused(tiny_files, images):
    x = images.copy()
    x[3, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="'image'.*NaN"):
        Artifact(tiny_files["int8"]).predict(x)


def test_copies_and_pickles_run(tiny_files, images):
    artifact = Artifact(tiny_files["int8"], {"mode": "int8"})
    expected = artifact.predict(images)
    for other in (copy.deepcopy(artifact), pickle.loads(pickle.dumps(artifact))):
        assert other.metadata == {"mode": "int8"}
        np.testing.assert_array_equal(other.predict(images), expected)


def test_artifacts_need_no_tensorflow(tiny_files, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_files["int8"])
    code = (
        "import sys, numpy as np\n"
        "from tfcompress.tflite.artifact import Artifact\n"
        f"artifact = Artifact.load({str(path)!r})\n"
        "artifact.summary()\n"
        "assert artifact.predict(np.zeros((2, 8, 8, 1), 'float32')).shape == (2, 3)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
