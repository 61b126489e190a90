"""What a report says of the answers is counted here from the answers themselves."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tfcompress.evaluate.compare import COLUMNS, Comparison
from tfcompress.evaluate.per_class import Answers
from tfcompress.report.report import Report
from tfcompress.report.sections import Gallery, Table
from tfcompress.report.standard.answers import Shown, add_answers


def shown(classes=5, count=400, labels=None, inputs=None, true=True, others=0, **options):
    """Answers of two models and more; the first is right more often."""
    rng = np.random.default_rng(0)
    right = rng.integers(0, classes, count)
    predicted = [
        np.where(rng.random(count) < share, right, rng.integers(0, classes, count))
        for share in (0.8, 0.7, *[0.6] * others)
    ]
    names = ["original", *(f"file {i}" for i in range(others)), "int8"]
    predicted = [predicted[0], *predicted[2:], predicted[1]]
    answers = Answers(tuple(predicted), right if true else None, classes, inputs)
    comparison = Comparison([{**dict.fromkeys(COLUMNS), "name": name} for name in names], answers=answers)
    return Shown(comparison, len(names) - 1, labels, **options)


def sections(about):
    report = Report("T")
    add_answers(report, about)
    report.html()  # is rendered without an error
    report.text()
    return {part.title: part for part in report.sections}


def table(part):
    assert isinstance(part, Table)
    return [dict(zip(part.header, row, strict=True)) for row in part.cells]


def test_every_class_has_its_accuracy():
    about = shown(labels=["cat", "dog", "cow", "owl", "bee"])
    rows = table(sections(about)["Accuracy by class"])
    assert [row["class"] for row in rows] == ["cat", "dog", "cow", "owl", "bee"]
    for c, row in enumerate(rows):
        of = about.true == c
        before, now = np.mean(about.before[of] == c), np.mean(about.predicted[of] == c)
        assert row["samples"] == f"{of.sum()}"
        assert row["original"] == f"{100 * before:.1f} %" and row["int8"] == f"{100 * now:.1f} %"
        assert float(row["change, points"]) == pytest.approx(100 * (now - before), abs=0.051)


def test_of_many_classes_the_worst_and_those_that_lost_most_are_shown():
    about = shown(classes=1000, count=5000)
    found = sections(about)
    share = {c: np.mean(about.predicted[about.true == c] == c) for c in np.unique(about.true)}
    before = {c: np.mean(about.before[about.true == c] == c) for c in np.unique(about.true)}
    worst = table(found["Classes with the lowest accuracy"])
    assert len(worst) == 15
    assert [row["int8"] for row in worst] == [f"{100 * value:.1f} %" for value in sorted(share.values())[:15]]
    assert all(row["int8"] == f"{100 * share[int(row['class'])]:.1f} %" for row in worst)
    lost = table(found["Classes that lost most"])
    steps = sorted(share[c] - before[c] for c in share)
    assert [float(row["change, points"]) for row in lost] == pytest.approx([100 * s for s in steps[:15]], abs=0.051)
    note = found["Classes that lost most"].note
    assert note.startswith(f"{sum(s < 0 for s in steps):,} of {len(share):,} classes")
    assert "Accuracy by class" not in found and not any(title.startswith("Confusion matrix") for title in found)


def test_confusions_are_the_most_frequent_ones():
    about = shown()
    found = sections(about)
    assert {"Confusion matrix, original", "Confusion matrix, int8"} <= set(found)
    rows = table(found["Most frequent confusions"])
    counts = {
        (i, j): int(np.sum((about.true == i) & (about.predicted == j))) for i in range(5) for j in range(5) if i != j
    }
    assert [int(row["times"]) for row in rows] == sorted(counts.values(), reverse=True)[:12]
    for row in rows:
        pair = int(row["right class"]), int(row["taken for"])
        assert int(row["times"]) == counts[pair]
        assert row["of the class"] == f"{counts[pair] / np.sum(about.true == pair[0]):.1%}"
        assert int(row["times, original"]) == np.sum((about.true == pair[0]) & (about.before == pair[1]))
    right = int(np.sum((about.true == 2) & (about.predicted == 2)))
    assert f"2 {right} of {np.sum(about.true == 2)} right" in found["Confusion matrix, int8"].picture.description


def test_changed_answers_are_counted_for_every_file():
    about = shown(others=2)
    rows = table(sections(about)["Changed answers"])
    assert [row["model"] for row in rows] == ["file 0", "file 1", "int8"]
    for row, predicted in zip(rows, about.comparison.answers.predicted[1:], strict=True):
        changed = predicted != about.before
        assert int(row["changed"]) == changed.sum()
        assert int(row["right before, wrong now"]) == np.sum(changed & (about.before == about.true))
        assert int(row["wrong before, right now"]) == np.sum(changed & (predicted == about.true))
        assert int(row["another wrong class"]) == np.sum(
            changed & (about.before != about.true) & (predicted != about.true)
        )


def test_many_models_leave_room_for_the_original_and_the_one_asked_about():
    assert sections(shown(others=8))["Accuracy by class"].header == (
        "class",
        "samples",
        "original",
        "int8",
        "change, points",
    )


def test_wrong_and_changed_samples_are_pictures_of_the_inputs():
    x = np.random.default_rng(1).integers(0, 256, (400, 8, 8, 1)).astype(np.uint8)
    about = shown(inputs=x, labels=["cat", "dog", "cow", "owl", "bee"])
    found = sections(about)
    wrong = found["Wrong samples"]
    assert isinstance(wrong, Gallery) and len(wrong.samples) == 24
    assert wrong.note.startswith(f"24 of {np.sum(about.predicted != about.true)} samples")
    for sample in wrong.samples:
        row = int(sample.name.removeprefix("sample "))
        assert about.predicted[row] != about.true[row] and sample.kind == "bad"
        assert sample.said == (f"{about.called(about.predicted[row])}, not {about.called(about.true[row])}",)
        stored = np.asarray(Image.open(io.BytesIO(base64.b64decode(sample.png))))
        np.testing.assert_array_equal(stored, x[row, ..., 0])
    for sample in found["Samples that changed"].samples:
        row = int(sample.name.removeprefix("sample "))
        before, now, right = (about.called(v[row]) for v in (about.before, about.predicted, about.true))
        assert before != now and sample.said == (f"{before} → {now}", f"right: {right}")
        assert sample.kind == ("bad" if before == right else "good" if now == right else "")
    again = sections(shown(inputs=x, seed=0))["Wrong samples"]
    assert [s.name for s in again.samples] == [s.name for s in wrong.samples]
    assert [s.name for s in sections(shown(inputs=x, seed=1))["Wrong samples"].samples] != [
        s.name for s in wrong.samples
    ]


def test_other_inputs_are_shown_by_their_number():
    about = shown(inputs=np.zeros((400, 12)))
    rows = table(sections(about)["Wrong samples"])
    assert len(rows) == 24
    for row in rows:
        i = int(row["sample"])
        assert (row["right class"], row["original"], row["int8"]) == tuple(
            str(v[i]) for v in (about.true, about.before, about.predicted)
        )
        assert row["int8"] != row["right class"]


def test_without_labels_only_changes_are_known():
    found = sections(shown(true=False))
    assert set(found) == {"Changed answers", "Samples that changed"}
    assert found["Changed answers"].header == ("model", "changed")


def test_pixels_have_classes_but_are_no_samples():
    rng = np.random.default_rng(0)
    right = rng.integers(0, 3, (4, 6, 6))
    answers = Answers((right, (right + (rng.random((4, 6, 6)) < 0.2)) % 3), right, 3, np.zeros((4, 6, 6, 3)))
    rows = [{**dict.fromkeys(COLUMNS), "name": name} for name in ("original", "int8")]
    found = sections(Shown(Comparison(rows, answers=answers), 1))
    assert "Accuracy by class" in found and not {"Wrong samples", "Samples that changed"} & set(found)
    assert "Of 144 answers" in found["Changed answers"].note
