"""Commands on folders and tables: what they write is what the library makes of the same arrays."""

import csv
import json
import pathlib
import re
import wave

import keras
import numpy as np
import pytest
from PIL import Image

import tfcompress as tfc
from tfcompress.cli import main
from tfcompress.cli.entry import DONE, FAILED, USAGE

NAMES = ("ant", "bee", "cat")
L = keras.layers


def run(*arguments):
    return main(["tfcompress", *arguments])


@pytest.fixture
def photos(tmp_path, monkeypatch, tiny_model, tiny_data):
    """A model and 30 pictures of its size in 3 class folders, as PNG; returns pixels and labels in their order."""
    monkeypatch.chdir(tmp_path)
    tiny_model.save("model.keras")
    x, y = tiny_data
    pixels, labels = [], []
    for label, name in enumerate(NAMES):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for k, image in enumerate(np.rint(x[y == label, ..., 0] * 255).astype(np.uint8)[:10]):
            Image.fromarray(image).save(folder / f"{k}.png")
            pixels.append(image)
            labels.append(label)
    return np.stack(pixels)[..., None], np.array(labels)


@pytest.fixture
def two_inputs(tmp_path, monkeypatch):
    """A model with two inputs, and the same data for it as .npz and .csv."""
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    ids, values = keras.Input((2,), name="ids", dtype="int32"), keras.Input((3,), name="values")
    both = L.Concatenate()([L.Flatten()(L.Embedding(5, 3)(ids)), L.Dense(4, activation="relu")(values)])
    keras.Model([ids, values], L.Dense(2, name="end")(both)).save("two.keras")
    rng = np.random.default_rng(0)
    x = {"ids": rng.integers(0, 5, (40, 2), "int32"), "values": rng.normal(size=(40, 3)).astype("float32").round(3)}
    y = (x["values"][:, 0] > 0).astype(int)
    np.savez("two.npz", **x, y=y)
    with open("two.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["values_0", "values_1", "values_2", "ids_0", "ids_1", "label"])
        writer.writerows([*v, *i, "yes" if k else "no"] for v, i, k in zip(x["values"], x["ids"], y, strict=True))
    return x, y


def scaled(pixels):
    return pixels * np.float32(1 / 255)


def test_convert_calibrates_on_class_folders(photos):
    assert run("convert", "model.keras", "--calibration=photos", "--scale=1/255", "--verbose=0") == DONE
    same = tfc.convert(tfc.load_model("model.keras"), calibration=scaled(photos[0]))
    assert tfc.Artifact.load("model.tflite").content == same.content


def test_report_judges_by_class_folders(photos, capsys):
    pixels, labels = photos
    tfc.convert(tfc.load_model("model.keras"), calibration=scaled(pixels)).save("int8.tflite")
    here = pathlib.Path("photos").absolute()
    assert run("report", "model.keras", "int8.tflite", f"--data={here}", "--scale=1/255", "--nolatency") == DONE
    assert "photos: classes 0 ant, 1 bee, 2 cat" in capsys.readouterr().err
    first = json.loads(pathlib.Path("report/compare.json").read_text())["rows"][0]
    answers = keras.models.load_model("model.keras").predict(scaled(pixels), verbose=0).argmax(axis=1)
    assert first["accuracy"] == pytest.approx(np.mean(answers == labels))
    for file in pathlib.Path("report").iterdir():
        assert str(here.parent) not in file.read_text()
    assert "photos, 30 samples" in pathlib.Path("report/report.txt").read_text()


def test_bench_times_a_picture(photos, capsys):
    tfc.convert(tfc.load_model("model.keras"), mode="float32").save("float.tflite")
    options = ["--nomemory", "--verbose=0", "--json=host.json"]
    assert run("bench", "float.tflite", "--data=photos", *options) == DONE
    assert json.loads(pathlib.Path("host.json").read_text())["protocol"]["input"] == "given"
    assert run("bench", "float.tflite", "--data=photos/ant/0.png", *options) == FAILED
    assert "0.png: is a single file. Give a folder of pictures" in capsys.readouterr().err
    assert run("bench", "float.tflite", "--data=none", *options) == FAILED
    assert "--data=none: there is no such file or folder" in capsys.readouterr().err


@pytest.mark.slow
def test_compress_trains_on_parts_and_calibrates_on_all_classes(photos):
    pathlib.Path("photos").rename("all")
    for part in ("train", "test"):
        for name in NAMES:
            files = sorted(pathlib.Path("all", name).iterdir())
            for file in files[:8] if part == "train" else files[8:]:
                target = pathlib.Path("photos", part, name, file.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    options = ["--data=photos", "--scale=1/255", "--prune=0.5", "--epochs=1", "--batch=8", "--verbose=0"]
    assert run("compress", "model.keras", *options) == DONE
    assert tfc.Artifact.load("compressed/model.tflite").metadata["calibration_samples"] == 24
    kernel = np.asarray(keras.models.load_model("compressed/model.keras").get_layer("head").kernel)
    assert np.sum(kernel == 0) == round(0.5 * kernel.size)
    text = pathlib.Path("compressed/report.txt").read_text()
    assert "6 samples of photos" in text and "val_loss" in text


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["categorical_crossentropy", keras.losses.CategoricalCrossentropy()])
def test_class_numbers_serve_a_model_trained_on_one_hot_rows(loss, photos):
    model = keras.models.load_model("model.keras")
    model.compile("sgd", loss)
    model.save("model.keras")
    options = ["--data=photos", "--scale=1/255", "--prune=0.5", "--epochs=1", "--verbose=0", "--learning_rate=0"]
    assert run("compress", "model.keras", *options) == DONE
    text = pathlib.Path("compressed/report.txt").read_text()
    answers = model.predict(scaled(photos[0]), verbose=0).argmax(axis=1)
    assert f"{np.mean(answers == photos[1]):.4f}" in text


def test_sorted_data_are_calibrated_at_even_distances(photos, monkeypatch):
    from tfcompress.training.callback import Compression

    x = np.repeat(np.arange(300, dtype=np.float32), 64).reshape(300, 8, 8) / 300
    np.savez("sorted.npz", x=x, y=np.arange(300) // 100)
    seen = []
    convert = Compression.convert

    def record(self, *arguments, calibration, **options):
        seen.append(calibration)
        return convert(self, *arguments, calibration=calibration, **options)

    monkeypatch.setattr(Compression, "convert", record)
    options = ["--data=sorted.npz", "--prune=0.5", "--epochs=1", "--verbose=0"]
    assert run("compress", "model.keras", *options) == DONE
    assert len(seen[0]) == 256 and seen[0].min() == x.min() and seen[0].max() == x.max()


def test_split_takes_folders(photos):
    options = ["--calibration=photos", "--scale=1/255", "--verbose=0", "--out=parts"]
    assert run("split", "model.keras", "--parts=2", *options) == DONE
    expected = tfc.split("model.keras", "recursive", parts=2).convert(scaled(photos[0]))
    x = scaled(photos[0])
    np.testing.assert_array_equal(tfc.ChainedArtifact.load("parts").predict(x), expected.predict(x))


@pytest.mark.slow
def test_exits_of_a_sequential_model_learn_from_folders(photos, capsys):
    options = ["--calibration=photos", "--scale=1/255", "--verbose=0", "--mode=float32", "--out=tree"]
    assert run("split", "model.keras", "--how=hierarchical", *options) == DONE
    assert "held out: 6 samples" in capsys.readouterr().out


@pytest.mark.parametrize("data", ["two.npz", "two.csv"])
def test_several_inputs_by_name(data, two_inputs):
    x, y = two_inputs
    assert run("convert", "two.keras", f"--calibration={data}", "--verbose=0") == DONE
    artifact = tfc.Artifact.load("two.tflite")
    assert artifact.content == tfc.convert(tfc.load_model("two.keras"), calibration=x).content
    assert run("report", "two.keras", "two.tflite", f"--data={data}", "--nolatency", "--verbose=0") == DONE
    rows = json.loads(pathlib.Path("report/compare.json").read_text())["rows"]
    answers = keras.models.load_model("two.keras").predict([x["ids"], x["values"]], verbose=0).argmax(axis=1)
    assert rows[0]["accuracy"] == pytest.approx(np.mean(answers == y))
    assert ", 40 samples" in pathlib.Path("report/report.txt").read_text()
    assert run("bench", "two.tflite", f"--data={data}", "--nomemory", "--verbose=0") == DONE


@pytest.mark.slow
def test_compress_and_split_take_several_inputs(two_inputs):
    options = ["--data=two.csv", "--prune=0.5", "--epochs=1", "--batch=8", "--verbose=0"]
    assert run("compress", "two.keras", *options) == DONE
    assert tfc.Artifact.load("compressed/two.tflite").is_integer
    assert run("split", "two.keras", "--parts=2", "--calibration=two.npz", "--verbose=0", "--out=parts") == DONE
    assert len(tfc.ChainedArtifact.load("parts").parts) == 2


def test_sounds_calibrate(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64, 1)), L.Conv1D(2, 5), L.Flatten(), L.Dense(2)])
    model.save("sound.keras")
    values = np.random.default_rng(0).integers(-(2**15), 2**15, (12, 70)).astype("<i2")
    for k, sound in enumerate(values):
        path = tmp_path / "words" / "ab"[k // 6] / f"{k:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(sound.tobytes())
    assert run("convert", "sound.keras", "--calibration=words") == DONE
    assert "words: of 12 sounds 0 were shorter than 64 samples" in capsys.readouterr().err
    x = values[:, :64, None] / np.float32(2**15)
    assert tfc.Artifact.load("sound.tflite").content == tfc.convert(model, calibration=x).content


@pytest.mark.parametrize(
    "data, message",
    [
        (
            "photos/ant",
            "--data=photos/ant: training needs the labels: .*or class folders. Arrange them as FOLDER/CLASS",
        ),
        ("four", "--data=four: has 4 classes, and the model answers with 3"),
        ("labels.npz", "--data=labels.npz: has labels up to 3, and the model answers with the classes 0 to 2"),
        ("test.npz", "--data=test.npz: training needs the labels of its test part"),
    ],
)
def test_compress_says_how_labels_are_given(data, message, photos, capsys):
    for name in ("a", "b", "c", "d"):
        pathlib.Path("four", name).mkdir(parents=True)
        Image.fromarray(photos[0][0, ..., 0]).save(pathlib.Path("four", name, "1.png"))
    np.savez("labels.npz", x=photos[0], y=np.arange(30) % 4)
    np.savez("test.npz", x_train=photos[0], y_train=photos[1], x_test=photos[0])
    assert run("compress", "model.keras", f"--data={data}") == FAILED
    assert re.search(message, capsys.readouterr().err)
    assert not pathlib.Path("compressed").exists()


def test_fewer_classes_are_told(photos, capsys):
    tfc.convert(tfc.load_model("model.keras"), mode="float32").save("float.tflite")
    for file in pathlib.Path("photos/ant").iterdir():
        file.unlink()
    pathlib.Path("photos/ant").rmdir()
    assert run("report", "model.keras", "float.tflite", "--data=photos", "--nolatency") == DONE
    assert "photos has 2 classes, and the model answers with 3: labels are right only if" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["compress", "model.keras", "--prune=0.5"], ["report", "model.keras", "a.tflite"]]
)
def test_a_file_in_place_of_the_folder_to_write_to_is_refused_before_the_work(photos, capsys, arguments):
    pathlib.Path("taken").write_text("mine")
    assert run(*arguments, "--data=photos", "--out=taken") == USAGE
    assert "--out=taken: there is a file of this name" in capsys.readouterr().err
    assert pathlib.Path("taken").read_text() == "mine"


def test_a_scheme_that_no_file_holds_is_refused_before_training(photos, capsys):
    assert run("compress", "model.keras", "--data=photos", "--scale=1/255", "--quantize=w4a8", "--out=none") == USAGE
    assert "weights of 4 bits exist in simulation only" in capsys.readouterr().err
    assert not pathlib.Path("none").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["inspect", "lost.tflite"],
        ["slim", "lost.tflite", "--out=small.tflite"],
        ["report", "lost.tflite", "b", "--data=photos"],
    ],
)
def test_a_missing_file_is_named_in_words(photos, capsys, command):
    assert run(*command) != DONE
    said = capsys.readouterr().err
    assert "lost.tflite" in said and "Errno" not in said
