"""`.keras` files of tf_keras, also as versions 2.12 to 2.15 laid the weights out, and damaged ones."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from tfcompress.export.loading import load_model
from tfcompress.legacy.refused import NotPorted
from tfcompress.legacy.weights import archive

tf_keras = pytest.importorskip("tf_keras")
L = tf_keras.layers
pytestmark = pytest.mark.legacy


@pytest.fixture
def saved(tmp_path, randomized):
    """A model with three layers of one class, and the file it was stored in."""
    tf_keras.utils.set_random_seed(0)
    layers = [L.Dense(4), L.Dropout(0.5, seed=1), L.Dense(4), L.BatchNormalization(), L.Dense(4)]
    x = tf_keras.Input((4,))
    y = x
    for layer in layers:
        y = layer(y)
    model = randomized(tf_keras.Model(x, y))
    model.save(tmp_path / "model.keras")
    return model, tmp_path / "model.keras"


def rewritten(path, change):
    """Writes the archive again after `change(parts)`, with the weights as an open HDF5 file."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    content = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(content, "r+") as weights:
        change(parts, weights)
    if "model.weights.h5" in parts:
        parts["model.weights.h5"] = content.getvalue()
    with zipfile.ZipFile(path, "w") as file:
        for name, value in parts.items():
            file.writestr(name, value)


def test_layers_that_a_version_wrote_twice_are_found(saved, difference):
    model, path = saved

    def as_in_2_12(parts, weights):
        group = weights.create_group("_layer_checkpoint_dependencies")
        for number, name in enumerate(["dense", "dense_1", "dense_2"]):
            weights.move(f"layers/{name}", f"{group.name}/dense_{2 * number}" if number else f"{group.name}/dense")
            group.create_group(f"dense_{2 * number + 1}/vars")
        weights.move("layers/batch_normalization", f"{group.name}/batch_normalization")
        group.create_group("batch_normalization_1/vars")
        del weights["layers"]

    rewritten(path, as_in_2_12)
    assert difference(model, load_model(path)) <= 1e-6


def no_weights(parts, weights):
    del parts["model.weights.h5"]


def no_config(parts, weights):
    del parts["config.json"]


def no_layer(parts, weights):
    del weights["layers/batch_normalization"]


def no_variable(parts, weights):
    del weights["layers/dense_1/vars/1"]


def wrong_shape(parts, weights):
    del weights["layers/dense_1/vars/1"]
    weights["layers/dense_1/vars/1"] = np.zeros(3, "float32")


def one_more(parts, weights):
    weights.copy("layers/dense", "layers/dense_3")


def one_layer_less(parts, weights):
    config = json.loads(parts["config.json"])
    config["config"]["layers"].pop()
    config["config"]["output_layers"] = [["batch_normalization", 0, 0]]
    parts["config.json"] = json.dumps(config).encode()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (no_weights, "can't be read.*model.weights.h5"),
        (no_config, "can't be read.*config.json"),
        (no_layer, r"'batch_normalization.*' \(BatchNormalization\).*no weights for it"),
        (no_variable, r"\(Dense\).*weights"),
        (wrong_shape, r"\(Dense\).*do not fit"),
        (one_more, "weights of 4 such layers, the model has 3"),
        (one_layer_less, "weights of 3 such layers, the model has 2"),
    ],
)
def test_damaged_files_name_what_is_wrong(tmp_path, randomized, damage, text):
    layers = [L.Dense(4, name="one"), L.Dense(4, name="two"), L.BatchNormalization(name="batch_normalization")]
    model = tf_keras.Sequential([tf_keras.Input((4,)), *layers, L.Dense(4, name="three")])
    x = model.inputs[0]
    model = randomized(tf_keras.Model(x, model.outputs))
    model.save(tmp_path / "model.keras")
    assert archive.is_old(tmp_path / "model.keras")
    rewritten(tmp_path / "model.keras", damage)
    with pytest.raises(NotPorted, match=text):
        load_model(tmp_path / "model.keras")


def test_other_files_are_not_old(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"no archive")
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as file:
        file.writestr("metadata.json", "{")
    assert not archive.is_old(tmp_path / "a.keras") and not archive.is_old(tmp_path / "b.keras")
    assert not archive.is_old(tmp_path / "missing.keras")
