"""Drawings are valid XML, carry their words, and axes map ends to ends."""

import xml.etree.ElementTree as ET

import pytest

from tfcompress.report.svg import COLORS, Axis, Canvas


def drawn():
    canvas = Canvas(200, 100)
    canvas.text(1, 2, 'a < b & "c"', bold=True, halo=True)
    canvas.line([(0, 0), (10, 10)], dash="2 2")
    canvas.rect(0, 0, -5, 10, title="<none>")
    canvas.rect(0, 0, 5, 10, outline=2)
    canvas.circle(5, 5, 2, color="series0", hollow=True, title="dot & ring")
    canvas.text(1, 2, "up & down", turn=-90)
    canvas.rect(0, 0, 4, 4, opacity=0.5)
    return canvas.picture('words "quoted" <b>')


def test_is_valid_xml_with_escaped_words():
    root = ET.fromstring(drawn().svg)
    assert root.get("viewBox") == "0 0 200 100"
    assert root.get("aria-label") == 'words "quoted" <b>'
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    titles = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert texts == ['a < b & "c"', "up & down"] and titles == ["<none>", "dot & ring"]


def test_a_negative_width_is_drawn_as_nothing():
    rects = ET.fromstring(drawn().svg).findall("{http://www.w3.org/2000/svg}rect")
    assert [rect.get("width") for rect in rects] == ["0.0", "5.0", "4.0"]


def test_a_turned_line_and_a_pale_box():
    root = ET.fromstring(drawn().svg)
    assert root.findall("{http://www.w3.org/2000/svg}text")[1].get("transform") == "rotate(-90 1.0 2.0)"
    assert "fill-opacity:0.500" in root.findall("{http://www.w3.org/2000/svg}rect")[2].get("style")


def test_every_colour_can_be_changed_by_the_page():
    svg = drawn().svg
    for value in COLORS.values():
        assert svg.count(value) == svg.count(f", {value})")


def test_save_writes_what_is_shown(tmp_path):
    picture = drawn()
    picture.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == picture.svg == picture._repr_svg_()
    with pytest.raises(FileNotFoundError):
        picture.save(tmp_path / "none" / "a.svg")


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("low,high", [(1.0, 10.0), (0.03, 7000.0), (9_812.0, 326_000.0)])
def test_axis_maps_ends_to_ends_and_ticks_lie_between(low, high, log):
    axis = Axis(low, high, 300, 20, log=log)
    assert axis(low) == pytest.approx(300) and axis(high) == pytest.approx(20)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 12
    assert ticks == sorted(ticks) and low <= ticks[0] and ticks[-1] <= high * (1 + 1e-9)


def test_ticks_are_round():
    assert Axis(0, 1, 0, 1).ticks(5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Axis(-14, 17.5, 0, 1).ticks(6) == [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0]
    assert Axis(4_000, 60_000, 0, 1, log=True).ticks() == [5_000, 10_000, 20_000, 50_000]


def test_an_axis_without_extent_puts_all_in_the_middle():
    assert Axis(3, 3, 0, 100)(3) == 50
