"""Text and page hold the same facts; the page is well-formed, self-contained and escaped."""

import html.parser
import re

import numpy as np
import pytest

from tfcompress.report import charts
from tfcompress.report.report import Report
from tfcompress.report.sections import Sample

VOID = {"wbr", "meta", "img", "br", "hr", "link", "input"}


class Structure(html.parser.HTMLParser):
    """Checks that every element is closed in order, and collects ids, links and text."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.words, self.tags = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[name] for name in ("href", "src") if name in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def report():
    made = Report("Model <small> & proud", "drawn digits")
    made.add_facts({"accuracy": ("99.12 %", "teacher 99.39 %"), "file": "9,812 B"})
    made.add_warning("Not measured on <MNIST>.")
    made.add_table(
        "Models",
        [{"name": "a|b", "bytes": 9812, "ok": True}, {"name": "c", "bytes": None, "p": 0.5}],
        highlight=0,
        note="Sizes of files.",
    )
    made.add_picture("Zeros", charts.bars({"conv": 0.5}, quantity="zeros"), "Of each kernel.")
    made.add_picture("Loss", charts.curves({"loss": [2.0, 1.0]}))
    made.add_text("How", ["First.", "Second."])
    made.add_text("Plan", "layer   action\nconv    Prune", verbatim=True)
    return made


def parsed(report):
    structure = Structure()
    structure.feed(report.html())
    structure.close()
    assert structure.open == []
    return structure


def test_the_page_is_well_formed_and_complete(report):
    structure = parsed(report)
    words = "".join(structure.words)
    for expected in (
        "Model <small> & proud",
        "99.12 %",
        "Not measured on <MNIST>.",
        "9,812",
        "a|b",
    ):
        assert expected in words
    assert structure.tags.count("svg") == 2 and structure.tags.count("table") == 1
    assert "small" not in structure.tags and "mnist" not in structure.tags


def test_the_page_needs_nothing_from_outside(report):
    structure = parsed(report)
    anchors = [link for link in structure.links if link.startswith("#")]
    assert structure.links == anchors  # no address but the contents' own anchors
    assert {anchor[1:] for anchor in anchors} <= set(structure.ids)
    assert len(structure.ids) == len(set(structure.ids))
    page = report.html()
    assert not {"script", "link", "iframe", "img"} & set(structure.tags)
    assert not re.search(r"url\(|@import", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_light_and_dark(report):
    assert "prefers-color-scheme: dark" in report.html()


def test_text_and_page_tell_the_same(report):
    text, words = report.text(), "".join(parsed(report).words)
    for section in report.sections:
        assert section.title in text and section.title in words
    for figure in (
        "99.12 %",
        "teacher 99.39 %",
        "9,812",
        "0.5000",
        "yes",
        "First.",
        "Of each kernel.",
    ):
        assert figure in text and figure in words
    assert "! Not measured on <MNIST>." in text
    assert "zeros: conv 50.0%." in text  # the picture in words
    assert "layer   action\nconv    Prune" in text


def test_text_lines_are_not_too_long(report):
    report.add_text("Long", "word " * 200)
    assert max(map(len, report.text().splitlines())) <= 100


def test_the_chosen_row_stands_out(report):
    assert "> a|b" in report.text()
    assert report.html().count('<tr class="chosen">') == 1


def test_headings_break_in_names_only():
    made = Report("T")
    made.add_table("A", [{"encoder/int8_pruned.tflite": "x", "R&D": "y"}])
    assert "encoder/<wbr>int8_<wbr>pruned.<wbr>tflite" in made.html() and ">R&amp;D</th>" in made.html()
    assert "".join(parsed(made).words).count("encoder/int8_pruned.tflite") == 1


def test_a_row_too_wide_for_a_phone_becomes_a_card():
    made = Report("T")
    made.add_table("A", [{f"column {i}": 123_456 for i in range(8)}])
    made.add_table("B", [{"a": 1, "b": 2}])
    page = made.html()
    assert page.count('<table class="cards" role="table">') == 1 and page.count("<table>") == 1
    assert page.count('data-label="column 7"') == 1
    parsed(made)


def test_a_gallery_holds_its_pictures(report):
    report.add_gallery("Wrong", [Sample("sample 3", ("cat, not dog",), "iVBORw0KGgo=", "bad")], "1 of 9.")
    page, text = report.html(), report.text()
    assert '<li class="bad"><img src="data:image/png;base64,iVBORw0KGgo=" alt="">' in page
    assert "sample 3: cat, not dog" in text and "1 of 9." in text and "1 of 9." in page
    with pytest.raises(ValueError, match="needs samples"):
        report.add_gallery("None", [])


def test_a_verdict_stands_above_the_contents(report):
    made = Report("T")
    made.add_verdict("int8: accuracy 98.10 %")
    for title in "ABCD":
        made.add_text(title, "text")
    page = made.html()
    assert page.index("98.10\u00a0%") < page.index("<nav") and "98.10 %" in made.text()


def test_names_are_no_numbers():
    made = Report("T")
    made.add_table("A", [{"class": "7", "share": "7.5 %"}], texts=("class",))
    assert made.sections[0].numeric == (False, True)


def test_numpy_numbers_and_columns_by_key():
    report = Report("T")
    rows = [{"n": np.int64(12_345), "share": np.float32(0.25), "hidden": 1}]
    report.add_table("A", rows, columns={"share": "part", "n": "count"}, digits={"share": 2})
    table = report.sections[0]
    assert table.header == ("part", "count") and table.cells == (("0.25", "12,345"),)
    assert table.numeric == (True, True)


def test_save_writes_both_and_makes_the_folder(report, tmp_path):
    page, text = report.save(tmp_path / "new" / "out")
    assert page.read_text(encoding="utf-8") == report.html()
    assert text.read_text(encoding="utf-8") == report.text()
    assert sorted(file.name for file in page.parent.iterdir()) == ["report.html", "report.txt"]


def test_anything_with_savefig_is_embedded(report):
    class Plot:
        """Writes SVG as matplotlib does: with a prologue that HTML may not hold."""

        def savefig(self, stream, format, bbox_inches, metadata):
            assert format == "svg" and metadata == {"Date": None}
            stream.write(b'<?xml version="1.0"?><!DOCTYPE svg><svg viewBox="0 0 1 1"></svg>\n')

    report.add_picture("Plot", Plot())
    assert '<svg viewBox="0 0 1 1"></svg>' in report.html()
    assert "<?xml" not in report.html()
    with pytest.raises(TypeError, match="matplotlib figure. Received: str"):
        report.add_picture("Plot", "plot.png")


def test_a_real_matplotlib_figure(report):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    figure.subplots().plot([1, 2, 3])
    report.add_picture("Plot", figure)
    assert parsed(report).tags.count("svg") == 3


def test_refusals(report):
    with pytest.raises(ValueError, match="rows must not be empty"):
        report.add_table("A", [])
    with pytest.raises(ValueError, match=r"highlight must be a row's index, 0\.\.0. Received: 1"):
        report.add_table("A", [{"a": 1}], highlight=1)
    with pytest.raises(ValueError, match=r"no row has \['b'\]"):
        report.add_table("A", [{"a": 1}], columns={"b": "B"})
    with pytest.raises(ValueError, match="values must not be empty"):
        report.add_facts({})
    with pytest.raises(ValueError, match="title must not be empty"):
        Report("")
