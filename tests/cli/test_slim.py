"""`tfcompress slim`: what it writes is what the library gives, and bad input writes nothing."""

import keras
import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.cli import main
from tfcompress.cli.entry import DONE, FAILED, USAGE


def run(*arguments):
    return main(["tfcompress", "slim", *arguments])


@pytest.fixture(scope="module")
def artifact():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(8, 3, activation="relu", name="conv"), layers.Flatten(), layers.Dense(3)]
    )
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[..., :3] = 0
    model.get_layer("conv").set_weights([kernel, bias])
    return tfc.convert(model, calibration=np.random.default_rng(0).random((32, 8, 8, 1), np.float32))


@pytest.fixture
def folder(tmp_path, monkeypatch, artifact):
    monkeypatch.chdir(tmp_path)
    artifact.save("model.tflite")
    return tmp_path


def test_it_writes_what_the_library_gives(folder, artifact, capsys):
    assert run("model.tflite", "--out=small.tflite") == DONE
    text = capsys.readouterr().out
    smaller = tfc.Artifact.load("small.tflite")
    expected = tfc.slim(artifact)
    assert (smaller.content, smaller.metadata) == (expected.content, expected.metadata)
    assert f"model.tflite: {artifact.size:,} bytes" in text
    assert f"Wrote small.tflite: {smaller.size:,} bytes" in text
    assert f"{smaller.metadata['slim'][-1]['channels_removed']} channels" in text
    assert run("small.tflite", "--out=again.tflite") == DONE
    assert "Nothing could be taken out." in capsys.readouterr().out
    assert (folder / "again.tflite").read_bytes() == smaller.content


def test_options_reach_the_library(folder, artifact):
    options = ["--nochannels", "--names=all", "--metadata=all", "--proof=0"]
    assert run("model.tflite", "--out=small.tflite", *options) == DONE
    expected = tfc.slim(artifact, channels=False, names="all", metadata="all", proof=0)
    assert tfc.Artifact.load("small.tflite").content == expected.content
    assert expected.content != tfc.slim(artifact).content


def test_a_file_may_take_the_place_of_the_old_one(folder, artifact):
    assert run("model.tflite", "--out=model.tflite") == DONE
    assert tfc.Artifact.load("model.tflite").content == tfc.slim(artifact).content


def test_bad_input_writes_nothing(folder, artifact, capsys):
    (folder / "cut.tflite").write_bytes(artifact.content[:2000])
    before = sorted(path.name for path in folder.iterdir())
    assert run("cut.tflite", "--out=small.tflite") == FAILED
    assert "cut off or damaged" in capsys.readouterr().err
    assert run("absent.tflite", "--out=small.tflite") == FAILED
    assert run("model.tflite", "--out=absent/small.tflite") == FAILED
    assert run("model.tflite") == USAGE
    assert run("model.tflite", "--out=small.tflite", "--names=few") == USAGE
    assert sorted(path.name for path in folder.iterdir()) == before
