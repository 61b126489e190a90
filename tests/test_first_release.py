"""Files that release 0.1 wrote are read, and go on where they were."""

import json
import pathlib
import shutil

import numpy as np
import pytest

import tfcompress as tfc

FOLDER = pathlib.Path(__file__).with_name("fixtures") / "first_release"
ALL = ["Prune", "Cluster", "Quantize", "Distill", "PruneChannels", "MergeChannels"]
ALL += ["LowRank", "DropLayers", "Fold", "Equalize"]


@pytest.fixture(scope="module")
def data():
    """The data of `make.py`."""
    x = np.random.default_rng(0).normal(size=(32, 6, 6, 1)).astype("float32")
    return x, x.reshape(32, -1)[:, :3]


def zeros_and_values(model):
    """Zeros, and distinct values per kernel."""
    found = {}
    for layer in ("conv", "hidden", "head"):
        kernel = model.get_layer(layer).kernel.numpy()
        found[layer] = int((kernel == 0).sum()), kernel.size, len(np.unique(kernel[kernel != 0]))
    return found


def without_modules(value):
    """A stored value without the names of modules, which may change; classes are found by their registered names."""
    if isinstance(value, dict):
        return {key: without_modules(each) for key, each in value.items() if key != "module"}
    return [without_modules(each) for each in value] if isinstance(value, list) else value


def check_kernels(model):
    """Holds that the kernels are half zeros, and the rest four values."""
    for zeros, size, values in zeros_and_values(model).values():
        assert zeros == round(0.5 * size) and values <= 4


def test_a_recipe_with_every_technique():
    recipe = tfc.Recipe.load(FOLDER / "recipe.json")
    assert [t.name for t in recipe] == ALL
    written = json.loads((FOLDER / "recipe.json").read_text())
    now = json.loads(recipe.to_json())
    assert [t["registered_name"] for t in now] == [t["registered_name"] for t in written]
    for mine, theirs in zip(now, written, strict=True):  # every field that was written is there, and says the same
        assert {name: without_modules(mine["config"][name]) for name in theirs["config"]} == {
            name: without_modules(value) for name, value in theirs["config"].items()
        }
    assert recipe[0].sparsity == tfc.schedules.polynomial(0.0, 0.8, begin=0.1, stop=0.7)
    assert recipe[2].where == tfc.Where(["conv", "hidden"], min_size=10)
    assert tfc.Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.needs_keras("3.15")  # which wrote the file
def test_a_model_with_its_compression(data):
    x, y = data
    model = tfc.load_model(FOLDER / "model.keras")
    check_kernels(model)
    compression = tfc.Compression.load(FOLDER / "compression.npz", model)
    simulated = np.load(FOLDER / "expected.npz")["simulated"]
    np.testing.assert_allclose(compression.predict(x), simulated, atol=1e-6)
    artifact = compression.convert(calibration=x)
    assert artifact.is_integer
    assert np.abs(artifact.predict(x) - simulated).max() <= artifact.outputs[0].scale * 1.001
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(x, y, epochs=1, batch_size=8, verbose=0, callbacks=[compression])
    check_kernels(model)
    assert not any("changed after" in note for note in compression.notes)


def test_a_compression_with_ranges_at_other_places():
    x = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype("float32")
    model = tfc.load_model(FOLDER / "normalized.keras")
    kernels = [model.get_layer(name).kernel.numpy() for name in ("conv", "head")]
    compression = tfc.Compression.load(FOLDER / "normalized.npz", model)
    assert any("ranges are set anew" in note for note in compression.notes)
    masks = [np.asarray(m.masked()) for m in compression.state.transforms if m.masked() is not None]
    for kernel, mask in zip(kernels, masks, strict=True):
        np.testing.assert_array_equal(mask, kernel == 0)
        assert mask.sum() == kernel.size // 2 and len(np.unique(kernel)) <= 5
    artifact = compression.convert(calibration=x)
    plain = model.predict(x, verbose=0)
    assert artifact.is_integer and np.abs(artifact.predict(x) - plain).max() < 0.1 * np.ptp(plain)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(x, x.reshape(32, -1)[:, :3], epochs=1, batch_size=8, verbose=0, callbacks=[compression])
    assert all(span.is_set for span in compression.state.ranges)
    for name, mask in zip(("conv", "head"), masks, strict=True):
        np.testing.assert_array_equal(model.get_layer(name).kernel.numpy() == 0, mask)


@pytest.mark.slow
def test_a_session(data):
    x, y = data
    loaded = tfc.load_model(FOLDER / "session.keras")
    ramp = tfc.schedules.polynomial(0.0, 0.5, begin=0.1, stop=0.6)
    chosen = tfc.Where(["conv", "hidden", "head"], min_size=4)
    recipe = [tfc.Prune(ramp), tfc.Cluster(4, begin=0.5), tfc.Quantize(tfc.QuantSpec(8), where=chosen)]
    session = tfc.compress(loaded, recipe, verbose=0)
    assert session.callback.clock.progress == 1.0  # the recipe is known again, so the schedule goes on
    check_kernels(session.finish())
    session.model.compile("sgd", "mse", jit_compile=False)
    session.model.fit(x, y, epochs=1, batch_size=8, verbose=0, callbacks=session.callbacks)
    check_kernels(session.finish())
    assert session.convert(calibration=x).is_integer
    assert tfc.convert(loaded, calibration=x).is_integer


def test_an_artifact_with_its_sidecar(data, tmp_path):
    shutil.copy(FOLDER / "model.tflite", tmp_path)
    shutil.copy(FOLDER / "model.tflite.json", tmp_path)
    artifact = tfc.Artifact.load(tmp_path / "model.tflite")
    assert artifact.is_integer and artifact.metadata["parity"][0]["equal"] == 1.0
    assert [t["registered_name"] for t in artifact.metadata["recipe"]][0] == "tfcompress>Prune"
    simulated = np.load(FOLDER / "expected.npz")["simulated"]
    assert np.abs(artifact.predict(data[0]) - simulated).max() <= artifact.outputs[0].scale * 1.001
    artifact.save(tmp_path / "again.tflite")
    assert tfc.Artifact.load(tmp_path / "again.tflite").metadata == artifact.metadata
    assert tfc.slim(artifact).is_integer
