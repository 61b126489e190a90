"""Shows what the models answered: accuracy by class, confusions, answers that changed, wrong samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfcompress.evaluate.compare import Comparison
from tfcompress.evaluate.per_class import changes, class_accuracy, confusion_matrix, confusions, drawn
from tfcompress.report import model_charts
from tfcompress.report.images import pictures, thumbnail
from tfcompress.report.report import Report
from tfcompress.report.sections import Sample, signed

_FEW_CLASSES = 30  # that are all shown
_WORST = 15  # classes shown of more
_CONFUSIONS = 12  # most frequent ones
_SAMPLES = 24  # pictures or rows of each kind
_NAMES = ("class", "true", "predicted")  # columns of classes
_MODELS = 6  # columns of models that fit


@dataclass(frozen=True)
class Shown:
    """What is said of answers, and how.

    Attributes:
        comparison: Result of `tfc.compare`, with the answers.
        place: Row of the model the report is about.
        labels: Names of the classes; None shows the numbers.
        seed: Seed of the draw of samples.
    """

    comparison: Comparison
    place: int
    labels: Sequence[str] | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """The model's name."""
        return self.comparison.rows[self.place]["name"]

    @property
    def true(self) -> np.ndarray | None:
        """The right classes."""
        return self.comparison.answers.true

    @property
    def predicted(self) -> np.ndarray:
        """The classes that the model named."""
        return self.comparison.answers.predicted[self.place]

    @property
    def before(self) -> np.ndarray:
        """The classes that the original named."""
        return self.comparison.answers.predicted[0]

    def called(self, number: Any) -> str:
        """Returns the name of a class."""
        number = int(number)
        known = self.labels is not None and 0 <= number < len(self.labels)
        return str(self.labels[number]) if known else str(number)


def add_answers(report: Report, shown: Shown) -> None:
    """Adds accuracy by class, confusions, changed answers and samples, as far as labels are known.

    Args:
        report: Report to add to.
        shown: The answers, and what they are about.
    """
    if shown.true is not None:
        add_class_accuracy(report, shown)
        add_confusions(report, shown)
    add_changes(report, shown)
    if shown.comparison.answers.by_sample:
        add_changed_samples(report, shown)
        if shown.true is not None:
            add_wrong_samples(report, shown)


def add_class_accuracy(report: Report, shown: Shown) -> None:
    """Adds the accuracy of each class, by model; of more than 30 classes the worst ones and those that lost most.

    Args:
        report: Report to add to.
        shown: The answers, and what they are about.
    """
    rows, answers = shown.comparison.rows, shown.comparison.answers
    places = range(len(rows)) if len(rows) <= _MODELS else dict.fromkeys((0, shown.place))
    found = {p: class_accuracy(shown.true, answers.predicted[p]) for p in dict.fromkeys((*places, shown.place))}
    mine, first = found[shown.place], found[0]
    columns = {"class": "class", "samples": "samples"} | {str(p): rows[p]["name"] for p in places}
    columns |= {"points": "change, points"} if shown.place else {}

    def lines(classes: Sequence[int]) -> list[dict[str, Any]]:
        return [
            {"class": shown.called(c), "samples": mine[c][0], "points": signed(100 * (mine[c][1] - first[c][1]), 1)}
            | {str(p): f"{100 * found[p][c][1]:.1f} %" for p in places}
            for c in classes
        ]

    note = "Fraction of the samples of each class that got it. "
    note += f"Change: {shown.name} against {rows[0]['name']}. " if shown.place else ""
    if len(mine) <= _FEW_CLASSES:
        report.add_table("Accuracy by class", lines(list(mine)), columns=columns, note=note.strip(), texts=_NAMES)
        return
    worst = sorted((c for c in mine if mine[c][1] < 1), key=lambda c: mine[c][1])[:_WORST] or list(mine)[:1]
    values = np.array([share for _, share in mine.values()])
    note += (
        f"The {len(worst)} lowest of {len(mine):,} classes with {shown.name}; the median is {np.median(values):.1%}, "
        f"{int(np.sum(values == 1)):,} classes are all right."
    )
    report.add_table("Classes with the lowest accuracy", lines(worst), columns=columns, note=note, texts=_NAMES)
    lost = [c for c in mine if mine[c][1] < first[c][1]]
    lost = sorted(lost, key=lambda c: mine[c][1] - first[c][1])
    if lost:
        note = f"{len(lost):,} of {len(mine):,} classes lost accuracy against {rows[0]['name']}."
        report.add_table("Classes that lost most", lines(lost[:_WORST]), columns=columns, note=note, texts=_NAMES)


