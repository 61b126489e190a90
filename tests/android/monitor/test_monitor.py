"""Use like the reference is stable, other use is a shift, little use is neither; the text says all of it."""

import json
import pathlib
import re

import numpy as np
import pytest

from tfcompress.android.monitor.log import MonitorLog
from tfcompress.android.monitor.monitor import VERDICTS, Reference, monitor, reference, references_of
from tfcompress.tflite.artifact import Artifact

ASSETS = pathlib.Path(__file__).parents[3] / "android_demo" / "app" / "src" / "main" / "assets" / "models"


def known(classes, confidence, edges=(0.0, 0.5, 1.0)):
    return {"int8": Reference("test data", "ab" * 32, classes, confidence, edges)}


def verdicts(found):
    return {drift.histogram: drift.verdict for drift in found.drifts}


def test_use_like_the_training_data_is_stable(monitor_log):
    found = monitor(MonitorLog(monitor_log), known((1000, 1000, 1000), (300, 2700)))
    assert verdicts(found) == {"classes": "stable", "confidence": "stable"} and found.verdict == "stable"
    assert [drift.index for drift in found.drifts] == pytest.approx([0, 0], abs=1e-4)


def test_a_shift_is_seen_in_its_histogram(monitor_log):
    found = monitor(MonitorLog(monitor_log), known((1000, 1000, 1000), (2700, 300)))
    assert verdicts(found) == {"classes": "stable", "confidence": "major shift"} and found.verdict == "major shift"
    found = monitor(MonitorLog(monitor_log), known((450, 950, 1600), (300, 2700)))
    assert verdicts(found)["classes"] == "moderate shift" == found.verdict


def test_few_answers_give_no_verdict_unless_they_are_far_off(monitor_log):
    references = {"float32": Reference("test data", "ab" * 32, (1000, 1000, 1000), (300, 2700), (0.0, 0.5, 1.0))}
    found = monitor(MonitorLog(monitor_log), references)
    assert set(verdicts(found).values()) == {"too few answers to tell"} and found.verdict == "too few answers to tell"
    variant = monitor_log["days"][1]["variants"][1]
    variant |= {"classes": [0, 0, 20], "count": 20, "confidence": [20, 0], "latency_us": [20, 0]}
    assert monitor(MonitorLog(monitor_log), references).verdict == "major shift"


def test_random_use_of_the_same_distribution_is_rarely_called_a_shift(monitor_log):
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(200):
        count = int(rng.integers(20, 2000))
        classes, confidence = rng.multinomial(count, [1 / 3] * 3), rng.multinomial(count, [0.1, 0.9])
        monitor_log["days"][0]["variants"][0] |= {
            "count": count,
            "classes": classes.tolist(),
            "confidence": confidence.tolist(),
            "latency_us": [count, 0],
        }
        monitor_log["days"] = monitor_log["days"][:1]
        found = monitor(MonitorLog(monitor_log), known((10000, 10000, 10000), (3000, 27000)))
        called += "shift" in found.verdict
    assert called <= 20  # two histograms, each one in twenty times at most


def test_the_text_says_use_thresholds_sources_and_verdict(monitor_log):
    text = monitor(MonitorLog(monitor_log), known((1000, 1000, 1000), (2700, 300))).text()
    for said in (
        "Phone 9, Android 16; litert 2.3.0; 2026-05-04 to 2026-05-05, 2 days",
        "Siddiqi 2006",
        "from 0.10 a moderate, from 0.25 a major shift",
        "Lin 1991",
        "Yurdakul 2018",
        "float32: there is no reference for it.",
        "Verdict: major shift.",
    ):
        assert said in text
    assert re.search(r"int8 +600 +2 +0 to 100 +0 to 100\n", text)
    assert re.search(r"float32 +4 +0 +100 and more +100 and more\n", text)


def test_what_does_not_belong_together_is_refused(monitor_log):
    log = MonitorLog(monitor_log)
    with pytest.raises(ValueError, match="other edges"):
        monitor(log, known((1, 1, 1), (1, 2), (0.0, 0.6, 1.0)))
    with pytest.raises(ValueError, match="3 classes in the log and 2"):
        monitor(log, known((1, 1), (1, 1)))
    with pytest.raises(ValueError, match="no variant of the log has a reference"):
        monitor(log, {"other": known((1, 1, 1), (1, 2))["int8"]})


def test_another_file_and_no_answers_are_noted(monitor_log):
    first = known((1000, 1000, 1000), (300, 2700))["int8"]
    other = Reference("test data", "cd" * 32, first.classes, first.confidence, first.confidence_edges)
    assert "log is of another file" in monitor(MonitorLog(monitor_log), {"int8": other}).notes[0]
    empty = {"classes": [0, 0, 0], "confidence": [0, 0], "latency_us": [0, 0], "count": 0}
    for day in monitor_log["days"]:
        day["variants"][0] |= empty
    found = monitor(MonitorLog(monitor_log), {"int8": first})
    assert found.drifts == () and found.verdict == VERDICTS[1]
    assert "int8: it has not answered yet." in found.text()


def test_references_stand_in_the_manifest():
    found = references_of(ASSETS)
    assert found == references_of(ASSETS / "manifest.json")
    document = json.loads((ASSETS / "manifest.json").read_text())
    assert list(found) == [model["id"] for model in document["models"]]
    for name, one in found.items():
        assert sum(one.classes) == sum(one.confidence) > 1000, name
    assert found["int8_compressed"].sha256 == found["int8_compressed_encrypted"].sha256


def test_a_manifest_without_references_is_refused(tmp_path):
    document = json.loads((ASSETS / "manifest.json").read_text())
    for model in document["models"]:
        model["reference_histogram"] = None
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match="manifest.json: no variant has a reference histogram"):
        references_of(tmp_path)
    path.write_text("{}")
    with pytest.raises(ValueError, match="the key 'schema' is missing"):
        references_of(path)
    with pytest.raises(FileNotFoundError):
        references_of(tmp_path / "none.json")


def test_a_reference_is_counted_from_data(net_files, net_images):
    artifact = Artifact(net_files[1])
    found = reference(artifact, net_images, "probabilities", (0.0, 0.5, 1.0), "noise")
    outputs = artifact.predict(net_images)
    assert found.classes == tuple(np.bincount(outputs.argmax(-1), minlength=3))
    assert found.confidence == (int((outputs.max(-1) < 0.5).sum()), int((outputs.max(-1) >= 0.5).sum()))
    assert found.sha256 == artifact.sha256 and found.data == "noise"
