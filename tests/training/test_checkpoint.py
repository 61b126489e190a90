"""A compression saved beside its model: what is converted later is what would have been converted at once."""

import io
import json
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.schedules import constant

pytestmark = pytest.mark.sampled(3)

L = keras.layers
ALL = [tfc.Prune(0.5), tfc.Cluster(4), tfc.Quantize("int8")]


@pytest.fixture
def saved(points, dense_net, tmp_path):
    """A trained model, its compression, the data, and both files."""
    x, y = points
    model = dense_net()
    compression = tfc.Compression(ALL, verbose=0, seed=3, update_every=2)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    model.save(tmp_path / "model.keras")
    compression.save(tmp_path / "model.tfc")
    return model, compression, x, y, tmp_path


def test_converting_from_the_file_gives_the_same_bytes(saved):
    _, compression, x, _, folder = saved
    expected = compression.convert(calibration=x)
    model = tfc.load_model(folder / "model.keras")
    loaded = tfc.Compression.load(folder / "model.tfc", model)
    artifact = loaded.convert(calibration=x)
    assert artifact.content == expected.content
    assert artifact.metadata["notes"] == expected.metadata["notes"]
    assert artifact.metadata["recipe"] == expected.metadata["recipe"]
    np.testing.assert_array_equal(loaded.predict(x), compression.predict(x))
    assert (loaded.seed, loaded.update_every, loaded.verbose) == (3, 2, 0)
    assert loaded.convert().content == expected.content  # ranges were trained, so no data are needed


SCRIPT = """
import sys
import tfcompress as tfc

model = tfc.load_model(sys.argv[1])
tfc.Compression.load(sys.argv[2], model).convert(sys.argv[3])
"""


@pytest.mark.slow
def test_also_in_a_fresh_process(saved, request):
    _, compression, _, _, folder = saved
    names = [str(folder / n) for n in ("model.keras", "model.tfc", "later.tflite")]
    environment = {**os.environ, "PYTHONPATH": str(request.config.rootpath)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *names], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert tfc.Artifact.load(names[2]).content == compression.convert().content


def test_the_model_may_come_later(saved):
    _, compression, x, y, folder = saved
    loaded = tfc.Compression.load(folder / "model.tfc")
    with pytest.raises(ValueError, match="no model yet"):
        loaded.convert()
    loaded.set_model(tfc.load_model(folder / "model.keras"))
    assert loaded.convert().content == compression.convert().content


def test_training_goes_on_where_it_was(points, dense_net, tmp_path):
    """Broken off half-way and taken up from both files: the end is that of one go."""
    x, y = points

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def fit(model, compression, start, *more):
        model.fit(
            x,
            y,
            initial_epoch=start,
            epochs=4,
            shuffle=False,
            verbose=0,
            callbacks=[compression, *more],
        )

    keras.utils.set_random_seed(1)
    whole, through = dense_net(), tfc.Compression(ALL, verbose=0)
    fit(whole, through, 0)
    keras.utils.set_random_seed(1)
    model, compression = dense_net(), tfc.Compression(ALL, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        fit(model, compression, 0, Break())
    model.save(tmp_path / "model.keras")
    compression.save(tmp_path / "model.tfc")
    later = tfc.load_model(tmp_path / "model.keras")
    again = tfc.Compression.load(tmp_path / "model.tfc", later)
    assert again.clock.progress == pytest.approx(0.5) and again.clock.total == 12
    fit(later, again, 2)
    assert again.clock.is_over and again.notes == []
    for a, b in zip(whole.get_weights(), later.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    files = again.convert(), through.convert()
    np.testing.assert_array_equal(*(f.predict(x) for f in files))


@pytest.fixture
def teacher():
    """A wider net with a layer to learn features from."""
    keras.utils.set_random_seed(5)
    layers = [L.Dense(20, activation="relu", name="wide"), L.Dense(3)]
    return keras.Sequential([keras.Input((6,)), *layers])


@pytest.mark.parametrize("rewind", [None, 0.2])
def test_teachers_are_left_out_and_may_come_back(points, dense_net, teacher, tmp_path, capsys, rewind):
    """The file needs none of what Distill keeps, wherever it stands among the techniques' state."""
    x, y = points
    distill = tfc.Distill(teacher, features=[("wide", "hidden")])
    recipe = [distill, tfc.Prune(0.5, rewind=rewind), tfc.Quantize("int8", ranges="learned")]
    model, compression = dense_net(), tfc.Compression(recipe, verbose=0)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[compression])
    expected = compression.convert().content
    path = tmp_path / "model.tfc"
    compression.save(path)
    again = tfc.Compression.load(path, model)
    assert [t.name for t in again.recipe] == ["Prune", "Quantize"]
    assert again.convert().content == expected
    model.fit(x, y, epochs=1, verbose=0, callbacks=[again])
    assert capsys.readouterr().err == ""
    adapter = compression.memories["Distill"].extras[0].kernels[0]
    taught = tfc.Compression.load(path, model, distill=distill)
    np.testing.assert_array_equal(taught.memories["Distill"].extras[0].kernels[0], adapter)
    before = adapter.numpy()
    model.fit(x, y, epochs=1, verbose=0, callbacks=[taught])
    assert np.abs(taught.memories["Distill"].extras[0].kernels[0].numpy() - before).max() > 1e-5
    for name in ("hidden", "head"):
        kernel = model.get_layer(name).kernel.numpy()
        assert int((kernel == 0).sum()) == round(0.5 * kernel.size)


def test_a_loud_compression_says_that_its_teachers_are_missing(points, dense_net, teacher, tmp_path, capsys):
    model = dense_net()
    compression = tfc.Compression([tfc.Distill(teacher), tfc.Prune(0.5)])
    compression.set_model(model)
    compression.save(tmp_path / "loud.tfc")
    tfc.Compression.load(tmp_path / "loud.tfc")
    assert "distill=tfc.Distill(teacher)" in capsys.readouterr().err
    with pytest.raises(TypeError, match="distill must be a tfc.Distill"):
        tfc.Compression.load(tmp_path / "loud.tfc", distill=teacher)


def test_another_model_is_refused(saved):
    folder = saved[-1]
    other = keras.Sequential([keras.Input((6,)), L.Dense(13, name="hidden"), L.Dense(3, name="head")])
    with pytest.raises(ValueError, match=r"model\.tfc.*saved with another model.*Load the model"):
        tfc.Compression.load(folder / "model.tfc", other)


def test_weights_that_are_not_those_it_was_saved_with_are_told(saved, dense_net):
    """The same architecture, another training: techniques keep their law, and a note says what happened."""
    folder, x = saved[-1], saved[2]
    keras.utils.set_random_seed(9)
    model = dense_net()
    loaded = tfc.Compression.load(folder / "model.tfc", model)
    loaded.convert(calibration=x)
    assert any("changed after the training's end" in note for note in loaded.notes)
    kernel = model.get_layer("hidden").kernel.numpy()
    assert int((kernel == 0).sum()) == round(0.5 * kernel.size)


def rewritten(content: bytes, change) -> bytes:
    """The file with its facts changed."""
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    facts = json.loads(bytes(arrays.pop("facts")))
    change(facts, arrays)
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.frombuffer(json.dumps(facts).encode(), "uint8"), **arrays)
    return buffer.getvalue()


