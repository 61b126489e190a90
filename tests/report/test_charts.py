"""Charts show the numbers they got: lengths in proportion, places in order, mistakes marked."""

import base64
import io
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from tfcompress.report import charts

SVG = "{http://www.w3.org/2000/svg}"


def nodes(picture, tag):
    return list(ET.fromstring(picture.svg).iter(SVG + tag))


def titled(picture, tag):
    """Elements by their title."""
    return {node[0].text: node for node in nodes(picture, tag) if len(node)}


def test_samples_hold_the_images_themselves():
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1)) / 255
    picture = charts.samples(images, [1, 2, 3], [1, 7, 3])
    for node, image in zip(nodes(picture, "image"), images, strict=True):
        png = base64.b64decode(node.get("href").partition("base64,")[2])
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), np.rint(image[..., 0] * 255))
    assert picture.description == "3 samples with predictions, 1 of them wrong: 7 taken for 2."
    assert "2, not 7" in [node.text for node in nodes(picture, "text")]
    assert len(nodes(picture, "rect")) == 1  # the frame of the mistake


def test_samples_of_colour_with_names_and_without_labels():
    picture = charts.samples(np.zeros((2, 8, 8, 3)), ["cat", "dog"])
    assert picture.description == "2 samples with predictions."
    assert not nodes(picture, "rect")


@pytest.mark.parametrize(
    "images,predictions,labels",
    [
        (np.zeros((2, 28, 28)), [1, 2], [1, 2]),
        (np.zeros((2, 28, 28, 2)), [1, 2], [1, 2]),
        (np.zeros((0, 28, 28, 1)), [], []),
        (np.zeros((2, 28, 28, 1)), [1], [1, 2]),
        (np.zeros((2, 28, 28, 1)), [1, 2], [1]),
    ],
)
def test_samples_refuses(images, predictions, labels):
    with pytest.raises(ValueError, match="samples: images"):
        charts.samples(images, predictions, labels)


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
        charts.samples(np.zeros((1, 8, 8, 1)), [name], ["x"]),
    ]
    for picture in drawings:
        assert ET.fromstring(picture.svg) is not None
        assert not re.search("<script", picture.svg)
