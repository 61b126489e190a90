"""`tfcompress report` on class folders: the page names the classes and no path."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

import tfcompress as tfc
from tfcompress.cli import main
from tfcompress.cli.entry import DONE


@pytest.fixture
def place(tmp_path, tiny_model, tiny_data):
    """A model, two files of one name in two folders, and pictures in class folders, all by their full paths."""
    x, _ = tiny_data
    tiny_model.save(tmp_path / "model.keras")
    artifact = tfc.convert(tiny_model, calibration=x[:32])
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        artifact.save(tmp_path / folder / "int8.tflite")
    count = tiny_model.output_shape[-1]
    for i, image in enumerate(x[: 4 * count]):
        folder = tmp_path / "photos" / f"kind-{i % count}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rint(image[..., 0] * 255).astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path


def run(place, *options):
    files = [str(place / name) for name in ("model.keras", "first/int8.tflite", "second/int8.tflite")]
    data = [f"--data={place / 'photos'}", "--scale=1/255", "--nolatency", "--verbose=0", f"--out={place / 'out'}"]
    return main(["tfcompress", "report", *files, *data, *options])


def test_classes_have_the_names_of_their_folders_and_files_no_paths(place, capsys):
    assert run(place) == DONE
    page, text = ((place / "out" / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "txt"))
    assert str(place) not in page + text
    for told in ("kind-0", "first/int8.tflite", "second/int8.tflite", "Accuracy by class", "Where and with what"):
        assert told in page and told in text
    command = "tfcompress report model.keras int8.tflite int8.tflite --data=photos --scale=1/255 --nolatency"
    assert command in text
    model = keras.models.load_model(place / "model.keras")
    count = model.output_shape[-1]
    images = [
        (i, np.asarray(Image.open(path)) / 255)
        for i in range(count)
        for path in sorted((place / "photos" / f"kind-{i}").iterdir())
    ]
    right = np.array([i for i, _ in images])
    answers = model.predict(np.float32([image for _, image in images])[..., None], verbose=0).argmax(-1)
    row = next(line for line in text.splitlines() if re.match(r"kind-1 +4 ", line))
    assert f"{100 * np.mean(answers[right == 1] == 1):.1f} %" in row


def test_labels_name_the_classes(place, capsys):
    count = keras.models.load_model(place / "model.keras").output_shape[-1]
    assert run(place, f"--labels={','.join(f'name {i}' for i in range(count))}") == DONE
    page = (place / "out" / "report.html").read_text(encoding="utf-8")
    assert "name 1" in page and "kind-1" not in page


def test_too_few_labels_are_refused_before_anything_is_measured(place, capsys):
    assert run(place, "--labels=cat") != DONE
    assert "names are needed. Received: 1" in capsys.readouterr().err and not (place / "out").exists()
