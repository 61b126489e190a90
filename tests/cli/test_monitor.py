"""`tfcompress monitor` on logs counted as the app counts: from a real model's answers."""

import json
import pathlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tfcompress.android.monitor.confidence import confidences
from tfcompress.android.monitor.histograms import CONFIDENCE_EDGES, LATENCY_EDGES_US, counts
from tfcompress.cli import main
from tfcompress.cli.entry import DONE, FAILED, USAGE
from tfcompress.datasets.drawn import draw_digits
from tfcompress.tflite.artifact import Artifact

ROOT = pathlib.Path(__file__).parents[2]
ASSETS = ROOT / "android_demo" / "app" / "src" / "main" / "assets" / "models"
MODEL = ROOT / "models" / "mnist" / "int8_ptq.tflite"


@pytest.fixture
def write_log(tmp_path, monkeypatch):
    """Writes the log of an app that saw these pictures."""
    monkeypatch.chdir(tmp_path)

    def write(x):
        artifact = Artifact.load(MODEL)
        outputs = artifact.predict(x)
        variant = {
            "name": "int8_ptq",
            "sha256": artifact.sha256,
            "count": len(x),
            "classes": np.bincount(outputs.argmax(-1), minlength=10).tolist(),
            "confidence": counts(confidences(outputs, "logits"), CONFIDENCE_EDGES),
            "latency_us": counts([70.0] * len(x), LATENCY_EDGES_US, open_end=True),
            "failures": 0,
        }
        log = {
            "schema": "tfcompress.monitor/1",
            "created": "2026-05-04T03:02:01Z",
            "generator": {"name": "tfcompress-android", "version": "0.1.0", "manifest_sha256": None},
            "device": {"name": "Phone 9", "system": "Android 16"},
            "runtime": {"name": "litert", "version": "2.3.0"},
            "confidence_edges": list(CONFIDENCE_EDGES),
            "latency_edges_us": list(LATENCY_EDGES_US),
            "days": [{"day": "2026-05-04", "variants": [variant]}],
        }
        pathlib.Path("log.json").write_text(json.dumps(log))

    return write


def run(*arguments):
    return main(["tfcompress", "monitor", "log.json", *arguments])


def test_digits_like_the_training_data_are_stable(write_log, mnist, capsys):
    write_log(mnist.x_test[:2000])
    assert run(f"--reference={ASSETS}") == DONE
    text = capsys.readouterr().out
    assert "Verdict: stable." in text and "50 to 100" in text


def test_noisy_digits_are_a_shift(write_log, capsys):
    x = draw_digits(train=1, test=300)[2]
    noise = np.random.default_rng(0).random(x.shape, np.float32)
    write_log(np.clip(0.5 * x + 0.5 * noise, 0, 1))
    assert run(f"--reference={ASSETS / 'manifest.json'}", "--svg=drift.svg") == DONE
    text = capsys.readouterr().out
    assert "Verdict: major shift." in text and "Wrote drift.svg" in text
    ElementTree.parse("drift.svg")


def test_a_reference_can_be_counted_from_data(write_log, capsys):
    x = draw_digits(train=600, test=1)[0]
    write_log(x[:300])
    np.savez("data.npz", x=np.rint(x[..., 0] * 255).astype(np.uint8))
    assert run("--data=data.npz", "--scale=1/255", f"--model={MODEL}") == DONE
    text = capsys.readouterr().out
    assert "600" in text and "shift." not in text.splitlines()[-1]
    other = MODEL.with_name("int8_qat.tflite")
    assert run("--data=data.npz", "--scale=1/255", f"--model={other}") == FAILED
    assert "int8_qat.tflite: the log has no answers of this file" in capsys.readouterr().err


def test_a_reference_can_be_counted_from_pictures(write_log, capsys):
    x = draw_digits(train=60, test=1)[0]
    write_log(x)
    pathlib.Path("digits").mkdir()
    for k, image in enumerate(np.rint(x[..., 0] * 255).astype(np.uint8)):
        Image.fromarray(image).save(f"digits/{k}.png")
    assert run("--data=digits", "--scale=1/255", f"--model={MODEL}") == DONE
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "classes" in line]
    assert rows[-1][2:5] == ["60", "60", "0.000"]  # the same pictures give the same classes


@pytest.mark.parametrize(
    "options", [[], ["--reference=a", "--data=b", "--model=c"], ["--data=b"], ["--reference=a", "--model=c"]]
)
def test_one_reference_must_be_given(write_log, options, capsys):
    write_log(draw_digits(train=1, test=1)[2])
    assert run(*options) == USAGE
    assert "--data" in capsys.readouterr().err


def test_other_files_are_refused(write_log, tmp_path, capsys):
    pathlib.Path("log.json").write_text('{"schema": "tfcompress.bench/1"}')
    assert run(f"--reference={ASSETS}") == FAILED
    assert "log.json: monitoring log: schema must be 'tfcompress.monitor/1'" in capsys.readouterr().err