def flipped(content: bytes) -> bytes:
    """One byte inside the first array is wrong."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        at = file.infolist()[1].header_offset + 60
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda c: b"", "is cut off"),
        (lambda c: c[:-40], "is cut off"),
        (lambda c: b"PK but no zip", "is cut off"),
        (flipped, "is damaged"),
        (lambda c: rewritten(c, lambda f, a: a.pop("v3")), "is damaged.*v3"),
        (lambda c: rewritten(c, lambda f, a: f.pop("recipe")), "is damaged.*recipe"),
        (lambda c: rewritten(c, lambda f, a: f.update(format="other/2")), "format is 'other/2'"),
        (lambda c: rewritten(c, lambda f, a: f.update(options={"strange": 1})), "options must be among update_every"),
        (lambda c: rewritten(c, lambda f, a: f.update(options=5)), "is damaged"),
        (lambda c: rewritten(c, lambda f, a: f["options"].update(seed=-1)), "seed must be in"),
        (lambda c: rewritten(c, lambda f, a: f.update(recipe="[")), "A recipe is JSON text"),
        (lambda c: rewritten(c, lambda f, a: a.update(v0=np.array([None]))), "Python objects"),
    ],
)
def test_files_that_are_no_compression(saved, damage, text):
    path = saved[-1] / "model.tfc"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=text):
        tfc.Compression.load(path)


def test_other_archives_and_missing_files(saved):
    folder = saved[-1]
    with pytest.raises(ValueError, match=r"model\.keras.*no compression"):
        tfc.Compression.load(folder / "model.keras")
    np.savez(folder / "foreign.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"foreign\.npz.*no compression.*facts"):
        tfc.Compression.load(folder / "foreign.npz")
    with pytest.raises(FileNotFoundError, match=r"no file.*missing\.tfc"):
        tfc.Compression.load(folder / "missing.tfc")


def test_a_failed_save_leaves_the_old_file(saved, dense_net):
    """A choice in code can't be written; the file that was there stays whole, and no other one appears."""
    folder = saved[-1]
    before = (folder / "model.tfc").read_bytes()
    names = sorted(os.listdir(folder))
    own = tfc.Compression([tfc.Prune(constant(0.5), where=lambda layer: True)], verbose=0)
    own.set_model(dense_net())
    with pytest.raises(ValueError, match="where|code|callable"):
        own.save(folder / "model.tfc")
    assert (folder / "model.tfc").read_bytes() == before and sorted(os.listdir(folder)) == names
    with pytest.raises(ValueError, match="no model yet"):
        tfc.Compression(ALL, verbose=0).save(folder / "model.tfc")
    assert (folder / "model.tfc").read_bytes() == before
