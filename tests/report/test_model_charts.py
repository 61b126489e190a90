"""Latency bars are as long as the times; cells of a confusion matrix hold their counts."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tfcompress.report import model_charts

SVG = "{http://www.w3.org/2000/svg}"


def nodes(picture, tag):
    return list(ET.fromstring(picture.svg).iter(SVG + tag))


def titled(picture):
    return {node[0].text: node for node in nodes(picture, "rect") if len(node)}


def test_latency_bars_begin_at_zero():
    picture = model_charts.latency(
        {"float32": {"p50_us": 40.0, "p90_us": 50.0}, "int8": {"p50_us": 10.0, "p90_us": 11.0}}, highlight="int8"
    )
    bars = {title.split()[0]: node for title, node in titled(picture).items()}
    wide, narrow = (float(bars[name].get("width")) for name in ("float32", "int8"))
    assert wide == pytest.approx(4 * narrow, abs=0.3) and bars["float32"].get("x") == bars["int8"].get("x")
    assert {"0", "40.0", "10.0", "µs"} <= {node.text for node in nodes(picture, "text")}
    assert "int8 10.0 µs, 90 % of the runs within 11.0 µs" in picture.description
    # The line goes on to the 90th percentile: of float32 a quarter of its bar.
    lines = [re.findall(r"[\d.]+", node.get("points")) for node in nodes(picture, "polyline")]
    spans = [float(x1) - float(x0) for x0, y0, x1, y1 in lines if y0 == y1]
    assert spans[0] == pytest.approx(wide / 4, abs=0.3)


def test_long_times_are_milliseconds():
    picture = model_charts.latency({"a": {"p50_us": 20_000.0, "p90_us": 25_000.0}})
    assert "a 20.0 ms, 90 % of the runs within 25.0 ms" in picture.description
    with pytest.raises(ValueError, match="latency: needs"):
        model_charts.latency({})


def test_cells_hold_the_counts_and_colour_their_share():
    counts = np.array([[8, 2, 0], [0, 5, 5], [1, 0, 3]])
    picture = model_charts.confusion(counts, ["cat", "dog", "<owl>"])
    cells = titled(picture)
    assert "dog: 5 of 10 taken for <owl>" in cells and "cat: 2 of 10 taken for dog" in cells
    assert len(cells) == np.count_nonzero(counts)
    strength = {title: float(re.search(r"opacity:([\d.]+)", cell.get("style"))[1]) for title, cell in cells.items()}
    step = strength["dog: 5 of 10 taken for <owl>"] - strength["cat: 2 of 10 taken for dog"]
    assert step == pytest.approx(
        strength["cat: 8 of 10 taken for cat"] - strength["dog: 5 of 10 taken for dog"], abs=2e-3
    )
    texts = [node.text for node in nodes(picture, "text")]
    assert sorted(int(text) for text in texts if text.isdigit()) == sorted(counts[counts > 0].tolist())
    assert picture.description == (
        "confusion matrix: cat 8 of 10 right (2 dog), dog 5 of 10 right (5 <owl>), <owl> 3 of 4 right (1 cat)."
    )


def test_names_of_many_classes_stand_upright():
    names = [f"class number {i}" for i in range(30)]
    turned = [
        node for node in nodes(model_charts.confusion(np.eye(30, dtype=int), names), "text") if node.get("transform")
    ]
    assert [node.text for node in turned] == names


@pytest.mark.parametrize(
    ("counts", "names"), [(np.zeros((2, 3)), ["a", "b"]), (np.zeros((2, 2)), ["a"]), (np.zeros((0, 0)), [])]
)
def test_a_matrix_without_a_name_for_each_class_is_refused(counts, names):
    with pytest.raises(ValueError, match="confusion: needs counts"):
        model_charts.confusion(counts, names)
