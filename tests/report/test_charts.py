"""Charts show the numbers they got: lengths in proportion, places in order, mistakes marked."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from tfcompress.report import charts, model_charts

SVG = "{http://www.w3.org/2000/svg}"


def nodes(picture, tag):
    return list(ET.fromstring(picture.svg).iter(SVG + tag))


def titled(picture, tag):
    """Elements by their title."""
    return {node[0].text: node for node in nodes(picture, tag) if len(node)}


POINTS = [
    {"name": "float", "bytes": 326_000, "accuracy": 0.9939, "gzip": 301_000},
    {"name": "int8", "bytes": 9_812, "accuracy": 0.9912, "gzip": 6_004},
    {"name": "int8 same place", "bytes": 9_812, "accuracy": 0.9912},
]


def test_tradeoff_places_smaller_left_and_better_up():
    picture = charts.tradeoff(POINTS, highlight="int8")
    dots = [node for node in nodes(picture, "circle") if node.get("r") == "6"]
    place = {node[0].text.split(" 99")[0]: node for node in dots}
    assert float(place["int8"].get("cx")) < float(place["float"].get("cx"))
    assert float(place["int8"].get("cy")) > float(place["float"].get("cy"))  # y grows downwards
    assert place["int8"].get("cx") == place["int8 same place"].get("cx")
    assert len(nodes(picture, "circle")) == 5  # three files, two of them also gzipped
    assert "int8 99.12 % at 9,812 B (6,004 B gzip)" in picture.description


def test_tradeoff_writes_no_label_over_another():
    crowd = [{"name": f"model {i}", "bytes": 9_000 + i, "accuracy": 0.99} for i in range(5)]
    picture = charts.tradeoff(crowd)
    labels = [node for node in nodes(picture, "text") if node.text.startswith("model")]
    places = [(float(node.get("x")), float(node.get("y"))) for node in labels]
    assert len(places) == 5
    for i, (x, y) in enumerate(places):
        for other_x, other_y in places[:i]:
            assert abs(y - other_y) >= 12 or abs(x - other_x) >= 40


def test_tradeoff_keeps_every_label_inside_the_frame():
    crowd = [
        {
            "name": f"student int8, number {i}",
            "bytes": 10_000 + 600 * i,
            "accuracy": 0.9917 + i / 1e4,
        }
        for i in range(6)
    ]
    crowd.append({"name": "teacher", "bytes": 323_000, "accuracy": 0.9939})
    picture = charts.tradeoff(crowd, highlight=crowd[0]["name"])
    labels = [node for node in nodes(picture, "text") if node.text in {p["name"] for p in crowd}]
    assert len(labels) == 7
    for node in labels:
        assert float(node.get("x")) > 60 and 15 < float(node.get("y")) < 330


@pytest.mark.parametrize("shares", [(0.9939, 0.9912), (0.5, 0.5), (0.02, 0.01), (1.0, 1.0), (0.3, 0.9)])
def test_tradeoff_draws_no_small_difference_large(shares):
    picture = charts.tradeoff([{"name": str(i), "bytes": 1000, "accuracy": share} for i, share in enumerate(shares)])
    dots = [float(node.get("cy")) for node in nodes(picture, "circle")]
    grid = {
        node.text: float(node.get("y")) - 4 for node in nodes(picture, "text") if re.fullmatch("[0-9.]+ %", node.text)
    }
    drawn = {float(text[:-2]) / 100: y for text, y in grid.items()}
    per_share = (max(drawn.values()) - min(drawn.values())) / (max(drawn) - min(drawn))
    height = 326 - 34
    assert height / per_share >= 0.1 - 1e-6  # the whole axis is ten points at least
    assert dots[1] - dots[0] == pytest.approx((shares[0] - shares[1]) * per_share, abs=0.2)
    assert all(34 - 0.1 <= y <= 326.1 for y in dots)


def test_tradeoff_says_where_its_axis_begins():
    texts = [node.text for node in nodes(charts.tradeoff(POINTS), "text")]
    assert "accuracy, 90 % to 100 %" in texts
    whole = charts.tradeoff([{"name": "a", "bytes": 9, "accuracy": 0.02}, {"name": "b", "bytes": 9, "accuracy": 0.99}])
    assert "accuracy" in [node.text for node in nodes(whole, "text")]


def test_tick_labels_do_not_touch():
    points = [{"name": "a", "bytes": 3_000, "accuracy": 0.5}, {"name": "b", "bytes": 28_000, "accuracy": 0.5}]
    labels = [node for node in nodes(charts.tradeoff(points), "text") if re.fullmatch("[0-9.]+ [kM]B", node.text)]
    places = [(float(node.get("x")), 7.3 * len(node.text) / 2) for node in labels]
    assert len(places) >= 4
    assert all(b - a >= half_a + half_b for (a, half_a), (b, half_b) in zip(places, places[1:], strict=False))


def test_long_names_stay_inside_the_picture():
    name = "encoder/block_11/self_attention/query_projection"
    for picture in (charts.bars({name: 0.5}), charts.ranges({name: (0.0, 1.0)})):
        (label,) = [node for node in nodes(picture, "text") if "…" in node.text]
        assert label.text.startswith("encoder") and label.text.endswith("projection")
        assert float(label.get("x")) - 7.3 * len(label.text) >= 0


def test_curves_begin_at_zero_and_count_whole_epochs():
    picture = charts.curves({"a": [0.5, 0.4, 0.45]})
    texts = [node.text for node in nodes(picture, "text")]
    assert "0" in texts and {"1", "2", "3"} <= set(texts) and "1.2" not in texts


@pytest.mark.parametrize("points", [[], [{"name": "a", "bytes": 0, "accuracy": 0.5}]])
def test_tradeoff_refuses(points):
    with pytest.raises(ValueError, match="tradeoff"):
        charts.tradeoff(points)


def test_bars_are_as_long_as_their_values():
    picture = charts.bars({"a": 0.25, "b": 0.75, "c": 0.0, "d": None}, limit=1.0)
    widths = {title: float(node.get("width")) for title, node in titled(picture, "rect").items()}
    assert widths["b: 75.0%"] == pytest.approx(3 * widths["a: 25.0%"], abs=0.2)
    assert widths["c: 0.0%"] == widths["d: -"] == 0
    with pytest.raises(ValueError, match="bars"):
        charts.bars({"a": -0.1})
    with pytest.raises(ValueError, match="bars"):
        charts.bars({})


def test_ranges_span_their_values_and_all_zero_ones_stay_visible():
    picture = charts.ranges({"a": (-1.0, 3.0), "b": (0.0, 2.0), "c": (0.0, 0.0)})
    found = titled(picture, "rect")
    width = {title[0]: float(node.get("width")) for title, node in found.items()}
    left = {title[0]: float(node.get("x")) for title, node in found.items()}
    assert width["a"] == pytest.approx(2 * width["b"], abs=0.2)
    assert left["b"] - left["a"] == pytest.approx(width["a"] / 4, abs=0.2)
    assert width["c"] > 0
    for broken in ({}, {"a": (1.0, 0.0)}, {"a": (0.0, math.inf)}, {"a": (math.nan, 1.0)}):
        with pytest.raises(ValueError, match="ranges"):
            charts.ranges(broken)


def test_curves_fall_where_the_loss_falls_and_skip_nan():
    picture = charts.curves({"a": [4.0, 2.0, 1.0], "b": [3.0, math.nan, 1.0]}, log=True)
    lines = [node for node in nodes(picture, "polyline") if "stroke-width:2" in node.get("style")]
    a, b = ([tuple(map(float, p.split(","))) for p in n.get("points").split()] for n in lines)
    assert len(a) == 3 and len(b) == 2
    assert a[0][1] < a[1][1] < a[2][1] and a[0][0] < a[1][0] < a[2][0]
    # On a logarithmic axis each halving is the same step.
    assert a[1][1] - a[0][1] == pytest.approx(a[2][1] - a[1][1], abs=0.2)
    assert {"a", "b"} <= {node.text for node in nodes(picture, "text")}


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [0.0, 0.0]])
def test_curves_of_one_point_or_one_value(values):
    picture = charts.curves({"a": values})
    assert "nan" not in picture.svg and "inf" not in picture.svg


def test_curves_refuses():
    many = {str(i): [1.0] for i in range(7)}
    for broken, log in (
        ({}, False),
        ({"a": [math.nan]}, False),
        ({"a": [0.0]}, True),
        (many, False),
    ):
        with pytest.raises(ValueError, match="curves"):
            charts.curves(broken, log=log)


def test_names_are_escaped_everywhere():
    name = "<script>&"
    drawings = [
        charts.bars({name: 0.5}),
        charts.ranges({name: (0.0, 1.0)}),
        charts.curves({name: [1.0]}),
        charts.tradeoff([{"name": name, "bytes": 9, "accuracy": 0.5}]),
        model_charts.latency({name: {"p50_us": 1.0, "p90_us": 2.0}}),
        model_charts.confusion([[1, 2], [3, 4]], [name, "x"]),
    ]
    for picture in drawings:
        assert ET.fromstring(picture.svg) is not None
        assert not re.search("<script", picture.svg)
