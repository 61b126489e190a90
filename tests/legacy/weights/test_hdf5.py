"""Files as older versions wrote them give the same outputs; damaged ones name the layer."""

import json

import h5py
import numpy as np
import pytest

from tfcompress.export.loading import load_model
from tfcompress.legacy.port import port
from tfcompress.legacy.refused import NotPorted

tf_keras = pytest.importorskip("tf_keras")
L = tf_keras.layers
pytestmark = [
    pytest.mark.legacy,
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]


def small():
    tf_keras.utils.set_random_seed(0)
    x = tf_keras.Input((8, 8, 2), name="image")
    y = L.Conv2D(4, 3, name="conv", kernel_initializer="he_normal")(x)
    y = L.BatchNormalization(name="bn")(y)
    y = L.DepthwiseConv2D(3, name="depthwise")(y)
    y = L.Conv2DTranspose(3, 3, name="transpose")(y)
    return tf_keras.Model(x, L.Dense(3, name="out")(L.Flatten()(y)))


@pytest.fixture
def saved(tmp_path, randomized):
    """A model and the file it was stored in."""
    model = randomized(small())
    model.save(tmp_path / "model.h5")
    return model, tmp_path / "model.h5"


def older(path):
    """Rewrites a file as Keras 2.0 would have written it: other keys, no version, names in bytes."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["class_name"] = "Model"
        for entry in config["config"]["layers"]:
            inner = entry["config"]
            for key in ("groups", "ragged", "optional"):
                inner.pop(key, None)
            if entry["class_name"] in ("DepthwiseConv2D", "Conv2DTranspose"):
                inner.pop("output_padding", None)
                inner["groups"] = 1  # 2.3 and later
            if entry["class_name"] == "DepthwiseConv2D":
                inner["kernel_initializer"] = {"class_name": "VarianceScaling", "config": {"distribution": "normal"}}
            if entry["class_name"] == "BatchNormalization":
                inner["axis"] = 3  # a list from 2.2 on
            for key in [key for key in inner if key.endswith("initializer") and isinstance(inner[key], dict)]:
                inner[key] = {"class_name": inner[key]["class_name"], "config": {"seed": None, "dtype": "float32"}}
            entry["inbound_nodes"] = [[ref[:3] for ref in node] for node in entry["inbound_nodes"]]
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file["model_weights"]
        for owner in (file, group):
            del owner.attrs["keras_version"], owner.attrs["backend"]
        group.attrs["layer_names"] = [str(name).encode() for name in group.attrs["layer_names"]]


def test_a_file_of_keras_2_0_equals_its_original(saved, difference):
    model, path = saved
    older(path)
    assert difference(model, load_model(path)) <= 1e-6


def test_a_sequential_model_stored_as_a_list_equals_its_original(tmp_path, difference, edited, randomized):
    layers = [L.Dense(3, input_shape=(4,)), L.BatchNormalization(), L.Dense(2)]
    model = randomized(tf_keras.Sequential(layers))
    model.save(tmp_path / "model.h5")

    def before_2_2_3(config):
        config["config"] = [each for each in config["config"]["layers"] if each["class_name"] != "InputLayer"]
        config["config"][0]["config"]["batch_input_shape"] = [None, 4]

    edited(tmp_path / "model.h5", before_2_2_3)
    assert difference(model, port(tmp_path / "model.h5")) <= 1e-6


def test_a_sequential_model_without_an_input_shape_is_refused(tmp_path, edited):
    model = tf_keras.Sequential([tf_keras.Input((4,)), L.Dense(3, name="dense")])
    model.save(tmp_path / "model.h5")
    edited(tmp_path / "model.h5", lambda config: config["config"]["layers"].pop(0) and None)
    with pytest.raises(NotPorted, match="the shape of its input is unknown.*store it again"):
        port(tmp_path / "model.h5")


def test_a_recurrent_layer_older_than_reset_after_computes_as_then(tmp_path, difference, edited):
    x = tf_keras.Input((5, 3))
    model = tf_keras.Model(x, L.GRU(4, reset_after=False, recurrent_activation="hard_sigmoid")(x))
    model.save(tmp_path / "model.h5")
    edited(tmp_path / "model.h5", lambda config: config["config"]["layers"][1]["config"].pop("reset_after") and None)
    assert difference(model, port(tmp_path / "model.h5")) <= 1e-6


def test_long_lists_of_names_are_read_in_pieces(saved, difference):
    model, path = saved
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        names = group.attrs["layer_names"]
        del group.attrs["layer_names"]
        group.attrs["layer_names0"], group.attrs["layer_names1"] = names[:2], names[2:]
    assert difference(model, port(path)) <= 1e-6


def test_an_hdf5_file_under_the_name_keras_is_read(saved, difference):
    model, path = saved
    path = path.rename(path.with_suffix(".keras"))  # Keras 2.0 to 2.11 wrote HDF5 under any name
    assert difference(model, load_model(path)) <= 1e-6


def drop_layer(file):
    group = file["model_weights"]
    group.attrs["layer_names"] = [name for name in group.attrs["layer_names"] if name != "conv"]


def drop_weight(file):
    names = file["model_weights/conv"].attrs["weight_names"]
    file["model_weights/conv"].attrs["weight_names"] = names[:1]


def drop_data(file):
    del file["model_weights/conv/conv/kernel:0"]


def cut_weight(file):
    value = file["model_weights/conv/conv/kernel:0"][()]
    del file["model_weights/conv/conv/kernel:0"]
    file["model_weights/conv/conv/kernel:0"] = value[:2]


def swap_weights(file):
    one, other, *rest = file["model_weights/bn"].attrs["weight_names"]
    file["model_weights/bn"].attrs["weight_names"] = [other, one, *rest]


def add_layer(file):
    group = file["model_weights"]
    group["more"] = group["conv"]
    group.attrs["layer_names"] = [*group.attrs["layer_names"], "more"]


def cut_json(file):
    file.attrs["model_config"] = file.attrs["model_config"][:300]


def turned_kernels(file):
    file.attrs["backend"] = "theano"


def too_old(file):
    file.attrs["keras_version"] = "1.2.2"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (drop_layer, r"'conv' \(Conv2D\).*2 weights \(conv/kernel, conv/bias\), the file has 0"),
        (drop_weight, r"'conv' \(Conv2D\).*the file has 1"),
        (drop_data, "layer 'conv'.*can't be read"),
        (cut_weight, r"'conv' \(Conv2D\).*kernel has the shape \(3, 3, 2, 4\).*\(2, 3, 2, 4\)"),
        (swap_weights, r"'bn' \(BatchNormalization\).*'bn/beta:0' where bn/gamma is expected"),
        (add_layer, "layer 'more'.*the model has no such layer"),
        (cut_json, "model.h5' can't be ported: a part of the file can't be read"),
        (turned_kernels, "the backend theano"),
        (too_old, r"written by Keras 1\.2\.2"),
    ],
)
def test_damaged_files_name_what_is_wrong(saved, damage, text):
    _, path = saved
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(NotPorted, match=text):
        load_model(path)


def test_a_file_that_is_cut_off_is_refused(saved):
    _, path = saved
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="is cut off"):
        load_model(path)


@pytest.mark.parametrize(("kind", "gates", "biases"), [("LSTM", 4, 8), ("GRU", 3, 6)])
def test_weights_of_cudnn_layers_are_brought_into_the_common_form(tmp_path, difference, kind, gates, biases):
    from tf_keras.src.saving.legacy import hdf5_format

    rng = np.random.default_rng(0)
    shapes = [(5, 4 * gates), (4, 4 * gates), (4 * biases,)]
    values = [rng.normal(size=shape).astype("float32") for shape in shapes]
    x = tf_keras.Input((6, 5))
    layer = getattr(L, kind)(4, name="rnn")
    model = tf_keras.Model(x, layer(x))
    layer.set_weights(hdf5_format.preprocess_weights_for_loading(layer, values, "2.1.0", "tensorflow"))
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        entry = config["config"]["layers"][1]
        entry["class_name"] = f"CuDNN{kind}"
        for key in ("activation", "recurrent_activation", "use_bias", "implementation", "time_major", "reset_after"):
            entry["config"].pop(key, None)
        file.attrs["model_config"] = json.dumps(config)
        group = file["model_weights/rnn"]
        for name, value in zip(group.attrs["weight_names"], values, strict=True):
            del group[name]
            group[name] = value
    assert difference(model, port(tmp_path / "model.h5")) <= 1e-6
