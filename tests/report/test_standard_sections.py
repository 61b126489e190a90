"""Chapters show what the comparison and the file hold, for the model they were asked about."""

from tfcompress.evaluate.compare import compare
from tfcompress.report import standard_sections
from tfcompress.report.report import Report
from tfcompress.report.standard_sections import Contents, Curves, add_standard_sections
from tfcompress.tflite.artifact import Artifact


def section(report, title):
    return next(part for part in report.sections if part.title == title)


def titles(contents):
    report = Report("T")
    add_standard_sections(report, contents)
    return [part.title for part in report.sections]


def test_what_is_missing_has_no_section():
    assert titles(Contents()) == []


def test_sections_stand_in_reading_order(made):
    model, artifact, x, y = made
    compared = compare(model, {"int8": artifact}, (x, y), latency=False, verbose=0)
    contents = Contents(
        command="tfcompress demo",
        seconds={"training": 1.0},
        plan="conv",
        recipe="Prune(0.5)",
        artifact=artifact,
        curves=[Curves("Loss", {"loss": [2.0, 1.0]})],
        measured_elsewhere=[lambda report: report.add_text("On a phone", "fast")],
        comparison=compared,
        highlight="int8",
        warnings=["Drawn digits."],
        facts={"File": "9,000 B"},
    )
    whole = titles(contents)
    wanted = ["", "", "", "Models", "Against the original", "Accuracy against bytes", "On a phone"]
    wanted += ["Accuracy by class", "Confusion matrix, original", "Confusion matrix, int8", "Most frequent confusions"]
    wanted += ["Changed answers", "Wrong samples", "Fidelity", "Parity", "Loss", "Zeros by kernel", "Ranges by layer"]
    wanted += ["Kernels in the file", "Recipe", "What was done to each weight and activation", "Where the time went"]
    wanted += ["How to repeat", "Where and with what"]
    assert whole == wanted


def test_the_verdict_comes_before_everything_else(made):
    model, artifact, x, y = made
    compared = compare(model, {"int8": artifact}, (x, y), latency=False, verbose=0)
    report = Report("T")
    add_standard_sections(report, Contents(comparison=compared))
    verdict, facts = report.sections[:2]
    assert verdict.lead and verdict.paragraphs == (compared.verdict("int8"),)
    html = report.html()
    assert html.index(compared.verdict("int8").replace(" %", "\u00a0%")) < html.index("<nav") < html.index("<main>")
    figures = {name: figure for name, figure, _ in facts.values}
    assert figures["File"] == f"{artifact.size:,} B" and figures["Accuracy"] == "90.00%"


def test_every_report_of_a_file_says_how_the_shape_was_changed(made):
    rows = [
        {"technique": "PruneChannels", "layer": "conv", "what": "channels cut", "before": 4, "after": 3},
        {"technique": "PruneChannels", "layer": "head", "reason": "it makes the output"},
    ]
    artifact = Artifact(made[1].content, {**made[1].metadata, "surgery": rows})
    report = Report("T")
    add_standard_sections(report, Contents(artifact=artifact))
    table = section(report, "Changes of the network's shape")
    assert [row[:3] for row in table.cells] == [
        ("prune channels", "conv", "channels cut"),
        ("prune channels", "head", "left: it makes the output"),
    ]
    assert "surgery" not in report.text().lower() and "PruneChannels" not in report.text()
    found = titles(Contents(artifact=artifact))
    assert found[2:4] == ["What is left of each layer", "Changes of the network's shape"]
    assert "Changes of the network's shape" not in titles(Contents(artifact=made[1]))


def test_a_section_is_one_function(monkeypatch):
    def memory(report, contents):
        report.add_text("Memory", "12 kB")

    monkeypatch.setattr(standard_sections, "SECTIONS", [*standard_sections.SECTIONS, memory])
    assert titles(Contents()) == ["Memory"]
