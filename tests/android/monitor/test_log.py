"""A log is summed over its days; whatever does not add up is refused with its place."""

import json

import pytest

from tfcompress.android.monitor.log import MonitorLog


def test_sums_over_days(monitor_log):
    log = MonitorLog(monitor_log)
    int8, float32 = log.usage()
    assert (int8.name, int8.count, int8.failures) == ("int8", 600, 2)
    assert int8.classes == (200, 200, 200) and int8.confidence == (60, 540) and int8.latency_us == (599, 1)
    assert (float32.name, float32.count, float32.failures) == ("float32", 4, 0)
    assert log.days == ("2026-05-04", "2026-05-05") and log.confidence_edges == (0.0, 0.5, 1.0)


def test_a_new_file_is_another_variant(monitor_log):
    monitor_log["days"][1]["variants"][0]["sha256"] = "cd" * 32
    assert [(usage.name, usage.count) for usage in MonitorLog(monitor_log).usage()] == [
        ("int8", 300),
        ("int8", 300),
        ("float32", 4),
    ]


def test_files(monitor_log, tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps(monitor_log))
    assert MonitorLog.load(path).document == monitor_log
    path.write_text('{"schema": "tfcompress.monitor/1", "schema": "tfcompress.monitor/1"}')
    with pytest.raises(ValueError, match="log.json: JSON: the key 'schema' stands twice"):
        MonitorLog.load(path)
    path.write_text('{"schema": "tfcompress.bench/1"}')
    with pytest.raises(ValueError, match="log.json: .*must be 'tfcompress.monitor/1'. Received: 'tfcompress.bench/1'"):
        MonitorLog.load(path)
    with pytest.raises(FileNotFoundError):
        MonitorLog.load(tmp_path / "none.json")


@pytest.mark.parametrize("document", [None, [], "log", {}, {"schema": 1}])
def test_other_documents(document):
    with pytest.raises(ValueError, match="schema must be 'tfcompress.monitor/1'"):
        MonitorLog(document)


@pytest.mark.parametrize("key", ["created", "generator", "device", "runtime", "confidence_edges", "days"])
def test_missing_keys(monitor_log, key):
    del monitor_log[key]
    with pytest.raises(ValueError, match=f"must have {key}"):
        MonitorLog(monitor_log)


def first(log):
    return log["days"][0]["variants"][0]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda log: first(log).update(count=299), "2026-05-04, int8: classes must sum to the count, 299"),
        (lambda log: first(log).update(confidence=[1, 1]), "confidence must sum to the count, 300. Received: 2"),
        (lambda log: first(log).update(latency_us=[300]), "latency_us must have 2 bins. Received: 1"),
        (lambda log: first(log).update(confidence=[1, 2, 297]), "confidence must have 2 bins. Received: 3"),
        (lambda log: first(log).update(classes=[150, 150]), "same classes. Received: .2, 3."),
        (lambda log: first(log).update(classes=[-1, 1, 300]), "must be at least 0"),
        (lambda log: first(log).update(classes=[0.5, 0.5, 299]), "must be integer"),
        (lambda log: first(log).update(sha256="short"), "must match"),
        (lambda log: log["days"].reverse(), "days must ascend"),
        (lambda log: log["days"][1].update(day="2026-05-04"), "days must ascend"),
        (lambda log: log["days"][1].update(day="5 May"), "must match"),
        (lambda log: log["days"][1]["variants"][1].update(name="int8"), "2026-05-05, int8: the variant is there twice"),
        (lambda log: log.update(confidence_edges=[0.5, 0.5, 1]), "confidence_edges must ascend"),
        (lambda log: log.update(days=[]), "at least 1 items"),
    ],
)
def test_what_does_not_add_up(monitor_log, change, message):
    change(monitor_log)
    with pytest.raises(ValueError, match=f"^monitoring log: .*{message}"):
        MonitorLog(monitor_log)
