"""Files that lead out of themselves or claim more than they hold are refused before anything of them is read."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from tfcompress.export.loading import load_model
from tfcompress.legacy import guard
from tfcompress.legacy.refused import NotPorted

pytestmark = pytest.mark.sampled(3)

KERNEL = "layers/dense/vars/0"


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret.txt").write_bytes(b"48 bytes of a file that no model has to look at.")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.full((3, 4), 42, "f4")
    return tmp_path


def external(group, name, folder):
    group.create_dataset(name, shape=(3, 4), dtype="<f4", external=[(str(folder / "secret.txt"), 0, 48)])


def virtual(group, name, folder):
    layout = h5py.VirtualLayout((3, 4), "<f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (3, 4))
    group.create_virtual_dataset(name, layout)


def linked(group, name, folder):
    group[name] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def soft(group, name, folder):
    group.file["else"] = np.zeros((3, 4), "f4")
    group[name] = h5py.SoftLink("/else")


def bomb(group, name, folder):
    group.create_dataset(name, shape=(20_000, 30_000), dtype="<f4", chunks=(1000, 1000), compression="gzip")


def circle(group, name, folder):
    group[name] = group.file["/"]


FORGED = {
    external: "lie in other files",
    virtual: "put together from other datasets",
    linked: "is a link to another file",
    soft: "is a link to another place",
    bomb: "claim 2,400,000,",
    circle: "in a circle",
}


def old_archive(path, forge, folder):
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "dtype": "float32", "name": "i"}},
        {"class_name": "Dense", "config": {"name": "d", "units": 4, "activation": "linear", "use_bias": True}},
    ]}}  # fmt: skip
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        group = file.create_group("layers/dense/vars")
        group["1"] = np.zeros(4, "f4")
        if forge is None:
            group["0"] = np.ones((3, 4), "f4")
        else:
            forge(group, "0", folder)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())


def forged_h5(path, forge, folder, version):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="d")]).save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version
        found = []
        file["model_weights"].visit(lambda name: found.append(name) if name.endswith("kernel") else None)
        (name,) = found
        del file["model_weights"][name]
        forge(file["model_weights"], name, folder)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("version", ["2.9.0", "3.9.0"])
@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_an_h5_file_that_is_more_than_itself_is_refused(secret, forge, version):
    forged_h5(secret / "model.h5", forge, secret, version)
    with pytest.raises(ValueError, match=FORGED[forge]):
        load_model(secret / "model.h5")


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_weights_inside_an_archive_are_looked_at_as_well(secret, forge):
    old_archive(secret / "model.keras", forge, secret)
    with pytest.raises(ValueError, match=FORGED[forge]):
        load_model(secret / "model.keras")


def test_an_archive_of_keras_3_and_its_folder_are_looked_at_as_well(secret):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="d")])
    model.save(secret / "model", zipped=False)
    load_model(secret / "model")
    with h5py.File(secret / "model" / guard.WEIGHTS, "r+") as file:
        file["more"] = h5py.ExternalLink(str(secret / "other.h5"), "/x")
    with pytest.raises(ValueError, match="is a link to another file"):
        load_model(secret / "model")
    with zipfile.ZipFile(secret / "model.keras", "w") as archive:
        for each in (secret / "model").iterdir():
            if each.is_file():
                archive.write(each, each.name)
    with pytest.raises(ValueError, match="is a link to another file"):
        load_model(secret / "model.keras")


def test_a_zip_that_unpacks_to_far_more_is_refused(secret):
    old_archive(secret / "model.keras", None, secret)
    model = load_model(secret / "model.keras")
    np.testing.assert_array_equal(model.layers[-1].kernel, np.ones((3, 4)))
    with zipfile.ZipFile(secret / "model.keras", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/more", bytes(guard.FREE_BYTES + 1))
    with pytest.raises(ValueError, match=r"it unpacks to 67,\d+,\d+ bytes"):
        load_model(secret / "model.keras")


def test_configurations_that_lie_deep_in_themselves_or_are_no_text_are_refused(secret):
    for config in ("[" * 100_000, '{"a": ' * 5000, "\xff\xfe", "3", '{"class_name": "Sequential", "config": 5}'):
        with zipfile.ZipFile(secret / "model.keras", "w") as archive:
            archive.writestr("metadata.json", '{"keras_version": "2.15.0"}')
            archive.writestr("config.json", config.encode("latin-1"))
        with pytest.raises(NotPorted):
            load_model(secret / "model.keras")


def test_weights_that_are_no_numbers_are_refused(secret):
    def text(group, name, folder):
        group.create_dataset(name, data=["a"] * 12, dtype=h5py.string_dtype())

    old_archive(secret / "model.keras", text, secret)
    with pytest.raises(NotPorted, match="no array of numbers"):
        load_model(secret / "model.keras")