def add_confusions(report: Report, shown: Shown) -> None:
    """Adds the confusion matrix of the original and of the model, up to 30 classes, and the most frequent confusions.

    Args:
        report: Report to add to.
        shown: The answers, and what they are about.
    """
    answers = shown.comparison.answers
    if len(np.union1d(shown.true, np.concatenate([shown.predicted.ravel(), shown.before.ravel()]))) <= _FEW_CLASSES:
        for place in dict.fromkeys((0, shown.place)):
            classes, counts = confusion_matrix(shown.true, answers.predicted[place])
            name = shown.comparison.rows[place]["name"]
            drawing = model_charts.confusion(counts, [shown.called(c) for c in classes])
            note = "Number of samples; the colour is their share of the row, right answers green, wrong ones red."
            report.add_picture(f"Confusion matrix, {name}", drawing, note)
    found = confusions(shown.true, shown.predicted, _CONFUSIONS)
    if not found:
        return
    rows = [
        {
            "true": shown.called(row["true"]),
            "predicted": shown.called(row["predicted"]),
            "count": row["count"],
            "share": f"{row['share']:.1%}",
            "before": int(np.sum((shown.true == row["true"]) & (shown.before == row["predicted"]))),
        }
        for row in found
    ]
    columns = {"true": "right class", "predicted": "taken for", "count": "times", "share": "of the class"}
    columns |= {"before": f"times, {shown.comparison.rows[0]['name']}"} if shown.place else {}
    note = f"Answers of {shown.name}, the most frequent first."
    report.add_table("Most frequent confusions", rows, columns=columns, note=note, texts=_NAMES)


def add_changes(report: Report, shown: Shown) -> None:
    """Adds how many answers of each file differ from the original's, and which of them were right.

    Args:
        report: Report to add to.
        shown: The answers, and what they are about.
    """
    answers, rows = shown.comparison.answers, []
    for row, predicted in zip(shown.comparison.rows[1:], answers.predicted[1:], strict=True):
        found = changes(answers.predicted[0], predicted, answers.true)
        rows.append({"name": row["name"], **{kind: int(flags.sum()) for kind, flags in found.items()}})
    if not rows:
        return
    titles = {"name": "model", "changed": "changed", "lost": "right before, wrong now"}
    titles |= {"won": "wrong before, right now", "other": "another wrong class"}
    what = "samples" if answers.by_sample else "answers"
    report.add_table(
        "Changed answers",
        rows,
        columns={key: title for key, title in titles.items() if key in rows[0]},
        highlight=shown.place - 1 if shown.place else None,
        note=f"Of {answers.predicted[0].size:,} {what}, against {shown.comparison.rows[0]['name']}.",
    )


def add_changed_samples(report: Report, shown: Shown) -> None:
    """Adds samples that the model answers differently from the original: pictures, or a table of other inputs.

    Args:
        report: Report to add to.
        shown: The answers, and what they are about.
    """
    found = changes(shown.before, shown.predicted, shown.true)
    rows = drawn(np.flatnonzero(found["changed"]), _SAMPLES, shown.seed)
    if not len(rows):
        return
    kinds = [
        next((k for k, name in (("lost", "bad"), ("won", "good")) if k in found and found[k][i]), "") for i in rows
    ]
    note = _how_many(len(rows), int(found["changed"].sum()), f"samples that {shown.name} answers differently")
    said = [(f"{shown.called(shown.before[i])} → {shown.called(shown.predicted[i])}", *_right(shown, i)) for i in rows]
    framed = [{"lost": "bad", "won": "good"}.get(kind, "") for kind in kinds]
    _add_samples(report, "Samples that changed", shown, rows, said, framed, note)


def add_wrong_samples(report: Report, shown: Shown) -> None:
    """Adds samples that the model answers wrongly: pictures, or a table of other inputs.

    Args:
        report: Report to add to.
        shown: The answers, and what they are about; labels must be known.
    """
    wrong = np.flatnonzero(shown.predicted != shown.true)
    rows = drawn(wrong, _SAMPLES, shown.seed)
    if not len(rows):
        return
    note = _how_many(len(rows), len(wrong), f"samples that {shown.name} answers wrongly")
    said = [(f"{shown.called(shown.predicted[i])}, not {shown.called(shown.true[i])}",) for i in rows]
    _add_samples(report, "Wrong samples", shown, rows, said, ["bad"] * len(rows), note)


def _add_samples(report, title, shown: Shown, rows: np.ndarray, said, kinds, note: str) -> None:
    inputs = shown.comparison.answers.inputs
    images = None if inputs is None else pictures(inputs, rows)
    if images is not None:
        samples = [
            Sample(f"sample {row}", lines, thumbnail(image), kind)
            for row, lines, image, kind in zip(rows, said, images, kinds, strict=True)
        ]
        report.add_gallery(title, samples, note)
        return
    cells = [{"sample": str(row), **_answered(shown, row)} for row in rows]
    report.add_table(title, cells, columns={key: key for key in cells[0]}, note=note, texts=tuple(cells[0]))


def _answered(shown: Shown, row: int) -> dict[str, str]:
    cells = {} if shown.true is None else {"right class": shown.called(shown.true[row])}
    if shown.place:
        cells[shown.comparison.rows[0]["name"]] = shown.called(shown.before[row])
    return cells | {shown.name: shown.called(shown.predicted[row])}


def _right(shown: Shown, row: int) -> tuple[str, ...]:
    return () if shown.true is None else (f"right: {shown.called(shown.true[row])}",)


def _how_many(count: int, of: int, what: str) -> str:
    return f"All {of:,} {what}." if count == of else f"{count:,} of {of:,} {what}, drawn at random."
