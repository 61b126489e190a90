"""The picture shows each compared histogram, bar by bar, and says it in words."""

from xml.etree import ElementTree

import pytest

from tfcompress.android.monitor.log import MonitorLog
from tfcompress.android.monitor.monitor import Reference, monitor
from tfcompress.android.monitor.picture import monitor_picture


def test_every_bin_has_two_bars(monitor_log, tmp_path):
    edges = (0.0, 0.5, 1.0)
    references = {"int8": Reference("data", "ab" * 32, (30, 30, 30), (80, 10), edges)}
    picture = monitor_picture(monitor(MonitorLog(monitor_log), references))
    root = ElementTree.fromstring(picture.svg)
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 2 * (3 + 2)
    assert "classes 0, in use: 33.3%" in titles and "confidence 0 to 0.5, training data: 88.9%" in titles
    assert "int8 classes stable" in picture.description and "int8 confidence major shift" in picture.description
    picture.save(tmp_path / "drift.svg")
    assert (tmp_path / "drift.svg").read_text().startswith("<svg")


def test_nothing_compared_is_nothing_to_draw(monitor_log):
    references = {"float32": Reference("data", "ab" * 32, (1, 1, 1), (1, 2), (0.0, 0.5, 1.0))}
    monitor_log["days"][1]["variants"][1] |= {
        "count": 0, "classes": [0, 0, 0], "confidence": [0, 0], "latency_us": [0, 0],
    }  # fmt: skip
    with pytest.raises(ValueError, match="no variant"):
        monitor_picture(monitor(MonitorLog(monitor_log), references))
