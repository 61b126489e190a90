"""`tfcompress split`: the files it writes answer as those of the library; bad input writes nothing."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.cli import main
from tfcompress.cli.entry import COMMANDS, DONE, FAILED, USAGE

L = keras.layers


def run(*arguments):
    return main(["tfcompress", "split", *arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 1), name="image")
    for k in range(3):
        x = L.Conv2D(4, 3, activation="relu", name=f"conv{k}")(x)
    keras.Model(inputs, L.Dense(3, name="end")(L.Flatten(name="flat")(x)), name="net").save("model.keras")
    np.savez("data.npz", x=np.random.default_rng(0).integers(0, 256, (60, 8, 8)), y=np.arange(60) % 3)
    return tmp_path


def inputs():
    return np.multiply(np.load("data.npz")["x"][..., None], 1 / 255, dtype="float32")


DATA = ("--calibration=data.npz", "--scale=1/255", "--verbose=0")


def test_the_files_are_those_of_the_library(folder, capsys):
    assert run("model.keras", "--how=recursive", "--parts=2", *DATA, "--out=parts") == DONE
    text = capsys.readouterr().out
    expected = tfc.split("model.keras", "recursive", parts=2).convert(inputs())
    found = tfc.ChainedArtifact.load("parts")
    np.testing.assert_array_equal(found.predict(inputs()), expected.predict(inputs()))
    assert "part  operations  parameters" in text and "Wrote parts." in text and "2 files" in text


def test_modular_in_float_needs_no_data(folder):
    arguments = ("--how=modular", "--at=conv0,conv1", "--mode=float32", "--verbose=0", "--out=parts")
    assert run("model.keras", *arguments) == DONE
    found = tfc.ChainedArtifact.load("parts")
    model = keras.models.load_model("model.keras")
    assert len(found.parts) == 3
    np.testing.assert_allclose(found.predict(inputs()), model(inputs()), atol=1e-5)


@pytest.mark.slow
def test_exits_learn_the_models_own_answers(folder, capsys):
    options = ("--how=hierarchical", "--agreement=0.9", "--epochs=5", "--mode=float32")
    assert run("model.keras", *options, *DATA, "--out=tree") == DONE
    assert "held out: 12 samples" in capsys.readouterr().out
    found = tfc.ChainedArtifact.load("tree")
    run_ = found.run(inputs())
    whole = np.asarray(keras.models.load_model("model.keras")(inputs())).argmax(axis=1)
    held_out = np.arange(60) % 5 == 4
    assert np.mean(run_.outputs["end"].argmax(axis=1)[held_out] == whole[held_out]) >= 0.9
    assert run("model.keras", "--how=hierarchical", "--threshold=0.25", "--mode=float32", *DATA, "--out=fixed") == DONE
    fixed = tfc.ChainedArtifact.load("fixed")
    assert fixed.threshold == (0.25,) and fixed.run(inputs()).share_early == 1.0


def test_bad_input_writes_nothing(folder, capsys):
    assert run("model.keras", "--parts=2", "--verbose=0", "--out=parts") == USAGE
    assert "needs calibration data" in capsys.readouterr().err
    assert run("model.keras", "--how=modular", "--at=conv9", *DATA, "--out=parts") == USAGE
    assert "no layer or nested model 'conv9'" in capsys.readouterr().err
    assert run("model.keras", "--how=hierarchical", "--verbose=0", "--out=parts") == USAGE
    assert "needs --calibration" in capsys.readouterr().err
    assert run("model.keras", "--epochs=2", *DATA, "--out=parts") == USAGE
    assert "--epochs is for --how=hierarchical" in capsys.readouterr().err
    both = ("--how=hierarchical", "--threshold=0.5", "--agreement=0.9")
    assert run("model.keras", *both, *DATA, "--out=parts") == USAGE
    assert "Give one or the other" in capsys.readouterr().err
    assert run("absent.keras", *DATA, "--out=parts") == FAILED
    assert run("model.keras", *DATA) == USAGE
    assert run("model.keras", "--how=halves", *DATA, "--out=parts") == USAGE
    assert sorted(path.name for path in folder.iterdir()) == ["data.npz", "model.keras"]


def test_help_shows_flags_and_examples_that_parse(capsys):
    assert run("--help") == DONE
    text = capsys.readouterr().out
    for example in COMMANDS["split"].examples:
        assert example in text
        COMMANDS["split"].parse(example.split()[2:])
    assert max(map(len, text.splitlines())) <= 100
