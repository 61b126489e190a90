"""Models from files of every form give the outputs of the model that was stored."""

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcompress.export.loading import load_model

# Keras 3.15 turns TensorFlow variables into arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MODELS = Path(__file__).parents[3] / "shared" / "models" / "mlperf_tiny"


@keras.saving.register_keras_serializable("test_loading")
class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs


class Unregistered(keras.layers.Layer):
    def call(self, inputs):
        return inputs


def small(*layers):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(3, name="dense"), *layers])
    model.compile("adam", "mse", metrics=["mae"])
    # Keras warns when it loads an optimizer that was stored without state.
    model.optimizer.build(model.trainable_variables)
    return model


def two_by_two():
    keras.utils.set_random_seed(1)
    right, left = keras.Input((3,), name="right"), keras.Input((4,), name="left")
    joined = keras.layers.Concatenate()([left, right])
    return keras.Model(
        {"left": left, "right": right},
        {"sum": keras.layers.Dense(1)(joined), "more": keras.layers.Dense(2)(left)},
    )


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def test_a_live_model_is_returned_as_it_is():
    model = small()
    assert load_model(model) is model


def test_a_keras_file_comes_back_compiled(tmp_path, x):
    model = small(Doubling())
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.compiled
    np.testing.assert_array_equal(loaded(x), model(x))


def test_an_unzipped_keras_folder_loads(tmp_path, x):
    model = small()
    model.save(tmp_path / "model", zipped=False)
    np.testing.assert_array_equal(load_model(str(tmp_path / "model"))(x), model(x))


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_an_hdf5_file_loads(tmp_path, x, suffix):
    model = small()
    path = tmp_path / f"model{suffix}"
    keras.saving.save_model(model, path)
    # Keras cannot read back the loss "mse" that it wrote to this older format.
    with pytest.warns(UserWarning, match="training configuration.*not compiled"):
        loaded = load_model(path)
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded(x), model(x))


def test_a_saved_model_loads_as_a_functional_model(tmp_path, x):
    model = small()
    model.export(tmp_path / "exported", verbose=False)
    loaded = load_model(tmp_path / "exported")
    assert [each.name for each in loaded.inputs] == ["x"]
    assert loaded.input_shape == (None, 4) and loaded.output_shape == (None, 3)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model(x), rtol=1e-6)
    assert sum(w.shape.num_elements() for w in loaded.trainable_weights) == 4 * 3 + 3


# Keras 3.8 itself calls such a model with a list when it exports it
@pytest.mark.filterwarnings("ignore:(?s).*The structure of `inputs` doesn't match:UserWarning")
def test_a_saved_model_keeps_the_names_of_its_signature(tmp_path, x):
    model = two_by_two()
    model.export(tmp_path / "exported", verbose=False)
    loaded = load_model(tmp_path / "exported")
    assert [each.name for each in loaded.inputs] == ["left", "right"]
    values = {"left": x, "right": x[:, :3]}
    expected, found = model(values), loaded(values)
    assert set(found) == {"sum", "more"}
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)


def test_a_loaded_saved_model_converts(tmp_path, x):
    model = small()
    model.export(tmp_path / "exported", verbose=False)
    load_model(tmp_path / "exported").export(tmp_path / "again", verbose=False)
    content = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "again")).convert()
    from tfcompress.tflite.artifact import Artifact

    artifact = Artifact(content)
    assert artifact.inputs[0].name == "x"
    np.testing.assert_allclose(artifact.predict(x), model(x), rtol=1e-5)


def test_a_saved_model_of_plain_tensorflow_loads(tmp_path, x):
    class Scale(tf.Module):
        def __init__(self):
            self.factor = tf.Variable(3.0)

        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="values")])
        def scale(self, values):
            return {"scaled": self.factor * values}

    module = Scale()
    tf.saved_model.save(module, str(tmp_path), signatures={"scale": module.scale})
    loaded = load_model(tmp_path, signature="scale")
    np.testing.assert_allclose(loaded(x), 3 * x)
    with pytest.raises(ValueError, match="'serving_default'.*Available endpoints.*scale"):
        load_model(tmp_path)


@pytest.mark.needs_keras("3.10")  # before, Keras imports a class from any module that the file names
def test_own_classes_are_named_with_the_way_out(tmp_path):
    path = tmp_path / "model.keras"
    small(Unregistered()).save(path)
    with pytest.raises(ValueError, match=r"Unregistered.*custom_objects="):
        load_model(path)
    loaded = load_model(path, custom_objects={"Unregistered": Unregistered})
    assert isinstance(loaded.layers[-1], Unregistered)


def test_lambda_layers_need_consent(tmp_path, x):
    path = tmp_path / "model.keras"
    model = small(keras.layers.Lambda(lambda t: t + 1.0, output_shape=(3,)))
    model.save(path)
    with pytest.raises(ValueError, match=r"load_model\(path, safe_mode=False\)"):
        load_model(path)
    np.testing.assert_array_equal(load_model(path, safe_mode=False)(x), model(x))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model.tflite", r"Artifact\.load"),
        ("model.weights.h5", "weights only"),
        ("model.onnx", "ONNX"),
        ("model.txt", "Accepted: a .keras file"),
        ("model.keras", "no .keras file or is cut off"),
        ("model.h5", "no HDF5 file or is cut off"),
    ],
)
def test_other_files_are_refused(tmp_path, name, text):
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(ValueError, match=text):
        load_model(tmp_path / name)


def test_hdf5_weights_under_a_plain_name_are_refused(tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["dense/kernel"] = np.zeros((4, 3))
    with pytest.raises(ValueError, match="weights only"):
        load_model(tmp_path / "weights.h5")


def test_a_cut_off_keras_file_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    small().save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="cut off"):
        load_model(path)


def test_missing_paths_folders_and_other_objects_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        load_model(tmp_path / "missing.keras")
    with pytest.raises(ValueError, match=r"folder without saved_model\.pb"):
        load_model(tmp_path)
    with pytest.raises(TypeError, match="Received: builtins.int"):
        load_model(3)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "inputs", "outputs"),
    [("anomaly_detection/ad01.h5", (640,), (640,)), ("visual_wake_words/vww_96.h5", (96, 96, 3), (2,))],
)
def test_files_of_keras_2_load_compiled(file, inputs, outputs):
    if not (MODELS / file).exists():
        pytest.skip("missing data: the MLPerf Tiny models are not here")
    loaded = load_model(MODELS / file)
    assert loaded.input_shape == (None, *inputs) and loaded.output_shape == (None, *outputs)
    assert loaded.compiled and loaded.optimizer.name == "Adam"
    assert np.isfinite(loaded(np.ones((1, *inputs), "float32"))).all()


@pytest.mark.data
def test_a_file_of_keras_2_equals_the_float_file_made_of_it():
    folder = MODELS / "visual_wake_words"
    if not folder.exists():
        pytest.skip("missing data: the MLPerf Tiny models are not here")
    from tfcompress.tflite.artifact import Artifact

    x = np.random.default_rng(0).uniform(0, 1, (4, 96, 96, 3)).astype("float32")
    expected = Artifact.load(folder / "vww_96_float.tflite").predict(x)
    np.testing.assert_allclose(load_model(folder / "vww_96.h5")(x), expected, atol=1e-6)


def test_a_file_of_keras_2_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file["model_weights/dense/kernel"] = "{}", np.zeros((64, 64))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cut off"):
        load_model(path)
